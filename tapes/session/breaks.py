"""Breakpoints: at which steps playing stops.

What plays (the deck, `tapes replay`) asks here, and so all agree. A break is at one step; at every step whose words a
pattern fits; or at every failure: of one session, or of all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from tapes.errors import UsageError
from tapes.record.digest import Digest
from tapes.session.view import Step, is_of
from tapes.values import dataclass

type Kind = Literal["step", "pattern", "error"]


@dataclass(frozen=True, slots=True)
class Break:
    id: int
    """Given once; 0: none yet."""
    session: Digest | None
    """None: of every session."""
    kind: Kind
    record: Digest | None = None
    """Of kind `step`: the record that the step is read from, and which item of it."""
    item: int = 0
    step: int = 0
    """The step's number when the break was set, for people."""
    pattern: str = ""
    """Of kind `pattern`: a regular expression of Python's, `^` and `$` of each line."""
    types: tuple[str, ...] = ()
    """Of kind `pattern`: only steps of these types, or that do this (`read`, `edit`, …), or `tool`; empty: of all."""

    @property
    def what(self) -> str:
        match self.kind:
            case "step":
                return f"step {self.step}"
            case "pattern":
                return f"/{self.pattern}/" + (f" in {', '.join(self.types)}" if self.types else "")
            case "error":
                return "any failed step"


def compiled(pattern: str) -> re.Pattern[str]:
    """UsageError for what is no pattern."""
    try:
        return re.compile(pattern, re.MULTILINE)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(f"{pattern!r} is no regular expression: {error}", hint="they are those of Python") from error


class Stopper:
    """Judges steps by the breaks of one session and of all. Keep it while steps keep coming."""

    def __init__(self, breaks: Iterable[Break], session: Digest) -> None:
        """UsageError where a pattern is none."""
        ours = sorted((each for each in breaks if each.session in (None, session)), key=lambda each: each.id)
        self._steps = {(each.record, each.item): each for each in reversed(ours) if each.kind == "step"}
        self._others: Sequence[tuple[Break, re.Pattern[str] | None]] = [
            (each, compiled(each.pattern) if each.kind == "pattern" else None) for each in ours if each.kind != "step"
        ]

    def __bool__(self) -> bool:
        return bool(self._steps or self._others)

    def stop(self, step: Step) -> Break | None:
        """The first break that stops playing at a step: one at just this step, else the oldest that fits."""
        found = self._steps.get((step.hash, step.item))
        if found is not None:
            return found
        for each, pattern in self._others:
            if step.failed if pattern is None else is_of(step, each.types) and pattern.search(step.text):
                return each
        return None


def stops(breaks: Iterable[Break], session: Digest, steps: Iterable[Step]) -> dict[int, Break]:
    """By number, the steps of a session at which playing stops, each with the break that stops it."""
    stopper = Stopper(breaks, session)
    if not stopper:
        return {}
    return {step.number: found for step in steps if (found := stopper.stop(step)) is not None}


def said(found: Break, step: Step) -> str:
    """Why it stops there, in a few words: `break 3: exit 1 at step 42`."""
    match found.kind:
        case "step":
            return f"break {found.id}: step {step.number}"
        case "pattern":
            return f"break {found.id}: {found.what} at step {step.number}"
        case "error":
            return f"break {found.id}: {_failure(step)} at step {step.number}"


def _failure(step: Step) -> str:
    if step.type == "command" and step.facts.get("signal"):
        return f"signal {step.facts['signal']}"
    if step.type == "command" and step.facts.get("exit") is not None:
        return f"exit {step.facts['exit']}"
    return f"{step.facts.get('name') or step.type} failed"
