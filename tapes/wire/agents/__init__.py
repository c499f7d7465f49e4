"""The agents we know, most particular first. A new agent is one file and one line here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tapes.wire.agents.base import Agent
from tapes.wire.family import Family

__all__ = ["AGENTS", "Agent", "by_name", "recognise", "speaking"]

UNKNOWN = "generic"
AGENTS: Family[Agent] = Family(
    __name__,
    {
        "claude": "Claude",
        "codex": "Codex",
        "gemini": "Gemini",
        "opencode": "OpenCode",
        "aider": "Aider",
        "mini": "Mini",
        "demo": "Demo",
        "human": "Human",
        UNKNOWN: "Generic",
    },
)


def recognise(argv: Sequence[str]) -> Agent:
    """The agent a command line starts; `generic` for anything unknown."""
    return next(agent for agent in AGENTS if agent.recognises(argv))


def speaking(headers: Mapping[str, str]) -> Agent:
    """The agent that a request's marks show (header names in lower case); `generic` where it has none."""
    return next((agent for agent in AGENTS if agent.speaks(headers)), AGENTS[UNKNOWN])


def by_name(name: str) -> Agent:
    """The agent a session says it was; `generic` for a name this version does not know."""
    return AGENTS[name if name in AGENTS else UNKNOWN]
