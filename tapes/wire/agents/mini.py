"""mini-swe-agent (seen with 2.4.6), on litellm. Nothing in its requests says that they are its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tapes.wire.agents.base import Identity, Launch, Settings
from tapes.wire.agents.bases import by_variables, values_of
from tapes.wire.agents.words import program

_NAMES = {"mini", "mini-swe-agent", "mini-extra", "mini-e", "minisweagent", "minisweagent.run.mini"}


class Mini:
    name: str = "mini"
    version_words: tuple[str, ...] = ("--help",)
    """It knows no --version; this begins with it."""

    def recognises(self, argv: Sequence[str]) -> bool:
        return program(argv) in _NAMES

    def speaks(self, headers: Mapping[str, str]) -> bool:
        return False

    def settings(self, launch: Launch) -> Settings:
        config = launch.environ.get("XDG_CONFIG_HOME") or f"{launch.home}/.config"
        folder = launch.environ.get("MSWEA_GLOBAL_CONFIG_DIR") or f"{config}/mini-swe-agent"
        return by_variables(launch, values_of(launch, f"{folder}/.env"))

    def identity(self, headers: Mapping[str, str]) -> Identity:
        return Identity()
