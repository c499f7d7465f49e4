"""What stands where a secret was: of redaction alone, so that readers who know a marker need not load all rules."""

from __future__ import annotations

import re

from tapes.pattern import pattern

_FORM = r"\[REDACTED:([A-Za-z0-9:_.-]{1,80})\]"
MARKER = pattern(_FORM.encode())
MARKER_TEXT = pattern(_FORM)


def marker(rule: str) -> bytes:
    """What stands for a secret: plain ASCII, valid inside a JSON string, and silent about the secret itself."""
    return b"[REDACTED:%s]" % rule.encode("ascii")


def rule_label(label: str) -> str:
    """`label` in the alphabet of markers (a header or variable name may hold anything)."""
    return re.sub(r"[^A-Za-z0-9:_.-]", "_", label)[:80] or "value"
