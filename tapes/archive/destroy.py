"""Carry out what the redactions in an archive's log ask for: afterwards the bytes are in no file of the archive.

1. The sentence is read off the log (tapes.archive.redaction). *A crash before or here leaves the redaction records: the
   next run reads the same sentence.*
2. A new file is filled without what goes (tapes.archive.rewrite), in a directory that whoever opens the archive next
   sweeps. *A crash leaves the old file, in which nothing was changed.*
3. The new file is verified as everybody reads it, tombstones too. *With damage that the old one has not, it is thrown
   away.*
4. It takes the old one's place (tapes.archive.swap: one rename). *A crash leaves one or the other.*

So there is no state in between, and no way back behind 4. What the disk itself keeps of a removed file (unused blocks,
snapshots, backups) is out of reach.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tapes.archive.audit import rows
from tapes.archive.fresh import FRESH, Fresh
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.place import DATA_FILE
from tapes.archive.redaction import Sentence, sentence
from tapes.archive.rewrite import rewrite
from tapes.archive.swap import KEPT, swap
from tapes.archive.verify import Progress, Report, verify
from tapes.errors import ArchiveInUse, Damaged
from tapes.values import dataclass

TRIES = 3
"""Somebody may record, and end, while we write: then the new file lacks that."""


@dataclass(frozen=True, slots=True)
class Destroyed:
    records: int = 0
    objects: int = 0
    """Blobs and nodes that no record needs any more."""
    before: int = 0
    after: int = 0
    """Bytes of the file."""


def carry_out(path: Path, progress: Progress | None = None) -> Destroyed:
    """Destroy what redactions withhold and is still there; nothing, when all is done. ArchiveInUse while others have
    the archive open; Damaged where it would damage the archive, which then is as it was."""
    with LmdbArchive.open(path) as archive:
        archive.alone()  # else all the writing would be for nothing
        for _ in range(TRIES):
            change = archive.change()
            wanted = sentence(archive)
            if _is_done(archive, wanted):
                return Destroyed()
            found = _replaced(archive, path, wanted, change, progress)
            if found is not None:
                return found
    raise ArchiveInUse(f"the archive in {path} was written to each time it was copied", hint="try again later")


def _no_worse(after: Report, before: Report) -> None:
    """What was damaged stays damaged, and may be forgotten all the same; nothing else may become so."""
    fresh = [finding for finding in after.findings if finding not in before.findings]
    if fresh:
        raise Damaged(
            f"the archive would be damaged by it: {fresh[0].what}; nothing was destroyed",
            where=fresh[0].where,
            hint="`tapes verify` lists what is wrong, `tapes archive rebuild` mends what it can",
        )


def left_beside(path: Path) -> Sequence[Path]:
    """Old files that a rebuilding kept: they hold what they held."""
    return sorted(path.glob(KEPT + "*"))


def _is_done(archive: LmdbArchive, wanted: Sentence) -> bool:
    objects = archive.size()["objects"] != len(wanted.live) if wanted.doomed is None else _any_there(archive, wanted)
    if wanted.tombs or objects:
        return False
    return not any(session in wanted.nameless for _, session in rows(archive._run, "ref"))


def _any_there(archive: LmdbArchive, wanted: Sentence) -> bool:
    return any(archive.has_object(digest) for digest in wanted.doomed or ())


def _replaced(
    archive: LmdbArchive, path: Path, wanted: Sentence, change: int, progress: Progress | None
) -> Destroyed | None:
    objects, before = archive.size()["objects"], (path / DATA_FILE).stat().st_size
    with Fresh(path / FRESH) as fresh:
        with LmdbArchive.open(fresh.path, create=True) as new:
            rewrite(archive._run, new._run, wanted)
        with LmdbArchive.open(fresh.path, readonly=True) as new:
            report = verify(new, progress=progress)
            after, objects_left = fresh.file.stat().st_size, new.size()["objects"]
        if report.findings:
            _no_worse(report, verify(archive, progress=progress))
        claim = archive.retire(change)
        if claim is None:
            return None
        try:
            swap(path, fresh)
        finally:
            claim.release()
        return Destroyed(len(wanted.tombs), objects - objects_left, before, after)
