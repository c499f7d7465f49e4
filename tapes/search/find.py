"""Asks the index, and makes hits of what it gives.

Newest first: by the order of the log, so that the first hits come without the others being looked at. A pattern is
sought in the texts themselves, those that can have it. Steps have their numbers in the timeline alone, so that is read
for the sessions of hits that are shown, once for each state of a session (`steps` in the index's file).
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from tapes.archive.refs import resolve
from tapes.errors import Damaged, NotFound, UsageError
from tapes.index.file import ITEM_BITS, Numbers, keep_numbers, kept_numbers, unpacked
from tapes.index.index import Index
from tapes.record.digest import Digest
from tapes.search import narrow
from tapes.search.plan import Asking, Plan, plan, positive
from tapes.search.query import All, Node, Words
from tapes.search.snippet import Finder, Snippet, of_pattern, of_words

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
    """The first hit of each session alone."""
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """An item that fits."""

    session: Digest
    record: Digest
    item: int
    type: str
    step: int | None
    """Its number in the session; None where the timeline can not be read."""
    wall_ns: int
    text: str
    facts: dict[str, list[str]]
    """By kind, as in the index."""
    snippet: Snippet
    of_session: int = 0
    """With `by_session`: how many hits the session has."""


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
    rows = _rows(index.db, planned, asked.ranked, tests)
    if asked.by_session:
        counts: dict[int, list[int]] = {}
        for key, session in rows:
            counts.setdefault(session, [key, 0])[1] += 1
        chosen = [(key, count) for key, count in counts.values()]
    else:
        chosen = [(key, 0) for key, _ in _some(rows, asked.limit)]
    more = asked.limit is not None and len(chosen) > asked.limit
    finder = _finder(asked)
    hits = [_hit(index, key, count, finder) for key, count in chosen[: asked.limit]]
    return Found(_numbered(index, hits), more, planned.useless)


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


def _rows(
    db: sqlite3.Connection, planned: Plan, ranked: bool, tests: Sequence[Callable[[str], bool]]
) -> Iterator[tuple[int, int]]:
    """Ids and sessions, in order."""
    text = "i.text" if tests else "NULL"
    if planned.match:
        # CROSS JOIN: the index of words leads, whatever SQLite thinks of it.
        order = "bm25(fts, 1.0, 0.0), fts.rowid DESC" if ranked else "fts.rowid DESC"
        source, matching = "fts CROSS JOIN items i ON i.id = fts.rowid", "fts MATCH ? AND"
    else:
        order, source, matching = "i.id DESC", "items i", ""
    sql = f"SELECT i.id, i.session, {text} FROM {source} WHERE {matching} ({planned.where}) ORDER BY {order}"
    for key, session, stored in db.execute(sql, (*filter(None, [planned.match]), *planned.values)):
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
        return dict(db.execute("SELECT value, id FROM words WHERE kind = ?", (kind,)))

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


# -- hits


def _finder(asked: Search) -> Finder:
    if asked.substrings or asked.patterns:
        return of_pattern([*map(re.compile, map(re.escape, asked.substrings)), *asked.patterns])
    return of_words([words for words in positive(asked.query) if isinstance(words, Words)])


def _hit(index: Index, key: int, count: int, finder: Finder) -> Hit:
    db = index.db
    record, wall_ns, marks, stored, step, session, settled = db.execute(
        "SELECT i.hash, wall_ns, facts, text, step, s.hash, s.settled FROM items i"
        " JOIN sessions s ON s.id = i.session WHERE i.id = ?",
        (key,),
    ).fetchone()
    head = index.archive.head(Digest(session))
    step = step if head is not None and head[1] == settled else None  # else it may have moved on
    facts: dict[str, list[str]] = {}
    for mark in marks.split():
        kind, value = db.execute("SELECT kind, value FROM words WHERE id = ?", (int(mark[1:]),)).fetchone()
        facts.setdefault(kind, []).append(value)
    text = unpacked(stored)
    number = key & (1 << ITEM_BITS) - 1
    return Hit(
        Digest(session), Digest(record), number, facts["type"][0], step, wall_ns, text, facts, finder(text), count
    )


def _numbered(index: Index, hits: list[Hit]) -> list[Hit]:
    """The hits, with the numbers of those whose sessions are not indexed from their timeline."""
    unknown = {hit.session for hit in hits if hit.step is None}
    numbers = {session: step_numbers(index, session) for session in unknown}
    return [
        hit if hit.step is not None else replace(hit, step=_step(numbers[hit.session].get(hit.record.hex(), ()), hit))
        for hit in hits
    ]


def _step(steps: Sequence[tuple[int, str]], hit: Hit) -> int | None:
    """Of a record's steps the one that a hit is. While a session is recorded its items may be counted otherwise."""
    wanted = "command" if hit.type == "output" else hit.type
    if hit.item < len(steps) and steps[hit.item][1] == wanted:
        return steps[hit.item][0]
    same = [number for number, type_ in steps if type_ == wanted]
    return next(iter(same or [number for number, _ in steps]), None)


def step_numbers(index: Index, session: Digest) -> Numbers:
    """The numbers of a session's steps by their record's hash; kept for the next time. Empty where the timeline can not
    be read."""
    head = index.archive.head(session)
    seq = head[1] if head else -1
    kept = kept_numbers(index.db, session, seq)
    if kept is not None:
        return kept
    from tapes.session.view import steps  # and all dialects, where it has to be read

    numbers: Numbers = {}
    try:
        for step in steps(index.archive, session):
            numbers.setdefault(step.hash.hex(), []).append((step.number, step.type))
    except (Damaged, NotFound):
        return {}
    with suppress(sqlite3.OperationalError), index.file.writing() as db:  # or they are read again the next time
        keep_numbers(db, session, seq, numbers)
    return numbers
