"""Whether an archive's tables agree with one another: quickly, since nothing is unpacked and nothing is hashed.

It finds lost and stray rows, broken chains and heads, entries that lead nowhere. It can not find a changed byte: only
hashing does (tapes.archive.verify).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from tapes.archive import audit, pack, tables
from tapes.archive.audit import Inside, rows
from tapes.archive.base import Fault

EVERY = 1024
"""Rows between two signs of life."""


def structure(archive: Inside) -> Iterator[Fault | None]:
    """Faults, and None now and then. Raises Damaged where a table itself cannot be read. Others may write meanwhile:
    what came after the tables before were read is looked up."""
    sizes = yield from _packs(archive)
    last = yield from _log(archive, sizes)
    hashes = yield from _byhash(archive, last)
    yield from _chains(archive, hashes)
    yield from _bodies(archive, last)
    yield from _objects(archive, sizes)
    yield from audit.small_tables(archive._run)


def _packs(archive: Inside) -> Generator[Fault | None, None, dict[int, int]]:
    """Returns the unpacked size that each pack claims, by number."""
    sizes: dict[int, int] = {}
    number, before = 0, 0
    for count, (key, value) in enumerate(rows(archive._run, "pack")):
        number, part = tables.number(key[:8]), tables.number(key[8:])
        if part == 0:
            size = pack.size(value)
            if size is None:
                yield Fault(f"pack {number}", f"pack {number} does not begin as a pack does")
            sizes[number] = size or 0
            if number != before + 1:
                yield Fault(f"pack {before + 1}", f"pack {before + 1} is missing")
        elif number != before:
            yield Fault(f"pack {number}", f"pack {number} has no beginning")
        before = number
        if count % EVERY == 0:
            yield None
    return sizes


def _leads_nowhere(archive: Inside, row: bytes, sizes: dict[int, int], record: bool) -> str:
    try:
        entry = tables.read_entry(row)
    except ValueError as error:
        return str(error)
    if (entry.kind in ("record", "tombstone")) != record:
        return f"leads to a {entry.kind}"
    if entry.pack not in sizes:
        found = audit.get(archive._run, "pack", tables.u64(entry.pack) + bytes(2))
        if found is None:
            return f"leads to pack {entry.pack}, which is not there"
        sizes[entry.pack] = pack.size(found) or 0
    return "leads out of its pack" if entry.offset + entry.length > sizes[entry.pack] else ""


def _log(archive: Inside, sizes: dict[int, int]) -> Generator[Fault | None, None, int]:
    """Returns the last place."""
    last = 0
    for key, row in rows(archive._run, "log"):
        pos = tables.number(key)
        if pos != last + 1:
            yield Fault(f"pos {last + 1}", f"the record at place {last + 1} is missing from the log", last + 1)
        if what := _leads_nowhere(archive, row, sizes, record=True):
            yield Fault(f"pos {pos}", f"place {pos} of the log {what}", pos)
        last = pos
        if pos % EVERY == 0:
            yield None
    return last


def _logged(archive: Inside, pos: int) -> bool:
    return 0 < pos <= tables.LAST_MAX and audit.get(archive._run, "log", tables.u64(pos)) is not None


def _byhash(archive: Inside, last: int) -> Generator[Fault | None, None, bytearray]:
    """Every place has one hash. Returns the places that have."""
    seen = bytearray(min(last, audit.count(archive._run, "log") + EVERY) + 1)
    for count, (key, value) in enumerate(rows(archive._run, "byhash")):
        pos = tables.number(value)
        if not 0 < pos < len(seen):
            if not _logged(archive, pos):
                yield Fault(key.hex(), "named by the index byhash, missing from the log", pos)
        elif seen[pos]:
            yield Fault(key.hex(), f"the index byhash leads to place {pos} twice", pos)
        else:
            seen[pos] = 1
        if count % EVERY == 0:
            yield None
    for pos in range(1, len(seen)):
        if not seen[pos]:
            yield Fault(f"pos {pos}", f"no hash leads to place {pos} of the log", pos)
    return seen


def _chains(archive: Inside, known: bytearray) -> Iterator[Fault | None]:
    """Every place is in one chain, and chains have no holes."""
    seen = bytearray(len(known))
    first, seq, sessions = 0, -1, 0
    for count, (key, value) in enumerate(rows(archive._run, "chain")):
        at, number, pos = tables.number(key[:8]), tables.number(key[8:]), tables.number(value)
        expected = seq + 1 if at == first else 0
        if number != expected:
            yield Fault(f"pos {at}", f"record {expected} of the session that begins at place {at} is missing", at)
        if number == 0 and pos != at:
            yield Fault(f"pos {at}", f"the session at place {at} does not begin there", at)
        if not 0 < pos < len(seen):
            if not _logged(archive, pos):
                yield Fault(f"pos {pos}", "named by the index chain, missing from the log", pos)
        elif seen[pos]:
            yield Fault(f"pos {pos}", f"place {pos} of the log is in two chains", pos)
        else:
            seen[pos] = 1
        first, seq, sessions = at, number, sessions + (at != first)
        if count % EVERY == 0:
            yield None
    for pos in range(1, len(seen)):
        if known[pos] and not seen[pos]:
            yield Fault(f"pos {pos}", f"the record at place {pos} is in no session's chain", pos)
    if (heads := audit.count(archive._run, "head")) < sessions:
        yield Fault("table head", f"{sessions - heads} sessions have no head")


def _bodies(archive: Inside, last: int) -> Iterator[Fault | None]:
    for count, (key, _) in enumerate(rows(archive._run, "body")):
        pos = tables.number(key[tables.SHORT :])
        if not 0 < pos <= last and not _logged(archive, pos):
            yield Fault(key[: tables.SHORT].hex(), "named by the index body, missing from the log", pos)
        if count % EVERY == 0:
            yield None


def _objects(archive: Inside, sizes: dict[int, int]) -> Iterator[Fault | None]:
    for count, (key, row) in enumerate(rows(archive._run, "obj")):
        if what := _leads_nowhere(archive, row, sizes, record=False):
            yield Fault(key.hex(), f"object {key.hex()[:12]} {what}")
        if count % EVERY == 0:
            yield None
