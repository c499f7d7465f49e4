"""Small files of ours in the home directory: beside the archive and not in it, so that no rebuild loses them, and
reading them opens nothing."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tapes.archive.place import sync_directory
from tapes.errors import ArchiveError


def put(path: Path, text: str) -> None:
    """A crash leaves the old file or the new one. ArchiveError where it can not be written."""
    fresh = path.with_name(path.name + ".new")
    try:
        with open(fresh, "w", encoding="utf-8", opener=_private) as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        raise ArchiveError(f"cannot write {path}: {error.strerror}") from error
    sync_directory(path.parent)


@contextmanager
def held(home: Path) -> Iterator[None]:
    """Nobody else changes one of these files meanwhile: of two changes that are made at once both hold. ArchiveError
    where there is no such directory, or none for us."""
    try:
        handle = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise ArchiveError(f"cannot open {home}: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
