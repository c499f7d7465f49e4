"""`tapes checkout --as`: a transcript from which an agent itself goes on, and the words with which it does."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from tapes.errors import UsageError
from tapes.native.carried import Carried, carried
from tapes.native.place import TESTED, Resumable, checked, used_here, write
from tapes.values import dataclass
from tapes_addons.harmless import harmless
from tapes_cli.branching import since
from tapes_cli.home import open_archive
from tapes_cli.launching import working_directory
from tapes_cli.pointing import Point, point


@dataclass(frozen=True, slots=True)
class Taken:
    """A transcript, and the point that it is of."""

    made: Resumable
    session: str
    step: int
    thread: str
    notes: tuple[str, ...]

    def as_object(self) -> dict[str, Any]:
        return {
            "agent": self.made.agent,
            "id": self.made.id,
            "path": str(self.made.path),
            "cwd": self.made.cwd,
            "command": list(self.made.words),
            "session": self.session,
            "step": self.step,
            "thread": self.thread,
            "notes": list(self.notes),
        }

    def say(self) -> None:
        """The command alone to standard output, all talk about it to standard error."""
        title = f"{self.session[:12]}:{self.step} ({self.thread})"
        click.echo(harmless(f"tapes: {title} is a transcript of {self.made.agent}'s now: {self.made.path}"), err=True)
        for note in self.notes:
            click.echo(harmless(f"tapes:   {note}"), err=True)
        there = os.path.realpath(working_directory() or "/") == self.made.cwd
        command = shlex.join(self.made.words)
        click.echo(harmless(command if there else f"cd {shlex.quote(self.made.cwd)} && {command}"))


def take(ref: str, agent: str, *, cwd: str = "", thread: str = "", environ: Mapping[str, str] = os.environ) -> Taken:
    """Write the transcript. UsageError where the agent has none of ours, is not there, or the conversation can not be
    carried; the errors of reading where it can not be read. Nothing is written then."""
    checked(agent)
    with open_archive() as archive:
        at = point(archive, ref, thread)
        it = carried(archive, at.found, at.at)
        _is_there(agent, at, environ)
        folder, notes = _directory(cwd, at.folder)
        made = write(it, agent, folder, f"tapes {at.title}", environ, str(Path.home()))
        told = (*made.notes, *notes, *_of_versions(agent, it), *since(archive, at, folder))
        return Taken(made, at.session.hex(), at.at.number, at.at.thread, told)


def _directory(wanted: str, recorded: str) -> tuple[str, list[str]]:
    if wanted:
        if not Path(wanted).is_dir():
            raise UsageError(f"--cwd {wanted}: no such directory")
        return wanted, []
    if recorded and Path(recorded).is_dir():
        return recorded, []
    here = working_directory()
    if not here:
        raise UsageError("the directory of the session is gone, and so is this one", hint="give one with --cwd")
    why = f"{recorded} is not there any more" if recorded else "its directory is not recorded"
    return here, [f"{why}: it is for this one (--cwd says another)"]


def _is_there(agent: str, at: Point, environ: Mapping[str, str]) -> None:
    """Can the agent be here? It is not started to find out."""
    words = at.found.records[0][1].body.get("argv", ())
    launched = os.fsdecode(words[0]) if words else ""
    named = Path(launched).name == agent and Path(launched).is_absolute() and Path(launched).exists()
    if named or shutil.which(agent, path=environ.get("PATH")) or used_here(agent, environ, str(Path.home())):
        return
    raise UsageError(
        f"{agent} is not installed here: no program of that name on PATH, no folder of its own",
        hint=f"install it, then: tapes checkout --as {agent}",
    )


def _of_versions(agent: str, it: Carried) -> Iterator[str]:
    tested = TESTED[agent]
    if it.agent == agent and it.version and it.version.split(".")[:2] != tested.split(".")[:2]:
        yield f"this form was found out with {agent} {tested}, and the session is of {it.version}: see whether it fits"
