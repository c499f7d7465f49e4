"""The agents we know, most particular first. A new agent is one file and one line here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tapes.wire.agents.aider import Aider
from tapes.wire.agents.base import Agent
from tapes.wire.agents.claude import Claude
from tapes.wire.agents.codex import Codex
from tapes.wire.agents.demo import Demo
from tapes.wire.agents.gemini import Gemini
from tapes.wire.agents.generic import Generic
from tapes.wire.agents.human import Human
from tapes.wire.agents.mini import Mini
from tapes.wire.agents.opencode import OpenCode

__all__ = ["AGENTS", "Agent", "by_name", "recognise", "speaking"]

AGENTS: tuple[Agent, ...] = (Claude(), Codex(), Gemini(), OpenCode(), Aider(), Mini(), Demo(), Human(), Generic())


def recognise(argv: Sequence[str]) -> Agent:
    """The agent a command line starts; `generic` for anything unknown."""
    return next(agent for agent in AGENTS if agent.recognises(argv))


def speaking(headers: Mapping[str, str]) -> Agent:
    """The agent that a request's marks show (header names in lower case); `generic` where it has none."""
    return next((agent for agent in AGENTS if agent.speaks(headers)), AGENTS[-1])


def by_name(name: str) -> Agent:
    """The agent a session says it was; `generic` for a name this version does not know."""
    return next((agent for agent in AGENTS if agent.name == name), AGENTS[-1])
