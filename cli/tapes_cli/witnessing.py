"""How `tapes run` has the agent's commands witnessed: the run's files, and the settings that lead the agent's shells to
them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypedDict

import click

from tapes.values import dataclass
from tapes.wire import shells
from tapes.wire.agents.base import Launch, Settings
from tapes.wire.shells.base import Witness
from tapes.wire.shells.marked import MARKED
from tapes_addons.terminal.install import SHIMS, Marked, Own, install

Join = Literal["auto", "hooks", "none"]
TELEMETRY, HOOKS = "/.tapes/otlp", "/.tapes/hooks"
PLUGIN = SHIMS / "opencode_plugin.js"


class Watch(TypedDict):
    """The options' values, as click gives them to a command."""

    witness: bool
    join: Join
    deep: bool
    screen: bool
    worktree: tuple[str, ...]
    no_worktree: bool
    person: str


OPTIONS = (
    click.option("--witness/--no-witness", default=True, help="Witness the commands that CMD runs, or not."),
    click.option(
        "--join",
        type=click.Choice(["auto", "hooks", "none"]),
        default="auto",
        show_default=True,
        help="How Claude Code's commands are joined with its calls: by its telemetry (which adds a header to its model "
        "calls), by its hooks, or by their text alone.",
    ),
    click.option("--deep", is_flag=True, help="Witness every program below a command too (Linux; no sudo then)."),
    click.option("--screen/--no-screen", default=True, help="Record the terminal, where there is one, or not."),
    click.option(
        "--worktree",
        metavar="DIR",
        multiple=True,
        help="Record the files in DIR, and not those of the repository or directory that CMD starts in. Repeatable.",
    ),
    click.option("--no-worktree", is_flag=True, help="Record no files."),
    click.option("--as", "person", metavar="NAME", default="", help="Who types, where CMD is a shell of a person's."),
)


def watching[F: Callable[..., object]](command: F) -> F:
    """Give a command these options."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What a run needs for it."""

    settings: Settings
    nonce: str
    """Hex."""
    witness: dict[str, str | bool]
    """As `session.open` tells it."""
    said: str
    """For the banner: what is witnessed, and what of the agent's traffic is other than without us."""


def witnessed(run_dir: Path, agent: str, launch: Launch, settings: Settings, watch: Watch) -> Witnessed:
    """Write the run's files. `settings` with what the agent's shells need beside. Raises OSError."""
    nonce = os.urandom(8)
    installed = install(
        run_dir,
        agents=[Marked(name, *marked) for name, marked in MARKED.items()],
        launched=agent,
        # This process becomes the launcher by exec.
        launcher_pid=os.getpid(),
        nonce=nonce,
        environ=launch.environ,
        own=Own.of(launch.environ),
        deep=watch["deep"],
    )
    witness = Witness(
        bash_env=installed.bash_env,
        zdotdir=installed.zdotdir,
        python_path=installed.python_path,
        telemetry_url=launch.own_url + TELEMETRY,
        hooks_url=launch.own_url + HOOKS,
        plugin=str(PLUGIN),
        join=watch["join"],
    )
    settings = shells.by_name(agent).witnessed(launch, witness, settings)
    said = (
        "commands and their output" if installed.force.level == "supervisor" else "commands (no output: tapes doctor)"
    )
    told: dict[str, str | bool] = {"level": installed.force.level, "join": watch["join"], "deep": watch["deep"]}
    if witness.telemetry_url in settings.environment.values():
        told["telemetry"] = True
        said += ", joined by its telemetry (model calls carry a traceparent header; --join none leaves it out)"
    return Witnessed(settings, nonce.hex(), told, said)
