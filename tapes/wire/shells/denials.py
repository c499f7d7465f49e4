"""Refusals: the words by which an agent tells its model that a command was kept from running, and by whom."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from tapes.pattern import pattern
from tapes.wire.shells.base import Denied

Denials = tuple[tuple[re.Pattern[str], Denied], ...]
_LOOKED_AT = 4096


def denials(words: Mapping[Denied, Iterable[str]]) -> Denials:
    """Patterns that a refusal begins with, by whose it is; the first that fits counts."""
    return tuple((pattern(form, re.DOTALL), by) for by, forms in words.items() for form in forms)


def denied_by(known: Denials, result: str) -> Denied:
    """Whose refusal a result is; "" where it is none that we know."""
    head = result[:_LOOKED_AT]
    return next((by for pattern, by in known if pattern.match(head)), "")
