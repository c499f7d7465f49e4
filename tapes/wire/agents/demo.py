"""The scripted agent of `tapes demo` and the tests: its ids stand in headers of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tapes.wire.agents.base import Identity, Launch, Settings
from tapes.wire.agents.bases import by_variables


class Demo:
    name: str = "demo"
    version_words: tuple[str, ...] = ("--version",)

    def recognises(self, argv: Sequence[str]) -> bool:
        return "tapes_addons.simulators.agent" in argv[:4]

    def speaks(self, headers: Mapping[str, str]) -> bool:
        return "x-tapes-demo-session" in headers

    def settings(self, launch: Launch) -> Settings:
        return by_variables(launch, launch.environ)

    def identity(self, headers: Mapping[str, str]) -> Identity:
        return Identity(
            session=headers.get("x-tapes-demo-session", ""),
            thread=headers.get("x-tapes-demo-agent-id", ""),
            version=headers.get("user-agent", "").partition("/")[2],
        )
