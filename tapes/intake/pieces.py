"""Several streams that are redacted each by itself, given out in the order in which their pieces came.

Each stream by itself, because a line on standard error may stand in the middle of a key on standard output, as what
is echoed stands between what is typed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from tapes.values import dataclass, field
from tapes.wire.redact import PieceRedactor, Redactor, Released

TOGETHER_NS = 5_000_000
"""What one stream says within this time is one piece: programs write letter by letter."""
_PIECE_BYTES = 32 * 1024
_MOST_WAITING = 1024 * 1024
"""Bytes of other streams that wait for one that is held back. Then that one is judged as it stands."""


@dataclass(slots=True, eq=False)
class Piece:
    """What a stream said at one time, redacted."""

    n: int
    mono_ns: int
    stream: str
    raw: int = 0
    """Bytes that came in."""
    data: bytearray = field(default_factory=bytearray)
    marks: list[tuple[int, int, str]] = field(default_factory=list)
    """Offset, length and rule of each marker."""

    def add(self, released: Released[Piece]) -> None:
        if released.rule:
            self.marks.append((len(self.data), len(released.data), released.rule))
        self.data += released.data


class Pieces:
    """The streams of one command, or of one terminal. Only the writer's thread touches it."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._streams: dict[str, PieceRedactor[Piece]] = {}
        self._queue: deque[Piece] = deque()
        self._count = 0
        self.raw = 0
        """Bytes that came in since something was taken out."""

    def __bool__(self) -> bool:
        return bool(self._queue)

    def feed(self, mono_ns: int, stream: str, data: bytes) -> Piece:
        """Take a piece in, and what it is part of. One without data stands for an event at its place."""
        last = self._queue[-1] if self._queue else None
        if last is None or not data or not _goes_on(last, mono_ns, stream):
            self._count += 1
            last = Piece(self._count, mono_ns, stream)
            self._queue.append(last)
        self.raw += len(data)
        last.raw += len(data)
        if data:
            redactor = self._streams.setdefault(stream, PieceRedactor(self._redactor))
            _add(redactor.feed(last, data))
        if self.raw > _MOST_WAITING:
            self._force()
        return last

    def take(self) -> list[Piece]:
        """What is final, in order."""
        for redactor in self._streams.values():
            _add(redactor.due())
        return list(self._final())

    def finish(self) -> list[Piece]:
        """Everything; what may be an unfinished secret is judged as it stands."""
        for redactor in self._streams.values():
            _add(redactor.finish())
        return list(self._final())

    def _force(self) -> None:
        held = self._held()
        for redactor in self._streams.values():
            _add(redactor.finish() if redactor.held is held else redactor.due())

    def _held(self) -> Piece | None:
        held = [redactor.held for redactor in self._streams.values() if redactor.held is not None]
        return min(held, key=lambda piece: piece.n, default=None)

    def _final(self) -> Iterator[Piece]:
        held = self._held()
        self.raw = 0
        while self._queue and (held is None or self._queue[0].n < held.n):
            yield self._queue.popleft()


def _goes_on(last: Piece, mono_ns: int, stream: str) -> bool:
    return last.stream == stream and mono_ns - last.mono_ns <= TOGETHER_NS and 0 < last.raw < _PIECE_BYTES


def _add(released: list[Released[Piece]]) -> None:
    for part in released:
        part.tag.add(part)
