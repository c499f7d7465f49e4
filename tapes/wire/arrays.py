"""A decoder for one JSON array that comes in pieces: each element is the data of one event (events.Event).

Google's services stream so where no event stream is asked for. Only brackets and strings are looked at, each byte once
however the body is sliced; whether an element is JSON is for its reader to say. Memory is bounded: of an element longer
than `max_element` only its place is kept, and its `error` says so.
"""

from __future__ import annotations

from tapes.pattern import pattern
from tapes.wire.events import MAX_EVENT, SLICE, Event

_BLANK = b"\xef\xbb\xbf \t\r\n"
_IN_STRING = pattern(rb'["\\]')
_IN_ARRAY = pattern(rb'["\[\]{},]')
_DEEPER = pattern(rb'["\[\]{}]')


class ArrayDecoder:
    """Feed bytes, take elements. Never raises."""

    def __init__(self, *, max_element: int = MAX_EVENT) -> None:
        self._max = max_element
        self._buffer = bytearray()
        self._offset = self._scanned = 0
        """Of the buffer's first byte in the body; and where the next byte to look at stands in the buffer."""
        self._depth = 0
        self._dropped = 0
        """Bytes of the element under way that are gone: it is too long."""
        self._in_string = False
        self.closed = False
        """Whether the array's last bracket has come."""

    def feed(self, data: bytes) -> list[Event]:
        """The elements that these bytes complete."""
        events: list[Event] = []
        for at in range(0, len(data), SLICE):
            self._buffer += data[at : at + SLICE]
            self._scan(events)
            if len(self._buffer) > self._max:
                # A string's backslash that waits for its other half stays.
                self._dropped += self._scanned
                self._drop(self._scanned)
        return events

    def finish(self) -> list[Event]:
        """The body has ended: the element it broke off in, or what came after the array."""
        events: list[Event] = []
        self._element(len(self._buffer), events, terminated=False)
        return events

    def _scan(self, events: list[Event]) -> None:
        while not self.closed:
            pattern = _IN_STRING if self._in_string else _IN_ARRAY if self._depth == 1 else _DEEPER
            found = pattern.search(self._buffer, self._scanned)
            if found is None:
                break
            at, sign = found.start(), found[0]
            if sign == b"\\":
                if at + 1 == len(self._buffer):
                    self._scanned = at
                    return
                self._scanned = at + 2
                continue
            self._scanned = at + 1
            if sign == b'"':
                self._in_string = not self._in_string
            elif sign in b"[{":
                self._depth += 1
                if self._depth == 1:
                    self._drop(at + 1)
            elif sign == b"," or self._depth == 1:
                self._element(at, events, terminated=True)
                self._drop(1)
                self.closed = sign != b","
            else:
                self._depth -= 1
        self._scanned = len(self._buffer)

    def _element(self, end: int, events: list[Event], *, terminated: bool) -> None:
        """Take the buffer's beginning up to `end`."""
        data = bytes(self._buffer[:end])
        start = self._offset - self._dropped
        over = self._dropped + end > self._max
        self._dropped = 0
        self._drop(end)
        text = "" if over else data.strip(_BLANK).decode("utf-8", "surrogateescape")
        error = f"an element of more than {self._max} bytes" if over else None
        if text or error:
            events.append(Event("", text, "", None, start, self._offset, terminated, error))

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._offset += count
        self._scanned = max(0, self._scanned - count)
