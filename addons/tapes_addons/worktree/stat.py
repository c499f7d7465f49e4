"""What `lstat` says of a file, as far as it tells one state of it from another."""

from __future__ import annotations

import os
import stat
from typing import NamedTuple

RACY_NS = 20_000_000
"""Two changes so close together may get the same time: kernels stamp files with a clock that ticks every few
milliseconds. What was read so soon after its last change is looked at again."""


class Stat(NamedTuple):
    mode: int
    """With the file type."""
    size: int
    mtime_ns: int
    ctime_ns: int
    ino: int
    dev: int
    links: int = 1

    @property
    def is_dir(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.mode)

    @property
    def kind(self) -> str:
        """As tapes.record.listing names it."""
        return "dir" if self.is_dir else "file" if self.is_file else "link" if self.is_link else "other"

    def is_racy(self, read_ns: int) -> bool:
        """May it have changed again, unseen, after it was read at that time?"""
        return max(self.ctime_ns, self.mtime_ns) > read_ns - RACY_NS


def of(found: os.stat_result) -> Stat:
    return Stat(
        found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev, found.st_nlink
    )


def look(path: bytes) -> Stat | None:
    """None when there is nothing by that name, or nothing that may be looked at."""
    try:
        return of(os.lstat(path))
    except OSError:
        return None
