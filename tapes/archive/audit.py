"""Compare the tables of an archive on disk with its log and its packs.

Reading goes from an index to the thing, so it never meets an entry that nothing points to, nor a thing that
no index knows. This walks the other way round: every row of the log and every object of every pack must be
found under its hash, and then counting tells whether an index holds anything more. Every object is re-hashed
through the archive's own reading on the way, whether a record needs it or not.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tapes.archive import pack, squeeze, tables
from tapes.archive.base import Fault, Object
from tapes.archive.reading import mismatch, object_digest
from tapes.errors import Damaged, NotFound
from tapes.record.digest import Digest, record_digest
from tapes.record.kinds import Record, body_refs, read_record

type Run = Callable[[Callable[[Any, dict[str, Any]], Any]], Any]
type Rows = Iterator[tuple[bytes, bytes]]

ROWS = 64


def audit(run: Run, read_object: Callable[[Digest], Object]) -> Iterator[Fault | None]:
    """Faults, and None now and then where all is well."""
    yield from _packs(run, read_object)
    yield from _log(run)
    yield from _small_tables(run)


def rows(run: Run, table: str) -> Rows:
    """All rows of a table, in short transactions."""

    def some(txn: Any, t: dict[str, Any]) -> list[tuple[bytes, bytes]]:
        cursor = txn.cursor(db=t[table])
        more = cursor.set_range(after) if after else cursor.first()
        if more and cursor.key() == after:
            more = cursor.next()
        found: list[tuple[bytes, bytes]] = []
        while more and len(found) < ROWS:
            found.append(cursor.item())
            more = cursor.next()
        return found

    after = b""
    while found := run(some):
        for key, value in found:
            if key <= after:  # keys out of order would lead in circles
                raise Damaged(f"the table {table} is not in order", where=f"table {table}")
            after = key
            yield key, value


def _get(run: Run, table: str, key: bytes) -> bytes | None:
    found: bytes | None = run(lambda txn, t: txn.get(key, db=t[table]))
    return found


def _get_all(run: Run, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
    found: list[bytes | None] = run(lambda txn, t: [txn.get(key, db=t[table]) for key in keys])
    return found


def _frames(run: Run) -> Iterator[tuple[int, bytes]]:
    """All packs that there are. Going by the rows: a damaged key may claim the number of a pack far away."""
    for key, parts in itertools.groupby(rows(run, "pack"), lambda row: row[0][:8]):
        yield tables.number(key), b"".join(value for _, value in parts)


def _count(run: Run, table: str) -> int:
    count: int = run(lambda txn, t: txn.stat(t[table])["entries"])
    return count


# -- packs and the index of objects


def _packs(run: Run, read_object: Callable[[Digest], Object]) -> Iterator[Fault | None]:
    whole = 0
    for number, frame in _frames(run):
        try:
            places, payload = pack.table(frame), pack.payload(frame)
        except Damaged as error:
            yield Fault(f"pack {number}", str(error))
            continue
        found = {}
        for place in places:
            data = payload[place.offset : place.offset + place.length]
            entry = tables.Entry(number, place.offset, place.length, place.kind)
            found[object_digest(place.kind, data)] = tables.entry_value(entry)
        indexed = _get_all(run, "obj", list(found))
        whole += sum(value == entry for value, entry in zip(indexed, found.values(), strict=True))
        yield None
    if whole != _count(run, "obj"):
        yield from _bad_objects(run, read_object)


def _bad_objects(run: Run, read_object: Callable[[Digest], Object]) -> Iterator[Fault]:
    """Objects that the index names and no pack gives."""
    for key, _ in rows(run, "obj"):
        try:
            read_object(Digest(key))
        except (Damaged, NotFound) as error:
            yield Fault(key.hex(), str(error))


# -- the log and its indexes


def _log(run: Run) -> Iterator[Fault | None]:
    whole, bodies = 0, 0
    for key, data in rows(run, "log"):
        pos, data = tables.number(key), squeeze.record(data)
        digest = record_digest(data)
        if _get(run, "byhash", digest) != key:
            continue  # the index has it under another hash, so counting will tell
        try:
            record = read_record(data)
        except Damaged as error:
            yield Fault(digest.hex(), str(error), pos)
            continue
        whole += 1
        bodies += len({ref.hash for ref in body_refs(record.body)})
        yield from _index_faults(run, key, digest, record)
    for table, count in (("byhash", whole), ("chain", whole), ("body", bodies)):
        if _count(run, table) > count:
            yield from _stray_rows(run, table)


def _index_faults(run: Run, pos: bytes, digest: Digest, record: Record) -> Iterator[Fault | None]:
    where, number = digest.hex(), tables.number(pos)
    session = record.session or digest
    if _get(run, "chain", tables.chain_key(session, record.seq)) != pos:
        yield Fault(where, "the index of its session does not lead to it", number)
    if _get(run, "head", session) is None:
        yield Fault(where, "its session has no head", number)
    for ref in body_refs(record.body):
        if _get(run, "body", tables.body_key(ref.hash, number)) is None:
            yield Fault(where, "the index of bodies does not lead to it", number)
    yield None


def _stray_rows(run: Run, table: str) -> Iterator[Fault]:
    """Rows of an index whose place in the log holds no such record. `byhash` tells the hash of the one that is gone."""
    for key, value in rows(run, table):
        pos = key[32:] if table == "body" else value
        data = _get(run, "log", pos)
        if data is None:
            yield Fault(key[:32].hex(), f"named by the index {table}, missing from the log", tables.number(pos))
        elif table == "byhash" and record_digest(squeeze.record(data)) != key:
            yield Fault(key.hex(), str(mismatch(Digest(key), tables.number(pos))), tables.number(pos))


def _small_tables(run: Run) -> Iterator[Fault | None]:
    for session, value in rows(run, "head"):
        digest, seq = tables.read_head(value)
        pos = _get(run, "byhash", digest)
        if pos is None or _get(run, "chain", tables.chain_key(session, seq)) != pos:
            yield Fault(session.hex(), "the session's head is not a record of it")
        if _get(run, "chain", tables.chain_key(session, seq + 1)) is not None:
            yield Fault(session.hex(), "the session has records behind its head")
        yield None
    for name, session in rows(run, "ref"):
        if _get(run, "head", session) is None:
            yield Fault(name.decode("utf-8", "replace"), "the name leads to no session")
    for part, _ in rows(run, "tail"):
        if _get(run, "byhash", part) is None:
            yield Fault(part.hex(), "bytes are kept for a part that is not in the log")
