"""What the relay tells the capture process of the terminal: frames on a stream that only the two of them hold.

A frame is kind (1 byte), monotonic time (u64, ns), length (u32), payload; little endian. Kinds: `T` opened (wall clock
u64, columns u16, rows u16, $TERM), `o` bytes to the screen, `i` bytes typed while they were echoed, `r` resized
(columns u16, rows u16), `x` bytes that were left out (u64), `c` closed (wall clock u64,
exit status i32, negative for a signal).

The launcher holds what is to be sent in a `Ring`. A stalled capture process fills it, and then what comes is counted
instead of kept: the agent's terminal waits for nobody. What has been sent lately is held as well, because a capture
process that is killed takes with it what it had not yet written; its successor is given that again.
"""

from __future__ import annotations

import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

HEAD = struct.Struct("<cQI")
SIZE = struct.Struct("<HH")
OPENING = struct.Struct("<QHH")
COUNT = struct.Struct("<Q")
CLOSING = struct.Struct("<Qi")
OPENED, OUTPUT, INPUT, RESIZED, MISSED, CLOSED = b"T", b"o", b"i", b"r", b"x", b"c"

MOST_WAITING = 8 * 1024 * 1024
MOST_KEPT = 8 * 1024 * 1024
KEPT_NS = 3_000_000_000
"""Longer than the capture process takes to have a piece of the screen safe."""
TOGETHER_NS, TOGETHER_BYTES = 1_000_000, 32 * 1024
"""Output within this time, up to this size, is one frame: a terminal hands over 4 KiB at most at a time."""


@dataclass(slots=True)
class Frame:
    """One happening. Only the newest frame of a ring still grows."""

    kind: bytes
    mono_ns: int
    payload: bytes | bytearray

    def encode(self) -> bytes:
        return HEAD.pack(self.kind, self.mono_ns, len(self.payload)) + self.payload

    @property
    def weight(self) -> int:
        return HEAD.size + len(self.payload)


def opened(mono_ns: int, wall_ns: int, size: tuple[int, int], term: str) -> bytes:
    """The frame with which each connection begins."""
    payload = OPENING.pack(wall_ns, *size) + term.encode("utf-8", "surrogateescape")
    return Frame(OPENED, mono_ns, payload).encode()


class Decoder:
    """Frames out of a stream in any slices. The stream has one writer, which sends whole frames or ends."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        self._buffer += data
        at = 0
        while len(self._buffer) - at >= HEAD.size:
            kind, mono_ns, length = HEAD.unpack_from(self._buffer, at)
            end = at + HEAD.size + length
            if end > len(self._buffer):
                break
            yield Frame(kind, mono_ns, bytes(self._buffer[at + HEAD.size : end]))
            at = end
        del self._buffer[:at]


class Ring:
    """Frames on their way. `put` may be called from any thread and never waits; the others are the sender's.

    `news` is told when there is something to take.
    """

    def __init__(
        self,
        size: tuple[int, int],
        *,
        waiting: int = MOST_WAITING,
        kept: int = MOST_KEPT,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self.news = threading.Condition()
        self.size = size
        """Columns and rows before the oldest frame that is held."""
        self._clock = clock
        self._waiting: deque[Frame] = deque()
        self._waits = 0
        self._most_waiting = waiting
        self._sent: deque[Frame] = deque()
        self._keeps = 0
        self._most_kept = kept
        self._missed = 0

    def put(self, kind: bytes, payload: bytes) -> None:
        """Take what has happened just now, or count its bytes as missed where there is no room."""
        with self.news:
            now, newest = self._clock(), self._waiting[-1] if self._waiting else None
            is_bytes = kind in (OUTPUT, INPUT)
            if is_bytes and self._waits + HEAD.size + len(payload) > self._most_waiting:
                self._missed += len(payload)
                return
            if self._missed:
                self._append(Frame(MISSED, now, COUNT.pack(self._missed)))
                self._missed = 0
            elif newest and kind == newest.kind == OUTPUT and _belongs(newest, now):
                newest.payload = newest.payload if isinstance(newest.payload, bytearray) else bytearray(newest.payload)
                newest.payload += payload
                self._waits += len(payload)
                return
            self._append(Frame(kind, now, payload))
            if newest is None:
                self.news.notify()

    def _append(self, frame: Frame) -> None:
        self._waiting.append(frame)
        self._waits += frame.weight

    def __bool__(self) -> bool:
        """Is there something to send?"""
        return bool(self._waiting)

    def take(self, most: int = 256 * 1024) -> bytes:
        """The next frames as they are to be sent, held on to for a while."""
        with self.news:
            pieces, taken = [], 0
            while self._waiting and taken < most:
                frame = self._waiting.popleft()
                self._waits -= frame.weight
                self._sent.append(frame)
                self._keeps += frame.weight
                pieces.append(frame.encode())
                taken += frame.weight
            while self._sent and (self._keeps > self._most_kept or self._is_old(self._sent[0])):
                frame = self._sent.popleft()
                self._keeps -= frame.weight
                if frame.kind == RESIZED:
                    self.size = SIZE.unpack(frame.payload)
            return b"".join(pieces)

    def _is_old(self, frame: Frame) -> bool:
        return self._sent[-1].mono_ns - frame.mono_ns > KEPT_NS

    def again(self) -> int:
        """What was sent lately is to be sent again. Returns the time of the oldest frame now held, or the present."""
        with self.news:
            self._waiting.extendleft(reversed(self._sent))
            self._waits += self._keeps
            self._sent.clear()
            self._keeps = 0
            return self._waiting[0].mono_ns if self._waiting else self._clock()


def _belongs(newest: Frame, now: int) -> bool:
    return now - newest.mono_ns < TOGETHER_NS and len(newest.payload) < TOGETHER_BYTES
