"""The reports of witnessed commands, as they come out of the run's pipe.

The launcher made the pipe and holds it open for the run's whole life, so what is written while no capture process
reads waits in it; whoever reads it next takes it up. Reading is a thread of its own: the proxy's loop does not wait for
commands, nor they for it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
import time
from collections.abc import Callable

from tapes.wire.command import CommandHappening, CommandsMissed
from tapes.wire.exchange import Moment
from tapes_addons.terminal.frames import FrameReader

READ_BYTES = 1024 * 1024
QUIET_S = 0.02
"""Supervisors leave only once their frames are in the pipe: when it has been empty for so long, all is said."""
LOOK_S = 1.0

logger = logging.getLogger(__name__)


class Reports:
    """Reads a run's pipe until it is closed."""

    def __init__(self, path: str, nonce: bytes, put: Callable[[CommandHappening], object]) -> None:
        """Raises OSError where there is no such pipe."""
        self._path = path
        self._pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._in_place = True
        self._wake, self._end = os.pipe()
        self._reader = FrameReader(nonce)
        self._put = put
        self._busy_ns = time.monotonic_ns()
        self._thread = threading.Thread(target=self._run, name="tapes-commands", daemon=True)
        self._thread.start()

    def finish(self, timeout_s: float) -> None:
        """The agent has gone: take what is still in the pipe, wait a moment for more, and end."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until and self._thread.is_alive():
            quiet = (time.monotonic_ns() - self._busy_ns) / 1e9
            if quiet > QUIET_S and not self._waiting():
                break
            time.sleep(QUIET_S / 4)
        with contextlib.suppress(OSError):
            os.write(self._end, b"e")
        self._thread.join(1)

    def _waiting(self) -> bool:
        return bool(select.select([self._pipe], [], [], 0)[0])

    def _run(self) -> None:
        while True:
            ready, _, _ = select.select([self._pipe, self._wake], [], [], LOOK_S)
            self._look()
            if self._pipe in ready:
                try:
                    data = os.read(self._pipe, READ_BYTES)
                except BlockingIOError:
                    continue
                if data:
                    self._busy_ns = time.monotonic_ns()
                    self._take(data)
                else:
                    # No writer at all: the launcher has died. The next one may still open it.
                    time.sleep(QUIET_S)
            if self._wake in ready:
                for happening in self._reader.finish():
                    self._put(happening)
                return

    def _look(self) -> None:
        """Is the pipe still where commands look for it? Without it they run as ever, and report nothing."""
        try:
            there = self._in_place and os.path.samestat(os.lstat(self._path), os.fstat(self._pipe))
        except OSError:
            there = False
        if self._in_place and not there:
            self._in_place = False
            reason = "the pipe for reports was taken away or replaced: commands since then are not seen"
            self._put(CommandsMissed(Moment.now(), reason, frames=1))

    def _take(self, data: bytes) -> None:
        try:
            for happening in self._reader.feed(data):
                self._put(happening)
        except Exception:
            # A defect of ours in reading one frame must not end the witness of all later commands.
            logger.exception("could not read reports of commands")
