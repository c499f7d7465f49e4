"""`tapes commands [REF]`: what was run, what of it was asked for, and whether the model was told what came of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TypedDict, Unpack

import click

from tapes.archive.base import Archive
from tapes.archive.refs import resolve
from tapes.errors import Damaged, NotFound
from tapes.session.audit import commands
from tapes.session.commands import Command
from tapes.session.rows import Row, rows, summary_of
from tapes.session.verdicts import VERDICTS
from tapes.session.view import steps
from tapes_cli import output
from tapes_cli.audit_screen import Screen, as_object
from tapes_cli.exit_codes import Exit
from tapes_cli.home import open_archive
from tapes_cli.picking import Asked, Picking, Question, picking, regex


class Options(TypedDict):
    exit: str
    grep: str
    regex: str
    cwd: str
    participant: str
    tool: str
    since: str
    until: str
    last: str
    verdicts: tuple[str, ...]


@click.command("commands")
@click.argument("ref", required=False)
@click.option("--exit", metavar="nonzero|N|signal", default="", help="That ended so; or by a signal's name (KILL).")
@click.option("--grep", metavar="TEXT", default="", help="TEXT in the line, the directory, or where it worked.")
@click.option("--regex", metavar="RE", default="", help="The same with a regular expression.")
@click.option("--cwd", metavar="DIR", default="", help="Run in DIR or below.")
@click.option("--participant", metavar="NAME|KIND", default="", help="Run by NAME, or by an agent, human, harness.")
@click.option("--tool", metavar="ID|NAME", default="", help="Asked for by this tool call, or by calls of this tool.")
@click.option("--since", metavar="TIME", default="", help="Begun then or later: 2026-11-21T14:30, 14:30, 2h.")
@click.option("--until", metavar="TIME", default="", help="Begun then or before.")
@click.option("--last", metavar="SPAN", default="", help="Begun in the last 30m, 2h, 3d.")
@click.option("--verdict", "verdicts", metavar="V", multiple=True, help="With this verdict, or unmatched. Repeatable.")
@click.option("--before", metavar="RE", default="", help="Begun before the latest command whose line fits RE.")
@click.option("--output", "with_output", is_flag=True, help="With what each wrote.")
@click.option("--execs", "with_execs", is_flag=True, help="With the programs started below each (tapes run --deep).")
@click.option("--json", "as_json", is_flag=True, help="One object a line; fields in docs/cli.md.")
@click.option("--exit-code", is_flag=True, help="Exit 1 when a command shown has another verdict than matched.")
def command(
    ref: str | None,
    before: str,
    with_output: bool,
    with_execs: bool,
    as_json: bool,
    exit_code: bool,
    **options: Unpack[Options],
) -> int:
    """The commands that were run: who ran what, where, how it ended, and whether that is what the model asked for and
    was told. REF is a session (or REF:12, a step of it); without it, all sessions, newest last.

    \b
    tapes commands --grep prod-west-2
    tapes commands @ --exit nonzero --output
    tapes commands @ --verdict unmatched --exit-code
    """
    asked = picking(Asked(**options), VERDICTS)
    wrong = damaged = False
    with open_archive() as archive:
        chosen = sessions(archive, ref, asked)
        if before:
            asked.questions.append(earlier(archive, chosen, before))
        screen = Screen(archive, with_output=with_output, with_execs=with_execs)
        for row in chosen:
            try:
                found = [] if row.error else of_session(archive, row, asked)
            except Damaged as error:
                if ref is not None:
                    raise
                row = replace(row, error=str(error))
            if row.error:
                damaged = True
                click.echo(f"tapes: session {row.session.short()} can not be read: {row.error}", err=True)
                continue
            wrong = wrong or any(set(one.judgement.verdicts) - {"matched"} for one in found)
            if as_json:
                for one in found:
                    output.show_json(as_object(archive, one, with_output=with_output, with_execs=with_execs))
            else:
                screen.add(row, found)
        screen.show()
    for line in asked.useless():
        click.echo(f"tapes: {line}", err=True)
    return Exit.DAMAGED if damaged else Exit.FOUND if wrong and exit_code else Exit.OK


def sessions(archive: Archive, ref: str | None, asked: Picking) -> list[Row]:
    """Those that REF means, or all. A REF that means a record or a step asks for the commands of that, too."""
    if ref is None:
        return [row for row in rows(archive, newest_first=False) if row.error or asked.may_hold(row.summary)]
    found = resolve(archive, ref)
    record = found.record
    if found.step is not None:
        record = next((step.hash for step in steps(archive, found.session) if step.number == found.step), None)
        if record is None:
            raise NotFound(f"session {found.session.short()} has no step {found.step}")
    if record is not None:
        asked.questions.append(lambda command: record in command.records)
    return [Row(found.session, summary_of(archive, found.session))]


def of_session(archive: Archive, row: Row, asked: Picking) -> list[Command]:
    return [one for one in commands(archive, row.session, wanted=asked.facts) if asked.judged(one)]


def earlier(archive: Archive, chosen: list[Row], pattern: str) -> Question:
    """Before the latest command whose line fits. NotFound where there is none."""
    fits = regex(pattern, "--before")
    times = [
        one.wall_ns
        for row in chosen
        if not row.error
        for one in commands(
            archive, row.session, wanted=lambda one: one.ran is not None and bool(fits.search(one.line))
        )
    ]
    if not times:
        raise NotFound(f"no command that ran fits --before {pattern!r}", hint="tapes commands lists them all")
    latest = max(times)
    return lambda command: command.wall_ns < latest
