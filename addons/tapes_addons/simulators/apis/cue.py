"""What the script has the model say next: read from the history that a request carries, whatever its API.

A history comes as steps. The ids of the calls in it carry the place, `<kind>_<script>_T<turn>N<n>_…`; where
an API has no ids, or the history was made by something else, the model's turns are counted. A
`[script:NAME]` in a user text starts another script, which is how a prompt (and so a subagent) chooses one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tapes_addons.simulators.http1 import Request
from tapes_addons.simulators.reply import Json, compact, salt
from tapes_addons.simulators.script import NO_FAULTS, SCRIPT_HEADER, Call, Faults, Stage, Turn

CALL_ID = re.compile(r"[a-z]+_([a-z0-9-]+)_T(\d+)N\d+_")
CHOICE = re.compile(r"\[script:([a-z0-9-]+)\]")
ALIASES = {
    "bash": ("Bash", "run_shell_command", "exec_command"),
    "read_file": ("Read",),
    "write_file": ("Write",),
    "edit_file": ("Edit",),
    "task": ("Task", "Agent"),
}
"""Our abstract tools in other agents' words; inputs carry the field names that most of those agents use."""


@dataclass(frozen=True, slots=True)
class UserSaid:
    text: str


@dataclass(frozen=True, slots=True)
class ModelSaid:
    ids: tuple[str, ...] = ()
    """Of its calls. Several of these without a UserSaid or a ResultCame between them are one turn."""


@dataclass(frozen=True, slots=True)
class ResultCame:
    """A tool's result: it says nothing of the place, but ends the model's turn."""


Step = UserSaid | ModelSaid | ResultCame


@dataclass(frozen=True, slots=True)
class Cue:
    """One turn of one script, asked for once more; `unique` differs between requests that differ."""

    script: str
    index: int
    turn: Turn
    faults: Faults
    unique: str

    def call_id(self, kind: str, n: int) -> str:
        return f"{kind}_{self.script}_T{self.index:03d}N{n}_{self.unique[:12]}"

    @property
    def known(self) -> dict[str, Any]:
        """What a Reply says about the script."""
        return {"script": self.script, "turn": self.index, "faults": self.faults}


def place(steps: Iterable[Step], script: str, index: int = 0) -> tuple[str, int]:
    """(script, turn) that a history asks for next, where it starts at `index` of `script`."""
    tagged = counted = False  # whether the model's present turn has told its place; whether it is counted
    for step in steps:
        match step:
            case ModelSaid(ids):
                if found := next(filter(None, map(CALL_ID.match, ids)), None):
                    script, index, tagged = found[1], int(found[2]) + 1, True
                elif not (tagged or counted):
                    index += 1
                counted = True
                continue
            case UserSaid(text) if chosen := CHOICE.findall(text):
                script, index = chosen[-1], 0
        tagged = counted = False
    return script, index


def started(request: Request, stage: Stage) -> str:
    """The script that a conversation follows until a prompt names another."""
    return request.header(SCRIPT_HEADER) or stage.script.default


def asker(request: Request) -> list[str]:
    """Who asks, as far as headers tell: the same for every request of one conversation."""
    return [value for key, value in request.headers if "session" in key.lower() or "agent-id" in key.lower()]


def cue(
    request: Request,
    stage: Stage,
    at: tuple[str, int],
    declared: Collection[str],
    repeated: Any,
    schema: Json | None = None,
) -> Cue:
    """The turn at this place, and the attempt counted. `repeated`: JSON that a retry of the turn has in common.

    A title, a router's question or a probe beside the conversation is told by its lack of tools, or by the
    `schema` its answer must fit: it gets a short answer, and may not use up a fault.
    """
    script, index = at
    turn = stage.script.turn(script, index)
    if schema or (turn.tools and not declared):
        text = json.dumps(example(schema)) if schema else "OK"
        return Cue(script, index, Turn(text=text), NO_FAULTS, salt(request))
    conversation = hashlib.sha256(compact([repeated, asker(request)])).hexdigest()
    return Cue(script, index, turn, stage.faults(script, index, conversation), salt(request))


def example(schema: Json) -> Any:
    """A value that fits a JSON schema, as far as agents use them; the words of types may be in capitals (Gemini)."""
    if "enum" in schema:
        return schema["enum"][0]
    if "anyOf" in schema:
        return example(schema["anyOf"][0])
    match str(schema.get("type", "object")).lower():
        case "object":
            properties = schema.get("properties") or {}
            return {name: example(properties.get(name, {})) for name in schema.get("required") or properties}
        case "array":
            return []
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return True
        case _:
            return "OK"


def used(call: Call, declared: Collection[str]) -> tuple[str, Json]:
    """A script's call as the asking agent knows it: (tool, input)."""
    name = next((known for known in ALIASES.get(call.tool, ()) if known in declared), call.tool)
    given = dict(call.input)
    return name, {"cmd": given.get("command")} if name == "exec_command" else given


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of four bytes. `cached`: what an earlier request of the conversation has sent already."""

    given: int
    cached: int
    made: int

    @property
    def total(self) -> int:
        return self.given + self.made


def tokens(asked: Json, history: list[Json], by_model: Collection[int], said: Any) -> Tokens:
    """`by_model`: the places in `history` where the model spoke; what follows the last of them is new."""
    given = max(1, len(compact(asked)) // 4)
    new = len(compact(history[max(by_model) + 1 :])) // 4 if by_model else given
    return Tokens(given, max(0, given - new), max(1, len(compact(said)) // 4))


def pieces(text: str, size: int) -> Iterator[str]:
    return (text[at : at + size] for at in range(0, len(text), size))
