"""What stands before a step in the outline: that it is marked, that playing stops there, or both."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from tapes.session.marks import SIGN
from tapes_cli.breakpoints import FILE
from tapes_cli.deck.model.styled import Line
from tapes_cli.deck.model.tape import Told

BREAK, BOTH = "●", "✪"


def signs(told: Told, breaks: Collection[int]) -> dict[int, Line]:
    """By step; `breaks`: the steps at which playing stops. A sign is one column wide."""
    marked = {step.number for step in told.steps if step.facts.get("marks")}
    return {
        number: ((BOTH, "error"),) if number in marked and number in breaks
        else ((SIGN, "note"),) if number in marked
        else ((BREAK, "error"),)
        for number in marked.union(breaks)
    }  # fmt: skip


def breaks_stamp(home: Path) -> int:
    """Another number when the breaks were changed, by whomever; one look at a file."""
    try:
        return (home / FILE).stat().st_mtime_ns
    except OSError:
        return 0  # there are none; if it can not be read, reading says so
