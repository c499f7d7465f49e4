"""LMDB's errors as ours."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import lmdb

from tapes.archive.place import DATA_FILE
from tapes.archive.reserve import FULL
from tapes.errors import ArchiveError, ArchiveFull, Damaged, TapesError

FULL_BELOW = 16 * 1024 * 1024
"""A full disk shows as EIO too; with less than this free we believe that it is one."""
DAMAGE = (
    lmdb.CorruptedError,
    lmdb.PageNotFoundError,
    lmdb.PanicError,
    lmdb.BadTxnError,
    lmdb.CursorFullError,
    lmdb.BadValsizeError,
)
"""What a page that is not what it should be leads to: the last three too, in transactions and by keys of ours."""


def ours(error: lmdb.Error, path: Path) -> TapesError:
    if isinstance(error, lmdb.MapFullError):
        return ArchiveFull("the archive's map is full: no more address space")
    if isinstance(error, DAMAGE):
        return Damaged(f"the archive's tables are damaged: {error}", where=DATA_FILE)
    full = any(os.strerror(code) in str(error) for code in FULL)
    if not full and os.strerror(errno.EIO) in str(error):
        full = _no_room(path)
    if full:
        return ArchiveFull(f"no room for the archive in {path}", hint="free some disk space")
    return ArchiveError(f"the archive in {path} cannot be used: {error}")


def _no_room(path: Path) -> bool:
    """LMDB reports a write that was cut short, which is what a full disk or a limit does to it, as EIO."""
    import resource

    left = os.statvfs(path)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    data = path / DATA_FILE
    size = data.stat().st_size if data.exists() else 0
    return left.f_bavail * left.f_frsize < FULL_BELOW or 0 <= limit < size + FULL_BELOW
