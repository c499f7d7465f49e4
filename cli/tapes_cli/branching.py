"""`tapes run --from`: what a branch begins with, and what a person is told and asked before it begins.

Only the conversation goes back to the step. Files are today's, and whatever the agent does next it does to them; so how
they differ from then is shown, and nothing is started before somebody has said yes.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from tapes.archive.base import Archive
from tapes.errors import UsageError
from tapes.native.carried import carried
from tapes.native.place import AGENTS, write
from tapes.session.worktree import worktrees
from tapes.values import dataclass, field
from tapes.wire import agents
from tapes.wire.agents.words import program_at
from tapes_addons.harmless import harmless
from tapes_addons.snapshot import snapshot
from tapes_cli.home import open_archive
from tapes_cli.launching import working_directory
from tapes_cli.pointing import Point, differing, point, settings
from tapes_cli.today import LISTED, difference

_RESUMING = {"claude": {"--resume", "-r", "--continue", "-c", "--session-id"}, "codex": {"resume", "fork"}}


@dataclass(frozen=True, slots=True)
class Branch:
    """What a run that branches off starts with."""

    argv: list[str]
    cwd: str
    name: str
    parent: tuple[str, str, int]
    environment: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def branch(ref: str, argv: Sequence[str], name: str, *, yes: bool, environ: Mapping[str, str]) -> Branch:
    """Find the point, tell of it, ask, and write the transcript. UsageError where nobody says yes; the errors of
    reading where it can not be carried."""
    agent = agents.recognise(argv).name
    check_words(agent, argv)
    if shutil.which(argv[0]) is None:
        raise UsageError(f"{argv[0]} is not there, or can not be run", hint="nothing was written or started")
    with open_archive() as archive:
        at = point(archive, ref)
        carries = carried(archive, at.found, at.at) if agent in AGENTS else None
        cwd, told = _directory(at.folder if carries else at.last_folder)
        name = name or made_up(at.name, set(archive.names()))
        told += list(since(archive, at, cwd))
        variables, hidden = ({}, []) if carries else settings(at)
        _tell(at, agent, cwd, told, variables, hidden, environ)
        if not yes:
            _ask()
        if carries is None:
            return Branch(list(argv), cwd, name, at.hash, variables)
        made = write(carries, agent, cwd, f"tapes {at.title}", environ, str(Path.home()))
        return Branch(resuming(agent, argv, made.id), cwd, name, at.hash, notes=made.notes)


def check_words(agent: str, argv: Sequence[str]) -> None:
    """UsageError where the command line itself says what is to be resumed."""
    behind = argv[program_at(argv) + 1 :]
    said = [word for word in behind if word.partition("=")[0] in _RESUMING.get(agent, ())]
    if said and (agent == "claude" or behind[0] in _RESUMING["codex"] or behind[:2] == ["exec", said[0]]):
        raise UsageError(f"{said[0]} and --from both say what {agent} is to go on with", hint="leave one of them out")


def resuming(agent: str, argv: Sequence[str], id_: str) -> list[str]:
    """The command line with the words that make the agent go on from a transcript."""
    at = program_at(argv) + 1
    before, behind = list(argv[:at]), list(argv[at:])
    if agent == "claude":
        return [*before, "--resume", id_, *behind]
    if behind[:1] in (["exec"], ["e"]):
        return [*before, behind[0], "resume", id_, *behind[1:]]
    return [*before, "resume", id_, *behind]


def made_up(parent: str, taken: set[str]) -> str:
    """A name for a branch: the parent's, and a number."""
    stem, mark, number = parent.rpartition("-b")
    base = (stem if mark and number.isdigit() and stem else parent)[:56]
    return next(name for n in range(1, 10**6) if (name := f"{base}-b{n}") not in taken)


def _directory(recorded: str) -> tuple[str, list[str]]:
    here = working_directory()
    if recorded and Path(recorded).is_dir():
        elsewhere = recorded != here and os.path.realpath(recorded) != os.path.realpath(here or "/")
        return recorded, ["that is not the directory you are in"] if elsewhere else []
    why = f"{recorded} is not there any more" if recorded else "the directory of that time is not recorded"
    return here, [f"{why}: it starts in this one"]


def since(archive: Archive, at: Point, cwd: str) -> Iterator[str]:
    """How the directory differs from what it was: by its snapshots, else as far as git can tell."""
    trees = worktrees(archive, at.found.records)
    own = next((tree for tree in trees if _holds(tree.root, cwd)), None)
    if own is not None:
        tree = own.at(at.at.number or None)
        yield from difference(tree).lines()
        yield from (f"not sure: {doubt}" for doubt in tree.doubts)
        return
    if trees:
        roots = ", ".join(os.fsdecode(tree.root) for tree in trees)
        yield f"the files of that step are those of {roots}, not of this directory: tapes checkout takes them out"
    else:
        yield "no snapshot of the directory at that step is recorded: what its files were then is not known"
    yield from _by_git(at.found.records[0][1].body.get("git") or {}, cwd)


def _holds(root: bytes, cwd: str) -> bool:
    real = os.fsencode(os.path.realpath(cwd))
    return real == root or real.startswith(root.rstrip(b"/") + b"/")


def _by_git(then: Mapping[str, Any], cwd: str) -> Iterator[str]:
    now = snapshot(cwd, {}).get("git") if cwd else None
    if not isinstance(now, Mapping):
        yield "and it is under no version control that could tell"
        return
    was, is_at = str(then.get("head", ""))[:12], str(now.get("head", ""))[:12]
    if not was:
        yield f"git is at {is_at} now; where it was is not recorded"
    elif was != is_at:
        yield f"git was at {was} when the session began, and is at {is_at} now"
    else:
        yield f"git is at {is_at}, as it was when the session began"
    if now.get("dirty"):
        changed = [str(path) for path in list(now.get("changed", ()))[:LISTED]]
        more = f" and {int(now['dirty']) - len(changed)} more" if int(now["dirty"]) > len(changed) else ""
        yield f"not committed now: {', '.join(changed)}{more}"


def _tell(
    at: Point,
    agent: str,
    cwd: str,
    told: Sequence[str],
    variables: Mapping[str, str],
    hidden: Sequence[str],
    environ: Mapping[str, str],
) -> None:
    lines = [f"branching off {at.title} ({at.session.short()}), in {cwd or '(a directory that is gone)'}"]
    lines += [f"  {line}" for line in told]
    if agent in AGENTS:
        lines.append(f"  the conversation goes back to that step; {agent}'s tools will act on today's files")
    else:
        lines.append("  no transcript is written for this program: it starts anew, and acts on today's files")
    changed = differing(variables, environ)
    if changed:
        lines.append(f"  with the recorded values of {', '.join(sorted(changed))}")
    if hidden:
        lines.append(f"  without {', '.join(sorted(hidden))}: the recorded values are redacted")
    click.echo(harmless("\n".join(f"tapes: {line}" for line in lines), lines=True), err=True)


def _ask() -> None:
    if not sys.stdin.isatty():
        raise UsageError("nobody is here to be asked whether to start it", hint="--yes says so")
    if not click.confirm("Start it?", default=False, err=True):
        raise UsageError("nothing was started")
