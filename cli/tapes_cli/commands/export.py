"""`tapes export REF`: a session in a format that others read."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tapes.archive.base import Archive
from tapes.archive.refs import Ref, name_of, resolve
from tapes.errors import NotFound, UsageError
from tapes.record.digest import Digest
from tapes_cli import output
from tapes_cli.exit_codes import Exit
from tapes_cli.home import open_archive

if TYPE_CHECKING:
    from tapes.session.screen.tape import Tape

FORMATS = ("asciicast", "asciicast-v2", "md", "json", "jsonl", "sh", "har", "text")
UPTO = ("md", "json", "sh")
"""Those that can end at a step."""


@click.command("export")
@click.argument("ref", default="@")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default=FORMATS[0], show_default=True, help="See docs/cli.md."
)
@click.option("-o", "--output", "path", type=click.Path(path_type=Path), help="A file instead of standard output.")
@click.option("--force", is_flag=True, help="Replace the file if there is one.")
@click.option("--idle-limit", type=click.FloatRange(0), metavar="S", help="Asciicasts: no pause longer than this.")
def command(ref: str, form: str, path: Path | None, force: bool, idle_limit: float | None) -> int:
    """Write a session: its screen as an asciicast or text, all that was said and done as Markdown or JSON, its commands
    as a script, its calls as HAR, its log as events (jsonl). md, json and sh may end at a step: REF:12.

    What of the recording is not there is said in its place, and the exit code is then 1.
    """
    if idle_limit is not None and not form.startswith("asciicast"):
        raise UsageError(f"--idle-limit is about asciicasts, not {form}")
    if path is not None and os.path.lexists(path) and not force:
        raise UsageError(f"{path} is there already", hint="--force replaces it")
    with open_archive() as archive:
        found = resolve(archive, ref)
        if (found.step is not None or found.record is not None) and (form not in UPTO or found.record is not None):
            raise UsageError(
                "a whole session is exported", hint=f"tapes export {found.session.short()} --format {form}"
            )
        trouble: list[str] = []
        lines = lines_of(archive, found, form, idle_limit, trouble)
        if path is None:
            # Bytes, as the lines end with a line feed everywhere and are ASCII, or, of text, UTF-8.
            for line in lines:
                sys.stdout.buffer.write(line.encode())
            sys.stdout.buffer.flush()
        else:
            write(path, lines, force)
        for line in trouble:
            click.echo(f"Incomplete: {output.harmless(line)}", err=True)
        return Exit.FOUND if trouble else Exit.OK


def lines_of(archive: Archive, ref: Ref, form: str, idle_limit: float | None, trouble: list[str]) -> Iterator[str]:
    if form == "jsonl":
        from tapes.export.events import events

        for row in events(archive, ref.session):
            if row["event"] == "terminal.missed":
                trouble.append(str(row["reason"]))
            yield json.dumps(row | {"time": output.iso(row["time"])}) + "\n"
        return
    if form in ("md", "json", "sh", "har"):
        yield from document(archive, ref, form, trouble)
        return
    tape = recording(archive, ref.session)
    if form == "text":
        from tapes.session.screen.playback import everything_shown

        yield from (line + "\n" for line in everything_shown(tape, trouble))
        return
    from tapes.export.asciicast import asciicast
    from tapes.session.screen.playback import missing

    trouble += [missing(event) for event in tape.events() if event.kind == "x"]
    named = title(archive, ref.session)
    yield from asciicast(archive, tape, 2 if form == "asciicast-v2" else 3, title=named, idle_limit=idle_limit)


def document(archive: Archive, ref: Ref, form: str, trouble: list[str]) -> Iterator[str]:
    from tapes.export import document
    from tapes.export.har import har
    from tapes.session.transcript import moment
    from tapes.session.view import view

    found = view(archive, ref.session)
    steps = list(found.steps)  # which also finds whose call each is
    if form == "har":
        yield from har(archive, found, trouble)
        return
    at = moment(found, steps, ref.step)
    name = name_of(archive, ref.session)
    trouble += [f"step {step.number}: {step.text}" for step in at.steps if step.type == "withheld"]
    match form:
        case "md":
            yield from (line + "\n" for line in document.markdown(archive, found, at, name, trouble))
        case "sh":
            yield from (line + "\n" for line in document.shell(archive, found, at, name))
        case _:
            yield from document.as_json(archive, found, at, name, trouble)


def recording(archive: Archive, session: Digest) -> Tape:
    """The session's recorded terminal. NotFound says why there may be none."""
    from tapes.session.screen.tape import tape_of

    tape = tape_of(archive, session)
    if tape is None:
        raise no_recording(session)
    return tape


def no_recording(session: Digest) -> NotFound:
    """Why a session may have no recorded terminal, and what there is instead."""
    return NotFound(
        f"session {session.short()} has no recorded screen",
        hint="the screen is recorded when `tapes run` starts an agent on a terminal, without --no-screen.\n"
        f"  What was said and done: tapes export {session.short()} --format md, or tapes show {session.short()}",
    )


def title(archive: Archive, session: Digest) -> str:
    named = name_of(archive, session)
    return named or f"{archive.record(session).body.get('agent', '')} {session.short()}".strip()


def write(path: Path, lines: Iterable[str], force: bool) -> None:
    """All of it or nothing: it is written beside the place and put there whole. A crash leaves at most the file
    beside it, whose name says whose it is."""
    beside = path.with_name(f".{path.name}.tapes-{os.getpid()}")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        if force:
            beside.replace(path)
        else:
            put(beside, path)
    except FileExistsError as error:
        raise UsageError(f"{path} is there already", hint="--force replaces it") from error
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    finally:
        beside.unlink(missing_ok=True)


def put(beside: Path, path: Path) -> None:
    """A link fails where a file has come into being meanwhile; a rename would replace it."""
    try:
        os.link(beside, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if os.path.lexists(path):
            raise FileExistsError from None
        beside.replace(path)
