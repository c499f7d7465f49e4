"""SQLite has no checksums: a bit that has changed on the disk and leaves a proper page would give a wrong answer.

So what is shown is checked: each row by a sum of its own, each hit by asking the same of its own text once more, and
what the lists of words lead to must be there. Where one of these fails the index is made anew, as with any damage. What
no answer can tell is a hit that a changed bit has hidden; in most lists it leads astray all that stands behind it, and
so is seen.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable


def damaged(what: str) -> sqlite3.DatabaseError:
    """The error that has the index made anew."""
    return sqlite3.DatabaseError(f"malformed index: {what}")


def row_sum(
    key: int, session: int, digest: bytes, wall_ns: int, facts: str, text: str | bytes, step: int | None
) -> int:
    """Of a row of `items`, as it is stored."""
    found = zlib.crc32(f"{key} {session} {wall_ns} {facts} {step}".encode(), zlib.crc32(digest))
    return zlib.crc32(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"), found)


def word_sum(kind: str, value: str) -> int:
    """Of a row of `words`."""
    return zlib.crc32(f"{kind}\0{value}".encode("utf-8", "surrogatepass"))


def all_fit(db: sqlite3.Connection, match: str, rows: Iterable[tuple[int, str, str]]) -> bool:
    """Does what was asked of the index fit each of these (id, text, facts), taken by itself?"""
    db.execute(
        "CREATE VIRTUAL TABLE IF NOT EXISTS temp.again USING fts5 (text, facts, content='', tokenize='unicode61')"
    )
    asked = list(rows)
    db.executemany("INSERT INTO temp.again (rowid, text, facts) VALUES (?, ?, ?)", asked)
    (count,) = db.execute("SELECT count(*) FROM temp.again WHERE again MATCH ?", (match,)).fetchone()
    db.execute("INSERT INTO temp.again (again) VALUES ('delete-all')")
    return bool(count == len(asked))
