"""How each kind of agent runs commands, and what it says of them: one small file per agent, and one line here."""

from __future__ import annotations

from tapes.wire.shells.aider import AiderShells
from tapes.wire.shells.base import Claim, Shells, Told, Witness
from tapes.wire.shells.claude import ClaudeShells
from tapes.wire.shells.codex import CodexShells
from tapes.wire.shells.demo import DemoShells
from tapes.wire.shells.gemini import GeminiShells
from tapes.wire.shells.generic import GenericShells
from tapes.wire.shells.mini import MiniShells
from tapes.wire.shells.opencode import OpenCodeShells

__all__ = ["ALL", "Claim", "Shells", "Told", "Witness", "by_name"]

ALL: tuple[Shells, ...] = (
    ClaudeShells(),
    CodexShells(),
    GeminiShells(),
    OpenCodeShells(),
    AiderShells(),
    MiniShells(),
    DemoShells(),
    GenericShells(),
)


def by_name(name: str) -> Shells:
    """The shells of an agent by its name in wire/agents; the generic ones for a name this version does not know."""
    return next((shells for shells in ALL if shells.name == name), ALL[-1])
