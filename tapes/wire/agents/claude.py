"""Claude Code. Session, thread and version stand in its request headers (seen with 2.1.197).

The proxy route leaves what it sends as it is. The base-URL route does not: with ANTHROPIC_BASE_URL set it inlines
all its tools, so that its first request is nearly twice as long.

Its settings files may carry an `env` table, which outranks the environment it was started with; `--settings` outranks
those files, and is used when one of them sets the base URL.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from tapes.errors import UsageError
from tapes.pattern import pattern
from tapes.wire.agents.base import Identity, Launch, Settings, proxy_environment
from tapes.wire.agents.bases import APIS, Api, found_in
from tapes.wire.agents.jsonc import table
from tapes.wire.agents.words import is_package, program

_VERSION = pattern(r"claude-cli/([^\s(]+)")
_VARIABLE, _DEFAULT = "ANTHROPIC_BASE_URL", "https://api.anthropic.com"
_APIS: tuple[Api, ...] = tuple(api for api in APIS if api.variables[0].startswith("ANTHROPIC_"))


class Claude:
    name: str = "claude"
    version_words: tuple[str, ...] = ("--version",)

    def recognises(self, argv: Sequence[str]) -> bool:
        return program(argv) in {"claude", "claude-code"} or is_package(argv, "@anthropic-ai/claude-code")

    def speaks(self, headers: Mapping[str, str]) -> bool:
        return "x-claude-code-session-id" in headers or headers.get("user-agent", "").startswith("claude-cli/")

    def settings(self, launch: Launch) -> Settings:
        files = {path: found_in(_environment(launch.read(path)), _APIS) for path in settings_files(launch)}
        in_files: dict[str, str] = {}
        for urls in files.values():
            in_files |= urls
        found = {f"{name} in {path}": url for path, urls in files.items() for name, url in urls.items()}
        found |= found_in(launch.environ, _APIS)
        if launch.route == "proxy":
            return Settings(proxy_environment(launch), model_hosts=found)
        upstream = in_files.get(_VARIABLE) or launch.environ.get(_VARIABLE) or _DEFAULT
        arguments: tuple[str, ...] = ()
        if _VARIABLE in in_files:
            if any(word.split("=")[0] == "--settings" for word in launch.argv):
                raise UsageError(
                    f"a settings file gives claude its {_VARIABLE}, and --settings is taken: it can not be led to us",
                    hint="leave --route out: the proxy route changes no setting",
                )
            arguments = ("--settings", json.dumps({"env": {_VARIABLE: launch.own_url}}))
        return Settings({_VARIABLE: launch.own_url}, arguments, {"": upstream}, found)

    def identity(self, headers: Mapping[str, str]) -> Identity:
        version = _VERSION.search(headers.get("user-agent", ""))
        return Identity(
            session=headers.get("x-claude-code-session-id", ""),
            thread=headers.get("x-claude-code-agent-id", ""),
            version=version.group(1) if version else "",
        )


def settings_files(launch: Launch) -> list[str]:
    """Settings files, weakest first."""
    user = launch.environ.get("CLAUDE_CONFIG_DIR") or f"{launch.home}/.claude"
    project = [f"{launch.cwd}/.claude/settings.json", f"{launch.cwd}/.claude/settings.local.json"]
    return [f"{user}/settings.json", *project, "/etc/claude-code/managed-settings.json"]


def _environment(text: str) -> dict[str, str]:
    values = table(text).get("env")
    return {k: v for k, v in values.items() if isinstance(v, str)} if isinstance(values, dict) else {}
