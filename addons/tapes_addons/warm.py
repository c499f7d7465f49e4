"""A capture process that is started before it is known what to capture.

Importing the proxy takes it most of a second. So `tapes run` starts one as its very first deed, and finds out what the
run is to do while that imports; the plan and the listening socket follow over the line between them. Should there be no
plan in the end, the line closes and it leaves. Standard library only.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from dataclasses import dataclass

RECORDER = ("-P", "-m", "tapes_addons.recorder")
"""-P: the directory that the user is in must not lend it modules."""


@dataclass(frozen=True, slots=True)
class Warm:
    """A capture process that waits for its plan: a child of this process, and of what it becomes by exec."""

    pid: int
    line: int
    """Descriptor of our end of its control socket."""


def start() -> Warm | None:
    """Start one; None where the system can not (then the launcher starts it, later)."""
    ours, theirs = socket.socketpair()
    null = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0)
    both = [(os.POSIX_SPAWN_DUP2, 0, number) for number in (1, 2)]
    try:
        theirs.set_inheritable(True)
        # A session of its own: a Ctrl-C meant for the agent does not reach it.
        words = [sys.executable, *RECORDER, str(theirs.fileno())]
        pid = os.posix_spawn(sys.executable, words, os.environ, file_actions=[null, *both], setsid=True)
    except (OSError, NotImplementedError):
        ours.close()
        return None
    finally:
        theirs.close()
    return Warm(pid, ours.detach())


class Child:
    """Of a process that this one has not started with subprocess: what the launcher does with any of its children."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._over = False

    def poll(self) -> int | None:
        """None while it runs. Its status is nobody's concern: it says how it went over its line."""
        if not self._over:
            try:
                self._over = os.waitpid(self.pid, os.WNOHANG)[0] == self.pid
            except ChildProcessError:
                self._over = True
        return 0 if self._over else None

    def wait(self, timeout: float) -> None:
        """Wait for its end, at most `timeout` seconds: TimeoutError when it still runs then."""
        until = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > until:
                raise TimeoutError
            time.sleep(0.005)

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, 9)
