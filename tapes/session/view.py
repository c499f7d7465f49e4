"""A session as steps: what a person reads from top to bottom.

Steps are read from records each time; nothing of them is stored. Their numbers count from 1 in the order of records: so
they only ever grow at the end, also while a session is recorded. Where a step is told is another thing: a tool event
with its exchange, a command with its call, which may be found out long after it ran. A step's hash is that of the
record it comes from: `tapes cat` takes it. A body that can not be read becomes an `error` step in its place, and the
rest of the session is still there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from tapes.archive.base import Archive
from tapes.record.digest import Digest
from tapes.record.kinds import Record
from tapes.record.tomb import WITHHELD
from tapes.session.calls import Calls
from tapes.session.exchanges import Gathering
from tapes.session.items import Items
from tapes.session.marks import Marking
from tapes.session.placing import Placing
from tapes.session.threads import Place, Thread
from tapes.session.usage import Tokens, tokens_of
from tapes.values import dataclass, field

if TYPE_CHECKING:
    from tapes.session.commands import Command

STEP_TYPES = (
    "prompt",
    "reminder",
    "thinking",
    "answer",
    "tool.use",
    "tool.result",
    "command",
    "media",
    "error",
    "gap",
    "note",
    "seam",
    "withheld",
)
EVENTS = ("tool.use", "tool.result")


@dataclass(frozen=True, slots=True)
class Step:
    """One item of the timeline."""

    number: int
    type: str
    """One of STEP_TYPES."""
    hash: Digest
    """The record it was read from."""
    item: int
    """Which item of that record, from 0."""
    exchange: Digest | None
    thread: str
    wall_ns: int
    text: str
    failed: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    """By type: tool name and id, outcome, status, counts of a gap."""
    place: int = 0
    """Among the session's records as they are told. Steps of one record have the same."""


@dataclass(frozen=True, slots=True)
class View:
    """A session, read."""

    commands: list[Command]
    """Those that had a witness; empty where the session had none."""
    threads: Mapping[str, Thread]
    """By their id, in the order they began."""
    places: Mapping[Digest, Place]
    """Of the model calls, by their `exchange.open`."""
    calls: Calls
    records: list[tuple[Digest, Record]]
    steps: Iterator[Step]
    """Read as they are taken."""
    tokens: Callable[[], dict[str, Tokens]]
    """What each thread took, where its provider says so. Reads all answers."""


def steps(archive: Archive, session: Digest) -> Iterator[Step]:
    """The session's steps. NotFound for an unknown session, Damaged where a record itself is."""
    _, found = timeline(archive, session)
    yield from found


def timeline(archive: Archive, session: Digest) -> tuple[list[Command], Iterator[Step]]:
    """The commands of a session that had a witness, and its steps."""
    found = view(archive, session)
    return found.commands, found.steps


def view(archive: Archive, session: Digest, *, first_words: bool = False) -> View:
    """All that there is to read of a session. NotFound for an unknown one, Damaged where a record itself is.
    `first_words`: steps say when the first word of an answer had come, for which its beginning is read again."""
    return Reading(archive, session, first_words=first_words).read()


class Reading:
    """Reads a session again when it has grown, and of it what is new alone: requests, answers, and what decides on
    threads are remembered. A view says what a fresh one would say; of a session from which something is withheld
    nothing is remembered, because that may be gone since.

    Any thread may call it; they wait for one another. A view is for one thread at a time.
    """

    def __init__(self, archive: Archive, session: Digest, *, first_words: bool = False) -> None:
        self._archive, self._session = archive, session
        self._first_words = first_words
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self._records: list[tuple[Digest, Record]] = []
        self._calls: Calls | None = None
        self._gathering, self._gathered = Gathering(), 0
        self._placing = Placing()

    def has_grown(self) -> bool:
        """Are there more records than the last view has?"""
        head = self._archive.head(self._session)
        return head is not None and head[1] >= len(self._records)

    def read(self, most: int | None = None) -> View:
        """The session as far as its first `most` records (at least one), or all that there are now. Cheap where the
        last view was of fewer; of more, all is read anew. Raises as `view` does."""
        with self._lock:
            self._take(most)
            return self._view(list(self._records))

    def _take(self, most: int | None) -> None:
        if most is not None and most < len(self._records):
            self._begin()
        if not any(_withholds(record) for _, record in self._records) and not self._more(most):
            return
        self._begin()
        self._more(most)

    def _more(self, most: int | None) -> bool:
        """Take in the records that are not here; whether any of them withholds something."""
        rest = self._archive.session_records(self._session, len(self._records))
        new = list(rest if most is None else islice(rest, max(1, most) - len(self._records)))
        self._records += new
        return any(_withholds(record) for _, record in new)

    def _view(self, records: list[tuple[Digest, Record]]) -> View:
        exchanges = self._gathering.take(records[self._gathered :])
        self._gathered = len(records)
        self._calls = calls = Calls(self._archive, exchanges, self._calls)
        placed = self._placing.placed(records, calls)
        commands: list[Command] = []
        if any(record.type == "command.start" for _, record in records):
            from tapes.session.audit import commands_in  # and the agents' ways, which other sessions need not wait for

            commands = list(commands_in(self._archive, records, calls))
        withheld: Mapping[int, int] = {}
        if any(_withholds(record) for _, record in records):
            from tapes.archive.redaction import steps_withheld

            withheld = steps_withheld(records)
        items = Items(calls, withheld, commands, placed, self._archive if self._first_words else None)
        tokens = partial(tokens_of, self._archive, calls.exchanges.values(), calls)
        return View(commands, placed.threads, placed.places, calls, records, _steps(records, items), tokens)


def _withholds(record: Record) -> bool:
    return record.type == "redaction"


def _steps(records: list[tuple[Digest, Record]], items: Items) -> Iterator[Step]:
    number = 0
    marking = Marking(records)
    places = {digest: place for place, (digest, _) in enumerate(in_order(records))}
    for digest, record in records:
        exchange = items.exchange_of(digest, record)
        for position, item in enumerate(items.items(digest, record)):
            number += 1
            yield Step(
                number=number,
                type=item.type,
                hash=digest,
                item=position,
                exchange=exchange.hash if exchange else None,
                thread=exchange.thread if exchange else "",
                wall_ns=record.wall_ns,
                text=item.text,
                failed=item.failed,
                facts={**item.facts, **marks} if (marks := marking.facts(digest, position, number)) else item.facts,
                place=places[digest],
            )


def is_of(step: Step, types: Collection[str]) -> bool:
    """Whether a step is of one of these types, or does one of these (`read`, `edit`, …); `tool` is a call and its
    result. No types: whatever it is."""
    kinds = {step.type, step.facts.get("action", ""), "tool" if step.type in EVENTS else ""}
    return not types or not kinds.isdisjoint(types)


def as_told(steps: Iterable[Step]) -> list[Step]:
    """In the order of a story."""
    return sorted(steps, key=lambda step: step.place)


def in_order(records: list[tuple[Digest, Record]]) -> Iterator[tuple[Digest, Record]]:
    """The records as they are told: a tool event directly behind the exchange's record that it was read from (it is
    written once that one is safe, and by then the next exchange may have begun), a command behind the call that it is
    joined to, else behind the command in which it ran."""
    behind: dict[Digest, list[tuple[Digest, Record]]] = {digest: [] for digest, _ in records}
    joined: dict[Digest, Digest] = {}
    if any(record.type == "join" for _, record in records):
        from tapes.session.joining import joins  # and all shells, which other sessions need not wait for

        joined = {start: use for start, (use, *_) in joins(records).items()}
    for _, record in records:  # of what is withheld, the places still hold
        if record.type == WITHHELD and record.body["type"] == "join" and len(record.parents) == 2:
            joined.setdefault(record.parents[1], record.parents[0])
    told = []
    for digest, record in records:
        kind = record.body["type"] if record.type == WITHHELD else record.type
        anchor = record.parents[0] if record.parents else None
        if kind == "command.start" and digest in joined:
            anchor = joined[digest]
        if (kind in EVENTS or kind == "command.start") and anchor in behind:
            behind[anchor].append((digest, record))
        else:
            told.append((digest, record))
    waiting = told[::-1]
    while waiting:
        digest, record = waiting.pop()
        yield digest, record
        waiting += behind[digest][::-1]
