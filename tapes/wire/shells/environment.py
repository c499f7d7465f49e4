"""What every witnessed agent's environment has, and how one agent's arguments are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tapes.wire.agents.base import Launch, Settings
from tapes.wire.json_value import Json
from tapes.wire.shells.base import Witness

_RSHD = "SHLVL"


def with_shells(launch: Launch, witness: Witness, settings: Settings, *, python: bool = False) -> Settings:
    """`settings`, and the variables by which bash and zsh (and with `python` Python's own shells) are witnessed.

    Python's is left to agents that are written in it: it would be read by each Python that an agent's commands start.
    """
    given = {"BASH_ENV": witness.bash_env, "ZDOTDIR": witness.zdotdir}
    # bash takes a shell without SHLVL whose standard input is a socket (Node's pipes are) for one of rshd's, and
    # reads no BASH_ENV. A terminal's shell has set it; cron, systemd and containers have not.
    if not launch.environ.get(_RSHD, "").isdigit() or int(launch.environ[_RSHD]) < 1:
        given[_RSHD] = "1"
    if python:
        own = settings.environment.get("PYTHONPATH", launch.environ.get("PYTHONPATH", ""))
        given["PYTHONPATH"] = f"{witness.python_path}:{own}" if own else witness.python_path
    return replace(settings, environment={**settings.environment, **given})


def field(arguments: Json, *names: str) -> str:
    """The first of these fields of a call's arguments that is a text with something in it."""
    table = arguments if isinstance(arguments, Mapping) else {}
    return next((value for name in names if isinstance(value := table.get(name), str) and value), "")


def flag(arguments: Json, name: str) -> bool:
    return isinstance(arguments, Mapping) and arguments.get(name) is True
