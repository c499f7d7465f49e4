"""The sessions of the archive, as the list of them shows them: in an order, and only those that are asked for.

Read once in a worker, newest first, so that the first page is there while the rest is still read; from then on only the
sessions of which something was recorded since are read again.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from tapes.archive.base import Archive
from tapes.archive.summary import Summary
from tapes.errors import Damaged, NotFound, UsageError
from tapes.record.digest import Digest
from tapes.search.hits import Hit
from tapes.search.query import All, Any, Field, Node, Not, Words, parse
from tapes.session.rows import Row, rows, summary_of
from tapes_cli import output
from tapes_cli.commands.log import cells, main_model
from tapes_cli.deck.model.styled import Line, columns, fitted, styled, words

HEAD = ("hash", "name", "agent", "model", "started", "length", "exchanges", "tools", "ran", "outcome")
ORDERS: dict[str, Callable[[Row], typing.Any]] = {
    "started": lambda row: row.summary.started_ns,
    "name": lambda row: (row.summary.name or row.summary.label).casefold(),
    "agent": lambda row: (row.summary.agent, row.summary.agent_version),
    "model": lambda row: main_model(row.summary),
    "length": lambda row: row.summary.ended_ns - row.summary.started_ns,
    "exchanges": lambda row: row.summary.exchanges,
    "tools": lambda row: row.summary.tool_uses,
    "ran": lambda row: row.summary.commands,
    "outcome": lambda row: (not row.error, row.summary.outcome),
}
"""By the column that is sorted by."""
LEAST = {"hash": 110, "agent": 60, "model": 130, "length": 70, "exchanges": 96, "tools": 160, "ran": 140}
"""Columns of the screen from which on one of the table is shown; the others always are."""
RIGHT = frozenset({"length", "exchanges", "tools", "ran"})
CHUNK = 200
NAME, SAYS_HITS = HEAD.index("name"), 28
STARTED, SECONDS, TO_THE_MINUTE = HEAD.index("started"), len("2026-03-14 12:26:53"), len("2026-03-14 12:26")


@dataclass(slots=True)
class Shelf:
    """All sessions of an archive. Filled and refreshed by one worker at a time."""

    archive: Archive
    rows: dict[Digest, Row] = field(default_factory=dict)
    """In the order they were read or have come."""
    _upto: int = 0
    _titles: dict[Digest, tuple[Row, str]] = field(default_factory=dict)

    def title(self, row: Row) -> str:
        """As `title`; made once, for it is asked for at every key that is typed."""
        row_, kept = self._titles.get(row.session, (None, ""))
        if row_ is not row:
            kept = title(row)
            self._titles[row.session] = row, kept
        return kept

    def read(self) -> Iterator[bool]:
        """Read all, newest first; says after every chunk that there is more to show, True at the end."""
        self._upto = self.archive.last()
        for n, row in enumerate(rows(self.archive), 1):
            self.rows[row.session] = row
            if n % CHUNK == 0:
                yield False
        yield True

    def has_grown(self) -> bool:
        return self.archive.last() != self._upto

    def refresh(self) -> set[Digest]:
        """Read again what has changed; the sessions of which something was recorded."""
        touched: set[Digest] = set()
        last = self.archive.last()
        if last < self._upto:  # another archive stands in its place (a rebuild, a copy put back)
            self.rows.clear()
            self._upto = 0
        for position, digest, record in self.archive.log(self._upto):
            touched.add(record.session or digest)
            self._upto = position
        for session in touched:
            try:
                self.rows[session] = Row(session, summary_of(self.archive, session))
            except (Damaged, NotFound) as error:
                self.rows[session] = Row(session, Summary(), str(error))
        return touched


@dataclass(slots=True)
class Listing:
    """The rows that are shown; a `Source` of the widget that lists them."""

    rows: Sequence[Row]
    order: str = "started"
    reverse: bool = True
    hits: Mapping[Digest, Hit] = field(default_factory=dict)
    """The earliest place in a session that fits what was asked for, which says how many there are."""
    chosen: Digest | None = None
    """The one that another is to be compared with."""
    _wide: dict[int, tuple[int, ...]] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        shelf: Shelf,
        order: str,
        reverse: bool,
        query: str = "",
        hits: Mapping[Digest, Hit] = {},
        chosen: Digest | None = None,
    ) -> Listing:
        """Those whose title fits a query, or whose contents do (`hits`)."""
        found = list(shelf.rows.values())
        if query:
            fits = titled(query)
            found = [row for row in found if row.session in hits or fits(shelf.title(row))]
        found.sort(key=ORDERS["started"], reverse=True)
        found.sort(key=ORDERS[order], reverse=reverse)
        return cls(found, order, reverse, hits, chosen)

    def __len__(self) -> int:
        return len(self.rows)

    def row_of(self, session: Digest) -> int | None:
        return next((n for n, row in enumerate(self.rows) if row.session == session), None)

    def line(self, index: int, width: int) -> Line:
        row = self.rows[index]
        style = "error" if row.error else "accent" if row.session == self.chosen else ""
        wide = self._widths(width)
        told = self._cells(row, wide[NAME])
        if wide[STARTED] < SECONDS:
            told = (*told[:STARTED], told[STARTED][:TO_THE_MINUTE], *told[STARTED + 1 :])
        styles = {"name": style or "bold", "outcome": style or _outcome_style(row.summary), "hash": style or "dim"}
        return columns(
            (styled(cell, styles.get(name, style)), cell_width, name in RIGHT)
            for name, cell, cell_width in zip(HEAD, told, wide, strict=True)
        )

    def head(self, width: int) -> Line:
        sign = "↓" if self.reverse else "↑"
        return columns(
            (styled(name + (sign if name == self.order else ""), "bold"), wide, name in RIGHT)
            for name, wide in zip(HEAD, self._widths(width), strict=True)
        )

    def _cells(self, row: Row, room: int) -> tuple[str, ...]:
        """`room`: for the name, which is cut before the number of hits is."""
        told = cells(row)
        if row.error:
            return (told[0], row.error, *told[2:])
        hit = self.hits.get(row.session)
        name = told[1]
        if hit:
            found = f" ({output.plural(hit.of_session, 'hit')})" if room >= SAYS_HITS else f" ({hit.of_session})"
            name = words(fitted(styled(name), room - len(found))) + found
        return (told[0], name, *told[2:6], str(row.summary.exchanges), *told[7:])

    def orders(self, width: int) -> list[str]:
        """What can be seen to be sorted by."""
        return [name for name, wide in zip(HEAD, self._widths(width), strict=True) if wide and name in ORDERS]

    def _widths(self, width: int) -> tuple[int, ...]:
        """The name takes what the others leave."""
        if width not in self._wide:
            fixed = {
                "hash": 12,
                "agent": 14 if width < 110 else 16,
                "model": 20 if width < 160 else 26,
                "started": 19 if width >= 90 else 16,
                "length": 7,
                "exchanges": 10,
                "tools": 6,
                "ran": 14,
                "outcome": 14 if width < 110 else 16,
            }
            shown = {name: w if width >= LEAST.get(name, 0) else 0 for name, w in fixed.items()}
            rest = width - sum(w + 2 for w in shown.values() if w)
            self._wide[width] = tuple(shown.get(name, max(8, rest)) for name in HEAD)
        return self._wide[width]


def title(row: Row) -> str:
    """What the words of a filter are looked for in: all that the list says of a session, and where it ran."""
    s = row.summary
    return " ".join((row.session.hex(), s.name, s.label, s.agent, *s.models, s.cwd, s.command, s.outcome)).casefold()


def titled(text: str) -> Callable[[str], bool]:
    """Does a title fit a query? Its words may stand anywhere, also within others; what a field asks for, titles do not
    say. A text that is no query (yet) is taken as words."""
    try:
        query = parse(text)
    except UsageError:
        query = All(tuple(Words(word) for word in text.split()))
    return partial(_fits, query)


def _fits(query: Node, title: str) -> bool:
    match query:
        case Words(words):
            return words.casefold() in title
        case Not(part):
            return not isinstance(part, Field) and not _fits(part, title)
        case Any(parts):
            return any(_fits(part, title) for part in parts)
        case All(parts):
            return all(_fits(part, title) for part in parts)
        case Field():
            return False


def _outcome_style(summary: Summary) -> str:
    if summary.outcome == "open":
        return "accent"
    return "ok" if summary.status == 0 else "error" if summary.closed else ""
