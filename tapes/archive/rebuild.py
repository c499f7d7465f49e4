"""Make an archive anew from what cannot be derived: its packs, names and tails.

For an archive whose indexes are damaged or have lost rows. The truth is copied into a fresh file as it is, the rest is
derived from it (tapes.archive.derive), the whole is verified, and then takes the old file's place (tapes.archive.swap).

Where packs are damaged, what they held is lost, and the old indexes, as far as they can be read, are the witnesses of
what that was. Then the old file is kept beside the new one, for whoever can read more out of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tapes.archive import audit, tables
from tapes.archive.derive import Deriver, Losses, LostRecord
from tapes.archive.fresh import FRESH, Fresh
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.lookups import Tables, Txn
from tapes.archive.place import DATA_FILE
from tapes.archive.summary import Summary
from tapes.archive.swap import KEPT, swap
from tapes.archive.verify import Finding, Progress, verify
from tapes.errors import ArchiveInUse, Damaged, NotFound
from tapes.record.digest import Digest, record_digest

TRUTH = ("meta", "pack", "ref", "tail")
CHUNK_BYTES = 4 * 1024 * 1024
SKIP = 4096
"""Packs sought behind one that the table does not give, before the rest is given up."""

type Rows = Iterator[tuple[bytes, bytes]]
type Fold = Callable[[LmdbArchive], None]


@dataclass(frozen=True, slots=True)
class LostOf:
    """What a session lost. `session` None: records of which nobody knows whose they were."""

    session: Digest | None
    names: tuple[str, ...]
    records: tuple[LostRecord, ...]
    bodies: tuple[Digest, ...]
    """Records whose body, or other content, is not whole."""


@dataclass(slots=True)
class Rebuilt:
    records: int = 0
    objects: int = 0
    sessions: int = 0
    before: int = 0
    after: int = 0
    """Bytes of the file."""
    losses: Losses = field(default_factory=Losses)
    findings: list[Finding] = field(default_factory=list)
    """Of verifying what was made."""
    more: int = 0
    lost: list[LostOf] = field(default_factory=list)
    kept: Path | None = None
    """Where the old file is."""
    swapped: bool = False

    @property
    def whole(self) -> bool:
        return not self.losses and not self.findings


def rebuild(
    path: Path, *, dry_run: bool = False, fold: Fold | None = None, progress: Progress | None = None
) -> Rebuilt:
    """Make everything that is derived anew. `fold` is given the new archive, to fill in summaries. With `dry_run` only
    the report is made. ArchiveInUse while anybody else has the archive open."""
    progress = progress or (lambda done, total: None)
    with LmdbArchive.open(path, readonly=True, needed=("meta", "pack")) as old, Fresh(path / FRESH) as fresh:
        if not dry_run:
            old.alone()
        change = old.change()
        done = Rebuilt(before=(path / DATA_FILE).stat().st_size)
        with LmdbArchive.open(fresh.path, create=True) as new:
            _make(old, new, done.losses, progress)
            if fold:
                fold(new)
            report = verify(new, progress=progress)
            done.findings, done.more = report.findings, report.more
            size = new.size()
            done.records, done.objects, done.sessions = size["records"], size["objects"], size["sessions"]
            done.lost = _by_session(new, done)
        done.after = fresh.file.stat().st_size
        if not dry_run:
            keep = None if done.whole else f"{KEPT}{time.strftime('%Y%m%d-%H%M%S')}-{change}.mdb"
            if not swap(old, fresh, change, keep):
                raise ArchiveInUse(f"the archive in {path} was written to meanwhile", hint="try again")
            done.kept, done.swapped = path / keep if keep else None, True
    return done


def _make(old: LmdbArchive, new: LmdbArchive, losses: Losses, progress: Progress) -> None:
    for table in TRUTH[1:]:
        _copy(old, new, table, losses, progress)
    deriver = Deriver(new, losses)
    deriver.derive(progress)
    _ask_witnesses(old, new, deriver, losses)
    deriver.write()
    _copy_summaries(old, new)


# -- the truth


def _copy(old: LmdbArchive, new: LmdbArchive, table: str, losses: Losses, progress: Progress) -> None:
    some: list[tuple[bytes, bytes]] = []
    size = 0
    for row in _packs(old, losses) if table == "pack" else _rows(old, table, losses):
        some.append(row)
        size += len(row[1])
        if size > CHUNK_BYTES:
            _write(new, table, some)
            progress(0, 0)
            some, size = [], 0
    _write(new, table, some)


def _write(new: LmdbArchive, table: str, some: list[tuple[bytes, bytes]]) -> None:
    def work(txn: Txn, t: Tables) -> None:
        for key, value in some:
            txn.put(key, value, db=t[table])

    new._run(work, write=True)


def _rows(archive: LmdbArchive, table: str, losses: Losses | None = None) -> Rows:
    """As far as they can be read; `losses` is told where that is not to the end."""
    try:
        yield from audit.rows(archive._run, table)
    except (Damaged, KeyError) as error:
        if losses is not None:
            losses.tables.append(f"{table}: {error if isinstance(error, Damaged) else 'it is not there'}")


def _packs(archive: LmdbArchive, losses: Losses) -> Rows:
    """Rows of packs. Where a page of the table cannot be read, the packs behind it are sought by their numbers."""
    after, skipped = 0, 0
    while skipped <= SKIP:
        number, rows = after + 1 + skipped, list[tuple[bytes, bytes]]()
        try:
            rows = archive._run(partial(_next_pack, number))
        except Damaged as error:
            if not skipped:
                losses.tables.append(f"pack: behind {after}: {error}")
            skipped += 1
            continue
        if not rows:
            return
        after, skipped = tables.number(rows[0][0][:8]), 0
        if after > tables.PACK_MAX:
            losses.tables.append(f"pack: a row claims to be of pack {after}")
            return
        yield from rows


def _next_pack(number: int, txn: Txn, t: Tables) -> list[tuple[bytes, bytes]]:
    """The rows of the first pack from a number on."""
    cursor = txn.cursor(db=t["pack"])
    more = cursor.set_range(tables.u64(number))
    rows: list[tuple[bytes, bytes]] = []
    while more and (not rows or cursor.key()[:8] == rows[0][0][:8]):
        rows.append(cursor.item())
        more = cursor.next()
    if rows and tables.number(rows[0][0][:8]) < number:
        raise Damaged("the table pack is not in order", where="table pack")
    return rows


# -- the old indexes, as witnesses


def _ask_witnesses(old: LmdbArchive, new: LmdbArchive, deriver: Deriver, losses: Losses) -> None:
    """Records that the old indexes know, and the packs did not give."""
    known: Losses = Losses()
    heads = {
        Digest(key): tables.read_head(value)
        for key, value in _rows(old, "head", known)
        if len(key) == 32 and len(value) == 40
    }
    missing = {
        tables.number(pos): Digest(key)
        for key, pos in _rows(old, "byhash", known)
        if len(key) == 32 and _is_missing(new, key) and not _astray(old, tables.number(pos))
    }
    told = {record.hash for record in losses.records}
    lost = [*_chained(old, heads, missing, known), *((s, seq, digest) for s, (digest, seq) in heads.items())]
    for session, seq, digest in sorted(lost, key=lambda row: (row[0], row[1])):
        if digest in told or not _is_missing(new, digest):
            continue
        told.add(digest)
        if deriver.end_of(session) < 0:
            deriver.ghost(session, 0, session)
            told.add(session)
        if digest != session:
            deriver.ghost(session, seq, digest)
    losses.records += [LostRecord(None, None, digest) for digest in missing.values() if digest not in told]
    # Holes whose record a witness has named since are told once.
    named = {(record.session, record.seq) for record in losses.records if record.hash is not None}
    losses.records = [r for r in losses.records if r.hash is not None or (r.session, r.seq) not in named]
    if losses:
        losses.tables += [f"{text}; it could not tell what else was lost" for text in known.tables]


def _is_missing(new: LmdbArchive, digest: bytes) -> bool:
    return new._run(lambda txn, t: txn.get(digest, db=t["byhash"])) is None


def _astray(old: LmdbArchive, pos: int) -> bool:
    """Whether the index by hash leads to this place from two hashes, of which the other is the record's own."""
    try:
        return old._pos(record_digest(old._logged(pos) or b"")) == pos
    except (Damaged, KeyError):
        return False


def _chained(
    old: LmdbArchive, heads: dict[Digest, tuple[Digest, int]], missing: dict[int, Digest], known: Losses
) -> Iterator[tuple[Digest, int, Digest]]:
    """Whose the missing records were: session, seq, hash."""
    if not missing:
        return
    sessions: dict[int, Digest] = {}
    for session in heads:
        with suppress(NotFound):
            sessions[old.position(session)] = session
    for key, pos in _rows(old, "chain", known):
        digest, owner = missing.get(tables.number(pos)), sessions.get(tables.number(key[:8]))
        if digest is not None and owner is not None:
            yield owner, tables.number(key[8:]), digest


def _copy_summaries(old: LmdbArchive, new: LmdbArchive) -> None:
    """Those that are up to date; they hold what only a reader of bodies can say."""
    kept = []
    for key, value in _rows(old, "summary"):
        row, head = Summary.from_bytes(value), new.head(Digest(key)) if len(key) == 32 else None
        if row is not None and head is not None and row.upto == head[1]:
            kept.append((key, value))
    _write(new, "summary", kept)


# -- the report


def _by_session(new: LmdbArchive, done: Rebuilt) -> list[LostOf]:
    names: dict[Digest, list[str]] = {}
    for name, session in new.names().items():
        names.setdefault(session, []).append(name)
    records: dict[Digest | None, list[LostRecord]] = {}
    for record in done.losses.records:
        records.setdefault(record.session, []).append(record)
    bodies: dict[Digest | None, dict[Digest, None]] = {}
    ghosts = {record.hash for record in done.losses.records}
    for finding in done.findings:
        owner = _owner(new, finding.pos)
        if owner is not None and owner[1] not in ghosts:
            bodies.setdefault(owner[0], {})[owner[1]] = None
    return [
        LostOf(
            session,
            tuple(names.get(session, ())) if session else (),
            tuple(sorted(records.get(session, ()), key=lambda record: record.seq or 0)),
            tuple(bodies.get(session, ())),
        )
        for session in {**records, **bodies}
    ]


def _owner(new: LmdbArchive, pos: int | None) -> tuple[Digest, Digest] | None:
    """Session and hash of the record at a place."""
    try:
        digest, record = new.at(pos or 0)
    except (Damaged, NotFound):
        return None
    return record.session or digest, digest
