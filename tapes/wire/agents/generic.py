"""Any program: proxy variables and the CA bundle, or the base-URL variables of the SDKs.

Node's own fetch (and with it every SDK for Node) ignores proxy variables unless NODE_USE_ENV_PROXY=1, which Node has
known since 22.21 and 24. Go, Rust and Python programs honour proxy and CA variables as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tapes.wire.agents.base import Identity, Launch, Settings
from tapes.wire.agents.bases import by_variables, values_of

ENV_PROXY = "NODE_USE_ENV_PROXY"


class Generic:
    name: str = "generic"
    version_words: tuple[str, ...] = ("--version",)

    def recognises(self, argv: Sequence[str]) -> bool:
        return True

    def speaks(self, headers: Mapping[str, str]) -> bool:
        return False

    def settings(self, launch: Launch) -> Settings:
        # Many programs load this file by themselves, and none of those replaces a variable that is set.
        settings = by_variables(launch, values_of(launch, f"{launch.cwd}/.env"))
        if launch.route == "proxy":
            switch = {ENV_PROXY: launch.environ.get(ENV_PROXY) or "1"}
            return replace(settings, environment={**settings.environment, **switch})
        return settings

    def identity(self, headers: Mapping[str, str]) -> Identity:
        return Identity(version=headers.get("user-agent", "").partition("(")[0].strip()[:60])
