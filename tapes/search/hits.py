"""Hits: the rows of the index that fit, checked, with their snippets and the numbers of their steps.

Steps have their numbers in the timeline alone, so that is read for the sessions of hits that are shown, once for each
state of a session (`steps` in the index's file).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from tapes.errors import Damaged, NotFound
from tapes.index.file import ITEM_BITS, Numbers, keep_numbers, kept_numbers, unpacked
from tapes.index.index import Index
from tapes.index.sound import damaged, row_sum, word_sum
from tapes.record.digest import Digest
from tapes.search.snippet import Finder, Snippet
from tapes.values import dataclass


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


@dataclass(frozen=True, slots=True)
class Row:
    """A row of `items`, checked."""

    key: int
    session: Digest
    record: Digest
    wall_ns: int
    marks: str
    text: str
    step: int | None


def row_of(index: Index, key: int) -> Row:
    found = index.db.execute(
        "SELECT s.hash, s.settled, i.sum, i.session, i.hash, wall_ns, facts, text, step FROM items i"
        " JOIN sessions s ON s.id = i.session WHERE i.id = ?",
        (key,),
    ).fetchone()
    if found is None:
        raise damaged("a row has no session")
    session, settled, sum_, number, record, wall_ns, marks, stored, step = found
    head = index.archive.head(Digest(session)) if len(session) == 32 else None
    if head is None or row_sum(key, number, record, wall_ns, marks, stored, step) != sum_:
        raise damaged("a row is not as it was written")
    current = step if head[1] == settled else None  # else it may have moved on
    return Row(key, Digest(session), Digest(record), wall_ns, marks, unpacked(stored), current)


def hit_of(index: Index, row: Row, count: int, finder: Finder) -> Hit:
    facts: dict[str, list[str]] = {}
    for mark in row.marks.split():
        found = index.db.execute("SELECT kind, value, sum FROM words WHERE id = ?", (int(mark[1:]),)).fetchone()
        if found is None or word_sum(*found[:2]) != found[2]:
            raise damaged("a fact is not as it was written")
        facts.setdefault(found[0], []).append(found[1])
    number, type_ = row.key & (1 << ITEM_BITS) - 1, facts["type"][0]
    return Hit(row.session, row.record, number, type_, row.step, row.wall_ns, row.text, facts, finder(row.text), count)


def numbered(index: Index, hits: list[Hit]) -> list[Hit]:
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
