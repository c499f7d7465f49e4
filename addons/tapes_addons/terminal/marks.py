"""Marks that our prompt leaves in the terminal's stream, read: the commands of a person's shell, and what each printed.

The marks are those that terminals know: FinalTerm's OSC 133 (A prompt, B what is typed, C output, D end with status)
and the OSC 633 of VS Code (E command line, P directory), each with our nonce as a further argument, and with the
command's id where it is needed, each ended by BEL:

    133;D;STATUS;aid=NONCE;id=ID   133;A;aid=NONCE   633;P;Cwd=DIRECTORY;NONCE   133;B;aid=NONCE
    633;E;LINE;NONCE;ID   133;C;aid=NONCE

In LINE and DIRECTORY a backslash is doubled, and `;` and control characters are a backslash and xHH. Whatever a program
prints that has not the nonce is output like any other, well-known marks included. The nonce is no secret from the
shell's own programs, which run as the same user: what is read here is the shell's testimony.

Commands inside of another program (a shell in ssh, tmux or sudo) have no marks of ours: they are output of that
program.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tapes.values import dataclass, field
from tapes.wire.command import CommandEnded, CommandHappening, CommandLost, CommandOutput, CommandStarted
from tapes.wire.exchange import Moment
from tapes.wire.terminal import TerminalClosed, TerminalHappening, TerminalMissed, TerminalOutput
from tapes_addons.terminal.echoed import line_of

_MARK = re.compile(rb"\x1b\](133|633);([^\x00-\x1f\x7f]*)(?:\x07|\x1b\\)")
_BODY = rb"(?:;[^\x00-\x1f\x7f]*\x1b?)?"
_BEGUN = re.compile(rb"\x1b(?:\](?:1(?:3(?:3%b)?)?|6(?:3(?:3%b)?)?)?)?\Z" % (_BODY, _BODY))
_STATUS = re.compile(rb"[0-9]{1,3}")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_ESCAPED = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|(\\))")
LONGEST = 256 * 1024
"""A mark longer than this is none; bash does not take a longer line in one go either."""
MOST_TYPED = 64 * 1024


@dataclass(slots=True)
class _Running:
    key: str
    began_ns: int
    dropped: int = 0


@dataclass(slots=True)
class Marks:
    """Terminal happenings in, in any slices; commands out. `level` is "prompt" throughout.

    `argv` is the line as if it had been given to the shell by -c. All output is one stream, as a terminal has but one.
    """

    nonce: str
    shell: bytes = b"sh"
    shell_status: int | None = None
    """How the shell itself ended, once that is known."""
    _held: bytearray = field(default_factory=bytearray)
    """The beginning of what may become a mark."""
    _running: _Running | None = None
    _asked: tuple[str, bytes] | None = None
    """Id and line of the command that is about to run."""
    _typed: bytearray | None = None
    """What was shown since the prompt ended."""
    _cwd: bytes = b""

    def take(self, value: TerminalHappening, wall_less_mono_ns: int) -> Iterator[CommandHappening]:
        """What a happening tells of commands. `wall_less_mono_ns`: how much the wall clock is ahead of the other."""
        match value:
            case TerminalOutput(mono_ns, data):
                yield from self._output(data, Moment(mono_ns + wall_less_mono_ns, mono_ns))
            case TerminalMissed(mono_ns, missed):
                yield from self._text(bytes(self._held), mono_ns)
                self._held.clear()
                if self._running:
                    self._running.dropped += missed
            case TerminalClosed(at):
                yield from self._text(bytes(self._held), at.mono_ns)
                self._held.clear()
                yield from self._last(at)

    def _last(self, at: Moment) -> Iterator[CommandHappening]:
        """The shell is over in the middle of a command: by that itself (`exit`, `exec`), unless it was killed."""
        if self._running and self.shell_status is not None and self.shell_status >= 0:
            yield self._ended(self._running, self.shell_status, at)
            self._running = None
        yield from self._lose(at, "the shell was gone before it told how the command ended")

    def _output(self, data: bytes, at: Moment) -> Iterator[CommandHappening]:
        if self._held.startswith((b"\x1b]133;", b"\x1b]633;")) and not _CONTROL.search(self._held[-1:] + data):
            # Only the end of a mark is of interest: a program that prints one without end is not read again and again.
            self._held += data
            if len(self._held) > LONGEST:
                yield from self._text(bytes(self._held), at.mono_ns)
                self._held.clear()
            return
        data = bytes(self._held) + data
        self._held.clear()
        done = 0
        for mark in _MARK.finditer(data):
            fields = mark[2].split(b";")
            if not self._is_ours(fields):
                continue
            yield from self._text(data[done : mark.start()], at.mono_ns)
            yield from self._mark(mark[1] + fields[0], fields[1:], at)
            done = mark.end()
        if begun := _BEGUN.search(data, max(done, len(data) - LONGEST)):
            self._held += data[begun.start() :]
            data = data[: begun.start()]
        yield from self._text(data[done:], at.mono_ns)

    def _is_ours(self, fields: list[bytes]) -> bool:
        nonce = self.nonce.encode()
        return nonce in fields or b"aid=" + nonce in fields

    def _text(self, data: bytes, mono_ns: int) -> Iterator[CommandHappening]:
        if not data:
            return
        if self._running:
            yield CommandOutput(self._running.key, mono_ns, "m", data)
        elif self._typed is not None and len(self._typed) < MOST_TYPED:
            self._typed += data

    def _mark(self, kind: bytes, fields: list[bytes], at: Moment) -> Iterator[CommandHappening]:
        if kind == b"133B":
            self._typed = bytearray()
        elif kind == b"633P" and fields[0].startswith(b"Cwd="):
            self._cwd = _unescape(fields[0].removeprefix(b"Cwd="))
        elif kind == b"633E" and len(fields) == 3:
            self._asked = fields[2].decode("latin-1"), _unescape(fields[0])
        elif kind == b"133C" and self._asked:
            # The one before has told no end: somebody took our prompt's hook away, or interrupted it.
            yield from self._lose(at, "the shell did not tell how the command ended")
            (key, line), self._asked = self._asked, None
            line = line or line_of(bytes(self._typed or b""))
            self._typed = None
            self._running = _Running(key, at.mono_ns)
            yield CommandStarted(key, at, "prompt", (self.shell, b"-c", line), self._cwd, is_tty=True)
        elif kind == b"133D":
            yield from self._end(fields, at)

    def _end(self, fields: list[bytes], at: Moment) -> Iterator[CommandHappening]:
        running = self._running
        # After an empty line, or one that was given up, the prompt tells an end as well.
        if running is None or b"id=" + running.key.encode() not in fields or not _STATUS.fullmatch(fields[0]):
            return
        self._running = None
        yield self._ended(running, int(fields[0]), at)

    def _ended(self, running: _Running, status: int, at: Moment) -> CommandEnded:
        return CommandEnded(running.key, at, status, None, at.mono_ns - running.began_ns, dropped=running.dropped)

    def _lose(self, at: Moment, reason: str) -> Iterator[CommandHappening]:
        if self._running:
            yield CommandLost(self._running.key, at, reason)
            self._running = None


def _unescape(data: bytes) -> bytes:
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 16)]) if found[1] else b"\\", data)
