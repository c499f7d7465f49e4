"""aider (seen with 0.86.2), on litellm. Nothing in its requests says that they are its own.

Its .env files *replace* variables that are set, and its configuration file may set variables too. What outranks both
is `--set-env` on its command line; one there hides those of the configuration file, so these are said again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tapes.errors import UsageError
from tapes.pattern import pattern
from tapes.wire.agents.base import Identity, Launch, Settings, proxy_environment
from tapes.wire.agents.bases import APIS, Bases, dotenv, found_in, parents, variables_to_us
from tapes.wire.agents.words import option_values, program

_API_BASE = pattern(r"^openai-api-base:\s*[\"']?([^\s\"'#]+)", re.MULTILINE)
_SET_ENV = pattern(r"^set-env:[ \t]*(\[.*?\]|(?:\n\s*-.*)+)", re.MULTILINE)
_ITEM = pattern(r"[\"']?([A-Za-z_]\w*=[^\"'\n,\]]*)")


class Aider:
    name: str = "aider"
    version_words: tuple[str, ...] = ("--version",)

    def recognises(self, argv: Sequence[str]) -> bool:
        return program(argv) in {"aider", "aider-chat"}

    def speaks(self, headers: Mapping[str, str]) -> bool:
        return False

    def settings(self, launch: Launch) -> Settings:
        given, said_again = _given(launch)
        found = found_in(given)
        if launch.route == "proxy":
            return Settings(proxy_environment(launch), model_hosts=found)
        if said := found_in(_said(launch.argv)):
            raise UsageError(
                f"the command line itself gives aider its base URL ({next(iter(said))}), which outranks ours",
                hint="leave --route out, or move that setting into .aider.conf.yml or the environment",
            )
        bases = Bases(launch.own_url)
        environment = variables_to_us(bases, given, APIS)
        arguments: list[str] = []
        # The file and the command line win over the environment; only then are words needed.
        hidden = {name: url for name, url in environment.items() if launch.environ.get(name, "") != given.get(name, "")}
        for pair in [*said_again, *(f"{name}={url}" for name, url in hidden.items())] if hidden else ():
            arguments += ["--set-env", pair]
        if hidden.keys() & {"OPENAI_API_BASE"}:
            arguments += ["--openai-api-base", hidden["OPENAI_API_BASE"]]
        return Settings(environment, tuple(arguments), bases.upstreams, found)

    def identity(self, headers: Mapping[str, str]) -> Identity:
        return Identity()


def _given(launch: Launch) -> tuple[dict[str, str], list[str]]:
    """Every variable as aider will see it, and the `set-env` pairs of its configuration file."""
    root = next((folder for folder in parents(launch.cwd) if launch.read(f"{folder}/.git/HEAD")), launch.cwd)
    folders = list(dict.fromkeys([launch.home, root, launch.cwd]))
    values = dict(launch.environ)
    for folder in folders:
        values |= dotenv(launch.read(f"{folder}/.env"))
    pairs: list[str] = []
    for folder in folders:
        text = launch.read(f"{folder}/.aider.conf.yml")
        if listed := _SET_ENV.search(text):
            pairs = _ITEM.findall(listed[1])
        if base := _API_BASE.search(text):
            values["OPENAI_API_BASE"] = base[1]
    return values | dict(pair.split("=", 1) for pair in pairs) | _said(launch.argv), pairs


def _said(argv: Sequence[str]) -> dict[str, str]:
    """Variables that the command line sets."""
    pairs = [pair.split("=", 1) for pair in option_values(argv, "--set-env") if "=" in pair]
    bases = option_values(argv, "--openai-api-base")
    return dict(pairs) | ({"OPENAI_API_BASE": bases[-1]} if bases else {})
