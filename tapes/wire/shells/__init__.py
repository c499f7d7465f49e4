"""How each kind of agent runs commands, and what it says of them: one small file per agent, and one line here."""

from __future__ import annotations

from tapes.wire.family import Family
from tapes.wire.shells.base import Claim, Shells, Told, Witness

__all__ = ["ALL", "Claim", "Shells", "Told", "Witness", "by_name"]

UNKNOWN = "generic"
ALL: Family[Shells] = Family(
    __name__,
    {
        "claude": "ClaudeShells",
        "codex": "CodexShells",
        "gemini": "GeminiShells",
        "opencode": "OpenCodeShells",
        "aider": "AiderShells",
        "mini": "MiniShells",
        "demo": "DemoShells",
        UNKNOWN: "GenericShells",
    },
)


def by_name(name: str) -> Shells:
    """The shells of an agent by its name in wire/agents; the generic ones for a name this version does not know."""
    return ALL[name if name in ALL else UNKNOWN]
