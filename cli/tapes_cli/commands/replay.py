"""`tapes replay REF`: the recorded screen, played or as it was at a time."""

from __future__ import annotations

import sys

import click

from tapes.archive.refs import resolve
from tapes.errors import UsageError
from tapes_cli import output
from tapes_cli.commands.export import recording
from tapes_cli.home import cache_folder, home, open_archive


@click.command("replay")
@click.argument("ref", default="@")
@click.option("--at", metavar="STEP|TIME", help="Print the screen as it was at a step (12), or a time (12.5s, 1:30).")
@click.option("--ansi", is_flag=True, help="With colours, also where they go to no terminal (of --at).")
@click.option("--list-marks", is_flag=True, help="Print when each command began instead of playing.")
@click.option("--speed", type=click.FloatRange(0.01, 1000), default=1.0, show_default=True)
@click.option("--idle-limit", type=click.FloatRange(0), metavar="S", help="Wait no longer than this at a time.")
@click.option("--no-breaks", is_flag=True, help="Do not stop at breakpoints (tapes break).")
def command(
    ref: str,
    at: str | None,
    ansi: bool,
    list_marks: bool,
    speed: float,
    idle_limit: float | None,
    no_breaks: bool,
) -> None:
    """Play a session's recorded screen; REF:12 begins at its step 12. It stops at breakpoints (tapes break).

    Keys: space pauses and goes on, . goes on by one event, ← → by 5 s, [ ] to the command before or after, 1-9 set the
    speed, q quits. Where there is no terminal to play in, the last screen is printed. Nothing is ever executed.

    \b
    tapes replay
    tapes replay demo:12 --speed 4 --idle-limit 1
    tapes replay --at 1:30
    """
    from tapes.session.screen.playback import Playback, screen_at
    from tapes.session.screen.timeline import marks, moment_of_step, read_time, stops_in
    from tapes_cli.drawing import printed

    with open_archive() as archive:
        found = resolve(archive, ref)
        if found.record is not None:
            raise UsageError("a session is played, or one of its steps", hint=f"tapes replay {found.session.short()}")
        if found.step is not None and at is not None:
            raise UsageError("REF:STEP and --at both say where")
        tape = recording(archive, found.session)
        begin = None
        if found.step is not None or (at and at.isdecimal()):
            begin = moment_of_step(archive, tape, found.step if found.step is not None else int(at or 0))
        elif at is not None:
            begin = read_time(at)
        if list_marks:
            for mark in marks(archive, tape):
                click.echo(f"{mark.at_ns / 1e9:10.3f}s {mark.record.short()} $ {output.harmless(mark.text)}")
            return
        if at is not None or not (sys.stdin.isatty() and sys.stdout.isatty()):
            screen, trouble = screen_at(tape, begin, cache_folder())
            coloured = ansi or output.colour()
            for line in printed(screen, coloured):
                click.echo(line, color=coloured)
            if trouble:
                click.echo(f"Incomplete: {output.harmless(trouble)}", err=True)
            return
        from tapes_cli.breakpoints import Breaks
        from tapes_cli.player import Controls, play

        stops = [] if no_breaks else stops_in(archive, tape, Breaks.load(home()).all)
        playback = Playback(tape, marks(archive, tape), cache_folder())
        playback.go_to(begin or 0)
        try:
            play(Controls(playback, speed, None if idle_limit is None else round(idle_limit * 1e9), stops))
        finally:
            playback.keyframes.save()
