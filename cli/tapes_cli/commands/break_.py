"""`tapes break add|list|remove`: where playing stops, in the deck and in `tapes replay`."""

from __future__ import annotations

import os

import click

from tapes.archive.base import Archive
from tapes.archive.refs import name_of, resolve
from tapes.errors import NotFound, UsageError
from tapes.record.digest import Digest
from tapes.session.breaks import Break
from tapes.session.view import STEP_TYPES
from tapes.wire.files import ACTIONS
from tapes_cli import output
from tapes_cli.breakpoints import Breaks, at_step, is_gone, on_error, on_pattern
from tapes_cli.home import home, open_archive
from tapes_cli.pointing import step_meant


@click.group("break")
def command() -> None:
    """Breakpoints: where playing a session stops, in the deck and in tapes replay.

    \b
    tapes break add @:12                              at a step
    tapes break add @ --error                         at any failed step
    tapes break add @ --pattern 'rm -rf' --type command
    tapes break add --all --pattern '(?i)traceback'   in every session
    tapes break list
    tapes break remove 3
    """


@command.command("add")
@click.argument("ref", required=False)
@click.option("--all", "every", is_flag=True, help="In every session, also those to come.")
@click.option("--pattern", metavar="RE", help="At steps whose words a regular expression fits.")
@click.option(
    "--type",
    "types",
    multiple=True,
    type=click.Choice([*STEP_TYPES, *ACTIONS, "tool"]),
    metavar="TYPE",
    help="With --pattern: only at steps of this type (command, prompt, …), as in tapes show. May be repeated.",
)
@click.option("--error", "on_failure", is_flag=True, help="At steps that failed.")
def add(ref: str | None, every: bool, pattern: str | None, types: tuple[str, ...], on_failure: bool) -> None:
    """Stop at the step REF:12; with --pattern or --error at all such steps of the session REF, or of all of them.

    \b
    tapes break add @:12
    tapes break add demo --pattern 'rm -rf|--force' --type command --type tool
    tapes break add --all --error
    """
    if every == (ref is not None):
        raise UsageError("which session? a REF, or --all", hint="tapes break add @ --error")
    if pattern is not None and on_failure:
        raise UsageError("--pattern and --error are two breaks", hint="add them one by one")
    if types and pattern is None:
        raise UsageError("--type is about --pattern")
    with open_archive() as archive:
        found = resolve(archive, ref) if ref is not None else None
        session = found.session if found else None
        if pattern is None and not on_failure:
            if found is None or (found.step is None and found.record is None):
                raise UsageError("where in it?", hint="at a step (REF:12), --pattern RE or --error")
            new = at_step(found.session, step_meant(archive, found))
        elif found and (found.step is not None or found.record is not None):
            raise UsageError("--pattern and --error are about a whole session", hint=f"REF is {found.session.short()}")
        elif pattern is not None:
            new = on_pattern(session, pattern, types, os.environb)
        else:
            new = on_error(session)
        with Breaks.changing(home()) as breaks:
            new = breaks.add(new)
        click.echo(_line(archive, new))


@command.command("list")
@click.argument("ref", required=False)
@click.option("--json", "as_json", is_flag=True, help="One object a line; fields in docs/cli.md.")
def list_(ref: str | None, as_json: bool) -> None:
    """List the breaks: all, or those at which the session REF stops.

    \b
    tapes break list
    tapes break list @
    """
    with open_archive() as archive:
        breaks = Breaks.load(home()).all
        if ref is not None:
            session = _whole(archive, ref)
            breaks = [each for each in breaks if each.session in (None, session)]
        for each in breaks:
            if as_json:
                output.show_json(_object(archive, each))
            else:
                click.echo(_line(archive, each))
    if not breaks and not as_json:
        click.echo("there are no breaks: tapes break add REF:12", err=True)


@command.command("remove")
@click.argument("which", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All that there are.")
def remove(which: tuple[str, ...], every: bool) -> None:
    """Remove breaks: by their number in the list, by the step at which one is (REF:12), or all of one session (REF).

    A number that is in the list is a break's, also where a session has it as its name.

    \b
    tapes break remove 3
    tapes break remove @:12
    tapes break remove --all
    """
    if every == bool(which):
        raise UsageError("which? numbers of the list, REF:12, REF, or --all", hint="tapes break list")
    with Breaks.changing(home()) as breaks:
        gone = list(breaks.all) if every else [each for word in which for each in _meant(breaks, word)]
        breaks.remove(gone)
    for number in sorted({each.id for each in gone}):
        click.echo(f"removed break {number}")


def _meant(breaks: Breaks, word: str) -> list[Break]:
    """NotFound where there is none such."""
    if word.isdecimal() and (found := [each for each in breaks.all if each.id == int(word)]):
        return found
    if word.isdecimal() and len(word) < 4:  # too short for a hash
        raise NotFound(f"there is no break {word}", hint="tapes break list")
    with open_archive() as archive:
        ref = resolve(archive, word)
        if ref.step is None and ref.record is None:
            found = [each for each in breaks.all if each.session == ref.session]
        else:
            found = breaks.at(step_meant(archive, ref))
    if not found:
        raise NotFound(f"there is no break of {word}", hint="tapes break list")
    return found


def _whole(archive: Archive, ref: str) -> Digest:
    found = resolve(archive, ref)
    if found.step is not None or found.record is not None:
        raise UsageError("breaks of a whole session are listed", hint=f"tapes break list {found.session.short()}")
    return found.session


def _line(archive: Archive, one: Break) -> str:
    where = "every session"
    if one.session is not None:
        gone = " (gone)" if is_gone(archive, one.session) else ""
        where = f"{one.session.short()} {name_of(archive, one.session)}".rstrip() + gone
    return output.harmless(f"{one.id:>4}  {where}  {one.what}")


def _object(archive: Archive, one: Break) -> dict[str, object]:
    return {
        "id": one.id,
        "session": one.session.hex() if one.session else None,
        "name": (name_of(archive, one.session) or None) if one.session else None,
        "gone": one.session is not None and is_gone(archive, one.session),
        "kind": one.kind,
        "step": one.step or None,
        "hash": one.record.hex() if one.record else None,
        "item": one.item if one.record else None,
        "pattern": one.pattern or None,
        "types": list(one.types),
    }
