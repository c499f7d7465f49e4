"""An event-stream decoder: bytes in any slices, events out (WHATWG HTML §9.2.6, "server-sent events").

However the bytes are sliced, the same events come out. Two liberties against the standard: bytes that are no
UTF-8 survive as surrogate escapes where a browser would replace them, and an event that the stream's end cut
off is returned, marked, where a browser would discard it: many providers leave out the last blank line.

Memory is bounded: of an event larger than `max_event` only its place is kept, and its `error` says so. `feed`
returns all events of its slice at once, so a caller with a whole body at hand feeds it in slices (`SLICE`).
"""

from __future__ import annotations

from tapes.pattern import pattern
from tapes.values import dataclass

MAX_EVENT = 64 * 1024 * 1024
SLICE = 64 * 1024

_NAME = 4096
"""Bytes of an event's type or id that are kept."""
_KEPT = 2 * _NAME
_BOM = b"\xef\xbb\xbf"
_LINE_END = pattern(rb"\r\n|\n|\r(?!\Z)")
"""A CR in the last place is left until the next byte is known: it may be half of a CRLF."""
_NO_LINES = pattern(rb"[\r\n]*")
_PLAIN = pattern(rb"(?:event: ?([^\r\n]{0,%d})\n)?data: ?([^\r\n]*)\n\n" % _NAME)
"""An event as nearly all are: taken at once."""


@dataclass(frozen=True, slots=True)
class Event:
    """One dispatched event."""

    event: str
    """Its type; empty where the stream names none (a browser would say `message`)."""
    data: str
    """Data lines joined by LF; bytes that are no UTF-8 are surrogate escapes."""
    id: str
    """The last id the stream has given, with this event or an earlier one."""
    retry: int | None
    start: int
    """Offset of its first byte in the stream, comments before it included."""
    end: int
    """Offset after its blank line."""
    terminated: bool = True
    """False: the stream ended before the blank line."""
    error: str | None = None


class EventDecoder:
    """Feed bytes, take events. Never raises."""

    def __init__(self, *, max_event: int = MAX_EVENT) -> None:
        self._max = max_event
        self._buffer = bytearray()
        self._offset = 0
        """Of the buffer's first byte in the stream."""
        self._scanned = 0
        self._begun = False
        self._last_id = ""
        self._start_event(0)

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes complete."""
        events: list[Event] = []
        for at in range(0, len(data), SLICE):
            self._buffer += data[at : at + SLICE]
            self._lines(events)
        return events

    def finish(self) -> list[Event]:
        """The stream has ended: the event it broke off in, if that has any data."""
        events: list[Event] = []
        line = bytes(self._buffer)
        self._buffer.clear()
        self._begun, self._scanned = True, 0
        self._offset += len(line)
        if line:
            # A lone CR at the very end is a line end after all; a line without an end is taken as it is.
            self._take_line(line.removesuffix(b"\r"), self._offset, events)
        self._dispatch(self._offset, events, terminated=False)
        return events

    def _start_event(self, offset: int) -> None:
        self._start = offset
        self._name = ""
        self._data: list[bytes] = []
        self._has_data = False
        self._retry: int | None = None
        self._size = 0
        self._over = False

    def _lines(self, events: list[Event]) -> None:
        if not self._begun and not self._skip_bom():
            return
        buffer, at, scan = self._buffer, 0, self._scanned
        while True:
            if not self._size:
                # Before an event every line end is an empty line, whatever comes after it: a flood of them is one step.
                after = _NO_LINES.match(buffer, at).end()  # type: ignore[union-attr]
                if after > at:
                    at, self._start = after, self._offset + after
                # Not where the beginning of its first line was looked at: each byte is, a few times at most.
                plain = _PLAIN.match(buffer, at) if scan <= at and not self._over else None
                if plain is not None and plain.end() - at <= self._max:
                    at = scan = plain.end()
                    end = self._offset + at
                    name, data = plain.groups(b"")
                    events.append(Event(_text(name), _text(data), self._last_id, None, self._start, end))
                    self._start = end
                    continue
            found = _LINE_END.search(buffer, max(scan, at))
            if found is None:
                break
            start, scan = found.span()
            self._take_line(bytes(buffer[at:start]), self._offset + scan, events)
            at = scan
        del buffer[:at]
        self._offset += at
        if len(self._buffer) > max(self._max, _KEPT):
            # One endless line: its beginning is enough to know which field it is.
            self._over = True
            self._offset += len(self._buffer) - _KEPT
            del self._buffer[_KEPT:]
        # The last byte is looked at again: it may be the CR that waits for its LF.
        self._scanned = max(0, len(self._buffer) - 1)

    def _skip_bom(self) -> bool:
        """False while the first bytes may still become a byte order mark."""
        if len(self._buffer) < len(_BOM) and _BOM.startswith(self._buffer):
            return False
        self._begun = True
        if self._buffer.startswith(_BOM):
            del self._buffer[: len(_BOM)]
            self._offset = len(_BOM)
            self._start_event(self._offset)
        return True

    def _take_line(self, line: bytes, end: int, events: list[Event]) -> None:
        if not line:
            self._dispatch(end, events, terminated=True)
            return
        self._size += len(line) + 1
        self._over = self._over or self._size > self._max
        if line.startswith(b":"):
            return
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._has_data = True
            if self._over:
                self._data.clear()
            else:
                self._data.append(value)
        elif name == b"event":
            self._name = _text(value[:_NAME])
        elif name == b"id" and b"\0" not in value:
            self._last_id = _text(value[:_NAME])
        elif name == b"retry" and value.isdigit() and len(value) <= 18:
            self._retry = int(value)

    def _dispatch(self, end: int, events: list[Event], *, terminated: bool) -> None:
        if self._has_data:
            error = f"an event of more than {self._max} bytes" if self._over else None
            data = "" if self._over else _text(b"\n".join(self._data))
            events.append(Event(self._name, data, self._last_id, self._retry, self._start, end, terminated, error))
        self._start_event(end)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
