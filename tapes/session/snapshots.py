"""Snapshots of working directories as their records tell them: parts put together, and what is missing of them.

A snapshot of one root is one or more `snapshot` records. A process may be killed between two parts, or have no room for
one: then the next snapshot says what this one could not. What was withheld since nobody says again: that is a doubt
about all that follows, up to the next full snapshot that is whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tapes.record.digest import Digest
from tapes.record.kinds import Record
from tapes.record.tomb import WITHHELD
from tapes.values import dataclass, field

type Records = Sequence[tuple[Digest, Record]]
type Clock = Callable[[Record], int]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One look at one root."""

    root: bytes
    n: int
    """Its number as it was recorded; another capture process may count anew."""
    place: int
    """Among the root's snapshots in this session, from 0."""
    parts: tuple[tuple[Digest, Record], ...]
    began: int
    """By the session's clock (`clock`)."""
    ended: int
    wall_ns: int
    """When it began, Unix time."""
    doubts: tuple[str, ...] = ()
    """What is missing of it, or was not looked at."""
    lasting: tuple[str, ...] = ()
    """What is missing of it, or before it, and no later one says."""

    @property
    def hash(self) -> Digest:
        """Of its first part that is there."""
        return self.parts[0][0]

    @property
    def body(self) -> Mapping[str, Any]:
        return self.parts[0][1].body

    @property
    def cause(self) -> str:
        return str(self.body.get("cause", ""))

    @property
    def full(self) -> bool:
        """Of the whole tree; otherwise of what differs from the one before."""
        return bool(self.body.get("full"))

    @property
    def whole(self) -> bool:
        """Are all parts there, and was everything looked at?"""
        return not self.doubts and not self.lasting

    @property
    def commands(self) -> frozenset[bytes]:
        """Ids of commands that began or ended since the one before."""
        return frozenset(id_ for _, part in self.parts for id_ in part.body.get("commands", ()))

    @property
    def branch(self) -> str:
        return str(self.body.get("branch", ""))

    @property
    def head(self) -> str:
        return str(self.body.get("head", ""))


def clock(records: Records) -> Clock:
    """What orders a session's happenings: the monotonic clock, unless the machine was started anew in between."""
    boots = {record.boot for _, record in records if record.type != WITHHELD}
    return (lambda record: record.mono_ns) if len(boots) == 1 else (lambda record: record.wall_ns)


def snapshots(records: Records) -> dict[bytes, list[Snapshot]]:
    """By root, in the order in which they were begun."""
    gathering = _Gathering(clock(records))
    for digest, record in records:
        if record.type == "snapshot":
            gathering.take(digest, record)
        elif record.type == WITHHELD and record.body["type"] == "snapshot":
            gathering.withheld = True
    return gathering.finish()


def has_snapshots(records: Iterable[tuple[Digest, Record]]) -> bool:
    return any(record.type == "snapshot" for _, record in records)


@dataclass(slots=True)
class _Gathering:
    clock: Clock
    found: dict[bytes, list[list[tuple[Digest, Record]]]] = field(default_factory=dict)
    withheld: bool = False
    known: set[Digest] = field(default_factory=set)

    def take(self, digest: Digest, record: Record) -> None:
        self.known.add(digest)
        of_root = self.found.setdefault(record.body["root"], [])
        if not of_root or not _continues(of_root[-1], record):
            of_root.append([])
        of_root[-1].append((digest, record))

    def finish(self) -> dict[bytes, list[Snapshot]]:
        return {
            root: [self._snapshot(root, place, parts, of_root) for place, parts in enumerate(of_root)]
            for root, of_root in self.found.items()
        }

    def _snapshot(
        self, root: bytes, place: int, parts: list[tuple[Digest, Record]], of_root: list[list[tuple[Digest, Record]]]
    ) -> Snapshot:
        first, last = parts[0][1], parts[-1][1]
        before = of_root[place - 1][-1][1] if place else None
        # A part is written when its rows are read; of the first that was a part's time after the beginning.
        wall = first.body.get("started_ns", first.wall_ns)
        began = self.clock(first) - max(0, first.wall_ns - wall)
        ended = max(self.clock(last), began + 1000 * sum(part.body.get("took_us", 0) for _, part in parts[-1:]))
        doubts, lasting = self._missing(parts)
        doubts = (*doubts, *_not_looked_at(parts))
        lasting = (*self._before(place, before, first), *lasting)
        return Snapshot(root, first.body["n"], place, tuple(parts), began, ended, wall, doubts, lasting)

    def _missing(self, parts: list[tuple[Digest, Record]]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Parts that are not there: those that the next snapshot says, and those that none does."""
        n, numbers = parts[0][1].body["n"], [part.body["part"] for _, part in parts]
        lost = tuple(f"part {m} of snapshot {n} is {self._gone}" for m in sorted({*range(numbers[-1])} - {*numbers}))
        if any(part.body.get("last") for _, part in parts):
            return (), lost
        if self.withheld:
            return (), (*lost, f"the end of snapshot {n} is withheld")
        return (*lost, f"snapshot {n} was cut short"), ()

    def _before(self, place: int, before: Record | None, first: Record) -> tuple[str, ...]:
        """What differs from a snapshot that is not here is not known."""
        n = first.body["n"]
        if first.body.get("full"):
            return ()
        if before is None:
            return (f"the snapshots before {n} are {self._gone}",)
        lost = any(parent not in self.known for parent in first.parents)
        jumped = self.withheld and before.writer == first.writer and n > before.body["n"] + 1
        return (f"what came before snapshot {n} is {self._gone}",) if lost or jumped else ()

    @property
    def _gone(self) -> str:
        return "withheld" if self.withheld else "missing"


def _continues(parts: list[tuple[Digest, Record]], record: Record) -> bool:
    last = parts[-1][1]
    same = last.writer == record.writer and last.body["n"] == record.body["n"]
    return same and not last.body.get("last") and record.body["part"] > last.body["part"]


def _not_looked_at(parts: list[tuple[Digest, Record]]) -> list[str]:
    counts: dict[str, int] = {}
    for _, part in parts:
        for reason, count in part.body.get("missed", {}).items():
            counts[reason] = max(counts.get(reason, 0), count)
    n = parts[0][1].body["n"]
    return [f"snapshot {n} left out {count}: {reason}" for reason, count in counts.items()]
