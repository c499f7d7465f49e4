"""Compact copies of an archive: in its own place (compact), or in another (backup). Each is verified where it lies.

LMDB never gives pages back: what was overwritten or taken away is free for later commits, and the file stays as long
as it once was. Its compacting copy leaves the free pages out. The copy is of one committed state, while others write.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from tapes.archive.fresh import FRESH, Fresh
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.place import DATA_FILE, LOCK_FILE, sync_directory
from tapes.archive.swap import swap
from tapes.archive.verify import Progress, Report, verify
from tapes.errors import ArchiveError, ArchiveInUse, Damaged, NotFound
from tapes.record.digest import Digest
from tapes.values import dataclass

TRIES = 3
"""Somebody may record, and end, while we copy: then the copy lacks that."""
FILE_SUFFIX = ".mdb"
PART = ".part"
WATCH_S = 0.25


@dataclass(frozen=True, slots=True)
class Compacted:
    before: int
    """Bytes of the file."""
    after: int
    report: Report


@dataclass(frozen=True, slots=True)
class Backup:
    path: Path
    """Of its data file."""
    bytes: int
    records: int
    sessions: int
    last: tuple[int, Digest] | None
    """The last place in the log, and its record."""
    head: tuple[Digest, Digest, int] | None
    """The latest session, with its last record and that one's seq."""
    report: Report


def compact(path: Path, progress: Progress | None = None) -> Compacted:
    """Give the archive's free pages back to the disk. ArchiveInUse while anybody has it open; Damaged when it is not
    sound: then nothing was changed."""
    with LmdbArchive.open(path, readonly=True) as archive:
        archive.alone()  # else all the copying would be for nothing
        before = (path / DATA_FILE).stat().st_size
        with Fresh(path / FRESH) as fresh:
            for _ in range(TRIES):
                fresh.empty()
                change = archive.change()
                _copy(archive, fresh.file, progress)
                report = _verified(fresh.path, progress)
                after = fresh.file.stat().st_size
                claim = archive.retire(change)
                if claim is not None:
                    try:
                        swap(path, fresh)
                    finally:
                        claim.release()
                    return Compacted(before, after, report)
    raise ArchiveInUse(f"the archive in {path} was written to each time it was copied", hint="try again later")


def backup(path: Path, target: Path, progress: Progress | None = None) -> Backup:
    """Copy the archive into a new directory, or into a new file (`….mdb`), and verify the copy. Others may write
    meanwhile. ArchiveError when the place is taken or not fit for an archive; Damaged when the copy is not sound: then
    nothing is left of it."""
    single = target.suffix == FILE_SUFFIX
    if os.path.lexists(target):
        raise ArchiveError(f"{target} is there already", hint="a backup goes into a new place only")
    if not target.parent.is_dir():
        raise NotFound(f"{target.parent} is no directory")
    with (
        LmdbArchive.open(path, readonly=True) as archive,
        Fresh(target.with_name(target.name + PART)) as fresh,
    ):
        _copy(archive, fresh.file, progress)
        report = _verified(fresh.path, progress)
        with LmdbArchive.open(fresh.path, readonly=True) as copied:
            found = _contents(copied, target if single else target / DATA_FILE, report)
        (fresh.path / LOCK_FILE).unlink(missing_ok=True)
        if single:
            _publish_file(fresh.file, target)
        else:
            sync_directory(fresh.path)
            fresh.path.rename(target)  # onto nothing, or (a race) onto an empty directory
        sync_directory(target.parent)
    return found


def _copy(archive: LmdbArchive, file: Path, progress: Progress | None) -> None:
    """LMDB copies without a word; how far it is shows in the file that grows."""
    done = threading.Event()

    def watch() -> None:
        seen = 0
        while progress and not done.wait(WATCH_S):
            if file.exists() and (size := file.stat().st_size) > seen:
                seen = size
                progress(size, max(size, whole))

    whole = archive.size()["file_bytes"]
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        archive.copy_to(file)
    finally:
        done.set()
        watcher.join()


def _publish_file(file: Path, target: Path) -> None:
    try:
        os.link(file, target)  # as a rename, but never over a file that came meanwhile
    except OSError as error:
        raise ArchiveError(f"cannot write {target}: {error.strerror}") from error


def _verified(path: Path, progress: Progress | None) -> Report:
    with LmdbArchive.open(path, readonly=True) as copied:
        report = verify(copied, progress=progress)
    if report.first_bad is not None:
        bad = report.first_bad
        raise Damaged(
            f"the archive is damaged, and so is a copy of it: {bad.what}; nothing was changed",
            where=bad.where,
            hint="`tapes verify` lists what is wrong, `tapes archive rebuild --dry-run` what can be saved",
        )
    return report


def _contents(archive: LmdbArchive, file: Path, report: Report) -> Backup:
    size, sessions, last = archive.size(), archive.sessions(), archive.last()
    head = archive.head(sessions[-1]) if sessions else None
    return Backup(
        path=file,
        bytes=size["file_bytes"],
        records=size["records"],
        sessions=size["sessions"],
        last=(last, archive.at(last)[0]) if last else None,
        head=(sessions[-1], *head) if head else None,
        report=report,
    )
