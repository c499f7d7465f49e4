"""Asks the index, and makes hits of what it gives.

Newest first: by the order of the log, so that the first hits come without the others being looked at. A pattern is
sought in the texts themselves, those that can have it.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from tapes.archive.refs import resolve
from tapes.errors import UsageError
from tapes.index.file import unpacked
from tapes.index.index import Index
from tapes.index.sound import all_fit, damaged, word_sum
from tapes.search import narrow
from tapes.search.hits import Hit, hit_of, numbered, row_of
from tapes.search.plan import Asking, Plan, plan, positive
from tapes.search.query import All, Node, Words
from tapes.search.snippet import Finder, of_pattern, of_words
from tapes.values import dataclass, field

EVERYTHING = All(())


@dataclass(frozen=True, slots=True)
class Search:
    """What is asked for."""

    query: Node = EVERYTHING
    substrings: tuple[str, ...] = ()
    """Texts that must stand in an item as they are."""
    patterns: tuple[re.Pattern[str], ...] = ()
    moment: Callable[[str], int] | None = None
    """A time as people type it, as Unix time in nanoseconds."""
    ranked: bool = False
    """Best first (BM25), not newest."""
    by_session: bool = False
    """One hit of each session alone: the newest."""
    limit: int | None = None
    earliest: bool = False
    """With `by_session`: the earliest of it instead."""


@dataclass(slots=True)
class Found:
    """The hits, and what there is to say about them."""

    hits: list[Hit]
    more: bool = False
    """There are more than the limit."""
    useless: list[str] = field(default_factory=list)
    """Fields with a value that no item here has."""


def search(index: Index, asked: Search) -> Found:
    """Hits in an index that has been brought up to date. UsageError for what can not be asked for."""
    node, tests = _narrowed(asked)
    planned = plan(node, _asking(index, asked))
    if asked.ranked and not planned.match:
        raise UsageError("--rank needs words to rank by", hint="leave it away: newest first")
    _add_functions(index.db)
    finder = _finder(asked)
    with _at_once(index.db):
        chosen, more = _chosen(_found(index.db, planned, asked.ranked, tests), asked)
        rows = [row_of(index, key) for key, _ in chosen]
        hits = [hit_of(index, row, count, finder) for row, (_, count) in zip(rows, chosen, strict=True)]
    if planned.match and not all_fit(index.db, planned.match, [(row.key, row.text, row.marks) for row in rows]):
        raise damaged("the words of a row are not those that led to it")
    return Found(numbered(index, hits), more, planned.useless)


def _chosen(rows: Iterator[tuple[int, int]], asked: Search) -> tuple[list[tuple[int, int]], bool]:
    """Which rows are shown, with how many hits their session has; and whether there are more."""
    if asked.by_session:
        counts: dict[int, list[int]] = {}
        for key, session in rows:
            first = counts.setdefault(session, [key, 0])
            first[1] += 1
            first[0] = key if asked.earliest else first[0]
        chosen = [(key, count) for key, count in counts.values()]
    else:
        chosen = [(key, 0) for key, _ in _some(rows, asked.limit)]
    return chosen[: asked.limit], asked.limit is not None and len(chosen) > asked.limit


@contextmanager
def _at_once(db: sqlite3.Connection) -> Iterator[None]:
    """One state of the index for all that is read of it, whoever writes meanwhile."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("ROLLBACK")  # nothing was written


def _some(rows: Iterator[tuple[int, int]], limit: int | None) -> list[tuple[int, int]]:
    found = []
    for row in rows:
        found.append(row)
        if limit is not None and len(found) > limit:
            break
    return found


def _narrowed(asked: Search) -> tuple[Node, list[Callable[[str], bool]]]:
    """The query with the words that the patterns need, and what a text must then pass."""
    tests: list[Callable[[str], bool]] = [lambda text, sought=sought: sought in text for sought in asked.substrings]  # type: ignore[misc]
    tests += [lambda text, sought=sought: bool(sought.search(text)) for sought in asked.patterns]  # type: ignore[misc]
    pieces = [*asked.substrings, *(piece for pattern in asked.patterns for piece in narrow.literals(pattern))]
    words = [words for words in map(narrow.words_of, pieces) if words is not None]
    parts = asked.query.parts if isinstance(asked.query, All) else (asked.query,)
    return All((*parts, *dict.fromkeys(words))), tests


def _found(
    db: sqlite3.Connection, planned: Plan, ranked: bool, tests: Sequence[Callable[[str], bool]]
) -> Iterator[tuple[int, int]]:
    """Ids and sessions, in order."""
    text = "i.text" if tests else "NULL"
    if planned.match:
        # LEFT JOIN: the index of words leads, whatever SQLite thinks; where it leads to nothing, it is damaged.
        order = "bm25(fts, 1.0, 0.0), fts.rowid DESC" if ranked else "fts.rowid DESC"
        source = "fts LEFT JOIN items i ON i.id = fts.rowid"
        where = f"fts MATCH ? AND (i.id IS NULL OR ({planned.where}))"
    else:
        source, where, order = "items i", planned.where, "i.id DESC"
    sql = f"SELECT i.id, i.session, {text} FROM {source} WHERE {where} ORDER BY {order}"
    for key, session, stored in db.execute(sql, (*filter(None, [planned.match]), *planned.values)):
        if key is None:
            raise damaged("a word leads to a row that is not there")
        if not tests or all(test(unpacked(stored)) for test in tests):
            yield key, session


def _add_functions(db: sqlite3.Connection) -> None:
    def has_mark(marks: str, wanted: str) -> bool:
        if wanted not in sets:
            sets[wanted] = set(wanted.split())
        return not sets[wanted].isdisjoint(marks.split())

    sets: dict[str, set[str]] = {}
    db.create_function("has_mark", 2, has_mark, deterministic=True)


def _asking(index: Index, asked: Search) -> Asking:
    db = index.db

    def values(kind: str) -> dict[str, int]:
        found = db.execute("SELECT value, id, sum FROM words WHERE kind = ?", (kind,)).fetchall()
        if any(word_sum(kind, value) != sum_ for value, _, sum_ in found):
            raise damaged("a fact is not as it was written")
        return {value: number for value, number, _ in found}

    def session(ref: str) -> str:
        found = resolve(index.archive, ref)
        if found.record is not None or found.step is not None:
            raise UsageError(f"session:{ref} is a record or step of a session, not one")
        return found.session.hex()

    def moment(text: str) -> int:
        if asked.moment is None:
            raise UsageError("times can not be used here")
        return asked.moment(text)

    return Asking(values, lambda text: bool(tokens(db, text)), session, moment)


def tokens(db: sqlite3.Connection, text: str) -> list[str]:
    """The words that SQLite sees in a text, as it keeps them, in order."""
    if not db.execute("SELECT 1 FROM temp.sqlite_master WHERE name = 'one'").fetchone():
        db.execute("CREATE VIRTUAL TABLE temp.one USING fts5 (text, content='', tokenize='unicode61')")
        db.execute("CREATE VIRTUAL TABLE temp.one_words USING fts5vocab (temp, 'one', 'instance')")
    db.execute("INSERT INTO temp.one (rowid, text) VALUES (1, ?)", (text,))
    found = db.execute('SELECT term FROM temp.one_words ORDER BY "offset"').fetchall()
    db.execute("INSERT INTO temp.one (one) VALUES ('delete-all')")
    return [term for (term,) in found]


def _finder(asked: Search) -> Finder:
    if asked.substrings or asked.patterns:
        return of_pattern([*map(re.compile, map(re.escape, asked.substrings)), *asked.patterns])
    return of_words([words for words in positive(asked.query) if isinstance(words, Words)])
