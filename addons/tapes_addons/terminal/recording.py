"""The launcher's end of the screen's recording: a ring, and a thread that empties it towards the capture process.

Capture processes come and go; each gets a line of its own, on which the first frame says how large the screen was.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time

from tapes_addons.terminal import tape

FLUSH_S = 2.0
"""How long the end waits for the capture process to have taken what was recorded."""
GATHER_S = 0.005


class Recording:
    """`put`, `resized` and `close` never wait for the capture process, apart from the last for FLUSH_S."""

    def __init__(self, term: str, size: tuple[int, int]) -> None:
        self._term = term
        self._ring = tape.Ring(size)
        self.put = self._ring.put
        self._line: socket.socket | None = None
        self._is_new = False
        self._closing = False
        self._flushed = threading.Event()
        threading.Thread(target=self._send, name="tapes-tape", daemon=True).start()

    def attach(self, line: socket.socket) -> None:
        """There is a capture process, and this is its line; one that there was before is gone."""
        self.detach()
        with self._ring.news:
            self._line, self._is_new = line, True
            self._ring.news.notify()

    def detach(self) -> None:
        """The capture process is gone."""
        line, self._line = self._line, None
        if line is not None:
            with contextlib.suppress(OSError):  # gone already
                line.shutdown(socket.SHUT_RDWR)  # a thread in the middle of sending is not to wait on

    def resized(self, size: tuple[int, int]) -> None:
        self._ring.put(tape.RESIZED, tape.SIZE.pack(*size))

    def close(self, status: int) -> None:
        """The agent's terminal is closed: have that said, and the line ended behind it."""
        self._ring.put(tape.CLOSED, tape.CLOSING.pack(time.time_ns(), status))
        with self._ring.news:
            self._closing = True
            self._ring.news.notify()
        if self._line is not None:
            self._flushed.wait(FLUSH_S)

    def _send(self) -> None:
        while True:
            with self._ring.news:
                self._ring.news.wait_for(lambda: self._line and (self._is_new or self._ring or self._closing))
                line, is_new, closing = self._line, self._is_new, self._closing
                self._is_new = False
            if line is None:
                continue
            try:
                if is_new:
                    line.sendall(self._opening())
                while self._ring:
                    line.sendall(self._ring.take())
                if closing:
                    line.shutdown(socket.SHUT_WR)
                    self._flushed.set()
            except OSError:
                # Who watches the process will bring the line of the next one; what was sent is given to that again.
                if self._line is line:
                    self._line = None
                continue
            if closing:
                self._line = None
            time.sleep(GATHER_S)

    def _opening(self) -> bytes:
        mono_ns = self._ring.again()
        return tape.opened(mono_ns, time.time_ns() - time.monotonic_ns() + mono_ns, self._ring.size, self._term)
