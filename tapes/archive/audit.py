"""Compare the tables of an archive on disk with its packs.

Reading goes from an index to the thing, so it never meets an entry that nothing points to, nor a thing that
no index knows. This walks the other way round: every record and every object of every pack, and every row of
the log, must be found under its hash, and then counting tells whether an index holds anything more. Every object is
re-hashed on the way, whether a record needs it or not.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from tapes.archive import pack, tables
from tapes.archive.base import Fault
from tapes.archive.reading import mismatch, object_digest
from tapes.archive.refs import is_name
from tapes.errors import Damaged
from tapes.record.digest import Digest, record_digest
from tapes.record.kinds import Record, body_hashes
from tapes.record.tomb import logged_digest, read_logged

type Run = Callable[[Callable[[Any, dict[str, Any]], Any]], Any]
type Rows = Iterator[tuple[bytes, bytes]]

ROWS = 64
SMALL_ROWS = 1024
"""Of a table whose rows are known to be small."""


class Inside(Protocol):
    """What the audit asks of an archive."""

    def _run[T](self, work: Callable[[Any, dict[str, Any]], T], *, write: bool = False) -> T: ...
    def _packed(self, number: int) -> bytes:
        """A pack, unpacked; Damaged when it cannot be."""

    def _logged(self, pos: int) -> bytes | None: ...


ALL = range(1 << 64)


def audit(archive: Inside, packs: range, places: range | None) -> Iterator[Fault | None]:
    """Faults, and None now and then where all is well. Only of these packs, and of the records at these places; with
    `places` None of all, and what leads to no record too. Without places, of packs alone."""
    yield from _packs(archive, packs)
    if places is None or places:
        yield from _log(archive) if places is None else _places(archive, places)
        yield from small_tables(archive._run)


def rows(run: Run, table: str) -> Rows:
    """All rows of a table, in short transactions."""

    for some in _row_lists(run, table, ROWS):
        yield from some


def _row_lists(run: Run, table: str, limit: int) -> Iterator[list[tuple[bytes, bytes]]]:
    def some(txn: Any, t: dict[str, Any]) -> list[tuple[bytes, bytes]]:
        cursor = txn.cursor(db=t[table])
        if not (cursor.set_range(after) if after else cursor.first()):
            return []
        # One more, as the first may be the last of the time before.
        found = list(itertools.islice(cursor, limit + 1))
        return found[1:] if found[0][0] == after else found

    after = b""
    while found := run(some):
        for key, _ in found:
            if key <= after:  # keys out of order would lead in circles
                raise Damaged(f"the table {table} is not in order", where=f"table {table}")
            after = key
        yield found


def get(run: Run, table: str, key: bytes) -> bytes | None:
    found: bytes | None = run(lambda txn, t: txn.get(key, db=t[table]))
    return found


def get_all(run: Run, table: str, keys: Sequence[bytes]) -> list[bytes | None]:
    found: list[bytes | None] = run(lambda txn, t: [txn.get(key, db=t[table]) for key in keys])
    return found


def numbers(run: Run, some_of: range = ALL) -> Iterator[int]:
    """Of all packs that there are. Going by the rows: a damaged key may claim the number of a pack far away."""

    def some(txn: Any, t: dict[str, Any]) -> list[int]:
        cursor = txn.cursor(db=t["pack"])
        found: list[int] = []
        while len(found) < ROWS and cursor.set_range(tables.u64((found or [last])[-1] + 1)):
            found.append(tables.number(cursor.key()[:8]))
            if found != sorted(set(found)) or found[0] <= last:  # keys out of order would lead in circles
                raise Damaged("the table pack is not in order", where="table pack")
        return found

    last = some_of.start - 1
    while (found := run(some)) and found[0] in some_of:
        yield from (number for number in found if number in some_of)
        last = found[-1]


def count(run: Run, table: str) -> int:
    rows: int = run(lambda txn, t: txn.stat(t[table])["entries"])
    return rows


# -- packs, the log and the index of objects


def _packs(archive: Inside, wanted: range) -> Iterator[Fault | None]:
    if not wanted:
        return
    run, unled = archive._run, dict[bytes, Fault]()
    all_indexed = Counter[bytes]()
    for some in _row_lists(run, "obj", SMALL_ROWS):  # this is read through for each slice of a run
        all_indexed.update([row[:4] for _, row in some])
    indexed = Counter({n: objects for key, objects in all_indexed.items() if (n := tables.number(key)) in wanted})
    for number in numbers(run, wanted):
        try:
            payload = archive._packed(number)
            places = pack.table(payload)
        except Damaged as error:
            yield Fault(f"pack {number}", str(error))
            continue
        found: dict[bytes, bytes] = {}
        records: dict[bytes, bytes] = {}
        for place in places:
            data = payload[place.offset : place.offset + place.length]
            entry = tables.entry_value(tables.Entry(number, place.offset, place.length, place.kind))
            if place.kind == "record":
                records[record_digest(data)] = entry
            elif place.kind == "tombstone":
                records[logged_digest(data)] = entry
            else:
                found[object_digest(place.kind, data)] = entry
        led = get_all(run, "obj", [tables.obj_key(digest) for digest in found])
        indexed[number] -= sum(row == entry for row, entry in zip(led, found.values(), strict=True))
        logged = [pos and get(run, "log", pos) for pos in get_all(run, "byhash", list(records))]
        for (digest, entry), row in zip((found | records).items(), [*led, *logged], strict=True):
            if row != entry:
                unled[entry] = Fault(digest.hex(), f"pack {number} holds it, and no index leads to it")
        yield None
    if unled:
        # What was changed is still led to, under the hash that it had; there it is reported.
        for _, row in itertools.chain(rows(run, "log"), rows(run, "obj")):
            unled.pop(row, None)
        yield from unled.values()
    # Fewer of ours than were counted: some lead to nothing. More: they came since, by another process.
    bad = {number for number, more in indexed.items() if more > 0}
    if bad:
        yield from _bad_objects(archive, bad)


def _bad_objects(archive: Inside, packs: set[int]) -> Iterator[Fault]:
    """Objects that the index says are in these packs, and which they do not give."""
    for key, row in rows(archive._run, "obj"):
        if tables.number(row[:4]) not in packs:
            continue
        try:
            entry = tables.read_entry(row)
            data = archive._packed(entry.pack)[entry.offset : entry.offset + entry.length]
            stored = entry.kind in ("blob", "node")
            if not stored or tables.obj_key(object_digest(entry.kind, data)) != key:  # type: ignore[arg-type]
                yield Fault(key.hex(), f"object {key.hex()[:12]} does not match its hash")
        except (Damaged, ValueError) as error:
            yield Fault(key.hex(), f"object {key.hex()[:12]}: {error}")


# -- the log and its indexes


def _log(archive: Inside) -> Iterator[Fault | None]:
    run, whole, bodies = archive._run, 0, 0
    for key, _ in rows(run, "log"):
        pos = tables.number(key)
        data = archive._logged(pos) or b""
        digest = logged_digest(data)
        if get(run, "byhash", digest) != key:
            continue  # the index has it under another hash, so counting will tell
        try:
            record = read_logged(data)[1]
        except Damaged as error:
            yield Fault(digest.hex(), str(error), pos)
            continue
        whole += 1
        bodies += len(body_hashes(record.type, record.body))
        yield from _index_faults(run, key, digest, record)
    for table, expected in (("byhash", whole), ("chain", whole), ("body", bodies)):
        if count(run, table) > expected:
            yield from _stray_rows(archive, table)


def _places(archive: Inside, places: range) -> Iterator[Fault | None]:
    run, bodies = archive._run, 0
    for place in places:
        pos, data = tables.u64(place), archive._logged(place)
        if data is None or get(run, "byhash", digest := logged_digest(data)) != pos:
            continue  # reading it says so
        try:
            record = read_logged(data)[1]
        except Damaged as error:
            yield Fault(digest.hex(), str(error), place)
            continue
        bodies += len(body_hashes(record.type, record.body))
        yield from _index_faults(run, pos, digest, record)
    # Rows of byhash and chain that lead astray show in the structure of the tables.
    if sum(tables.number(key[tables.SHORT :]) in places for key, _ in rows(run, "body")) > bodies:
        yield from _stray_rows(archive, "body", places)


def _index_faults(run: Run, pos: bytes, digest: Digest, record: Record) -> Iterator[Fault | None]:
    where, number = digest.hex(), tables.number(pos)
    session = record.session or digest
    if _chained(run, session, record.seq) != pos:
        yield Fault(where, "the index of its session does not lead to it", number)
    if get(run, "head", session) is None:
        yield Fault(where, "its session has no head", number)
    name = record.body.get("name") if record.type == "session.open" else None
    if isinstance(name, str) and is_name(name) and get(run, "ref", name.encode()) != digest:
        yield Fault(where, f"the name {name!r} does not lead to it", number)
    for body in body_hashes(record.type, record.body):
        if get(run, "body", tables.body_key(body, number)) is None:
            yield Fault(where, "the index of bodies does not lead to it", number)
    yield None


def _chained(run: Run, session: bytes, seq: int) -> bytes | None:
    first = get(run, "byhash", session)
    return first and get(run, "chain", tables.chain_key(tables.number(first), seq))


def _stray_rows(archive: Inside, table: str, places: range = ALL) -> Iterator[Fault]:
    """Rows of an index whose place in the log holds no such record. `byhash` tells the hash of the one that is gone."""
    for key, value in rows(archive._run, table):
        pos = tables.number(key[tables.SHORT :] if table == "body" else value)
        if pos not in places:
            continue
        data = archive._logged(pos) if pos <= tables.LAST_MAX else None
        if data is None:
            where = key[: tables.SHORT].hex() if table == "body" else key.hex()
            yield Fault(where, f"named by the index {table}, missing from the log", pos)
        elif table == "byhash" and logged_digest(data) != key:
            yield Fault(key.hex(), str(mismatch(tables.digest_of(key), pos)), pos)
        elif table != "byhash" and not _belongs(archive._run, table, key, pos, data):
            yield Fault(f"pos {pos}", f"the index {table} leads to the record at place {pos}, which is another", pos)


def _belongs(run: Run, table: str, key: bytes, pos: int, data: bytes) -> bool:
    """Whether a row of `chain` or `body` is one that the record it leads to has."""
    try:
        digest, record = read_logged(data)
    except Damaged:
        return True  # reported already
    if table == "body":
        return any(tables.body_key(body, pos) == key for body in body_hashes(record.type, record.body))
    first = get(run, "byhash", record.session or digest)
    return first is not None and tables.chain_key(tables.number(first), record.seq) == key


def small_tables(run: Run) -> Iterator[Fault | None]:
    for session, value in rows(run, "head"):
        digest, seq = tables.read_head(value)
        pos = get(run, "byhash", digest)
        if pos is None or _chained(run, session, seq) != pos:
            yield Fault(session.hex(), "the session's head is not a record of it")
        if _chained(run, session, seq + 1) is not None:
            yield Fault(session.hex(), "the session has records behind its head")
        yield None
    for name, session in rows(run, "ref"):
        if get(run, "head", session) is None:
            yield Fault(name.decode("utf-8", "replace"), "the name leads to no session")
    for part, _ in rows(run, "tail"):
        if get(run, "byhash", part) is None:
            yield Fault(part.hex(), "bytes are kept for a part that is not in the log")
