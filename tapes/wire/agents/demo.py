"""The scripted agent of `tapes demo` and the tests: its ids stand in headers of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tapes.wire.agents.base import Identity, Route, Settings, Trust, anthropic_settings


@dataclass(frozen=True, slots=True)
class Demo:
    name: str = "demo"
    base_url_variables: tuple[str, ...] = ("ANTHROPIC_BASE_URL",)

    def recognises(self, argv: Sequence[str]) -> bool:
        return "tapes_addons.simulators.agent" in argv[:4]

    def settings(self, route: Route, own_url: str, trust: Trust, environ: Mapping[str, str]) -> Settings:
        return anthropic_settings(route, own_url, trust, environ)

    def identity(self, headers: Mapping[str, str]) -> Identity:
        return Identity(
            session=headers.get("x-tapes-demo-session", ""),
            thread=headers.get("x-tapes-demo-agent-id", ""),
            version=headers.get("user-agent", "").partition("/")[2],
        )
