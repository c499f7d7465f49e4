"""`tapes doctor`: is everything in order for recording? Each line says ok, or what to do."""

from __future__ import annotations

import os
from collections.abc import Iterator

import click

from tapes_cli import output
from tapes_cli.checks.finding import Finding
from tapes_cli.exit_codes import Exit
from tapes_cli.home import home

WIDTH = 20
MARKS = {"ok": ("ok  ", "green"), "note": ("note", "yellow"), "bad": ("BAD ", "red")}


@click.command("doctor")
@click.option("--agent", metavar="CMD", help="Check this agent too: start its version command through us.")
@click.option("--no-loopback", is_flag=True, help="Leave out the streamed requests through the proxy (some seconds).")
@click.option("--json", "as_json", is_flag=True, help="One object a line: what, verdict, text, todo.")
def command(agent: str | None, no_loopback: bool, as_json: bool) -> int:
    """Check archive, permissions, certificates, ports and proxy settings, and record one streamed call in each dialect.

    Nothing leaves this machine, and your archive is not written to. Exit code 1 when something is in the way.
    """
    bad = 0
    for finding in findings(agent, loopback=not no_loopback):
        bad += finding.verdict == "bad"
        show(finding, as_json)
    if not as_json:
        click.echo("something is in the way: see BAD above" if bad else "all in order", err=True)
    return Exit.FOUND if bad else Exit.OK


def findings(agent: str | None, *, loopback: bool) -> Iterator[Finding]:
    """All checks, the cheap ones first."""
    from tapes_cli.checks import place, surroundings

    folder = home()
    yield from surroundings.libraries()
    yield from place.home(folder)
    yield from place.archive(folder)
    yield from place.certificates(folder)
    yield from surroundings.ports()
    yield from surroundings.serve(folder)
    yield from surroundings.proxy(os.environ)
    yield from surroundings.variables(os.environ)
    yield from surroundings.configuration(folder)
    yield from surroundings.system()
    yield from surroundings.witness()
    yield from surroundings.files()
    from tapes_cli.checks import trial

    if loopback:
        yield from trial.dialects()
    if agent:
        yield from trial.version_of(agent)


def show(finding: Finding, as_json: bool) -> None:
    if as_json:
        fields = {"what": finding.what, "verdict": finding.verdict, "text": finding.text, "todo": finding.todo or None}
        output.show_json(fields)
        return
    mark, colour = MARKS[finding.verdict]
    todo = f"\n     {' ' * WIDTH} → {finding.todo}" if finding.todo else ""
    shown = output.harmless(f"{finding.what:{WIDTH}} {finding.text}")
    click.echo(f"{output.styled(mark, fg=colour)} {shown}{output.harmless(todo, lines=True)}")
