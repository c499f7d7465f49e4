"""How things stood at each step, found once for all steps, so that going back and forth costs nothing."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from tapes.checkout.state import todo
from tapes.session.threads import MAIN
from tapes.session.usage import GIVEN
from tapes.session.view import Step

HANDLING = frozenset({"read", "write", "edit", "delete"})


@dataclass(frozen=True, slots=True)
class Standing:
    """When a step was over."""

    cwd: str
    """Of the last command; else of the session. Empty where neither is known."""
    files: int
    """Files that calls had read, written or edited by then."""
    todo: tuple[tuple[str, str], ...]
    """The agent's own list: state and words of each entry."""
    failures_before: int
    failures_after: int
    given: int
    """Tokens that models had read."""
    made: int


@dataclass(frozen=True, slots=True)
class Course:
    """Of one reading of a session: values by the number of the step from which on they held."""

    cwds: Sequence[tuple[int, str]]
    todos: Sequence[Step]
    """Calls that change a list of things to do, and their results."""
    files: Sequence[int]
    """At each step, how many were known."""
    failed: Sequence[int]
    given: Sequence[int]
    made: Sequence[int]

    @classmethod
    def of(cls, steps: Sequence[Step], cwd: str) -> Self:
        cwds, todos, failed = [(0, cwd)], [], []
        known: set[str] = set()
        listing: set[object] = set()
        files, given, made = [0], [0], [0]
        for step in steps:
            facts, usage = step.facts, step.facts.get("usage") or {}
            if step.type == "command" and facts.get("cwd") and facts["cwd"] != cwds[-1][1]:
                cwds.append((step.number, str(facts["cwd"])))
            if facts.get("action") == "todo":
                listing.add(facts.get("id"))
            if "id" in facts and facts["id"] in listing:
                todos.append(step)
            deeds = facts.get("files") or ([facts] if facts.get("path") else ())
            known.update(str(deed["path"]) for deed in deeds if deed.get("action") in HANDLING)
            if step.failed:
                failed.append(step.number)
            files.append(len(known))
            given.append(given[-1] + sum(usage.get(kind, 0) for kind in GIVEN))
            made.append(made[-1] + usage.get("output", 0))
        return cls(cwds, todos, files, failed, given, made)

    def at(self, number: int, thread: str) -> Standing:
        """When step `number` was over, for one of the threads: each has a list of its own. What is of none (a note, a
        gap) stands beside the main one's."""
        at = max(0, min(number, len(self.files) - 1))
        before = bisect_right(self.failed, at)
        listed = [step for step in self.todos if step.number <= at and step.thread == (thread or MAIN)]
        return Standing(
            cwd=self.cwds[bisect_right(self.cwds, at, key=lambda one: one[0]) - 1][1],
            files=self.files[at],
            todo=tuple((entry["status"], entry["text"]) for entry in todo(listed)),
            failures_before=before,
            failures_after=len(self.failed) - before,
            given=self.given[at],
            made=self.made[at],
        )
