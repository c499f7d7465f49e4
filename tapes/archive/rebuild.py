"""Make an archive anew from what cannot be derived: its packs, names and tails.

For an archive whose indexes are damaged or have lost rows. The truth is read without LMDB, which dies of damaged pages
(tapes.archive.lmdb_file.salvage), and copied into a fresh file as it is; the rest is derived from it
(tapes.archive.derive), the whole is verified, and then takes the old file's place (tapes.archive.swap).

Where packs are damaged, what they held is lost, and the old indexes, as far as they can be read, are the witnesses of
what that was. Then the old file is kept beside the new one, for whoever can read more out of it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from tapes.archive import tables
from tapes.archive.claim import Claim
from tapes.archive.derive import Deriver, Losses, LostRecord
from tapes.archive.fresh import FRESH, Fresh
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.lmdb_file.salvage import PACK_KEY, Row, Salvage
from tapes.archive.lookups import Tables, Txn
from tapes.archive.place import DATA_FILE, prepare
from tapes.archive.summary import Summary
from tapes.archive.swap import KEPT, swap
from tapes.archive.verify import Finding, Progress, verify
from tapes.errors import ArchiveInUse, Damaged, FormatError, NotFound
from tapes.record.digest import Digest
from tapes.record.tomb import logged_digest
from tapes.values import dataclass, field

CHUNK_BYTES = 4 * 1024 * 1024
NAME_MAX = 4 * 64
"""Bytes of a session's name."""

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
    the report is made. ArchiveInUse while anybody else has the archive open; nobody can open it meanwhile."""
    progress = progress or (lambda done, total: None)
    prepare(path, create=False)
    claim = Claim(path)
    try:
        if not dry_run:
            claim.alone()
        with Fresh(path / FRESH) as fresh:
            done = Rebuilt(before=(path / DATA_FILE).stat().st_size)
            with Salvage(path / DATA_FILE) as old:
                change = old.change
                _build(old, fresh.path, done, fold, progress)
                if old.change != change:  # a dry run, while others write
                    raise ArchiveInUse(f"the archive in {path} was written to meanwhile", hint="try again")
            done.after = fresh.file.stat().st_size
            if not dry_run:
                keep = None if done.whole else f"{KEPT}{time.strftime('%Y%m%d-%H%M%S')}-{os.urandom(3).hex()}.mdb"
                swap(path, fresh, keep)
                done.kept, done.swapped = path / keep if keep else None, True
    finally:
        claim.release()
    return done


def _build(old: Salvage, place: Path, done: Rebuilt, fold: Fold | None, progress: Progress) -> None:
    _check_version(old)
    with LmdbArchive.open(place, create=True) as new:
        _make(old, new, done.losses, progress)
        if fold:
            fold(new)
        report = verify(new, progress=progress)
        done.findings, done.more = report.findings, report.more
        size = new.size()
        done.records, done.objects, done.sessions = size["records"], size["objects"], size["sessions"]
        done.lost = _by_session(new, done)


def _check_version(old: Salvage) -> None:
    """FormatError for another program's file, or a newer one. A table `meta` that cannot be read is no reason to give
    up: what packs hold is hashed."""
    meta = dict(old.rows("meta"))
    name, version = meta.get(b"format", tables.FORMAT_NAME), tables.number(meta.get(b"version", b""))
    if name != tables.FORMAT_NAME or not old.has("meta"):
        raise FormatError("this LMDB file is not an archive of ours")
    if version > tables.VERSION:
        raise FormatError(f"the archive has format {version}; this program reads up to {tables.VERSION}")


def _make(old: Salvage, new: LmdbArchive, losses: Losses, progress: Progress) -> None:
    for table, rows in (("pack", _packs(old)), ("ref", old.rows("ref")), ("tail", old.rows("tail"))):
        _copy(new, table, rows, losses, progress)
    deriver = Deriver(new, losses)
    deriver.derive(progress)
    _ask_witnesses(old, new, deriver, losses)
    deriver.write()
    if old.faults.get("ref"):
        _copy(new, "ref", _names_told(new), losses, progress)
    _copy_summaries(old, new)
    for table in ("", "pack", "ref", "tail"):
        losses.tables += [f"table {table or 'of tables'}: {what}" for what in old.faults.get(table, ())]
    if losses:
        for table in ("head", "byhash", "chain", "log"):
            if old.faults.get(table):
                losses.tables.append(f"table {table} is damaged: it could not tell of all that was lost")


# -- the truth


def _copy(new: LmdbArchive, table: str, rows: Iterable[Row], losses: Losses, progress: Progress) -> None:
    some: list[Row] = []
    size = 0
    for row in rows:
        if not _fits(table, row[0]):
            losses.tables.append(f"table {table}: no key of it: {row[0][:64].hex()}")
            continue
        some.append(row)
        size += len(row[1])
        if size > CHUNK_BYTES:
            _write(new, table, some)
            progress(0, 0)
            some, size = [], 0
    _write(new, table, some)


def _write(new: LmdbArchive, table: str, some: list[Row]) -> None:
    def work(txn: Txn, t: Tables) -> None:
        cursor = txn.cursor(db=t[table])
        last = cursor.key() if cursor.last() else b""
        for key, value in some:
            # Rows in order are appended, which fills pages; inserted they would leave them half full.
            txn.put(key, value, db=t[table], overwrite=False, append=key > last)
            last = max(last, key)

    new._run(work, write=True)


def _packs(old: Salvage) -> Iterator[Row]:
    """Rows of packs; where the table is damaged, those too that no page leads to any more."""
    yield from old.rows("pack")
    if old.faults.get("pack") or old.faults.get(""):
        yield from sorted(old.stray_packs().items())


def _fits(table: str, key: bytes) -> bool:
    """Whether a key can be one of this table. A pack of a number that nobody counted to would end all writing."""
    if table == "pack":
        return len(key) == PACK_KEY and 0 < tables.number(key[:8]) <= tables.PACK_MAX
    return len(key) == 32 if table == "tail" else 0 < len(key) <= NAME_MAX


def _names_told(new: LmdbArchive) -> Iterator[Row]:
    """Names that sessions were given when they were opened."""
    for session in new.sessions():
        with suppress(Damaged, NotFound):
            name = new.record(session).body.get("name")
            if isinstance(name, str) and name:
                yield name.encode(), session


# -- the old indexes, as witnesses


def _ask_witnesses(old: Salvage, new: LmdbArchive, deriver: Deriver, losses: Losses) -> None:
    """Records that the old indexes know, and the packs did not give."""
    heads = {
        Digest(key): tables.read_head(value) for key, value in old.rows("head") if len(key) == 32 and len(value) == 40
    }
    missing: dict[int, Digest] = {}
    firsts: dict[int, Digest] = {}
    for key, pos in old.rows("byhash"):
        if len(key) == 32 and _is_missing(new, key):
            missing[tables.number(pos)] = Digest(key)
        if key in heads:
            firsts[tables.number(pos)] = Digest(key)
    for place in _astray(old, new, missing) if missing else ():
        del missing[place]
    lost = [(session, seq, digest) for session, (digest, seq) in heads.items()]
    for key, pos in old.rows("chain") if missing else ():
        digest, owner = missing.get(tables.number(pos)), firsts.get(tables.number(key[:8]))
        if digest is not None and owner is not None:
            lost.append((owner, tables.number(key[8:]), digest))
    told = {record.hash for record in losses.records}
    for session, seq, digest in sorted(lost, key=lambda row: row[:2]):
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


def _is_missing(new: LmdbArchive, digest: bytes) -> bool:
    return new._run(lambda txn, t: txn.get(digest, db=t["byhash"])) is None


def _astray(old: Salvage, new: LmdbArchive, missing: dict[int, Digest]) -> list[int]:
    """Places to which the old index led from two hashes, of which the other is the record's own."""
    own: dict[bytes, int] = {}
    for key, row in old.rows("log"):
        pos = tables.number(key)
        if pos in missing:
            with suppress(Damaged, ValueError):
                entry = tables.read_entry(row)
                data = new._packed(entry.pack)[entry.offset : entry.offset + entry.length]
                own[logged_digest(data)] = pos
    return [pos for key, row in old.rows("byhash") if (pos := own.get(key, 0)) and tables.number(row) == pos]


def _copy_summaries(old: Salvage, new: LmdbArchive) -> None:
    """Those that are up to date; they hold what only a reader of bodies can say."""
    kept = []
    for key, value in old.rows("summary"):
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
