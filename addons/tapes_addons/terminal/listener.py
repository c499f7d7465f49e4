"""The capture process's end of the screen's recording: frames to values for the writer.

Where the agent is a person's shell with our prompt, the commands that its marks tell of are handed on too, after the
output in which the marks stood.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable

from tapes.archive.base import Archive
from tapes.record.digest import Digest
from tapes.wire.command import CommandHappening
from tapes.wire.exchange import Moment
from tapes.wire.terminal import (
    TerminalClosed,
    TerminalHappening,
    TerminalInput,
    TerminalMissed,
    TerminalOpened,
    TerminalOutput,
    TerminalResized,
)
from tapes_addons.terminal import tape
from tapes_addons.terminal.marks import Marks

CHUNK = 256 * 1024

logger = logging.getLogger("tapes")


class Listener:
    """A thread that reads `line` to its end.

    `put` takes each value, on that thread. Events up to `seen_ns` (monotonic) are left out: the capture process before
    this one has them safe, and the launcher gives again what it sent lately.
    """

    def __init__(
        self,
        line: socket.socket,
        put: Callable[[TerminalHappening | CommandHappening], object],
        marks: Marks | None = None,
        seen_ns: int = 0,
    ) -> None:
        self._line = line
        self._put = put
        self._marks = marks
        self._seen_ns = seen_ns
        self._wall_less_mono_ns = 0
        self._thread = threading.Thread(target=self._listen, name="tapes-terminal", daemon=True)
        self._thread.start()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of the line; False when it did not come."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _listen(self) -> None:
        decoder = tape.Decoder()
        try:
            while data := self._line.recv(CHUNK):
                for frame in decoder.feed(data):
                    if frame.kind == tape.OPENED or frame.mono_ns > self._seen_ns:
                        self._take(frame)
        except OSError as error:
            logger.warning("the screen is not recorded any more: %s", error)

    def _take(self, frame: tape.Frame) -> None:
        value = self._value(frame)
        if value is None:
            return
        self._put(value)
        if self._marks is not None:
            for told in self._marks.take(value, self._wall_less_mono_ns):
                self._put(told)

    def _value(self, frame: tape.Frame) -> TerminalHappening | None:
        at, payload = frame.mono_ns, bytes(frame.payload)
        match frame.kind:
            case tape.OUTPUT:
                return TerminalOutput(at, payload)
            case tape.INPUT:
                return TerminalInput(at, payload)
            case tape.OPENED:
                wall_ns, columns, rows = tape.OPENING.unpack_from(payload)
                self._wall_less_mono_ns = wall_ns - at
                term = payload[tape.OPENING.size :].decode("utf-8", "replace")
                return TerminalOpened(Moment(wall_ns, at), columns, rows, term)
            case tape.RESIZED:
                return TerminalResized(at, *tape.SIZE.unpack(payload))
            case tape.MISSED:
                return TerminalMissed(at, *tape.COUNT.unpack(payload))
            case tape.CLOSED:
                wall_ns, status = tape.CLOSING.unpack(payload)
                if self._marks is not None:
                    self._marks.shell_status = status
                return TerminalClosed(Moment(wall_ns, at))
        logger.warning("a frame of an unknown kind: %r", frame.kind)
        return None


def last_seen(archive: Archive, session: Digest) -> int:
    """The time (monotonic, ns) of the last event in a session's `terminal` records; 0 where there is none.

    Events are kept in microseconds, and the reading of them rounds down: what happened within the last one is taken
    for seen.
    """
    found = 0
    for _, record in archive.session_records(session):
        if record.type == "terminal":
            found = record.mono_ns + sum(event[0] for event in record.body["events"]) * 1000 + 999
    return found
