"""An archive's index, open: brought up to date when something is sought, and made anew where it is of no use.

What reads records (`follow`) is loaded when there is something to read: a search in an index that is up to date does
not wait for all dialects.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tapes.archive.base import Archive
from tapes.errors import ArchiveError, Damaged, NotFound
from tapes.index.file import IndexFile, broken, locked

if TYPE_CHECKING:
    from tapes.index.follow import Follower

STANDSTILL_SECONDS = 60
"""So long another process may hold the lock without coming further."""

type Progress = Callable[[int, int], None]
"""Told how many records of how many are indexed."""


class Index:
    """Of one thread."""

    def __init__(self, path: Path, archive: Archive) -> None:
        self.file = IndexFile(path)
        self.archive = archive
        self._follower: Follower | None = None

    @property
    def db(self) -> sqlite3.Connection:
        return self.file.db

    def close(self) -> None:
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- catching up

    def catch_up(self, progress: Progress | None = None) -> None:
        """Index what the log has and the index has not. A damaged index, or one of another archive, is made anew."""
        self.answer(lambda: None, progress)

    def answer[T](self, ask: Callable[[], T], progress: Progress | None = None) -> T:
        """What is asked of the index, once it is up to date. Where it is damaged it is made anew, and asked again."""
        try:
            self._catch_up(progress)
            return ask()
        except sqlite3.DatabaseError as error:
            if not broken(error):
                raise ArchiveError(f"the search index {self.file.path} can not be used: {error}") from error
        self.begin_anew()
        self._catch_up(progress)
        return ask()

    def begin_anew(self) -> None:
        self.file.begin_anew()
        self._follower = None

    def _catch_up(self, progress: Progress | None) -> None:
        if not self._ours():
            self.begin_anew()
        end = self.archive.last()
        upto, moved = self.file.upto(), time.monotonic()
        while upto < end:
            before = upto
            try:
                upto = self._follow().chunk(end)
            except sqlite3.OperationalError as error:
                # Another process is at it, and may hold the lock again before we get it: then it is done for us.
                upto = self.file.upto()
                if not locked(error) or (upto == before and time.monotonic() - moved > STANDSTILL_SECONDS):
                    raise
            moved = time.monotonic() if upto > before else moved
            if progress is not None:
                progress(upto, end)
        if self.db.execute("SELECT 1 FROM meta WHERE key = 'purge'").fetchone():
            try:
                self._purge()
            except sqlite3.OperationalError as error:
                if not locked(error):  # else the note stays, for whoever searches next
                    raise

    def _follow(self) -> Follower:
        if self._follower is None:
            from tapes.index.follow import Follower

            self._follower = Follower(self.file, self.archive)
        return self._follower

    def _purge(self) -> None:
        """Write the file anew, so that nothing of what was taken back stays in a page that is not in use. A crash
        before the end leaves the note that it is to be done."""
        with self.file.writing() as db:
            used = {int(mark[1:]) for (marks,) in db.execute("SELECT facts FROM items") for mark in marks.split()}
            stale = [(key,) for (key,) in db.execute("SELECT id FROM words") if key not in used]
            db.executemany("DELETE FROM words WHERE id = ?", stale)
            # The lists of words keep what was deleted until they are merged.
            db.execute("INSERT INTO fts (fts) VALUES ('optimize')")
        self._follower = None  # which remembers words
        self.db.execute("VACUUM")
        self.db.execute("PRAGMA wal_checkpoint (TRUNCATE)")
        self.db.execute("DELETE FROM meta WHERE key = 'purge'")

    def _ours(self) -> bool:
        """Is what is indexed the beginning of this log? A rebuilt archive may have lost records of it."""
        rows = dict(self.db.execute("SELECT key, value FROM meta"))
        if not rows.get("upto"):
            return True
        try:
            return bool(rows["upto"] <= self.archive.last() and self.archive.at(rows["upto"])[0] == rows["hash"])
        except Damaged:
            return bool(rows["hash"] == b"")
        except NotFound:
            return False
