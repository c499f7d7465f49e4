"""Claude Code. Session, thread and version stand in its request headers (seen with 2.1.197).

The proxy route leaves what it sends as it is. The base-URL route does not: with ANTHROPIC_BASE_URL set it inlines
all its tools, so that its first request is nearly twice as long.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tapes.wire.agents.base import Identity, Route, Settings, Trust, anthropic_settings, program

_VERSION = re.compile(r"claude-cli/([^\s(]+)")


@dataclass(frozen=True, slots=True)
class Claude:
    name: str = "claude"
    base_url_variables: tuple[str, ...] = ("ANTHROPIC_BASE_URL",)

    def recognises(self, argv: Sequence[str]) -> bool:
        return program(argv) in {"claude", "claude-code"} or any(
            "@anthropic-ai/claude-code" in word.replace("\\", "/") for word in argv[:3]
        )

    def settings(self, route: Route, own_url: str, trust: Trust, environ: Mapping[str, str]) -> Settings:
        return anthropic_settings(route, own_url, trust, environ)

    def identity(self, headers: Mapping[str, str]) -> Identity:
        version = _VERSION.search(headers.get("user-agent", ""))
        return Identity(
            session=headers.get("x-claude-code-session-id", ""),
            thread=headers.get("x-claude-code-agent-id", ""),
            version=version.group(1) if version else "",
        )
