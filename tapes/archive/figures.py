"""What an archive takes, and where: for people who wonder why the file is so large."""

from __future__ import annotations

from pathlib import Path

from tapes.archive import claim, tables
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.place import DATA_FILE
from tapes.archive.swap import KEPT
from tapes.errors import Damaged
from tapes.record.digest import Digest
from tapes.values import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    rows: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Figures:
    path: Path
    version: int
    """Of the format."""
    file_bytes: int
    """As long as the file is; on the disk it may take less."""
    disk_bytes: int
    free_bytes: int
    """Free pages inside the file: what compacting gives back."""
    records: int
    objects: int
    sessions: int
    packs: int
    open_sessions: int
    """Whose last record is no `session.close`: they run, or nobody could close them."""
    first_ns: int | None
    last_ns: int | None
    """Wall clock of the first record and of the last one; None where there is none that can be read."""
    tables: dict[str, Table]
    users: list[str]
    """Other processes that have the archive open, where the system shows them."""
    kept: list[Path]
    """Damaged files that a rebuild set aside."""


def figures(archive: LmdbArchive) -> Figures:
    page, pages, found = archive.pages()
    file = (archive.path / DATA_FILE).stat()
    size = archive.size()
    used = 2 + sum(count for _, count in found.values())
    version = archive._run(lambda txn, t: tables.number(txn.get(b"version", db=t["meta"])))
    return Figures(
        path=archive.path,
        version=version,
        file_bytes=file.st_size,
        disk_bytes=file.st_blocks * 512,
        free_bytes=max(0, pages - used) * page,
        records=size["records"],
        objects=size["objects"],
        sessions=size["sessions"],
        packs=size["packs"],
        open_sessions=sum(_is_open(archive, session) for session in archive.sessions()),
        first_ns=_time(archive, 1),
        last_ns=_time(archive, archive.last()),
        tables={name: Table(rows, count * page) for name, (rows, count) in found.items() if name},
        users=claim.holders(archive.path),
        kept=sorted(path for path in archive.path.glob(KEPT + "*") if path.is_file()),
    )


def _is_open(archive: LmdbArchive, session: Digest) -> bool:
    head = archive.head(session)
    try:
        return head is not None and archive.record(head[0]).type != "session.close"
    except Damaged:
        return False  # `tapes verify` is the one to say what is wrong


def _time(archive: LmdbArchive, pos: int) -> int | None:
    try:
        return archive.at(pos)[1].wall_ns if pos else None
    except Damaged:
        return None
