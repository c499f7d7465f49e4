"""The agent's terminal as it happens: frozen values that the relay hands to intake, in order. Not yet redacted."""

from __future__ import annotations

from tapes.values import dataclass
from tapes.wire.exchange import Moment


@dataclass(frozen=True, slots=True)
class TerminalOpened:
    """The agent has a terminal, and it is recorded from now on."""

    at: Moment
    columns: int
    rows: int
    term: str = ""
    """$TERM."""


@dataclass(frozen=True, slots=True)
class TerminalOutput:
    """Bytes that went to the screen."""

    mono_ns: int
    data: bytes


@dataclass(frozen=True, slots=True)
class TerminalInput:
    """Bytes that were typed while the terminal echoed them; others are never read from it."""

    mono_ns: int
    data: bytes


@dataclass(frozen=True, slots=True)
class TerminalResized:
    mono_ns: int
    columns: int
    rows: int


@dataclass(frozen=True, slots=True)
class TerminalMissed:
    """Bytes of the screen that could not be handed on."""

    mono_ns: int
    bytes: int


@dataclass(frozen=True, slots=True)
class TerminalClosed:
    at: Moment


TerminalHappening = TerminalOpened | TerminalOutput | TerminalInput | TerminalResized | TerminalMissed | TerminalClosed
