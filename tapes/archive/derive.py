"""Make every table that can be derived anew, from the packs alone (docs/format.md, section 7).

The packs are walked in order, and so are the items in them: that is the order in which everything was written, so each
record gets the place in the log that it had. What cannot be unpacked or read is passed over and remembered.

A record that is lost, but whose hash is known (the record behind it names it, a session's id is the hash of its first)
gets a place in the log that leads to no pack: a *ghost*. So its session is still found, the records behind it keep
their way to it, and every reader that comes to the ghost says which record is damaged, for ever.
"""

from __future__ import annotations

from collections.abc import Callable

from tapes.archive import audit, pack, tables
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.lookups import Tables, Txn
from tapes.archive.reading import object_digest
from tapes.errors import Damaged
from tapes.record.digest import Digest
from tapes.record.kinds import Record, body_hashes
from tapes.record.tomb import read_logged
from tapes.values import dataclass, field

ROWS = 4096
"""Rows of a transaction, about: it is written to the disk as a whole."""
GHOST = tables.entry_value(tables.Entry(0, 0, 0, "record"))
"""Leads to pack 0, which there never is."""

SEQ_MAX = (1 << 32) - 1
"""What a key of `chain` can hold."""

type Step = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class LostRecord:
    session: Digest | None
    seq: int | None
    hash: Digest | None


@dataclass(slots=True)
class Losses:
    """What could not be brought back. Empty: nothing was lost that anything still tells of."""

    packs: dict[int, str] = field(default_factory=dict)
    """By number, what is wrong with it."""
    records: list[LostRecord] = field(default_factory=list)
    breaks: list[str] = field(default_factory=list)
    """Records that do not go on where the one before them stopped, though both are there: one was changed."""
    tables: list[str] = field(default_factory=list)
    """Of the truth's tables, those that could not be read to the end; of the others, those that could tell no more."""

    def __bool__(self) -> bool:
        return bool(self.packs or self.records or self.breaks or self.tables)


@dataclass(slots=True)
class _Session:
    first: int
    last: Digest
    seq: int


class Deriver:
    """Fills the derived tables of an archive that has only packs, names and tails."""

    def __init__(self, archive: LmdbArchive, losses: Losses) -> None:
        self._archive, self._losses = archive, losses
        self._sessions: dict[Digest, _Session] = {}
        self._pos = 0
        self._rows: list[tuple[str, bytes, bytes]] = []

    def derive(self, step: Step) -> None:
        """`step` is told the number of each pack, and of the last."""
        last, before = self._archive.size()["packs"], 0
        for number in audit.numbers(self._archive._run):
            for missing in range(before + 1, min(number, before + 1 + ROWS)):
                self._losses.packs[missing] = "it is not there"
            before = number
            self._pack(number)
            step(number, last)
            if len(self._rows) > ROWS:
                self.write()
        for session, end in self._sessions.items():
            self._put("head", session, tables.head_value(end.last, end.seq))
        self.write()

    def write(self) -> None:
        rows, self._rows = self._rows, []

        def work(txn: Txn, t: Tables) -> None:
            for table, key, value in rows:
                # Of two records that claim one place in a session, the first stays: a break was noted.
                txn.put(key, value, db=t[table], overwrite=table != "chain", append=table == "log")

        self._archive._run(work, write=True)

    def _put(self, table: str, key: bytes, value: bytes) -> None:
        self._rows.append((table, key, value))

    def _pack(self, number: int) -> None:
        try:
            payload = self._archive._packed(number)
            places = pack.table(payload)
        except Damaged as error:
            self._losses.packs[number] = str(error)
            return
        unread = 0
        for place in places:
            data = payload[place.offset : place.offset + place.length]
            entry = tables.entry_value(tables.Entry(number, place.offset, place.length, place.kind))
            if place.kind == "record" or place.kind == "tombstone":
                unread += not self._record(data, entry)
            else:
                self._put("obj", tables.obj_key(object_digest(place.kind, data)), entry)
        if unread:
            self._losses.packs[number] = f"{unread} of its records cannot be read"

    def _record(self, data: bytes, entry: bytes) -> bool:
        try:
            digest, record = read_logged(data)
        except Damaged:
            return False
        if record.seq > SEQ_MAX:
            return False
        session = record.session or digest
        self._before(session, digest, record)
        pos = self._logged(digest, entry)
        if record.session is None:
            self._sessions[session] = _Session(pos, digest, 0)
        end = self._sessions[session]
        if record.seq >= end.seq:
            end.last, end.seq = digest, record.seq
        self._put("chain", tables.chain_key(end.first, record.seq), tables.u64(pos))
        for body in body_hashes(record.type, record.body):
            self._put("body", tables.body_key(body, pos), b"")
        return True

    def _logged(self, digest: Digest, entry: bytes) -> int:
        self._pos += 1
        self._put("log", tables.u64(self._pos), entry)
        self._put("byhash", digest, tables.u64(self._pos))
        return self._pos

    # -- what must have been before a record, and is not

    def _before(self, session: Digest, digest: Digest, record: Record) -> None:
        if record.session is None or record.prev is None:
            return
        if session not in self._sessions:
            self.ghost(session, 0, session)
        end = self._sessions[session]
        if record.seq > end.seq + 1:
            for seq in range(end.seq + 1, min(record.seq - 1, end.seq + 1 + ROWS)):
                self._losses.records.append(LostRecord(session, seq, None))
            self.ghost(session, record.seq - 1, record.prev)
        elif record.seq <= end.seq or record.prev != end.last:
            name = f"record {record.seq} of session {session.short()}, {digest.short()}"
            self._losses.breaks.append(f"{name}, does not follow {end.last.short()}")

    def ghost(self, session: Digest, seq: int, digest: Digest) -> None:
        """Give a lost record its places."""
        self._losses.records.append(LostRecord(session, seq, digest))
        if seq > SEQ_MAX:  # a damaged witness
            return
        pos = self._logged(digest, GHOST)
        end = self._sessions.setdefault(session, _Session(pos, digest, 0))
        self._put("chain", tables.chain_key(end.first, seq), tables.u64(pos))
        if seq > end.seq:
            end.last, end.seq = digest, seq
        self._put("head", session, tables.head_value(end.last, end.seq))

    def end_of(self, session: Digest) -> int:
        """The last seq of a session; -1 where it is not known."""
        found = self._sessions.get(session)
        return -1 if found is None else found.seq
