"""`tapes playback REF`: a model API on this machine that answers from a recording."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tapes.errors import UsageError
from tapes_addons.routes import is_loopback
from tapes_cli.addresses import address
from tapes_cli.exit_codes import Exit
from tapes_cli.home import open_archive

if TYPE_CHECKING:
    from tapes.playback.loading import Loaded
    from tapes.playback.matching import Tape
    from tapes_addons.playback.server import Player

BASES = {
    "anthropic": "ANTHROPIC_BASE_URL={}",
    "openai-chat": "OPENAI_BASE_URL={}/v1",
    "openai-responses": "OPENAI_BASE_URL={}/v1",
    "gemini": "GOOGLE_GEMINI_BASE_URL={}",
    "ollama": "OLLAMA_HOST={}",
}
"""By dialect, the variable that leads agents here."""


@click.command("playback")
@click.argument("ref", default="@")
@click.option("--listen", default="127.0.0.1:0", show_default=True, metavar="HOST:PORT", help="Port 0 is a free one.")
@click.option("--fast", is_flag=True, help="Answer at once, not when the recorded bytes came.")
@click.option("--lenient", is_flag=True, help="Answer also where what tools gave back differs.")
@click.option("--repeat", is_flag=True, help="Give the last answer again where all were given.")
@click.option(
    "--cwd",
    type=click.Path(path_type=Path, file_okay=False),
    help="The agent's working directory; else it is found out from what it asks.",
)
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write what was played to a JSON file.")
@click.option("--allow-network", is_flag=True, help="Listen also where other machines can reach it.")
def command(
    ref: str,
    listen: str,
    fast: bool,
    lenient: bool,
    repeat: bool,
    cwd: Path | None,
    report: Path | None,
    allow_network: bool,
) -> int:
    """Serve the session REF as a model API, until stopped: an agent that is pointed at it repeats its run.

    Nothing is ever asked of a provider. A request that is not in the recording is answered with status 400, which
    names the nearest recorded one and the first difference; the exit code is then 1. The URL goes to standard output.
    """
    from tapes_addons.voice import Voice
    from tapes_cli.playing import Playing, chosen, tape_of, told

    host, port = address(listen)
    if not is_loopback(host) and not allow_network:
        raise UsageError(
            f"{host} can be reached from other machines",
            hint="whoever reaches it can read this recording's answers; if that is what you want: --allow-network",
        )
    with open_archive() as archive:
        loaded = chosen(archive, ref)
        places = {"cwd": str(cwd.resolve())} if cwd else {}
        playing = Playing(loaded.session.hex(), fast, lenient, repeat, places)
        tape = tape_of(loaded, playing)
        listener = bind(host, port)
        url = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
        voice = Voice()
        for line in (*told(loaded, tape), *announcement(loaded, tape, url)):
            voice.say(line)
        player = asyncio.run(serve(tape, listener, voice, url, fast=fast))
        from tapes_addons.playback import words

        for line in words.summary(player.counts, tape, loaded.session.hex()):
            voice.say(line)
        voice.close()
        if report is not None:
            text = json.dumps(words.report(player.counts, tape, loaded.session.hex()), indent=1)
            try:
                report.write_text(text + "\n", "utf-8")
            except OSError as error:
                raise UsageError(f"--report {report}: {error.strerror}") from error
    return Exit.FOUND if player.counts.refused else Exit.OK


async def serve(tape: Tape, listener: socket.socket, voice: object, url: str, *, fast: bool) -> Player:
    """Until a signal comes; the URL is printed when requests are answered."""
    from tapes_addons.playback.server import Player
    from tapes_addons.voice import Voice
    from tapes_cli.playing import redactor

    assert isinstance(voice, Voice)
    player = Player(tape, redactor(os.environb), voice.say, fast=fast)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await player.start(listener)
    click.echo(url)
    await stop.wait()
    await player.stop()
    return player


def bind(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}:{port}: {error.strerror}", hint="--listen 127.0.0.1:0 takes a free port"
        ) from error


def announcement(loaded: Loaded, tape: Tape, url: str) -> list[str]:
    calls = [one for one in loaded.recorded if one.cls == "model"]
    variables = dict.fromkeys(BASES[one.provider].format(url) for one in calls if one.provider in BASES)
    return [
        f"playing {loaded.session.short()}, {len(calls)} model calls, on {url}; stop with Ctrl-C",
        *(f"lead an agent here: {variable}" for variable in variables),
    ]
