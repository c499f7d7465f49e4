"""The agents we know, most particular first. A new agent is one file and one line here."""

from __future__ import annotations

from collections.abc import Sequence

from tapes.wire.agents.base import Agent, Generic
from tapes.wire.agents.claude import Claude
from tapes.wire.agents.demo import Demo

__all__ = ["AGENTS", "Agent", "by_name", "recognise"]

AGENTS: tuple[Agent, ...] = (Claude(), Demo(), Generic())


def recognise(argv: Sequence[str]) -> Agent:
    """The agent a command line starts; `generic` for anything unknown."""
    return next(agent for agent in AGENTS if agent.recognises(argv))


def by_name(name: str) -> Agent:
    """The agent a session says it was; `generic` for a name this version does not know."""
    return next((agent for agent in AGENTS if agent.name == name), AGENTS[-1])
