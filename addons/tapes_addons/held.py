"""Files that say that a process lives: it holds a lock on one for as long as it does.

The system lets go of the lock whatever the process dies of, so that what it has left is known for what it is. A pid
would not tell: another process may have it now, and in a container every first process is number 1.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(path: Path, data: bytes) -> Iterator[Path]:
    """A file of this content is there, and locked, while the block runs. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        # Locked before it has its name: nobody ever sees it free.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.write(descriptor, data)
        draft.rename(path)
        yield path
    finally:
        path.unlink(missing_ok=True)
        draft.unlink(missing_ok=True)
        os.close(descriptor)


def content(path: Path) -> bytes | None:
    """What the file of a living process says; None where there is none. That of a dead one is removed."""
    try:
        with open(path, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read()
            path.unlink(missing_ok=True)
            return None
    except FileNotFoundError:
        return None
