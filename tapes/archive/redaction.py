"""The `redaction` record: what of a session was withheld, by whom and why; and what a log full of them asks for.

Such a record is a sentence, carried out by `Archive.sweep`. It stands in the chain of the session it is about, so that
the session's head vouches for what was taken from it. It names

- records, by runs of their `seq`: their bytes go, and a tombstone stays (tapes.record.tomb);
- bodies, by their whole hash: the session's records before it that refer to them stay, and their content goes.

A piece of content is destroyed when no record that is left needs it. So a piece that another session's body shares
stays, until that body is withheld too; and a body is either whole or withheld, never in part. What is asked for
depends on the log alone. Carrying it out again, or for the first time after a crash, is the same function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tapes.archive.base import Archive, Draft
from tapes.archive.node import read_node
from tapes.errors import Damaged, NotFound
from tapes.record.digest import Digest
from tapes.record.kinds import BodyRef, Record, body_refs
from tapes.record.tomb import WITHHELD, Tombstone, tombs_digest
from tapes.values import dataclass, field

type Run = tuple[int, int]
"""First and last seq."""

UNKNOWN = Digest(bytes(32))
"""Stands for a hash that nobody knows yet."""


@dataclass(slots=True)
class Withholding:
    """What of one session is to go, before it is written down."""

    session: Digest
    records: dict[Digest, Record] = field(default_factory=dict)
    bodies: dict[Digest, None] = field(default_factory=dict)
    """Whole hashes of bodies whose records stay."""
    steps: dict[int, int] = field(default_factory=dict)
    """By seq, how many steps were read from a record, where they can not be read any more: so numbers stay."""

    def __bool__(self) -> bool:
        return bool(self.records or self.bodies)

    def draft(self, *, who: str, reason: str, what: str, parents: tuple[Draft, ...] = (), tapes: str) -> Draft:
        """The record that says so. `what` is in our words: `session`, `steps 3..7`."""
        ordered = sorted(self.records.items(), key=lambda item: item[1].seq)
        body = {
            "who": who,
            "reason": reason,
            "what": what,
            "records": [list(run) for run in runs(record.seq for _, record in ordered)],
            "tombs": tombs_digest(Tombstone.over(digest, record, UNKNOWN) for digest, record in ordered),
            "bodies": list(self.bodies),
            "steps": [[seq, count] for seq, count in sorted(self.steps.items())],
            "tapes": tapes,
        }
        return Draft("redaction", body, self.session, parents)


def runs(numbers: Iterable[int]) -> list[Run]:
    """Ascending numbers as runs without holes."""
    found: list[Run] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def covers(body: Mapping[str, Any], seq: int) -> bool:
    """Does the redaction record with this body withhold the record `seq` of its session?"""
    return any(first <= seq <= last for first, last in body["records"])


@dataclass(slots=True)
class Sentence:
    """What the redactions in a log ask for and has not been done."""

    tombs: dict[Digest, Tombstone] = field(default_factory=dict)
    """Records that are still whole, and what is to stand in their place."""
    live: set[Digest] = field(default_factory=set)
    """Every object that a record which stays needs."""
    doomed: set[Digest] | None = None
    """The objects that go; None: all that are not live. In a damaged archive not everybody's needs are known, so there
    only what withheld records and bodies needed goes."""
    sessions: set[Digest] = field(default_factory=set)
    """Those of the records: what is derived from them goes too."""
    nameless: set[Digest] = field(default_factory=set)
    """Those whose first record is withheld: their names go with it."""

    def keeper(self, key: Callable[[Digest], bytes]) -> Callable[[bytes], bool]:
        """Says of an object, by a key of its hash, whether it stays."""
        if self.doomed is None:
            live = set(map(key, self.live))
            return live.__contains__
        doomed = set(map(key, self.doomed))
        return lambda which: which not in doomed


def sentence(archive: Archive) -> Sentence:
    """Reads the whole log and every node that is in use; passes over what is damaged."""
    found, asked = Sentence(), _asked(archive)
    roots: dict[Digest, None] = {}
    gone_roots: dict[Digest, None] = {}
    whole = True
    for pos in range(1, archive.last() + 1):
        try:
            digest, record = archive.at(pos)
        except Damaged:
            whole = False
            continue
        session = record.session or digest
        mine = asked.get(session, ())
        by = next((by for by, body, _ in mine if covers(body, record.seq)), None)
        if record.type == WITHHELD:
            by = record.body["by"]
        elif by is not None and record.type != "redaction":
            found.tombs[digest] = Tombstone.over(digest, record, by)
            found.sessions.add(session)
            gone_roots |= dict.fromkeys(ref.node for ref in body_refs(record.body))
        else:
            gone = {body for _, asks, at in mine if at > pos for body in asks["bodies"]}
            for ref in body_refs(record.body):
                (gone_roots if ref.hash in gone else roots)[ref.node] = None
        if by is not None and record.seq == 0:
            found.nameless.add(session)
    live, complete = needed(archive, roots)
    found.live = set(live)
    if not (whole and complete):
        found.doomed = needed(archive, gone_roots)[0].keys() - found.live
    return found


def _asked(archive: Archive) -> dict[Digest, list[tuple[Digest, Mapping[str, Any], int]]]:
    """By session, its redaction records: hash, body, place in the log."""
    asked: dict[Digest, list[tuple[Digest, Mapping[str, Any], int]]] = {}
    for pos in range(1, archive.last() + 1):
        try:
            digest, record = archive.at(pos)
        except Damaged:
            continue
        if record.type == "redaction" and record.session is not None:
            asked.setdefault(record.session, []).append((digest, record.body, pos))
    return asked


def needed(archive: Archive, roots: Iterable[Digest]) -> tuple[dict[Digest, int], bool]:
    """Every object that the bodies below these roots are made of, the roots too, with its bytes of content (0 of the
    roots). False: some of it is not there, or damaged; what is below that is not counted."""
    seen: dict[Digest, int] = {}
    complete = True
    for root in roots:
        nodes = [] if root in seen else [root]
        seen.setdefault(root, 0)
        while nodes:
            try:
                node = read_node(archive.object(nodes.pop())[1])
            except (Damaged, NotFound):
                complete = False
                continue
            for link in node.entries:
                if isinstance(link, bytes) or link.digest in seen:
                    continue
                seen[link.digest] = link.length
                if node.level:
                    nodes.append(link.digest)
    return seen, complete


class Decided:
    """What of a session its redactions withhold already, carried out or not."""

    def __init__(self, records: Sequence[tuple[Digest, Record]]) -> None:
        self._says = [record for _, record in records if record.type == "redaction"]

    def record(self, record: Record) -> bool:
        """True of a redaction too: those are never withheld."""
        if record.type in (WITHHELD, "redaction"):
            return True
        return any(covers(says.body, record.seq) for says in self._says)

    def body(self, ref: BodyRef, record: Record) -> bool:
        """Of a body that a record refers to."""
        return any(says.seq > record.seq and ref.hash in says.body["bodies"] for says in self._says)


def steps_withheld(records: Sequence[tuple[Digest, Record]]) -> dict[int, int]:
    """By seq, how many steps stood where they can not be read any more, as the session's redactions say."""
    found: dict[int, int] = {}
    for _, record in records:
        if record.type == "redaction":
            found |= dict(record.body.get("steps", ()))
    return found
