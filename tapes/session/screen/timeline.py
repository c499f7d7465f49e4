"""Time in a recording: a pipe of small generators, and the commands as marks on it.

    delays(events) → capped(…, limit) → faster(…, factor) → times(…)

The player only waits and shows; an export only writes down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from tapes.archive.base import Archive
from tapes.errors import NotFound, UsageError
from tapes.record.digest import Digest
from tapes.record.kinds import Record
from tapes.session.breaks import Break, Stopper, said
from tapes.session.screen.tape import Event, Tape
from tapes.session.view import Step, steps
from tapes.values import dataclass

type Timed[T] = tuple[int, T]
"""Nanoseconds, and what they belong to."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A place to go to: where a command began."""

    at_ns: int
    text: str
    """The command line."""
    record: Digest


def delays(events: Iterable[Event | Mark]) -> Iterator[Timed[Event | Mark]]:
    """Each with the time since the one before; the first with that since the beginning."""
    before = 0
    for event in events:
        yield event.at_ns - before, event
        before = event.at_ns


def capped[T](timed: Iterable[Timed[T]], limit_ns: int | None) -> Iterator[Timed[T]]:
    """No delay longer than the limit."""
    for delay, what in timed:
        yield (delay if limit_ns is None else min(delay, limit_ns)), what


def faster[T](timed: Iterable[Timed[T]], factor: float) -> Iterator[Timed[T]]:
    for delay, what in timed:
        yield round(delay / factor), what


def times[T](timed: Iterable[Timed[T]]) -> Iterator[Timed[T]]:
    """Each with the time since the beginning."""
    at = 0
    for delay, what in timed:
        at += delay
        yield at, what


def marks(archive: Archive, tape: Tape) -> list[Mark]:
    """The session's commands, in order of time. The line as it really ran, where a later record corrected it."""
    return marks_in(archive.session_records(tape.session), tape)


def marks_in(records: Iterable[tuple[Digest, Record]], tape: Tape) -> list[Mark]:
    """The same of records that are read already."""
    lines: dict[Digest, bytes] = {}
    found: list[tuple[int, Digest]] = []
    for digest, record in records:
        if record.type == "command.start":
            lines[digest] = _line(record.body.get("line"), record.body.get("argv"))
            found.append((tape.moment(record), digest))
        elif record.type == "command.end" and record.parents and record.parents[0] in lines:
            corrected = _line(record.body.get("line"), record.body.get("argv"))
            lines[record.parents[0]] = corrected or lines[record.parents[0]]
    return [Mark(at, lines[digest].decode("utf-8", "replace"), digest) for at, digest in sorted(found)]


def _line(line: object, argv: object) -> bytes:
    if isinstance(line, bytes) and line:
        return line
    return b" ".join(w for w in argv if isinstance(w, bytes)) if isinstance(argv, list | tuple) else b""


def with_marks(events: Iterable[Event], found: Iterable[Mark]) -> Iterator[Event | Mark]:
    """The marks among the events, each before what happened at its time or later."""
    waiting = iter(found)
    mark = next(waiting, None)
    for event in events:
        while mark is not None and mark.at_ns <= event.at_ns:
            yield mark
            mark = next(waiting, None)
        yield event
    if mark is not None:
        yield mark
        yield from waiting


def moment_of_step(archive: Archive, tape: Tape, number: int) -> int:
    """When a step of the session was recorded. NotFound where there is none."""
    for step in steps(archive, tape.session):
        if step.number == number:
            return tape.moment(archive.record(step.hash))
    short = tape.session.short()
    raise NotFound(f"session {short} has no step {number}", hint=f"its steps: tapes show {short}")


def stops_in(archive: Archive, tape: Tape, breaks: Iterable[Break]) -> list[Timed[str]]:
    """The moments at which playing stops, in order of time, and why. UsageError for a pattern that is none."""
    stopper = Stopper(breaks, tape.session)
    found = ((step, stop) for step in steps(archive, tape.session) if (stop := stopper.stop(step))) if stopper else ()
    return [(at, why) for at, _, why in stops_at(tape, found, archive.record)]


def stops_at(
    tape: Tape, stops: Iterable[tuple[Step, Break]], record: Callable[[Digest], Record]
) -> list[tuple[int, int, str]]:
    """When playing stops at some steps, with their numbers, and why. A command that failed did so when it ended. What
    was before the recording, or after it, is told at its beginning or end."""
    found = []
    for step, stop in stops:
        at = tape.moment(record(step.hash))
        if stop.kind == "error" and step.type == "command":
            at += (step.facts.get("duration_us") or 0) * 1000
        found.append((min(at, tape.upto_ns), step.number, said(stop, step)))
    return sorted(found)


def read_time(text: str) -> int:
    """Nanoseconds of `12.5s`, `1:30` or `1:02:03.5`. UsageError for anything else."""
    words = text.removesuffix("s").split(":")
    try:
        if len(words) > 3 or any("_" in word or not word.strip() for word in words):
            raise ValueError
        seconds = sum(float(word) * (1, 60, 3600)[power] for power, word in enumerate(reversed(words)))
        if not 0 <= seconds < 1e9:
            raise ValueError
    except ValueError as error:
        raise UsageError(f"{text!r} is no time", hint="as in 12.5s, 1:30 or 1:02:03") from error
    return round(seconds * 1e9)
