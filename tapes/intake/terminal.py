"""The agent's terminal, as it happens, into `terminal` records: what went to the screen and what was typed, in order.

What is shown and what is typed are redacted each by itself, since an echo puts each letter of a secret twice. Sizes and
losses stand at their places among the bytes. At most 64 KiB or a second a record.
"""

from __future__ import annotations

from tapes.intake.drafting import Drafting, Spans
from tapes.intake.pieces import Piece, Pieces
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

RECORD_BYTES = 64 * 1024
RECORD_AGE_NS = 1_000_000_000
_EVENTS = 4096


class Terminal:
    """One session's terminal. Only the writer's thread touches it."""

    def __init__(self, drafting: Drafting) -> None:
        self._drafting = drafting
        self._pieces = Pieces(drafting.redactor)
        self._facts: dict[int, list[object]] = {}
        """What events that are no bytes say, by their piece."""
        self._opened: Moment | None = None
        self._term = ""
        self._size = (0, 0)
        self._count = 0
        self._oldest_ns = 0

    @property
    def live(self) -> bool:
        """Is there something that falls due by time?"""
        return bool(self._pieces)

    def take(self, told: TerminalHappening) -> None:
        match told:
            case TerminalOpened():
                self._open(told)
            case TerminalOutput():
                self._feed(told.mono_ns, "o", told.data)
            case TerminalInput():
                self._feed(told.mono_ns, "i", told.data)
            case TerminalResized():
                self._event(told.mono_ns, "r", told.columns, told.rows)
            case TerminalMissed():
                self._event(told.mono_ns, "x", told.bytes)
            case TerminalClosed():
                self.end(told.at)

    def write_due(self, now_ns: int) -> None:
        """Draft what has waited long enough (`now_ns`: monotonic)."""
        if self._pieces and now_ns - self._oldest_ns >= RECORD_AGE_NS:
            self._write(self._pieces.take())
            self._oldest_ns = now_ns

    def end(self, at: Moment) -> None:
        """It is closed, or nobody looks any more."""
        if self._opened is None:
            return
        self._write(self._pieces.finish())
        self._draft(at, [], last=True)
        self._opened = None

    def go_on(self, count: int, columns: int, rows: int) -> None:
        """Another capture process wrote the first `count` records of it."""
        self._opened, self._count, self._size = Moment.now(), count, (columns, rows)

    def _open(self, told: TerminalOpened) -> None:
        if self._opened is not None:  # it is told again to each capture process that takes over
            if self._size != (told.columns, told.rows):
                self._event(told.at.mono_ns, "r", told.columns, told.rows)
            return
        self._opened, self._size = told.at, (told.columns, told.rows)
        self._term = self._drafting.clean(told.term, "term", [])
        self._draft(told.at, [], last=False)  # its size, before anything is shown

    def _feed(self, mono_ns: int, kind: str, data: bytes) -> None:
        self._begin(mono_ns)
        self._pieces.feed(mono_ns, kind, data)
        if self._pieces.raw >= RECORD_BYTES:
            self._write(self._pieces.take())

    def _event(self, mono_ns: int, kind: str, *facts: object) -> None:
        self._begin(mono_ns)
        self._facts[self._pieces.feed(mono_ns, kind, b"").n] = list(facts)

    def _begin(self, mono_ns: int) -> None:
        if self._opened is None:  # how it began was not told
            now = Moment.now()
            self._opened = Moment(now.wall_ns - now.mono_ns + mono_ns, mono_ns)
        if not self._pieces:
            self._oldest_ns = mono_ns

    def _write(self, pieces: list[Piece]) -> None:
        ready: list[Piece] = []
        size = 0
        for piece in pieces:
            if ready and (size + len(piece.data) > RECORD_BYTES or len(ready) >= _EVENTS):
                self._draft(self._moment(ready[0].mono_ns), ready, last=False)
                ready, size = [], 0
            ready.append(piece)
            size += len(piece.data)
        if ready:
            self._draft(self._moment(ready[0].mono_ns), ready, last=False)

    def _draft(self, at: Moment, pieces: list[Piece], *, last: bool) -> None:
        data, events, spans = bytearray(), list[list[object]](), Spans()
        columns, rows = self._size
        before = at.mono_ns
        for piece in pieces:
            spans += [["data", len(data) + offset, size, rule] for offset, size, rule in piece.marks]
            data += piece.data
            facts = self._facts.pop(piece.n, [len(piece.data)])
            delta_us = max(0, (piece.mono_ns - before) // 1000)
            events.append([delta_us, piece.stream, *facts])
            before += delta_us * 1000  # what was rounded off is in the next one: the sum says when the last event was
            if piece.stream == "r":
                self._size = int(str(facts[0])), int(str(facts[1]))
        body: dict[str, object] = {
            "n": self._count,
            "columns": columns,
            "rows": rows,
            "data": self._drafting.stored(bytes(data)) if data else None,
            "events": events,
        }
        further = {"term": self._term, "last": last, "redactions": spans}
        self._drafting.draft("terminal", at, body | {name: value for name, value in further.items() if value})
        self._count += 1

    def _moment(self, mono_ns: int) -> Moment:
        assert self._opened is not None
        return Moment(self._opened.wall_ns + mono_ns - self._opened.mono_ns, mono_ns)
