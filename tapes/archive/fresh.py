"""A directory in which a new archive file is made, beside the place where it will stand.

Whoever makes one holds a shared lock on it. So a directory that nobody holds was left by a process that died, and is
removed: by the next that wants to make one, and by whoever opens the archive for writing. It may hold a copy of
everything, so it does not wait for a person to find it.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tapes.archive.claim import Claim, holders
from tapes.archive.place import DATA_FILE
from tapes.errors import ArchiveError, ArchiveInUse

FRESH = "fresh"
"""Its name inside an archive's directory."""


def sweep(path: Path) -> None:
    """Remove what a dead process left; nothing, when its maker lives or it is no directory of ours."""
    if not os.path.lexists(path):
        return
    try:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return  # swept by another process just now, or not made by us; making one will say so
    try:
        with suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            import shutil  # slow to import, and mostly there is nothing to sweep

            shutil.rmtree(path)
    finally:
        os.close(handle)


class Fresh:
    """As a context: an empty directory (0700), removed at the end with what is still in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._claim: Claim | None = None

    @property
    def file(self) -> Path:
        return self.path / DATA_FILE

    def empty(self) -> None:
        """For another try."""
        for file in self.path.iterdir():
            file.unlink()

    def __enter__(self) -> Self:
        sweep(self.path)
        try:
            self.path.mkdir(mode=0o700)
            self._claim = Claim(self.path)
        except FileExistsError:
            others = "".join(f"\n  {line}" for line in holders(self.path))
            raise ArchiveInUse(f"{self.path} is being written by another process{others}") from None
        except OSError as error:
            # A sweep may have come between the two steps: as if another had been first.
            raise ArchiveError(f"cannot make {self.path}: {error.strerror}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import shutil

        shutil.rmtree(self.path, ignore_errors=True)
        if self._claim is not None:
            self._claim.release()
