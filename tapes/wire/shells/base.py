"""What is to be known of an agent to hold its word against what really ran.

An agent's tool call *claims* command lines; the agent wraps each in a line of its own and runs a shell; a tool result
*tells* the model what came of it, in the agent's own form. Everything here is pure: no process, no disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from tapes.values import dataclass
from tapes.wire.agents.base import Launch, Settings
from tapes.wire.json_value import Json


@dataclass(frozen=True, slots=True)
class Witness:
    """Files and addresses of one run by which its commands are witnessed. Paths are absolute; all exist."""

    bash_env: str
    """The trampoline that bash sources."""
    zdotdir: str
    """A directory whose .zshenv is the trampoline."""
    python_path: str
    """A directory whose sitecustomize.py wraps Python's shells."""
    telemetry_url: str
    """Where this run takes OTLP over HTTP; "" where nobody asks for it."""
    hooks_url: str
    """Where this run takes an agent's HTTP hooks."""
    plugin: str
    """The opencode plugin's file."""
    join: Literal["auto", "hooks", "none"] = "auto"


@dataclass(frozen=True, slots=True)
class Claim:
    """One command line that a tool call asks for."""

    line: str
    cwd: str = ""
    background: bool = False
    certain: bool = True
    """False where it was read out of a program (JavaScript of Codex' code mode), not said as such. `line` is then ""
    where the program puts it together itself."""


Denied = Literal["", "person", "rule", "sandbox", "mode", "unknown"]


@dataclass(frozen=True, slots=True)
class Told:
    """What the model was told of a command."""

    status: int | None = None
    """The exit status that was told; None where nothing was said of it."""
    signal: int | None = None
    output: str | None = None
    """The output that was told, the agent's own framing taken off; None where that can not be told apart."""
    shortened: bool = False
    """The agent says that it left some of the output out."""
    denied: Denied = ""
    """By whom it was kept from running."""
    running: bool = False
    """It was told that the command goes on in the background."""
    timed_out: bool = False
    pgid: int | None = None
    """The process group that was told (Gemini CLI)."""


class Shells(Protocol):
    """The shells of one kind of agent. MUST be stateless."""

    @property
    def name(self) -> str:
        """The agent's name, as in wire/agents."""
        ...

    @property
    def marks(self) -> tuple[str, ...]:
        """Variables of which one at least is set in every command of this agent; empty where there is none."""
        ...

    @property
    def scope(self) -> tuple[str, ...]:
        """Variables that tell one tool call, or one launch, of this agent from another."""
        ...

    def witnessed(self, launch: Launch, witness: Witness, settings: Settings) -> Settings:
        """`settings`, and what else it needs so that its commands are witnessed and can be joined."""
        ...

    def claims(self, tool: str, arguments: Json) -> tuple[Claim, ...]:
        """The commands that a call asks for; () for a tool that runs none. `arguments` as read: a table, or a text."""
        ...

    def unwrap(self, argv: Sequence[bytes]) -> bytes:
        """The command line as asked, out of the line that the agent made of it."""
        ...

    def told(self, tool: str, result: str, is_error: bool) -> Told:
        """What a tool result says."""
        ...

    def join_marks(self, environ: Mapping[bytes, bytes]) -> Mapping[str, str]:
        """What in a command's environment names its tool call, by method: {"env": call id} is the wire's id itself,
        {"traceparent": span id} and {"plugin": id} are matched with what the agent tells beside the wire."""
        ...

    def is_harness(self, environ: Mapping[bytes, bytes], argv: Sequence[bytes]) -> bool:
        """Does the agent run this shell for itself, and not for its model?"""
        ...
