"""What the model will say: named scripts of turns, written down beforehand.

A script is data, so a run against it is the same every time and needs no key and no network. It names
*abstract* tools (bash, read_file, …); the API file turns them into what the asking agent has declared. The
server keeps no conversation: which turn is asked for is read from the history that each request carries,
and only the number of failed attempts is remembered here, because a fault that never ends would not be a
retry.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

NAME = re.compile(r"[a-z0-9-]+\Z")  # no underscore: tool-call ids carry the name, ended by one
SCRIPT_HEADER = "x-tapes-demo-script"


@dataclass(frozen=True, slots=True)
class ErrorFault:
    """An HTTP error instead of the answer, the first `times` times."""

    status: int
    times: int = 1
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class StreamErrorFault:
    """An error event of the protocol after `after` events of the stream."""

    after: int = 3
    times: int = 1


@dataclass(frozen=True, slots=True)
class DropFault:
    """The connection is cut after `after` events (-1: before any header); with `rst`, by a TCP reset."""

    after: int = 3
    times: int = 1
    rst: bool = False


@dataclass(frozen=True, slots=True)
class StallFault:
    """Nothing moves for `seconds` after `after` events; then the stream goes on."""

    after: int = 3
    seconds: float = 1.0
    times: int = 1


@dataclass(frozen=True, slots=True)
class RefuseFault:
    """A WebSocket is refused, the first `times` times; only a script's first turn can say so."""

    status: int = 426
    times: int = 1


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong in a turn; `first_byte` (a late head) and `no_close` (left open) are seconds."""

    error: ErrorFault | None = None
    sse_error: StreamErrorFault | None = None
    drop: DropFault | None = None
    stall: StallFault | None = None
    first_byte: float = 0.0
    no_close: float = 0.0
    refuse: RefuseFault | None = None

    @property
    def names(self) -> str:
        return ", ".join(field.name for field in fields(self) if getattr(self, field.name))

    def due(self, attempt: int) -> Faults:
        """The faults of an answer that still apply at this attempt, counted from 0."""

        def kept[F: (ErrorFault, StreamErrorFault, DropFault, StallFault)](fault: F | None) -> F | None:
            return fault if fault and attempt < fault.times else None

        return Faults(
            kept(self.error),
            kept(self.sse_error),
            kept(self.drop),
            kept(self.stall),
            self.first_byte,
            self.no_close,
        )


NO_FAULTS = Faults()


@dataclass(frozen=True, slots=True)
class Call:
    tool: str
    input: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Turn:
    text: str = ""
    thinking: str = ""
    tools: tuple[Call, ...] = ()
    faults: Faults = NO_FAULTS


@dataclass(frozen=True, slots=True)
class Pace:
    """How a stream is paced: time to the first byte, time between events, characters in one delta."""

    first_ms: float = 5.0
    gap_ms: float = 1.0
    chars: int = 24


@dataclass(frozen=True, slots=True)
class Script:
    scripts: Mapping[str, tuple[Turn, ...]]
    pace: Pace = Pace()

    @property
    def default(self) -> str:
        return "main" if "main" in self.scripts else next(iter(self.scripts))

    def turn(self, name: str, index: int) -> Turn:
        turns = self.scripts.get(name, ())
        return turns[index] if index < len(turns) else Turn(text="There is nothing left to do.")


@dataclass(slots=True)
class Stage:
    """A script and how often each of its turns was asked for, so that faults end after their `times`."""

    script: Script
    attempts: Counter[tuple[str, int, str]] = field(default_factory=Counter)

    def faults(self, name: str, index: int, conversation: str) -> Faults:
        """The faults due for this turn now; counts the attempt. `conversation`: any text a retry repeats."""
        key = (name, index, conversation)
        self.attempts[key] += 1
        return self.script.turn(name, index).faults.due(self.attempts[key] - 1)

    def refusal(self, name: str, conversation: str) -> RefuseFault | None:
        """Whether a WebSocket is refused now, before any turn is known; counts the attempt."""
        refuse, key = self.script.turn(name, 0).faults.refuse, (name, -1, conversation)
        self.attempts[key] += 1
        return refuse if refuse and self.attempts[key] <= refuse.times else None


def load_script(path: Path) -> Script:
    """Read a script file. Raises OSError, ValueError (what is wrong, and where)."""
    return read_script(json.loads(path.read_text("utf-8")))


def read_script(value: Any) -> Script:
    """{"scripts": {NAME: [TURN, …]}, "pace": {…}} → Script. A bare list of turns is the script `main`."""
    if isinstance(value, list):
        value = {"scripts": {"main": value}}
    scripts = _mapping(value, "script").get("scripts")
    if not isinstance(scripts, dict) or not scripts:
        raise ValueError("script: `scripts` must name at least one script")
    for name in scripts:
        if not NAME.match(name):
            raise ValueError(f"script: a name has only a-z, 0-9 and '-': {name!r}")
    if unknown := set(value) - {"scripts", "pace"}:
        raise ValueError(f"script: unknown field {sorted(unknown)[0]!r}")
    turns = {
        name: tuple(_turn(turn, f"{name}[{i}]") for i, turn in enumerate(found)) for name, found in scripts.items()
    }
    if late := next((name for name, found in turns.items() if any(turn.faults.refuse for turn in found[1:])), ""):
        raise ValueError(f"{late}: a WebSocket is refused before a turn is known, so `refuse` belongs in the first")
    return Script(turns, _fields(Pace, value.get("pace", {}), "pace"))


_FAULTS = {
    "error": ErrorFault,
    "sse_error": StreamErrorFault,
    "drop": DropFault,
    "stall": StallFault,
    "refuse": RefuseFault,
}


def _turn(value: Any, where: str) -> Turn:
    found = dict(_mapping(value, where))
    if "tools" in found:
        found["tools"] = tuple(_call(call, f"{where}.tools[{i}]") for i, call in enumerate(found["tools"]))
    if "faults" in found:
        faults = dict(_mapping(found["faults"], f"{where}.faults"))
        for name in faults.keys() & _FAULTS.keys():
            faults[name] = _fields(_FAULTS[name], faults[name], f"{where}.faults.{name}")
        found["faults"] = _fields(Faults, faults, f"{where}.faults")
    return _fields(Turn, found, where)


def _call(value: Any, where: str) -> Call:
    call = _fields(Call, value, where)
    _mapping(call.input, f"{where}.input")
    return call


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: an object was expected, not {type(value).__name__}")
    return value


def _fields[T](kind: type[T], value: Any, where: str) -> T:
    """An object's fields into a dataclass; a misspelt or missing one is named."""
    found = _mapping(value, where)
    if unknown := found.keys() - {f.name for f in fields(kind)}:  # type: ignore[arg-type]
        raise ValueError(f"{where}: unknown field {sorted(unknown)[0]!r}")
    try:
        return kind(**found)
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from error
