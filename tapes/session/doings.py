"""What happened in a session that may have changed files, on one line of time; and which snapshot shows a step's end.

A command took from its start to its end. A tool call took from the answer that asked for it to the request that told
what came of it: nobody sees when in between. Edits that an answer holds itself (aider's blocks) are made between it and
the next request. A snapshot shows the state at a step's end when nothing else began in between; otherwise that is said.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from math import inf
from typing import Self

from tapes.archive.base import Archive
from tapes.errors import NotFound
from tapes.record.digest import Digest
from tapes.record.kinds import Record
from tapes.record.tomb import WITHHELD
from tapes.session.commands import Command
from tapes.session.snapshots import Snapshot, clock
from tapes.session.threads import MAIN
from tapes.session.view import Step, View, view
from tapes.values import dataclass
from tapes.wire.files import looks_only

EDITING = frozenset({"edit", "write", "delete"})
"""What calls do to files (tapes.wire.files)."""


@dataclass(frozen=True, slots=True)
class Doing:
    """A command, a tool's call, or an answer that holds edits."""

    step: int
    kind: str
    """`command`, `tool` or `answer`."""
    hash: Digest
    """The record of its step."""
    text: str
    """The command's line; the tool's name."""
    thread: str
    began: int
    ended: int | None
    """None: nobody saw it end."""
    id: bytes = b""
    """Of a command, as the witness drew it."""
    call: Digest | None = None
    """The `tool.use` that asked for a command, or that it is."""
    around: bool = False
    """Other commands ran within it, and speak for themselves."""
    background: bool = False
    """It left jobs behind that outlived it."""

    def overlaps(self, start: int, stop: int) -> bool:
        """Was it under way in this time?"""
        return self.began < stop and (self.ended is None or self.ended > start)


@dataclass(frozen=True, slots=True)
class Doings:
    """Of one session, with its steps."""

    view: View
    steps: Sequence[Step]
    all: Sequence[Doing]
    """In the order they began."""
    over: Mapping[int, int]
    """When each step was over, by its number."""
    own: Mapping[int, frozenset[Digest]]
    """Doings that a step is the same as: a call's result is the call's, a call's command the call's."""
    until: Sequence[float]
    """For each doing when it and all before it were over."""
    untimed: frozenset[int]
    """Steps whose records are withheld: when they were over only the wall clock tells."""

    @classmethod
    def read(cls, archive: Archive, session: Digest) -> Self:
        found = view(archive, session)
        return cls.of(found, list(found.steps))

    @classmethod
    def of(cls, found: View, steps: Sequence[Step]) -> Self:
        timing = _Timing(found, steps)
        doings, over, own = timing.result()
        ends = (inf if doing.ended is None else doing.ended for doing in doings)
        return cls(found, steps, doings, over, own, list(accumulate(ends, max)), timing.untimed())

    def during(self, start: int, stop: int) -> list[Doing]:
        """Those under way in this time, in the order they began."""
        found: list[Doing] = []
        for number in range(bisect_left(self.all, stop, key=lambda doing: doing.began) - 1, -1, -1):
            if self.until[number] <= start:
                break  # nothing that began before was still under way
            if self.all[number].overlaps(start, stop):
                found.append(self.all[number])
        return found[::-1]

    def step(self, number: int) -> Step:
        at = number - 1  # numbers count from 1 without holes
        if not 0 <= at < len(self.steps):
            raise NotFound(f"the session has no step {number}", hint=f"it has {len(self.steps)}: tapes show")
        return self.steps[at]

    def prompt(self, number: int) -> Step | None:
        """What was said that led to a step: the last prompt before it in its thread; else in the main one."""
        thread = self.step(number).thread or MAIN
        main = None
        for step in reversed(self.steps[:number]):
            if step.type == "prompt":
                if (step.thread or MAIN) == thread:
                    return step
                if main is None and (step.thread or MAIN) == MAIN:
                    main = step
        return main


class _Timing:
    def __init__(self, found: View, steps: Sequence[Step]) -> None:
        self._view, self._steps = found, steps
        self._clock = clock(found.records)
        self._at: dict[Digest, Record] = dict(found.records)
        self._last = max((self._clock(r) for r in self._at.values() if r.type != WITHHELD), default=0)
        self._commands = {command.ran.start: command for command in found.commands if command.ran}
        self._calls = {c.ran.start: c.call.use for c in found.commands if c.ran and c.call}
        self._outer = {command.outer for command in found.commands if command.outer}
        self._results = {
            record.parents[-1]: digest
            for digest, record in found.records
            if record.type == "tool.result" and len(record.parents) > 1
        }
        self._tombs = self._withheld()
        self._requests = sorted(self._clock(r) for r in self._at.values() if r.type == "exchange.open")

    def result(self) -> tuple[list[Doing], dict[int, int], dict[int, frozenset[Digest]]]:
        doings = sorted(self._doings(), key=lambda doing: doing.began)
        over = {step.number: self._over(step) for step in self._steps}
        own = {step.number: self._own(step) for step in self._steps}
        return doings, over, own

    def _doings(self) -> Iterator[Doing]:
        witnessed = set(self._calls.values())
        for step in self._steps:
            record = self._at[step.hash]
            thread = step.thread or MAIN
            if step.type == "command" and step.hash in self._commands:
                yield self._command(step, self._commands[step.hash])
            elif step.type == "tool.use" and record.type == "tool.use":
                # A call whose commands were seen is those; what it edits beside them is its own.
                edits = step.facts.get("action") in EDITING or "files" in step.facts
                looks = step.hash in witnessed or looks_only(str(step.facts.get("name", "")))
                if edits or not looks:
                    yield Doing(
                        step.number,
                        "tool",
                        step.hash,
                        str(step.facts.get("name", "")),
                        thread,
                        self._asked(record),
                        self._told(step.hash),
                        call=step.hash,
                    )
            elif step.type == "answer" and step.facts.get("diff"):
                began = self._clock(record)
                ended = next((at for at in self._requests if at > began), None)
                yield Doing(step.number, "answer", step.hash, "answer", thread, began, ended)

    def _command(self, step: Step, command: Command) -> Doing:
        ran = command.ran
        assert ran is not None
        return Doing(
            step.number,
            "command",
            step.hash,
            command.line,
            step.thread or MAIN,
            self._clock(ran.at),
            self._clock(ran.end) if ran.end else None,
            bytes(ran.at.body.get("id", b"")),
            self._calls.get(step.hash),
            step.hash in self._outer,
            bool(ran.end and ran.end.body.get("open")),
        )

    def _asked(self, use: Record) -> int:
        """When the answer was over that asked for it."""
        parent = self._at.get(use.parents[0]) if use.parents else None
        return self._clock(parent if parent is not None and parent.type != WITHHELD else use)

    def _told(self, use: Digest) -> int | None:
        """When the request was made that told what came of it; None where none did."""
        result = self._at.get(self._results.get(use, use))
        if result is None or result.type != "tool.result":
            return None
        carrier = self._at.get(result.parents[0])
        return self._clock(carrier if carrier is not None and carrier.type != WITHHELD else result)

    def untimed(self) -> frozenset[int]:
        return frozenset(step.number for step in self._steps if self._at[step.hash].type == WITHHELD)

    def _withheld(self) -> dict[Digest, int]:
        """When withheld records were, and those that ended them: a tombstone has only the wall clock."""
        found: dict[Digest, int] = {}
        ahead = 0
        for digest, record in self._view.records:
            if record.type != WITHHELD:
                ahead = self._clock(record) - record.wall_ns
                continue
            found[digest] = record.wall_ns + ahead
            for parent in record.parents:
                if parent in found and record.body["type"] in ("command.end", "tool.result"):
                    found[parent] = max(found[parent], found[digest])
        return found

    def _over(self, step: Step) -> int:
        record = self._at[step.hash]
        if record.type == WITHHELD:
            return self._tombs[step.hash]
        if step.type == "command" and step.hash in self._commands:
            ran = self._commands[step.hash].ran
            return self._clock(ran.end) if ran and ran.end else self._last
        if record.type == "tool.use":
            told = self._told(step.hash)
            return self._last if told is None else told
        if record.type == "tool.result" and record.parents and record.parents[0] in self._at:
            return self._clock(self._at[record.parents[0]])
        if step.type == "answer" and step.facts.get("diff"):
            return next((at for at in self._requests if at > self._clock(record)), self._last)
        return self._clock(record)

    def _own(self, step: Step) -> frozenset[Digest]:
        record = self._at[step.hash]
        call = step.hash if record.type == "tool.use" else record.parents[-1] if record.type == "tool.result" else None
        same = {start for start, use in self._calls.items() if use == call} if call else set()
        return frozenset({step.hash} | ({call} if call else set()) | same)


@dataclass(frozen=True, slots=True)
class Choice:
    """How a root looked when a step was over."""

    place: int
    """The snapshot that shows it."""
    doubts: tuple[str, ...] = ()
    ahead: int | None = None
    """The next snapshot, where what it shows of files whose own time is not after `over` was there by then."""
    over: int = 0


def choose(found: Sequence[Snapshot], doings: Doings, number: int) -> Choice:
    """The snapshot that shows a root when a step was over, and what makes it doubtful that it does."""
    doings.step(number)
    choice = _choose(found, doings, number)
    if number not in doings.untimed:
        return choice
    doubts = (*choice.doubts, "the step is withheld: when it was over is known by the wall clock alone")
    return Choice(choice.place, doubts, choice.ahead, choice.over)


def _choose(found: Sequence[Snapshot], doings: Doings, number: int) -> Choice:
    over, own = doings.over[number], doings.own[number]

    def others(start: int, stop: int) -> list[Doing]:
        return [doing for doing in doings.during(start, stop) if doing.hash not in own and not doing.around]

    behind = next((s for s in found if s.began >= over), None)
    before = next((s for s in reversed(found) if s is not behind and s.began < over), None)
    between = [] if behind is None else others(over, behind.began)
    if behind is not None and not between:
        meanwhile = others(max(over, behind.began), behind.ended)
        doubts = (f"{_named(meanwhile)} went on while the snapshot was taken",) if meanwhile else ()
        return Choice(behind.place, doubts)
    if before is not None:
        since = [d for d in doings.during(before.ended, over) if not d.around]
        late = (
            f"no snapshot was taken between its end and {_named(between)}" if behind else "no snapshot was taken later"
        )
        doubts = (f"{late}: what {_named(since)} did is known by the files' own times alone",) if since else ()
        return Choice(before.place, doubts, behind.place if behind is not None and since else None, over)
    if behind is None:
        raise NotFound("there is no snapshot")
    return Choice(behind.place, (f"{_named(between)} came before the first snapshot",))


def _named(doings: Sequence[Doing]) -> str:
    steps = [str(doing.step) for doing in doings]
    if len(steps) > 5:
        steps = [*steps[:4], f"{len(steps) - 4} more"]
    return f"step {steps[0]}" if len(steps) == 1 else f"steps {', '.join(steps)}"
