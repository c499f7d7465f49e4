"""`tapes checkout REF[:STEP]`: a moment of a session as files in a directory."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tapes.archive.refs import name_of, resolve
from tapes.errors import UsageError
from tapes_cli import checkouts, output
from tapes_cli.exit_codes import Exit
from tapes_cli.home import home, open_archive

if TYPE_CHECKING:
    from tapes.checkout.taking import Report


@click.command("checkout")
@click.argument("ref", default="@")
@click.option("-o", "--output", "path", type=click.Path(path_type=Path), metavar="DIR", help="Where; new, or empty.")
@click.option("--as", "agent", metavar="AGENT", default="", help="As a transcript that claude or codex goes on from.")
@click.option("--cwd", metavar="DIR", default="", help="With --as: the directory in which it is to go on.")
@click.option("--thread", default="", metavar="T", help="Of this thread: its id or the beginning of it, or its name.")
@click.option("--force", is_flag=True, help="Into a directory with something in it; nothing there is deleted.")
@click.option("--partial", is_flag=True, help="What is left, where something of it is damaged or withheld.")
@click.option("--list", "listed", is_flag=True, help="List what is out.")
@click.option("--json", "as_json", is_flag=True, help="As an object; fields in docs/cli.md.")
def command(
    ref: str,
    path: Path | None,
    agent: str,
    cwd: str,
    thread: str,
    force: bool,
    partial: bool,
    listed: bool,
    as_json: bool,
) -> int:
    """Take a moment of a session out as files: what was said, the request, the commands, the working directory.

    REF:12 is the end of step 12, REF alone the end of the session. Nothing is executed. With --as it becomes a
    transcript in the agent's own form and place, and the command is printed with which the agent goes on from it.
    """
    if listed:
        return show_list(as_json)
    if agent:
        if path or force or partial:
            raise UsageError("--as writes to the agent's own place: -o, --force and --partial are of files")
        return go_on(ref, agent, cwd, thread, as_json)
    if cwd:
        raise UsageError("--cwd says where an agent is to go on: it belongs to --as")
    from tapes.checkout.folder import Folder
    from tapes.checkout.taking import take
    from tapes.session.transcript import moment
    from tapes.session.view import view
    from tapes_cli.pointing import step_of

    with open_archive() as archive:
        found_ref = resolve(archive, ref)
        found = view(archive, found_ref.session)
        steps = list(found.steps)
        at = moment(found, steps, step_of(found_ref, found, steps), thread)
        short = found_ref.session.short()
        target = path or Path(f"tapes-{short}-{at.number}")
        named = name_of(archive, found_ref.session)
        with Folder(target, force=force) as folder:
            for name in folder.left_over:
                click.echo(f"Removed {output.harmless(name)}: an earlier checkout had been killed in it", err=True)
            report = take(archive, found, at, folder, name=named, partial=partial)
            aside = folder.commit()
        try:
            checkouts.record(home(), found_ref.session.hex(), at.number, at.thread, folder.target, report.request_hash)
        except OSError as error:  # an archive that may only be read
            click.echo(f"Not noted for --list: {error.strerror}", err=True)
    if as_json:
        output.show_json(told(report, folder.target, aside))
    else:
        say(report, folder.target, aside)
    return Exit.DAMAGED if report.damaged else Exit.FOUND if report.lost else Exit.OK


def go_on(ref: str, agent: str, cwd: str, thread: str, as_json: bool) -> int:
    from tapes_cli.going_on import take

    taken = take(ref, agent, cwd=cwd, thread=thread)
    checkouts.record(home(), taken.session, taken.step, taken.thread, taken.made.path, "", agent)
    if as_json:
        output.show_json(taken.as_object())
    else:
        taken.say()
    return Exit.OK


def told(report: Report, target: Path, aside: str) -> dict[str, Any]:
    found = asdict(report)
    del found["damaged"]
    return {"path": str(target), **found, "session": report.session.hex(), "before": aside or None}


def say(report: Report, target: Path, aside: str) -> None:
    click.echo(f"{report.session.short()}:{report.step} ({output.harmless(report.thread)}) is in {target}")
    if report.request:
        how = "as it was sent" if report.request == "sent" else "built, not sent"
        click.echo(f"  request.json  {how} · {output.size(report.request_bytes)} · {report.request_hash[:12]}")
    counts = ", ".join(f"{count} {name}" for name, count in report.files.items() if count) or "none"
    click.echo(f"  files/        {counts} · from {'snapshots' if report.source == 'snapshot' else 'what tools did'}")
    for note in report.notes:
        click.echo(f"  note: {output.harmless(note)}")
    for lost in report.lost:
        click.echo(f"  NOT RESTORED: {output.harmless(lost)}")
    if aside:
        click.echo(f"  what was in the way is in {target / aside}")


def show_list(as_json: bool) -> int:
    for out in checkouts.all_out(home()):
        if as_json:
            output.show_json(asdict(out) | {"time": output.iso(out.wall_ns)})
        else:
            when = datetime.fromtimestamp(out.wall_ns / 1e9).astimezone().strftime("%Y-%m-%d %H:%M")
            what = "" if out.kind == "files" else f" ({out.kind})"
            line = f"{when}  {out.session[:12]}:{out.step}  {out.thread}  {out.path}{what}"
            click.echo(output.harmless(line))
    return Exit.OK
