"""A run's pipe, into which the supervisors of its commands report. Standard library only: the launcher makes it.

A named pipe, because a sandbox that closes inherited descriptors and forbids sockets still lets its processes write to
one, even on a read-only disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import os

PIPE_BYTES = 1024 * 1024


def make_pipe(path: str) -> int:
    """Make the pipe and hold it open: the descriptor. While it is held nobody who writes meets a pipe without a reader,
    and what was written stays when a capture process dies. Raises OSError."""
    os.mkfifo(path, 0o600)
    held = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    with contextlib.suppress(OSError, AttributeError):  # a smaller one holds less while nobody reads
        fcntl.fcntl(held, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return held
