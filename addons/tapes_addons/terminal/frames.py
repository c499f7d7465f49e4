"""Reports of witnessed commands: bytes of the run's pipe, in any slices, to command happenings.

A report is one or more frames of at most PIPE_BUF bytes, each written with one write(2), so that writers never mix.
All is little endian. A frame is a header of 48 bytes and its payload:

    "TPS1" · nonce of the run (8) · command id (16, random) · kind (1) · flags (1) · payload length (u16) ·
    number (u32, per command from 0, so that a hole is a lost frame; 0xffffffff: outside of the counting) ·
    CLOCK_MONOTONIC in ns (u64) · 0 (u32)

    S start, R refined, X exec attempt
                fields: tag (u8), length (u32), bytes; over several frames while flag bit 0 is set
    O output    stream `o`, `e` or `m`, then bytes
    E ended     status i32 (-1: none), signal i32 (0: none); u64 each: duration ns, user µs, system µs, max RSS KiB,
                bytes dropped; open (u8), wall ns (u64)
    C closed    bytes dropped (u64)
    L lost      frames, bytes (u64 each) that the witness itself could not keep
    D           the deep witness could not be set up; no payload

Tags: 1 a word of argv, 2 cwd, 3 "NAME=VALUE", 4 pid, ppid, pgid (u64 each), 5 wall ns (u64), 6 level (`s` supervisor,
`t` trap, `p` prompt), 7 id of the command it runs in, 8 is a terminal (u8).

The agent's own commands can write to the pipe too. So nothing here trusts a frame: whatever does not fit is skipped
and counted, and the nonce only keeps stray reports apart; it is no proof. An end with neither status nor signal
becomes `CommandLost`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence

from tapes.values import dataclass, field
from tapes.wire.command import (
    CommandClosed,
    CommandEnded,
    CommandExec,
    CommandHappening,
    CommandLost,
    CommandOutput,
    CommandRefined,
    CommandsMissed,
    CommandStarted,
    Level,
    Stream,
)
from tapes.wire.exchange import Moment

MAGIC = b"TPS1"
HEADER = struct.Struct("<4s8s16scBHIQI")
ENDED = struct.Struct("<iiQQQQQBQ")
FIELD = struct.Struct("<BI")
FRAME = 4096
ROOM = FRAME - HEADER.size
MORE = 1
UNCOUNTED = 0xFFFFFFFF
MAX_REPORT = 8 * 1024 * 1024
"""A report of several frames that is larger is dropped: the kernel allows about 2 MiB of arguments and environment."""
MOST = 1 << 56
"""No count and no duration is larger: what is added up of them still fits a record."""
DAY_NS = 24 * 3600 * 1_000_000_000
MAX_COMMANDS = 4096
"""Commands whose frames are counted at once; the oldest is forgotten first."""

_LEVELS: dict[bytes, Level] = {b"s": "supervisor", b"t": "trap", b"p": "prompt"}
_STREAMS: dict[bytes, Stream] = {b"o": "o", b"e": "e", b"m": "m"}


@dataclass(slots=True)
class _Command:
    """What has to be remembered between frames of one command."""

    next: int | None = None
    parts: dict[bytes, bytearray] = field(default_factory=dict)


class _Bad(ValueError):
    """A frame that no witness writes."""


class FrameReader:
    """Feed it what came out of the pipe; `finish` when nothing more will come."""

    def __init__(self, nonce: bytes, now: Callable[[], Moment] = Moment.now) -> None:
        self._nonce = nonce
        self._now = now
        self._buffer = bytearray()
        self._commands: dict[bytes, _Command] = {}
        self._shallow = False
        self.foreign = 0
        """Frames of another run."""
        self.skipped = 0
        """Bytes that were no frame."""

    def feed(self, data: bytes) -> list[CommandHappening]:
        """What is whole by now, in the order it came."""
        self._buffer += data
        found: list[CommandHappening] = []
        skipped = self.skipped
        at = 0
        while (size := self._frame_at(at)) > 0:
            if size == 1:  # no frame begins here
                next_at = self._buffer.find(MAGIC[:1], at + 1)
                next_at = len(self._buffer) if next_at < 0 else next_at
                self.skipped += next_at - at
                at = next_at
                continue
            found.extend(self._frame(bytes(self._buffer[at : at + size])))
            at += size
        del self._buffer[:at]
        if self.skipped > skipped:
            found.append(self._missed("bytes that are no report", size=self.skipped - skipped))
        return found

    def finish(self) -> list[CommandHappening]:
        """What was cut off, told as missed."""
        left, self._buffer = len(self._buffer), bytearray()
        parts = sum(len(command.parts) for command in self._commands.values())
        self._commands.clear()
        return [self._missed("a report that was cut off", frames=parts, size=left)] if left or parts else []

    def _frame_at(self, at: int) -> int:
        """Size of the frame that begins here; 1 when none does, 0 when that is not to be told yet."""
        there = self._buffer[at : at + HEADER.size]
        if not MAGIC.startswith(there[:4]) and there[:4] != MAGIC:
            return 1
        if len(there) < HEADER.size:
            return 0
        length = int.from_bytes(there[30:32], "little")
        if length > ROOM or there[44:48] != b"\0\0\0\0":
            return 1
        return HEADER.size + length if len(self._buffer) - at >= HEADER.size + length else 0

    def _frame(self, frame: bytes) -> Iterator[CommandHappening]:
        _, nonce, key, kind, flags, _, number, mono_ns, _ = HEADER.unpack_from(frame)
        if nonce != self._nonce:
            self.foreign += 1
            yield self._missed("a report of another run", frames=1)
            return
        mono_ns = min(mono_ns, self._now().mono_ns)  # a namespace may have a clock of its own, as a forger has
        command = self._command(key)
        if number != UNCOUNTED:
            if command.next is not None and number > command.next:
                command.parts.clear()  # its middle may be what is missing
                yield self._missed("reports of a command are missing", frames=number - command.next)
            command.next = number + 1
        try:
            yield from self._read(command, key, kind, bool(flags & MORE), frame[HEADER.size :], mono_ns)
        except (struct.error, ValueError):
            yield self._missed("a report that can not be read", frames=1)

    def _command(self, key: bytes) -> _Command:
        command = self._commands.get(key)
        if command is None:
            if len(self._commands) >= MAX_COMMANDS:
                del self._commands[next(iter(self._commands))]
            command = self._commands[key] = _Command()
        return command

    def _read(
        self, command: _Command, key: bytes, kind: bytes, more: bool, data: bytes, mono_ns: int
    ) -> Iterator[CommandHappening]:
        name = key.hex()
        if kind in (b"S", b"R", b"X"):
            part = command.parts.setdefault(kind, bytearray())
            part += data
            if len(part) > MAX_REPORT:
                del command.parts[kind]
                raise _Bad
            if not more:
                yield self._told(name, kind, _fields(bytes(command.parts.pop(kind))), mono_ns)
        elif kind == b"O":
            if data[:1] not in _STREAMS:
                raise _Bad
            yield CommandOutput(name, mono_ns, _STREAMS[data[:1]], data[1:])
        elif kind == b"E":
            yield self._ended(name, data, mono_ns)
        elif kind == b"C":
            (dropped,) = struct.unpack("<Q", data)
            yield CommandClosed(name, self._moment(mono_ns), min(dropped, MOST))
        elif kind == b"L":
            frames, size = struct.unpack("<QQ", data)
            frames, size = min(frames, MOST), min(size, MOST)
            yield CommandsMissed(self._moment(mono_ns), "the pipe was full for too long", frames, size)
        elif kind == b"D":
            if not self._shallow:  # what is in the way of one is in the way of all: said once
                self._shallow = True
                yield self._missed("the deep witness could not be set up: programs below commands are not seen")
        else:
            raise _Bad

    def _told(self, name: str, kind: bytes, told: list[tuple[int, bytes]], mono_ns: int) -> CommandHappening:
        argv = tuple(value for tag, value in told if tag == 1)
        one = {tag: value for tag, value in told if tag not in (1, 3)}
        at = self._moment(mono_ns, int.from_bytes(_sized(one.get(5, bytes(8)), 8), "little"))
        pid, ppid, pgid = struct.unpack("<QQQ", one.get(4, bytes(24)))
        if kind == b"R":
            return CommandRefined(name, at, argv)
        if kind == b"X":
            return CommandExec(name, mono_ns, pid, ppid, argv, one.get(2, b""))
        environ = [value.partition(b"=") for tag, value in told if tag == 3]
        return CommandStarted(
            name,
            at,
            _LEVELS.get(one.get(6, b"s"), "supervisor"),
            argv,
            one.get(2, b""),
            pid,
            ppid,
            pgid,
            tuple((variable, value) for variable, _, value in environ),
            _sized(one[7], 16).hex() if 7 in one else "",
            one.get(8, b"\0") != b"\0",
        )

    def _ended(self, name: str, data: bytes, mono_ns: int) -> CommandHappening:
        status, signal, duration, user, system, rss, dropped, is_open, wall_ns = ENDED.unpack(data)
        duration, user, system, rss, dropped = (min(n, MOST) for n in (duration, user, system, rss, dropped))
        at = self._moment(mono_ns, wall_ns)
        if not is_open:
            self._commands.pop(bytes.fromhex(name), None)
        if status < 0 and signal <= 0:
            return CommandLost(name, at, "its witness saw no end")
        return CommandEnded(
            name,
            at,
            None if signal > 0 else status,
            signal if signal > 0 else None,
            duration,
            user,
            system,
            rss,
            dropped,
            bool(is_open),
            is_open == 2,
        )

    def _moment(self, mono_ns: int, wall_ns: int = 0) -> Moment:
        """What a report says of the wall clock counts where it can be: that may have been set since, not by a day."""
        now = self._now()
        ours = now.wall_ns - now.mono_ns + mono_ns
        return Moment(wall_ns if wall_ns and abs(wall_ns - ours) < DAY_NS else ours, mono_ns)

    def _missed(self, reason: str, frames: int = 0, size: int = 0) -> CommandsMissed:
        return CommandsMissed(self._now(), reason, frames, size)


def _sized(value: bytes, size: int) -> bytes:
    if len(value) != size:
        raise _Bad
    return value


def _fields(data: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0
    while at < len(data):
        tag, length = FIELD.unpack_from(data, at)
        at += FIELD.size
        if length > len(data) - at:
            raise _Bad
        found.append((tag, data[at : at + length]))
        at += length
    return found


class FrameWriter:
    """Reports of one command as a witness writes them: for witnesses in Python, and for tests."""

    def __init__(self, nonce: bytes, key: bytes) -> None:
        self._nonce = nonce
        self._key = key
        self._number = 0

    def fields(self, kind: bytes, mono_ns: int, fields: Sequence[tuple[int, bytes]]) -> list[bytes]:
        """Frames of an `S`, `R` or `X` report, each to be written with one write(2)."""
        data = b"".join(FIELD.pack(tag, len(value)) + value for tag, value in fields)
        cuts = range(0, max(len(data), 1), ROOM)
        return [self._frame(kind, mono_ns, data[at : at + ROOM], at + ROOM < len(data)) for at in cuts]

    def output(self, mono_ns: int, stream: Stream, data: bytes) -> list[bytes]:
        room = ROOM - 1
        cuts = range(0, len(data), room)
        return [self._frame(b"O", mono_ns, stream.encode() + data[at : at + room]) for at in cuts]

    def ended(self, end: CommandEnded | CommandLost) -> bytes:
        if isinstance(end, CommandLost):
            values: tuple[int, ...] = (-1, 0, 0, 0, 0, 0, 0, 0)
        else:
            status, signal = -1 if end.status is None else end.status, end.signal or 0
            used = (end.duration_ns, end.utime_us, end.stime_us, end.maxrss_kib, end.dropped, int(end.open))
            values = (status, signal, *used)
        return self._frame(b"E", end.at.mono_ns, ENDED.pack(*values, end.at.wall_ns))

    def closed(self, mono_ns: int, dropped: int) -> bytes:
        return self._frame(b"C", mono_ns, struct.pack("<Q", dropped))

    def _frame(self, kind: bytes, mono_ns: int, data: bytes, more: bool = False) -> bytes:
        number, self._number = self._number, self._number + 1
        flags = MORE if more else 0
        return HEADER.pack(MAGIC, self._nonce, self._key, kind, flags, len(data), number, mono_ns, 0) + data
