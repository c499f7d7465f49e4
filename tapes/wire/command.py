"""One terminal command as it happens: frozen values that a witness hands to intake, in the order things occurred.

A command is told as started, refined (the shell that we wrapped went on to another command line), any number of pieces
of output, and one end: ended, or lost where nobody could see it. Background jobs may hold its output open beyond that:
then more output follows, and closed. All are tied together by `key`, random and drawn by the witness. A process id is
no identity: in a sandbox it is always 2.

All carry bytes as they were, *not yet redacted*: they live in memory only.
"""

from __future__ import annotations

from typing import Literal

from tapes.values import dataclass
from tapes.wire.exchange import Moment

Stream = Literal["o", "e", "m"]
"""Standard output, standard error, or both where they are one and the same file."""

Level = Literal["supervisor", "trap", "prompt"]
"""Who witnessed it: the native supervisor (everything), a trap in the shell itself (no output, no end where the shell
was killed or replaced), or the prompt of an interactive shell."""


@dataclass(frozen=True, slots=True)
class CommandStarted:
    """A shell, or a program run by one, is about to run."""

    key: str
    """Hex of 16 random bytes."""
    at: Moment
    level: Level
    argv: tuple[bytes, ...]
    cwd: bytes
    pid: int = 0
    ppid: int = 0
    pgid: int = 0
    """Process ids as the witness saw them, which may be in a namespace of its own."""
    environ: tuple[tuple[bytes, bytes], ...] = ()
    within: str = ""
    """Key of the command in which this one was started by a nested agent."""
    is_tty: bool = False
    """Its output goes to a terminal: it is on the screen's recording, not here."""


@dataclass(frozen=True, slots=True)
class CommandRefined:
    """The process went on as another command line (some agents replay an environment first): the last one counts."""

    key: str
    at: Moment
    argv: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class CommandOutput:
    """A piece of output, as the command wrote it."""

    key: str
    mono_ns: int
    stream: Stream
    data: bytes


@dataclass(frozen=True, slots=True)
class CommandExec:
    """Deep witness: a program that something below the command tried to start."""

    key: str
    mono_ns: int
    pid: int
    ppid: int
    argv: tuple[bytes, ...]
    cwd: bytes


@dataclass(frozen=True, slots=True)
class CommandEnded:
    """The command is over. Exactly one of `status` and `signal` is set."""

    key: str
    at: Moment
    status: int | None
    signal: int | None
    duration_ns: int
    utime_us: int = 0
    stime_us: int = 0
    maxrss_kib: int = 0
    dropped: int = 0
    """Bytes of output that went to the agent and could not be reported to us."""
    open: bool = False
    """Background jobs still hold its output: more may follow."""
    overtaken: bool = False
    """So it is open, but because reports of its output were still waiting: more will follow, unless it is lost."""


@dataclass(frozen=True, slots=True)
class CommandClosed:
    """Nobody holds the output of an ended command any more."""

    key: str
    at: Moment
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class CommandLost:
    """How the command ended was not seen."""

    key: str
    at: Moment
    reason: str


@dataclass(frozen=True, slots=True)
class ToolSeen:
    """An agent itself told us, beside the wire, of one tool call: its command's environment can be matched with it."""

    at: Moment
    tool_id: str
    """The wire's id of the call."""
    method: Literal["traceparent", "plugin", "hook"]
    mark: str
    """What the environment of the command carries: the span id of TRACEPARENT, or what a plugin put there; else ""."""
    line: str = ""
    """The command line, where it was told."""


@dataclass(frozen=True, slots=True)
class Decided:
    """An agent told us beside the wire who allowed or denied a tool call."""

    at: Moment
    tool_id: str
    tool: str
    decision: Literal["allowed", "denied"]
    by: str
    """The agent's own word for the source, as it said it."""
    mode: str = ""
    """The agent's permission mode, where it said so."""


@dataclass(frozen=True, slots=True)
class CommandsMissed:
    """Reports that came in part or not at all: counted, so that nobody takes silence for completeness."""

    at: Moment
    reason: str
    frames: int = 0
    bytes: int = 0


CommandHappening = (
    CommandStarted
    | CommandRefined
    | CommandOutput
    | CommandExec
    | CommandEnded
    | CommandClosed
    | CommandLost
    | ToolSeen
    | Decided
    | CommandsMissed
)
