"""`tapes search QUERY`: find what was said, run or written, in all sessions."""

from __future__ import annotations

from typing import Any

import click

from tapes.errors import UsageError
from tapes.index.index import Index
from tapes.search.find import Found, search
from tapes.search.hits import Hit
from tapes_cli import output
from tapes_cli.exit_codes import Exit
from tapes_cli.finding import asked_for, cut, names_of, ref
from tapes_cli.home import index_path, open_archive

LIMIT = 20
WORDS: dict[str, Any] = {"ignore_unknown_options": True, "help_option_names": ["--help"]}
"""`-word` means without it: so no option has but one letter, or `-note` would be one."""
PATIENCE = 2000
"""Records to be indexed from which it is worth saying so."""


@click.command("search", context_settings=WORDS)
@click.argument("query", nargs=-1, type=click.UNPROCESSED)
@click.option("--regex", metavar="RE", multiple=True, help="And RE fits somewhere in it.")
@click.option("--substring", metavar="TEXT", multiple=True, help="And TEXT stands in it as it is.")
@click.option("--sessions", "by_session", is_flag=True, help="One row for each session, with how many hits it has.")
@click.option("--rank", is_flag=True, help="Best first, not newest.")
@click.option("--limit", type=click.IntRange(0), default=LIMIT, show_default=True, help="Rows; 0: all.")
@click.option("--json", "as_json", is_flag=True, help="One object a line; fields in docs/cli.md.")
def command(
    query: tuple[str, ...],
    regex: tuple[str, ...],
    substring: tuple[str, ...],
    by_session: bool,
    rank: bool,
    limit: int,
    as_json: bool,
) -> int:
    """Find what was said, run or written, in all sessions: prompts, answers, thinking, tools' input and output,
    commands and what they wrote, notes. Newest first. Exit code 1 when nothing is found.

    \b
    tapes search migration -test
    tapes search '"connection refused" OR timeout tool:Bash since:2d'
    tapes search --regex 'v\\d+\\.\\d+' path:src/main.py
    """
    for word in query:
        if word.startswith("--"):
            raise UsageError(f"there is no option {word}", hint=f"to search for it: --substring='{word}'")
    asked = asked_for(" ".join(query), regex, substring, rank=rank, by_session=by_session, limit=limit)
    with open_archive() as archive, Index(index_path(), archive) as index:
        behind = archive.last() - index.file.upto()
        found = index.answer(lambda: search(index, asked), _progress if behind > PATIENCE else None)
        names = names_of(archive, {hit.session for hit in found.hits})
        unread = index.db.execute("SELECT count(*) FROM unread").fetchone()[0]
    if as_json:
        for hit in found.hits:
            output.show_json(as_object(hit, names, by_session))
    else:
        output.page(lines(found.hits, names, by_session))
    _remarks(found, unread, by_session, limit)
    return Exit.OK if found.hits else Exit.FOUND


def _progress(done: int, total: int) -> None:
    import sys

    if sys.stderr.isatty():
        end = "\n" if done >= total else ""
        click.echo(f"\rindexing: {done} of {total} records", err=True, nl=False)
        click.echo(end, err=True, nl=False)
    elif done >= total:
        click.echo(f"tapes: indexed {total} records", err=True)


def _remarks(found: Found, unread: int, by_session: bool, limit: int) -> None:
    for text in found.useless:
        click.echo(output.harmless(f"tapes: nothing that was recorded has {text}"), err=True)
    if unread:
        click.echo(f"tapes: {unread} records can not be read, and were not searched (tapes verify)", err=True)
    if found.more:
        what = "sessions" if by_session else "hits"
        click.echo(f"tapes: there are more {what} than these {limit}; all of them: --limit 0", err=True)


# -- rows


def lines(hits: list[Hit], names: dict[Any, str], by_session: bool) -> list[str]:
    columns = output.width()
    time = slice(None) if columns >= 110 else slice(5, 16)
    cells = [
        (
            output.harmless(ref(hit, names, columns // 4)),
            hit.record.short(8),
            *((output.wall(hit.wall_ns)[time],) if columns >= 72 else ()),
            hit.type,
            *((str(hit.of_session),) if by_session else ()),
        )
        for hit in hits
    ]
    widths = [max(map(output.cell_width, column)) for column in zip(*cells, strict=True)]
    rows = []
    for hit, row in zip(hits, cells, strict=True):
        head = "  ".join(output.pad(cell, width) for cell, width in zip(row, widths, strict=True))
        rows.append(f"{head}  {marked(hit, max(8, columns - output.cell_width(head) - 2))}".rstrip())
    return rows


def marked(hit: Hit, columns: int) -> str:
    """The snippet in so many columns, what fits made bold; captured text can not drive the terminal."""
    return "".join(
        output.styled(text, bold=True, fg="yellow") if fits and text else text
        for text, fits in cut(hit.snippet, columns)
    )


def as_object(hit: Hit, names: dict[Any, str], by_session: bool) -> dict[str, Any]:
    facts = hit.facts

    def one(kind: str) -> str | None:
        return next(iter(facts.get(kind, ())), None)

    row: dict[str, Any] = {
        "session": hit.session.hex(),
        "name": names.get(hit.session),
        "step": hit.step,
        "ref": ref(hit, names),
        "hash": hit.record.hex(),
        "item": hit.item,
        "time": output.iso(hit.wall_ns),
        "type": hit.type,
        "failed": "error" in facts.get("is", ()),
        "agent": one("agent"),
        "model": one("model"),
        "thread": one("thread"),
        "tool": one("tool"),
        "cwd": one("cwd"),
        "exit": one("exit"),
        "participants": facts.get("participant", []),
        "paths": facts.get("path", []),
        "snippet": hit.snippet.text,
        "matches": [list(span) for span in hit.snippet.spans],
    }
    return row | ({"hits": hit.of_session} if by_session else {})
