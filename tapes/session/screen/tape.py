"""The recorded terminal of a session, as events in order; what is damaged, withheld or missing is an event in its
place.

A tape is made of parts, one a `terminal` record, of about a second each. Parts are known without reading what they
hold; so whoever wants the screen as it was late in a long recording need read little (`keyframes.py`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Literal

from tapes.archive.base import Archive
from tapes.errors import Damaged, NotFound
from tapes.record.digest import Digest
from tapes.record.kinds import BodyRef, Record
from tapes.record.tomb import WITHHELD
from tapes.values import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the terminal."""

    at_ns: int
    """Since the recording began. Never less than that of the event before."""
    kind: Literal["o", "i", "r", "x"]
    """Output, input, a new size, or something that is not there."""
    record: Digest
    data: bytes = b""
    """Of output and input: after redaction."""
    size: tuple[int, int] = (0, 0)
    """Of a new size: columns and rows, as they were told."""
    missed: int = 0
    """Bytes that are not there, where that is known."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One record of the recording."""

    hash: Digest
    record: Record
    at_ns: int
    size: tuple[int, int]
    """Columns and rows at its beginning, as they were told; of one that is withheld, those before it."""
    before: str = ""
    """What is wrong between it and the part before."""
    number: int = 0
    """Which part of the recording it is, as it was told; of one that is withheld, which it should be."""

    @property
    def length(self) -> int:
        """Bytes of its output and input."""
        reference = BodyRef.match(self.record.body.get("data"))
        return reference.length if reference else 0

    @property
    def withheld(self) -> bool:
        return self.record.type == WITHHELD


@dataclass(frozen=True, slots=True)
class Tape:
    """The terminal recording of one session. `parts` is never empty."""

    archive: Archive
    session: Digest
    parts: tuple[Part, ...]
    ended: bool
    """Was its end recorded? A session that runs, or was killed, has none."""
    upto_ns: int
    """Since the beginning, up to the last event."""
    upto_seq: int
    """The session's last record when this was read."""
    redacted: bool
    """Is anything of the session withheld, or to be?"""

    def redacted_since(self) -> bool:
        """Has the session been redacted, also since this was read?"""
        head = self.archive.head(self.session)
        later = range(self.upto_seq + 1, head[1] + 1) if head else range(0)
        return self.redacted or any(
            self.archive.session_record(self.session, seq)[1].type == "redaction" for seq in later
        )

    @property
    def first(self) -> Record:
        return self.parts[0].record

    @property
    def size(self) -> tuple[int, int]:
        return self.parts[0].size

    @property
    def term(self) -> str:
        """$TERM, or empty where it was not recorded."""
        return str(self.first.body.get("term", ""))

    def moment(self, record: Record) -> int:
        """When a record of this session was made, in nanoseconds since the recording began."""
        return max(0, _since(self.first, record))

    def grown(self) -> Tape:
        """The tape with what has been recorded since this was read; only that is read. Where something was redacted
        since, all is read anew, and no part is the one that it was."""
        head = self.archive.head(self.session)
        later = range(self.upto_seq + 1, head[1] + 1) if head else range(0)
        records = [self.archive.session_record(self.session, seq) for seq in later]
        if any(record.type == "redaction" for _, record in records):
            return tape_of(self.archive, self.session) or self
        found = [each for each in records if _of_terminal(each[1])]
        last = self.parts[-1]
        parts, upto_ns = _in_order([(last.hash, last.record), *found], self.first, last.at_ns, last.number, last.size)
        return Tape(
            archive=self.archive,
            session=self.session,
            parts=self.parts + parts[1:],
            ended=bool(parts[-1].record.body.get("last")),
            upto_ns=upto_ns,
            upto_seq=head[1] if head else self.upto_seq,
            redacted=self.redacted,
        )

    def last_before(self, at_ns: int) -> int | None:
        """The time of the last event before a time; None where there is none."""
        place = bisect_left(self.parts, at_ns, key=lambda part: part.at_ns)
        if not place:
            return None
        part = self.parts[place - 1]
        deltas: Iterator[int] = (1000 * row[0] for row in _rows(part.record))
        times = accumulate(deltas, initial=part.at_ns)
        return max(time for time in times if time < at_ns)

    def holes(self, start: int = 0) -> Iterator[Event]:
        """What is missing from the part `start` on, as far as it is known without reading what the parts hold."""
        size = (0, 0)
        for part in self.parts[start:]:
            for event in _in_part(None, part, size):
                size = event.size if event.kind == "r" else size
                if event.kind == "x":
                    yield event

    def events(self, start: int = 0, stop: int | None = None) -> Iterator[Event]:
        """Those of the parts `start` up to `stop`, in order; the first says the size that it begins with."""
        size = (0, 0)
        for part in self.parts[start:stop]:
            for event in _in_part(self.archive, part, size):
                size = event.size if event.kind == "r" else size
                yield event


def tape_of(archive: Archive, session: Digest) -> Tape | None:
    """The session's recording; None where its terminal was not recorded. NotFound for an unknown session."""
    return tape_in(archive, session, archive.session_records(session))


def tape_in(archive: Archive, session: Digest, records: Iterable[tuple[Digest, Record]]) -> Tape | None:
    """The same of the session's records that are read already."""
    found: list[tuple[Digest, Record]] = []
    redacted, seq = False, 0
    for digest, record in records:
        seq = record.seq
        redacted = redacted or record.type == "redaction"
        if _of_terminal(record):
            found.append((digest, record))
    if not found:
        return None
    parts, upto_ns = _in_order(found, found[0][1])
    return Tape(
        archive=archive,
        session=session,
        parts=parts,
        ended=bool(parts[-1].record.body.get("last")),
        upto_ns=upto_ns,
        upto_seq=seq,
        redacted=redacted,
    )


def _of_terminal(record: Record) -> bool:
    return record.type == "terminal" or (record.type == WITHHELD and record.body["type"] == "terminal")


def _in_order(
    found: Sequence[tuple[Digest, Record]],
    first: Record,
    at: int = 0,
    expected: int = 0,
    size: tuple[int, int] = (80, 24),
) -> tuple[tuple[Part, ...], int]:
    """The parts, and when the last of them ends. They go on at a time, with a number and a size."""
    parts: list[Part] = []
    for digest, record in found:
        body = record.body
        number = body.get("n", expected) if record.type != WITHHELD else expected
        # A capture process that took over counts from 0 again.
        before = "a part of the recording is missing" if number not in (expected, 0) else ""
        at = max(at, _since(first, record))
        if record.type != WITHHELD:
            size = (body["columns"], body["rows"])
        parts.append(Part(digest, record, at, size, before, number))
        for delta, kind, *numbers in _rows(record):
            at += 1000 * delta
            if kind == "r":
                size = (numbers[0], numbers[1])
        expected = number + 1
    return tuple(parts), at


def _since(first: Record, record: Record) -> int:
    """Nanoseconds between two records: by the monotonic clock where it is the same one, else by the wall's."""
    if first.boot and first.boot == record.boot:
        return record.mono_ns - first.mono_ns
    return record.wall_ns - first.wall_ns


def _rows(record: Record) -> Sequence[Sequence[Any]]:
    """The record's list of events (docs/format.md). Kinds that we do not know hold no bytes, and take their time."""
    return record.body.get("events", ())  # type: ignore[no-any-return]


def _in_part(archive: Archive | None, part: Part, size: tuple[int, int]) -> Iterator[Event]:
    """Without an archive, all but its output and input."""
    at = part.at_ns
    if part.before:
        yield Event(at, "x", part.hash, why=part.before)
    if part.size != size:
        yield Event(at, "r", part.hash, size=part.size)
    if part.withheld:
        yield Event(at, "x", part.hash, why=f"withheld by record {part.record.body['by'].hex()[:12]}")
        return
    rows = _rows(part.record)
    try:
        data = _data(archive, part.record, rows) if archive else None
    except (Damaged, NotFound) as error:  # Withheld is a NotFound
        yield Event(at, "x", part.hash, missed=part.length, why=str(error))
        data = None
    offset = 0
    for delta, kind, *values in rows:
        at += 1000 * delta
        if kind in ("o", "i"):
            if data is not None:
                yield Event(at, kind, part.hash, data=data[offset : offset + values[0]])
            offset += values[0]
        elif kind == "r":
            yield Event(at, "r", part.hash, size=(values[0], values[1]))
        elif kind == "x":
            yield Event(at, "x", part.hash, missed=values[0], why="more than could be kept up with")


def _data(archive: Archive, record: Record, rows: Sequence[Sequence[Any]]) -> bytes:
    reference = BodyRef.match(record.body.get("data"))
    data = archive.body(reference) if reference else b""
    if len(data) != sum(row[2] for row in rows if row[1] in ("o", "i")):
        raise Damaged("its events do not agree with its bytes")
    return data
