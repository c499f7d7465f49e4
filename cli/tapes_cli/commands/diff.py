"""`tapes diff A B`: where two runs part, what was different just before, and how the rest compares."""

from __future__ import annotations

import re
from pathlib import Path

import click

from tapes.archive.base import Archive
from tapes.archive.refs import resolve
from tapes.compare.run import Run, Wanted
from tapes.errors import NotFound, UsageError
from tapes.record.digest import Digest
from tapes.session.transcript import thread_named
from tapes.values import dataclass
from tapes_cli import output
from tapes_cli.exit_codes import Exit
from tapes_cli.home import cache_folder, open_archive

_REF = re.compile(
    r"(?P<ref>[^#]*?)(?:#(?P<thread>.+?))?(?::(?:(?P<first>\d{0,9})\.\.(?P<last>\d{0,9})|(?P<step>\d{1,9})))?",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a REF on this command line means."""

    text: str
    """The session, as it was typed: with `:STEP` behind it other commands take it too."""
    run: Run
    exchange: Digest | None = None
    """Set where it means one model call."""


@click.command("diff")
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option("-u", "--unified", is_flag=True, help="One column: - is A, + is B.")
@click.option("--stat", "face", flag_value="stat", help="Only what the two took, and how much of them differs.")
@click.option("--first", "face", flag_value="first", help="Only where they part, with the context just before.")
@click.option("--commands", "face", flag_value="commands", help="Commands of one run only; other exits, other output.")
@click.option(
    "--files", "face", flag_value="files", help="Files that differ at the end, and how (-u: with their diffs)."
)
@click.option("--prompts", "face", flag_value="prompts", help="System texts, tools and parameters that differ.")
@click.option("--thread", default="", metavar="T", help="Only this thread of both, and what hangs below it; as REF#T.")
@click.option(
    "-U", "--context", type=click.IntRange(0), default=3, show_default=True, help="Steps around a difference."
)
@click.option("--open", "opened", type=click.Choice(["a", "b"]), help="Show the step at which they part, of A or of B.")
@click.option("--html", "page", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="One page of it.")
@click.option("--json", "as_json", is_flag=True, help="One object a line; fields in docs/cli.md.")
def command(
    a: str,
    b: str,
    unified: bool,
    face: str | None,
    thread: str,
    context: int,
    opened: str | None,
    page: Path | None,
    as_json: bool,
) -> Exit:
    """Compare two runs. REF is a session, REF:10..40 a range of its steps, REF#T a thread; REF:12, or the hash
    of a record, is one model call, and two of these are compared as requests.

    Exit code 0 where they are the same but for directories, ids and times; 1 where they differ.

    \b
    tapes diff @~1 @
    tapes diff fix-a fix-b --first
    tapes diff @:1..40 @:41..80 -u
    tapes diff main-run:12 main-run:20
    """
    if page is not None and (as_json or face or opened):
        raise UsageError("--html writes all there is, in a page of its own", hint=f"tapes diff {a} {b} --html {page}")
    with open_archive() as archive:
        sides = asked(archive, a, thread), asked(archive, b, thread)
        if sides[0].exchange is not None or sides[1].exchange is not None:
            if page is not None or opened is not None:
                raise UsageError(
                    f"{'--html' if page is not None else '--open'} is of two runs, and not of two model calls",
                    hint="runs, or ranges of their steps: A:10..12 B:10..12",
                )
            return _turns(sides, as_json=as_json)
        from tapes_cli import diff_story
        from tapes_cli.diff_all import Everything

        found = Everything.of(sides[0].run, sides[1].run, (sides[0].text, sides[1].text), cache_folder())
        if page is not None:
            from tapes_cli.diff_page import write

            write(found, page)
            click.echo(f"Written: {page}", err=True)
        elif opened is not None:
            _open(archive, found, opened)
        elif as_json:
            from tapes_cli.diff_objects import objects

            for row in objects(found, face):
                output.show_json(row)
        else:
            output.page(diff_story.lines(found, face, unified=unified, around=context))
        for remark in found.remarks():
            click.echo(f"tapes: {output.harmless(remark)}", err=True)
        return Exit.OK if found.same else Exit.FOUND


def asked(archive: Archive, text: str, thread: str = "") -> Asked:
    """What a REF means here. UsageError, NotFound, Ambiguous as elsewhere; NotFound for a range without a step."""
    match = _REF.fullmatch(text)
    assert match is not None
    ranged = match["first"] is not None
    first, last = (int(match[name]) if ranged and match[name] else None for name in ("first", "last"))
    if first is not None and last is not None and first > last:
        raise UsageError(f"{text}: there is no step from {first} to {last}", hint=f"{match['ref']}:{last}..{first}")
    name = match["thread"] or thread
    ref = match["ref"] or "@"
    found = resolve(archive, ref)
    run = Run(archive, found.session, Wanted(first, last, name))
    if name:
        thread_named(run.found.threads, name)
    if not run.steps and (ranged or name):
        last_step = run.all[-1].number if run.all else 0
        raise NotFound(f"{text} has no steps", hint=f"the session has {last_step}: tapes show {found.session.short()}")
    exchange = None
    if match["step"] or (found.record is not None and not ranged and not name):
        exchange = _exchange(run, int(match["step"]) if match["step"] else None, found.record, text)
    return Asked(ref, run, exchange)


def _exchange(run: Run, number: int | None, record: Digest | None, text: str) -> Digest:
    """The model call that a step, or a record, is of."""
    if number is not None:
        step = next((step for step in run.all if step.number == number), None)
        if step is None:
            last = run.all[-1].number if run.all else 0
            raise NotFound(
                f"{text}: there is no such step",
                hint=f"the last one is {last}; ranges: REF:1..{last}" if last else "it has none",
            )
        if step.exchange is not None:
            return step.exchange
    elif record is not None:
        found = dict(run.found.records).get(record)
        exchange = run.found.calls.exchange_of(record, found) if found is not None else None
        if exchange is not None:
            return exchange.hash
    raise UsageError(f"{text} is of no model call", hint="a session, or a range of its steps: REF:10..40")


def _turns(sides: tuple[Asked, Asked], *, as_json: bool) -> Exit:
    from tapes.compare.context import turns
    from tapes.compare.masks import Place, masks_of
    from tapes_cli.diff_story import fitted
    from tapes_cli.diff_turns import lines, objects, same

    one, other = sides
    if one.exchange is None or other.exchange is None:
        name = (one if one.exchange is None else other).text
        raise UsageError(f"one is a model call, and {name} is a run", hint="two sessions, or two steps: A:12 B:12")
    masks = masks_of([Place(side.run.cwd, side.run.variables.get("HOME", "")) for side in sides])
    found = turns(one.exchange, other.exchange, one.run, other.run, masks)
    if as_json:
        for row in objects(found, (one, other), masks):
            output.show_json(row)
    else:
        output.page(map(fitted, lines(found, (one, other), masks)))
    return Exit.OK if same(found, (one, other), masks) else Exit.FOUND


def _open(archive: Archive, found: object, side: str) -> None:
    from tapes_cli.diff_all import Everything
    from tapes_cli.step_page import Page

    assert isinstance(found, Everything)
    first = found.made.first
    step = None if first is None else first.a if side == "a" else first.b
    if step is None:
        raise NotFound(
            "they do not part" if first is None else f"{side.upper()} has no step where they part",
            hint="tapes diff A B --first",
        )
    run = found.a if side == "a" else found.b
    output.page(Page(archive, run.found, run.all, step).lines())
