"""A decoder for bodies of JSON lines ("ndjson"): each line is the data of one event (events.Event).

Memory is bounded: of a line longer than `max_line` only its place is kept, and its `error` says so.
"""

from __future__ import annotations

from tapes.wire.events import MAX_EVENT, Event

_BLANK = b"\xef\xbb\xbf \t\r"


class LineDecoder:
    """Feed bytes, take lines; empty ones are none. Never raises."""

    def __init__(self, *, max_line: int = MAX_EVENT) -> None:
        self._max = max_line
        self._line = bytearray()
        self._size = self._offset = 0

    def feed(self, data: bytes) -> list[Event]:
        """The lines that these bytes complete."""
        *ends, rest = data.split(b"\n")
        events: list[Event] = []
        for end in ends:
            if not end and not self._size:  # a flood of empty lines is stepped over
                self._offset += 1
                continue
            self._add(end, 1)
            self._dispatch(events, terminated=True)
        self._add(rest, 0)
        return events

    def finish(self) -> list[Event]:
        """The body has ended: the line it broke off in. Many leave out the last line end."""
        events: list[Event] = []
        self._dispatch(events, terminated=False)
        return events

    def _add(self, piece: bytes, end: int) -> None:
        self._size += len(piece) + end
        if self._size <= self._max + end:
            self._line += piece
        else:
            self._line.clear()

    def _dispatch(self, events: list[Event], *, terminated: bool) -> None:
        start, self._offset = self._offset, self._offset + self._size
        error = f"a line of more than {self._max} bytes" if self._size > self._max + terminated else None
        text = bytes(self._line).strip(_BLANK).decode("utf-8", "surrogateescape")
        self._line.clear()
        self._size = 0
        if text or error:
            events.append(Event("", text, "", None, start, self._offset, terminated, error))
