"""What a check of `tapes doctor` found: fine, worth knowing, or in the way of recording; and then what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from tapes.values import dataclass

Verdict = Literal["ok", "note", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report."""

    what: str
    """What was looked at, in a word or two."""
    verdict: Verdict
    text: str
    todo: str = ""
    """What the user can do about it; empty when it is fine."""


Check = Callable[[], Iterator[Finding]]


def ok(what: str, text: str) -> Finding:
    return Finding(what, "ok", text)


def note(what: str, text: str, todo: str = "") -> Finding:
    return Finding(what, "note", text, todo)


def bad(what: str, text: str, todo: str) -> Finding:
    return Finding(what, "bad", text, todo)
