"""Lookups in an archive's tables, inside transactions that somebody else opens.

Everything here speaks to LMDB transactions and cursors, and none of it to LMDB itself, its files or its errors.
Values are copied out before the transaction ends; unpacking and hashing happen after.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

from tapes.archive import pack, tables
from tapes.archive.base import FIND_LIMIT, Fault, Object
from tapes.archive.reading import Reader
from tapes.archive.tables import digest_of
from tapes.errors import Damaged
from tapes.record.digest import Digest
from tapes.record.tomb import logged_digest

CACHE_BYTES = 32 * 1024 * 1024
"""Unpacked packs kept by an open archive."""
ROWS_BYTES = 1024 * 1024
"""Copied out in one short transaction while iterating."""

type Txn = Any
type Tables = dict[str, Any]
type Frames = list[tuple[int, bytes]]
type Sources = dict[int, bytes | Frames]
"""By pack: itself unpacked, or the frames of its group."""


class PackCache:
    """Unpacked packs, bounded by bytes. Packs never change, so a cached one is never stale."""

    def __init__(self) -> None:
        self._packs: OrderedDict[int, bytes] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, number: int) -> bytes | None:
        with self._lock:
            if number not in self._packs:
                return None
            self._packs.move_to_end(number)
            return self._packs[number]

    def put(self, number: int, payload: bytes) -> None:
        with self._lock:
            if number not in self._packs:
                self._packs[number] = payload
                self._bytes += len(payload)
            while self._bytes > CACHE_BYTES and len(self._packs) > 1:
                self._bytes -= len(self._packs.popitem(last=False)[1])


class TableReader(Reader, Protocol):
    """The lookups that `Reader` builds on, and those parts of the protocol that are lookups themselves."""

    def _run[T](self, work: Callable[[Txn, Tables], T], *, write: bool = False) -> T:
        """Run `work` in a transaction of its own."""
        ...

    def _file_bytes(self) -> int: ...

    _packs: PackCache

    def _positions(self, digests: Sequence[Digest]) -> list[int | None]:
        return self._run(lambda txn, t: [number_of(txn.get(digest, db=t["byhash"])) for digest in digests])

    def _hash_at(self, pos: int) -> Digest | None:
        from tapes.archive import audit

        place = tables.u64(pos)
        found = (key for key, value in audit.rows(self._run, "byhash") if value == place)
        return next(map(digest_of, found), None)

    def _logged(self, pos: int) -> bytes | None:
        if pos < 0:
            return None

        def work(txn: Txn, t: Tables) -> tuple[bytes | None, Sources]:
            row = txn.get(tables.u64(pos), db=t["log"])
            sources: Sources = {}
            self._gather(txn, t, [row], sources)
            return row, sources

        return self._record(*self._run(work))

    def _log_from(self, pos: int, limit: int) -> list[tuple[int, bytes]]:
        def work(txn: Txn, t: Tables) -> tuple[list[tuple[int, bytes]], Sources]:
            rows: list[tuple[int, bytes]] = []
            sources: Sources = {}
            size = 0
            cursor = txn.cursor(db=t["log"])
            more = cursor.set_range(tables.u64(pos))
            while more and len(rows) < limit and size < ROWS_BYTES:
                rows.append((tables.number(cursor.key()), cursor.value()))
                size += self._gather(txn, t, [rows[-1][1]], sources)
                more = cursor.next()
            return rows, sources

        rows, sources = self._run(work)
        return [(place, self._record(row, sources) or b"") for place, row in rows]

    def _chained(self, session: Digest, seq: int) -> int | None:
        def work(txn: Txn, t: Tables) -> int | None:
            first = number_of(txn.get(session, db=t["byhash"]))
            return None if first is None else number_of(txn.get(tables.chain_key(first, seq), db=t["chain"]))

        return self._run(work)

    def _chained_from(self, session: Digest, seq: int, limit: int) -> list[tuple[int, int, bytes | None]]:
        def work(txn: Txn, t: Tables) -> tuple[list[tuple[int, int, bytes | None]], Sources]:
            rows: list[tuple[int, int, bytes | None]] = []
            sources: Sources = {}
            size = 0
            first = txn.get(session, db=t["byhash"])
            cursor = txn.cursor(db=t["chain"])
            more = first is not None and cursor.set_range(tables.chain_key(tables.number(first), seq))
            while more and len(rows) < limit and size < ROWS_BYTES and cursor.key()[:8] == first:
                pos = cursor.value()
                rows.append((tables.number(cursor.key()[8:]), tables.number(pos), txn.get(pos, db=t["log"])))
                size += self._gather(txn, t, [rows[-1][2]], sources)
                more = cursor.next()
            return rows, sources

        rows, sources = self._run(work)
        return [(n, pos, self._record(row, sources)) for n, pos, row in rows]

    def _stored(self, digests: Sequence[Digest]) -> list[Object | None]:
        def work(txn: Txn, t: Tables) -> tuple[list[bytes | None], Sources]:
            rows = [txn.get(tables.obj_key(digest), db=t["obj"]) for digest in digests]
            sources: Sources = {}
            self._gather(txn, t, rows, sources)
            return rows, sources

        if not digests:
            return []
        rows, sources = self._run(work)
        entries = [_entry(digest, row) for digest, row in zip(digests, rows, strict=True)]
        payloads = {number: self._payload(number, sources) for number in {entry.pack for entry in entries if entry}}
        return [entry and _object(entry, payloads[entry.pack]) for entry in entries]

    # -- packs

    def _gather(self, txn: Txn, t: Tables, rows: Iterable[bytes | None], sources: Sources) -> int:
        """Add the packs that these rows (entries) lead to; how many bytes were copied out."""
        copied = 0
        for number in {row[:4]: tables.number(row[:4]) for row in rows if row}.values():
            if number in sources:
                continue
            payload = self._packs.get(number)
            if payload is not None:
                sources[number] = payload
                continue
            group = read_group(txn, t["pack"], number)
            for member, frame in group:
                sources.setdefault(member, group)
                copied += len(frame)
        return copied

    def _payload(self, number: int, sources: Sources) -> bytes:
        found = sources[number]
        if isinstance(found, bytes):
            return found
        # A neighbour may have unpacked the group a moment ago.
        return self._packs.get(number) or self._unpack(number, found)

    def _unpack(self, number: int, group: Frames) -> bytes:
        """All of the group, because whoever reads one of its packs mostly reads the next."""
        wanted: bytes | None = None
        try:
            for member, payload in pack.unpack(group):
                self._packs.put(member, payload)
                wanted = payload if member == number else wanted
        except Damaged as error:
            if wanted is None:  # else it is one behind, and said when that is asked for
                raise Damaged(f"pack {number}: {error}", where=f"pack {number}") from error
        if wanted is None:
            raise Damaged(f"pack {number} is not in its group", where=f"pack {number}")
        return wanted

    def _packed(self, number: int) -> bytes:
        """A pack, unpacked."""

        def work(txn: Txn, t: Tables) -> Sources:
            sources: Sources = {}
            self._gather(txn, t, [tables.u32(number)], sources)
            return sources

        if number > tables.PACK_MAX:
            raise Damaged(f"no pack has the number {number}", where=f"pack {number}")
        return self._payload(number, self._run(work))

    def _record(self, row: bytes | None, sources: Sources) -> bytes | None:
        """What a row of the log leads to. Where that cannot be read, no bytes: they do not match the hash they are
        asked by, and so are reported under the record's own name and place, which nobody knows here."""
        if row is None:
            return None
        try:
            entry = tables.read_entry(row)
            payload = self._payload(entry.pack, sources)
        except (ValueError, Damaged):
            return b""
        return payload[entry.offset : entry.offset + entry.length]

    def _tail(self, part: Digest, length: int) -> bytes | None:
        from tapes.archive import squeeze

        data = self._run(lambda txn, t: txn.get(part, db=t["tail"]))
        return None if data is None else squeeze.decompress(data, length)

    # -- the rest of the protocol

    def has_object(self, digest: Digest) -> bool:
        return self._run(lambda txn, t: txn.get(tables.obj_key(digest), db=t["obj"]) is not None)

    def last(self) -> int:
        return self._run(lambda txn, t: tables.last_number(txn, t["log"]))

    def head(self, session: Digest) -> tuple[Digest, int] | None:
        found: bytes | None = self._run(lambda txn, t: txn.get(session, db=t["head"]))
        return None if found is None else tables.read_head(found)

    def sessions(self) -> list[Digest]:
        def work(txn: Txn, t: Tables) -> list[tuple[int, bytes]]:
            heads = txn.cursor(db=t["head"]).iternext(values=False)
            return [(number_of(txn.get(session, db=t["byhash"])) or 0, session) for session in heads]

        return [digest_of(session) for _, session in sorted(self._run(work))]

    def latest(self, back: int = 0) -> Digest | None:
        def work(txn: Txn, t: Tables) -> int:
            cursor = txn.cursor(db=t["chain"])
            found = cursor.last()
            for _ in range(back):
                found = found and cursor.set_range(cursor.key()[: tables.NUMBER]) and cursor.prev()
            return tables.number(cursor.key()[: tables.NUMBER]) if found else 0

        pos = self._run(work)
        rows = self._log_from(pos, 1) if pos else []
        return logged_digest(rows[0][1]) if rows else None

    def named(self, name: str) -> Digest | None:
        key = name.encode("utf-8", "surrogateescape")
        if not 0 < len(key) <= tables.NAME_MAX:
            return None
        found = self._run(lambda txn, t: txn.get(key, db=t["ref"]))
        return None if found is None else digest_of(found)

    def names(self) -> dict[str, Digest]:
        rows = self._run(lambda txn, t: list(txn.cursor(db=t["ref"]).iternext()))
        return dict(sorted((name.decode("utf-8", "replace"), digest_of(session)) for name, session in rows))

    def find(self, prefix_hex: str) -> list[Digest]:
        if not re.fullmatch("[0-9a-f]*", prefix_hex):
            return []
        start = bytes.fromhex(prefix_hex[: len(prefix_hex) // 2 * 2])

        def work(txn: Txn, t: Tables) -> list[Digest]:
            found: list[Digest] = []
            cursor = txn.cursor(db=t["byhash"])
            more = cursor.set_range(start) if start else cursor.first()
            while more and len(found) < FIND_LIMIT and cursor.key().startswith(start):
                if cursor.key().hex().startswith(prefix_hex):
                    found.append(digest_of(cursor.key()))
                more = cursor.next()
            return found

        return self._run(work)

    def body_records(self, body_hash: Digest) -> list[Digest]:
        start = body_hash[: tables.SHORT]

        def work(txn: Txn, t: Tables) -> list[int]:
            places: list[int] = []
            cursor = txn.cursor(db=t["body"])
            more = cursor.set_range(start)
            while more and cursor.key().startswith(start):
                places.append(tables.number(cursor.key()[tables.SHORT :]))
                more = cursor.next()
            return places

        return [self.at(pos)[0] for pos in self._run(work)]

    def summary(self, session: Digest) -> bytes | None:
        data: bytes | None = self._run(lambda txn, t: txn.get(session, db=t["summary"]))
        return data

    def size(self) -> dict[str, int]:
        def work(txn: Txn, t: Tables) -> dict[str, int]:
            figures = {"records": "log", "objects": "obj", "sessions": "head"}
            counts = {name: txn.stat(t[table])["entries"] for name, table in figures.items()}
            return counts | {"packs": tables.last_number(txn, t["pack"])}

        return {"file_bytes": self._file_bytes(), **self._run(work)}

    def audit(self, packs: range | None = None, places: range | None = None) -> Iterator[Fault | None]:
        from tapes.archive import audit  # for verify alone

        return audit.audit(self, audit.ALL if packs is None else packs, places)


def _entry(digest: Digest, row: bytes | None) -> tables.Entry | None:
    try:
        return None if row is None else tables.read_entry(row)
    except ValueError as error:
        raise Damaged(f"object {digest.short()}: {error}", where=digest.hex()) from error


def _object(entry: tables.Entry, payload: bytes) -> Object:
    if entry.kind == "record" or entry.kind == "tombstone":
        raise Damaged("the index of objects leads to a record", where=f"pack {entry.pack}")
    return entry.kind, payload[entry.offset : entry.offset + entry.length]


def read_group(txn: Txn, table: Any, number: int) -> Frames:
    """A pack and its group, as far as they can be found; unpacking tells what is missing. Those behind it are looked
    for where they mostly are: where no other process wrote at the same time."""
    group = [(number, tables.read_frame(txn, table, number))]
    while len(group) < pack.GROUP and 0 < (base := pack.base(group[0][1])) < group[0][0]:
        group.insert(0, (base, tables.read_frame(txn, table, base)))
    while len(group) < pack.GROUP:
        frame = tables.read_frame(txn, table, number + 1)
        if pack.base(frame) != number:
            break
        number += 1
        group.append((number, frame))
    return group


def number_of(data: bytes | None) -> int | None:
    """A number out of a table, where there is one."""
    return None if data is None else tables.number(data)
