"""`tapes run --playback REF`: the options, and what they make of a run.

All model hosts are mapped on a process that plays the recording; what is no model call may only go to this machine.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypedDict
from urllib.parse import urlsplit

import click

from tapes.errors import UsageError
from tapes.values import dataclass, field
from tapes_addons.harmless import harmless
from tapes_addons.plan import Plan
from tapes_addons.routes import HostMap
from tapes_cli.launching import working_directory


class Replay(TypedDict):
    """The options' values."""

    playback: str
    fast: bool
    lenient: bool
    allow_network: bool


_OPTIONS = (
    click.option("--playback", metavar="REF", default="", help="Answer model calls from REF's recording, offline."),
    click.option("--fast", is_flag=True, help="With --playback: answer at once, not when the recorded bytes came."),
    click.option("--lenient", is_flag=True, help="With --playback: answer also where what tools gave back differs."),
    click.option("--allow-network", is_flag=True, help="With --playback: let the agent reach other hosts."),
)


def replaying[F: Callable[..., object]](command: F) -> F:
    """Give a command these options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Played:
    """What a recording makes of a run; nothing where none is played."""

    session: str = ""
    hosts: tuple[str, ...] = ()
    """Model hosts of the recording."""
    said: tuple[str, ...] = ()
    options: Replay | None = None
    places: dict[str, str] = field(default_factory=dict)

    def put_into(self, plan: Plan) -> None:
        """Start the process that plays, and lead the run to it."""
        if self.options is None:
            return
        from tapes_cli.playing import Playing, start

        playing = Playing(self.session, self.options["fast"], self.options["lenient"], places=self.places)
        port, pid, line = start(playing)
        plan.playback, plan.player, plan.offline = self.session, [line, pid], not self.options["allow_network"]
        plan.map_host = [f"*=http://127.0.0.1:{port}"]
        plan.banner = f"{plan.banner} · played from {self.session[:12]}, no provider is asked"
        for line_ in self.said:
            click.echo(f"tapes: {harmless(line_)}", err=True)


def played(options: Replay, mapped: HostMap) -> Played:
    """Look at what is to be played. UsageError, NotFound, Damaged before anything is started."""
    if not options["playback"]:
        for name in ("fast", "lenient", "allow_network"):
            if options[name]:
                raise UsageError(f"--{name.replace('_', '-')} is about --playback")
        return Played()
    if mapped.targets:
        raise UsageError("--playback answers all model calls, so that no --map-host is left")
    from tapes_cli.home import open_archive
    from tapes_cli.playing import Playing, chosen, tape_of, told

    places = {"cwd": working_directory(), "home": os.environ.get("HOME", "")}
    places = {name: path for name, path in places.items() if path}
    with open_archive() as archive:
        loaded = chosen(archive, options["playback"])
        tape = tape_of(loaded, Playing(loaded.session.hex(), places=places))
        hosts = {host for one in loaded.recorded if (host := urlsplit(one.url).netloc)}
        return Played(loaded.session.hex(), tuple(sorted(hosts)), tuple(told(loaded, tape)), options, places)
