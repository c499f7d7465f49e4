"""A thread that gives way to everybody, and one that does not.

Looking, reading and hashing is done by a thread of the lowest priority. Committing is not: whoever holds the archive's
write lock is waited for by the capture process, so that thread keeps its rights; it has little to do. On Linux all of
these hold for the calling thread alone; elsewhere only the whole process can give way, and does.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import sys

_IOPRIO_SET = {"x86_64": 251, "aarch64": 30, "riscv64": 30, "loongarch64": 30}
_WHO_PROCESS, _IDLE = 1, 3 << 13


def give_way() -> None:
    """The calling thread from now on runs when nobody else wants to. What the system refuses, is left."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, 0, 19)
    with contextlib.suppress(OSError, AttributeError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    number = _IOPRIO_SET.get(platform.machine()) if sys.platform == "linux" else None
    if number is not None:
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).syscall(number, _WHO_PROCESS, 0, _IDLE)
