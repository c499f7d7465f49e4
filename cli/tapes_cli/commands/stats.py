"""`tapes stats [REF…]`: tokens, costs, failures and times, summed up."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from datetime import datetime

import click

from tapes.archive.base import Archive
from tapes.archive.refs import resolve
from tapes.record.digest import Digest
from tapes.session import prices
from tapes.session.facts import FactsFile
from tapes.session.sums import GROUPS, Stats, Wanted
from tapes_cli import output
from tapes_cli.exit_codes import Exit
from tapes_cli.home import cache_folder, open_archive
from tapes_cli.moments import FORMS, moment, nanoseconds
from tapes_cli.stats_screen import as_objects, chart, table, top


@click.command("stats")
@click.argument("refs", metavar="[REF]...", nargs=-1)
@click.option("--by", type=click.Choice(GROUPS), default="day", show_default=True, help="What a row is.")
@click.option("--since", metavar="TIME", help=f"Calls made at this time or later: {FORMS}.")
@click.option("--until", metavar="TIME", help="Calls made before this time.")
@click.option("--agent", default="", help="Sessions of this agent alone.")
@click.option("--model", default="", help="Calls of this model alone: its name, its beginning, or a pattern with *.")
@click.option("--slowest", metavar="N", type=click.IntRange(0), default=0, help="The N calls that took longest.")
@click.option("--costliest", metavar="N", type=click.IntRange(0), default=0, help="The N calls that cost most.")
@click.option("--chart", "as_chart", is_flag=True, help="Bars in place of the table.")
@click.option("--json", "as_json", is_flag=True, help="One object a line; fields in docs/cli.md.")
def command(
    refs: tuple[str, ...],
    by: str,
    since: str | None,
    until: str | None,
    agent: str,
    model: str,
    slowest: int,
    costliest: int,
    as_chart: bool,
    as_json: bool,
) -> Exit:
    """Sum up what sessions took: tokens, cost, failures, times. Without a REF: all sessions.

    A session that is being recorded counts as far as it is.
    """
    now = datetime.now().astimezone()
    wanted = Wanted(
        since_ns=nanoseconds(moment(since, now)) if since else 0,
        until_ns=nanoseconds(moment(until, now)) if until else 1 << 63,
        agent=agent,
        model=model,
        played=bool(refs),
    )
    stats = Stats(by, wanted, slowest=slowest, costliest=costliest)
    with open_archive() as archive, FactsFile(cache_folder()) as kept:
        sessions = _sessions(archive, refs)
        for _ in _watched(stats.add_all(archive, sessions, kept), len(sessions)):
            pass
    if as_json:
        for row in as_objects(stats, by):
            output.show_json(row)
    else:
        output.page([*(chart if as_chart else table)(stats, by), *top(stats)])
    return _remarks(stats)


def _sessions(archive: Archive, refs: tuple[str, ...]) -> list[Digest]:
    """Each once, in the order they were opened where none is named."""
    return list(dict.fromkeys(resolve(archive, ref).session for ref in refs)) if refs else archive.sessions()


def _watched(found: Iterator[Digest], count: int) -> Iterable[Digest]:
    """With a bar for whoever waits at a terminal: the first time, bodies are read."""
    if count < 50 or not sys.stderr.isatty():
        yield from found
        return
    with click.progressbar(found, length=count, label="Counting", file=sys.stderr) as bar:
        yield from bar


def _remarks(stats: Stats) -> Exit:
    """What the numbers do not hold, on standard error."""
    total = stats.total
    said = []
    if not prices.version():
        said.append(f"no costs: the price lists are not installed ({prices.INSTALL})")
    elif total.unpriced:
        said.append(
            f"unpriced, and not in any cost: {total.unpriced} of {total.unpriced + total.priced} calls with "
            f"{output.count(total.unpriced_tokens)} tokens (a model or a provider that the lists do not have)"
        )
    if total.untold:
        said.append(f"{total.untold} calls of which the provider told no tokens")
    said += [f"session {session.short()} can not be read: tapes verify" for session in stats.unreadable]
    for line in said:
        click.echo(f"tapes: {line}", err=True)
    return Exit.DAMAGED if stats.unreadable else Exit.OK
