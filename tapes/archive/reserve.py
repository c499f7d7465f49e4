"""Room for the last words: a file that takes up some of the disk until the disk is full.

A recorder that meets a full disk must say in the archive itself what it could not keep (a `gap`, and `session.close`),
and that needs a little room too. So a file of SIZE bytes lies beside the data. A commit that is marked urgent and finds
no room gives the file up, is tried again, and takes back what it did not need. Commits that are not urgent never touch
it. Pages inside the data file would not do: LMDB gives any free page to whoever commits next.

What a crash leaves: between giving up and taking back, a shorter file or none, which the next opening for writing, or
the next commit that finds room, makes whole. The file holds nothing, so nothing is synced or repaired.

Doubts. Another program may be quicker and take what was given up; then the urgent commit fails as it would have without
a reserve. A file system that stores preallocated room as nothing (ZFS) makes the file useless, and harmless.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from tapes.archive.place import LOCK_FILE, RESERVE_FILE
from tapes.errors import ArchiveFull

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors that say that there is no room."""
SIZE = 2 * 1024 * 1024
"""A commit of small records writes the pages it touches anew, some 30 to 60 of 4 KiB, and what it frees is used by the
next but one. So this is enough for any number of them."""
STEP = 128 * 1024
SPARE = 2 * SIZE
"""Free on the disk, at least, when a reserve is made: it must not be what fills a disk."""


class Reserve:
    """Of one open archive. Several processes may keep the same file; at worst one gives up what another just took."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / RESERVE_FILE
        self.whole = False

    def keep(self) -> None:
        """Make it whole if the disk has room to spare. Never fails: without a reserve there is still an archive."""
        self.whole = self._size() >= SIZE
        if not self.whole:
            left = os.statvfs(self._path.parent)
            if left.f_bavail * left.f_frsize >= SPARE:
                self.take_back()

    def give_up(self) -> None:
        """Return its room to the disk."""
        self.whole = False
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return  # there is none, so there is no room in it
        try:
            os.ftruncate(handle, 0)
            os.fsync(handle)  # some file systems hand freed room out only behind a sync
        finally:
            os.close(handle)

    def take_back(self) -> None:
        """Let it grow to its size, or as far as there is room."""
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError:
            return  # a disk that can only be read, or has no room for a name: `whole` says that there is none
        try:
            for start in range(os.fstat(handle).st_size, SIZE, STEP):
                allocate(handle, start, STEP)
            self.whole = True
        except OSError:
            self.whole = False  # as far as there is room
        finally:
            os.close(handle)

    def _size(self) -> int:
        try:
            return self._path.lstat().st_size
        except FileNotFoundError:
            return 0


def hold_locks(directory: Path, length: int) -> None:
    """Give LMDB's file of locks all its room before it is used; ArchiveFull when there is none. LMDB makes it of holes
    and maps it: touching a hole on a full disk ends the process (SIGBUS), even one that only wants to read.

    Only while this process has the archive closed: closing any handle of this file releases the process's locks on it.
    """
    try:
        handle = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(handle).st_blocks * 512 < length:
                allocate(handle, 0, length)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno in FULL:
            raise ArchiveFull(f"no room for the locks in {directory}", hint="free some disk space") from error
        # Else LMDB will say why, or do without, as on a disk that can only be read.


def allocate(handle: int, start: int, length: int) -> None:
    """Have the disk set room aside for a part of a file, whose bytes stay as they are. OSError when it has none."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, start, length)
    elif os.fstat(handle).st_size <= start:  # macOS: only growing, by bytes that no file system stores as nothing
        os.pwrite(handle, os.urandom(length), start)
