"""Lookups and writes in an archive's tables, inside transactions that somebody else opens.

Everything here speaks to LMDB transactions and cursors, and none of it to LMDB itself, its files or its errors.
Values are copied out before the transaction ends; unpacking and hashing happen after.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from tapes.archive import audit, pack, squeeze, tables
from tapes.archive.base import FIND_LIMIT, Fault, Object
from tapes.archive.plan import Plan
from tapes.archive.reading import Reader
from tapes.errors import Damaged
from tapes.record.digest import Digest

CACHE_BYTES = 32 * 1024 * 1024
"""Unpacked packs kept by an open archive."""
ROWS_BYTES = 1024 * 1024
"""Copied out in one short transaction while iterating."""

type Txn = Any
type Tables = dict[str, Any]


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

    def _pos(self, digest: Digest) -> int | None:
        return self._run(lambda txn, t: _number(txn.get(digest, db=t["byhash"])))

    def _hash_at(self, pos: int) -> Digest | None:
        place = tables.u64(pos)
        found = (key for key, value in audit.rows(self._run, "byhash") if value == place)
        return next(map(Digest, found), None)

    def _logged(self, pos: int) -> bytes | None:
        if pos < 0:
            return None
        data = self._run(lambda txn, t: txn.get(tables.u64(pos), db=t["log"]))
        return None if data is None else squeeze.record(data)

    def _log_from(self, pos: int, limit: int) -> list[tuple[int, bytes]]:
        def work(txn: Txn, t: Tables) -> list[tuple[int, bytes]]:
            rows: list[tuple[int, bytes]] = []
            size = 0
            cursor = txn.cursor(db=t["log"])
            more = cursor.set_range(tables.u64(pos))
            while more and len(rows) < limit and size < ROWS_BYTES:
                rows.append((tables.number(cursor.key()), cursor.value()))
                size += len(rows[-1][1])
                more = cursor.next()
            return rows

        return [(place, squeeze.record(data)) for place, data in self._run(work)]

    def _chained(self, session: Digest, seq: int) -> int | None:
        key = tables.chain_key(session, seq)
        return self._run(lambda txn, t: _number(txn.get(key, db=t["chain"])))

    def _chained_from(self, session: Digest, seq: int, limit: int) -> list[tuple[int, int, bytes | None]]:
        def work(txn: Txn, t: Tables) -> list[tuple[int, int, bytes | None]]:
            rows: list[tuple[int, int, bytes | None]] = []
            cursor = txn.cursor(db=t["chain"])
            more = cursor.set_range(tables.chain_key(session, seq))
            while more and len(rows) < limit and cursor.key()[:32] == session:
                pos = cursor.value()
                data = txn.get(pos, db=t["log"])
                rows.append((tables.number(cursor.key()[32:]), tables.number(pos), data))
                more = cursor.next()
            return rows

        found = self._run(work)
        return [(n, pos, None if data is None else squeeze.record(data)) for n, pos, data in found]

    def _stored(self, digests: Sequence[Digest]) -> list[Object | None]:
        def work(txn: Txn, t: Tables) -> tuple[list[tables.Entry | None], dict[int, bytes | None], dict[int, bytes]]:
            entries = [_entry(digest, txn.get(digest, db=t["obj"])) for digest in digests]
            payloads = {entry.pack: self._packs.get(entry.pack) for entry in entries if entry}
            wanted = [number for number, payload in payloads.items() if payload is None]
            return entries, payloads, {number: tables.read_frame(txn, t["pack"], number) for number in wanted}

        entries, payloads, frames = self._run(work)
        for number, frame in frames.items():
            payloads[number] = self._unpack(number, frame)
        return [entry and _cut_out(entry, payloads[entry.pack] or b"") for entry in entries]

    def _unpack(self, number: int, frame: bytes) -> bytes:
        try:
            payload = pack.payload(frame)
        except Damaged as error:
            raise Damaged(f"pack {number}: {error}", where=f"pack {number}") from error
        self._packs.put(number, payload)
        return payload

    def _tail(self, part: Digest, length: int) -> bytes | None:
        data = self._run(lambda txn, t: txn.get(part, db=t["tail"]))
        return None if data is None else squeeze.decompress(data, length)

    # -- the rest of the protocol

    def has_object(self, digest: Digest) -> bool:
        return self._run(lambda txn, t: txn.get(digest, db=t["obj"]) is not None)

    def last(self) -> int:
        return self._run(lambda txn, t: tables.last_number(txn, t["log"]))

    def head(self, session: Digest) -> tuple[Digest, int] | None:
        return self._run(lambda txn, t: Known(txn, t).head(session))

    def sessions(self) -> list[Digest]:
        def work(txn: Txn, t: Tables) -> list[tuple[int, bytes]]:
            heads = txn.cursor(db=t["head"]).iternext(values=False)
            return [(_number(txn.get(session, db=t["byhash"])) or 0, session) for session in heads]

        return [_digest(session) for _, session in sorted(self._run(work))]

    def names(self) -> dict[str, Digest]:
        rows = self._run(lambda txn, t: list(txn.cursor(db=t["ref"]).iternext()))
        return dict(sorted((name.decode("utf-8", "replace"), _digest(session)) for name, session in rows))

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
                    found.append(_digest(cursor.key()))
                more = cursor.next()
            return found

        return self._run(work)

    def body_records(self, body_hash: Digest) -> list[Digest]:
        def work(txn: Txn, t: Tables) -> list[int]:
            places: list[int] = []
            cursor = txn.cursor(db=t["body"])
            more = cursor.set_range(body_hash)
            while more and cursor.key()[:32] == body_hash:
                places.append(tables.number(cursor.key()[32:]))
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

    def audit(self) -> Iterator[Fault | None]:
        return audit.audit(self._run, self.object)


def _entry(digest: Digest, row: bytes | None) -> tables.Entry | None:
    try:
        return None if row is None else tables.read_entry(row)
    except ValueError as error:
        raise Damaged(f"object {digest.short()}: {error}", where=digest.hex()) from error


def _cut_out(entry: tables.Entry, payload: bytes) -> Object:
    return entry.kind, payload[entry.offset : entry.offset + entry.length]


class Known:
    """What a transaction sees, for the plan of a commit."""

    def __init__(self, txn: Txn, t: Tables) -> None:
        self._txn, self._t = txn, t

    def head(self, session: Digest) -> tuple[Digest, int] | None:
        found = self._txn.get(session, db=self._t["head"])
        return None if found is None else tables.read_head(found)

    def has_record(self, digest: Digest) -> bool:
        return self._txn.get(digest, db=self._t["byhash"]) is not None

    def has_object(self, digest: Digest) -> bool:
        return self._txn.get(digest, db=self._t["obj"]) is not None

    def named(self, name: str) -> Digest | None:
        found = self._txn.get(name.encode(), db=self._t["ref"])
        return None if found is None else _digest(found)


def carry_out(txn: Txn, t: Tables, plan: Plan) -> None:
    """Write a plan. Nothing of it exists for anybody before the transaction's last page does."""
    for number, (frame, rows) in enumerate(pack.frames(plan.objects), tables.last_number(txn, t["pack"]) + 1):
        for key, value in tables.frame_values(number, frame):
            txn.put(key, value, db=t["pack"], append=True)
        for digest, place in rows:
            entry = tables.Entry(number, place.offset, place.length, place.kind)
            txn.put(digest, tables.entry_value(entry), db=t["obj"])
    for pos, record in enumerate(plan.rows, tables.last_number(txn, t["log"]) + 1):
        txn.put(tables.u64(pos), squeeze.compress(record.data), db=t["log"], append=True)
        txn.put(record.digest, tables.u64(pos), db=t["byhash"])
        txn.put(tables.chain_key(record.session, record.seq), tables.u64(pos), db=t["chain"])
        for body in record.bodies:
            txn.put(tables.body_key(body, pos), b"", db=t["body"])
    for session, (digest, seq) in plan.heads.items():
        txn.put(session, tables.head_value(digest, seq), db=t["head"])
    for name, session in plan.names.items():
        txn.put(name.encode(), session, db=t["ref"])
    for part, data in plan.tails.items():
        txn.put(part, squeeze.compress(data), db=t["tail"])
    for part in plan.drop_tails:
        txn.delete(part, db=t["tail"])
    for session, summary in plan.summaries.items():
        if summary:
            txn.put(session, summary, db=t["summary"])
        else:
            txn.delete(session, db=t["summary"])


def _digest(data: bytes) -> Digest:
    try:
        return Digest(data)
    except ValueError as error:
        raise Damaged(f"a table holds {data[:40].hex()} for a hash") from error


def _number(data: bytes | None) -> int | None:
    return None if data is None else tables.number(data)
