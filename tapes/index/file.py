"""The index's file: its tables, how it is opened, and when it is thrown away and begun anew.

Several processes may have it open (WAL; whoever writes holds SQLite's lock for one short transaction, the others
wait). A process that is killed leaves the last whole transaction. A file of another version, one that SQLite finds
damaged, and one of another archive are deleted: nothing in it is lost that is not in the archive.

It lies in a directory of its own, which is renamed before what is in it is deleted. SQLite finds its side files by
their names: deleted one by one, those of an old file could meet a new one that another process has just made.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path

from tapes.errors import ArchiveError

VERSION = 3
"""Rises with every change of the tables, and of what is read out of records."""
KINDS = ("agent", "cwd", "exit", "is", "model", "participant", "path", "session", "thread", "tool", "type")
"""Of facts."""
BUSY_SECONDS = 2
"""To wait for SQLite's lock, before it is looked at what whoever has it has come to."""
ATTEMPTS = 20
GONE = ".gone"
PACKED = 400
"""Characters from which a text is kept compressed."""
ITEM_BITS = 20
"""An item's id is its record's place in the log, shifted by so many bits, and its number: so newest first is the order
of ids from above."""

type Numbers = dict[str, list[tuple[int, str]]]
"""By a record's hash in hex, number and type of each of its steps."""

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE words (id INTEGER PRIMARY KEY, kind TEXT, value TEXT, sum INTEGER, UNIQUE (kind, value));
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY, hash BLOB UNIQUE, first_ns INTEGER, last_ns INTEGER, first_id INTEGER, last_id INTEGER,
    redactions TEXT NOT NULL DEFAULT '', settled INTEGER NOT NULL DEFAULT -1
);
CREATE TABLE items (
    id INTEGER PRIMARY KEY, session INTEGER, hash BLOB, wall_ns INTEGER, facts TEXT, text, step INTEGER, sum INTEGER
);
CREATE VIRTUAL TABLE fts USING fts5 (text, facts, content='', tokenize='unicode61');
CREATE TABLE parts (start BLOB, pos INTEGER, kind TEXT, bytes INTEGER, PRIMARY KEY (start, pos)) WITHOUT ROWID;
CREATE TABLE failed (session INTEGER, request BLOB, PRIMARY KEY (session, request)) WITHOUT ROWID;
CREATE TABLE calls (session INTEGER, id TEXT, name TEXT, PRIMARY KEY (session, id)) WITHOUT ROWID;
CREATE TABLE unread (pos INTEGER PRIMARY KEY, hash BLOB, why TEXT);
CREATE TABLE steps (session BLOB PRIMARY KEY, seq INTEGER, numbers BLOB) WITHOUT ROWID;
"""


class IndexFile:
    """The open file. Of one thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.db = self._open()

    def _open(self) -> sqlite3.Connection:
        with self._told():
            try:
                return self._connect()
            except sqlite3.DatabaseError as error:
                if not broken(error):
                    raise
                remove(self.path)
                return self._connect()

    def _connect(self) -> sqlite3.Connection:
        for _ in range(ATTEMPTS):
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # another process is removing it
                # SQLite gives its side files the mode of this one, so it must never exist with another.
                handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
                ours = os.fstat(handle).st_ino
                os.close(handle)
                db = self._sqlite()
                if self.path.exists() and self.path.stat().st_ino == ours:
                    return db
                db.close()
        raise OSError(f"{self.path} is removed again and again")

    def _sqlite(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version not in (0, VERSION):
                raise sqlite3.DatabaseError("file is not a database of this version")
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")  # a power cut takes the last commits: they are made again
            db.execute("PRAGMA secure_delete = ON")
            db.execute("PRAGMA cache_size = -16000")
            if version == 0:
                self._make(db)
        except BaseException:
            db.close()
            raise
        return db

    def _make(self, db: sqlite3.Connection) -> None:
        db.execute("BEGIN IMMEDIATE")
        if db.execute("PRAGMA user_version").fetchone() == (0,):  # else another process was first
            for statement in _TABLES.split(";\n"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")

    def begin_anew(self) -> None:
        """Throw away what is there."""
        self.db.close()
        with self._told():
            remove(self.path)
            self.db = self._connect()

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise ArchiveError(
                f"the search index {self.path} can not be used: {error}",
                hint="it may be deleted at any time, and is made again",
            ) from error

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, with SQLite's lock held from its beginning."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield self.db
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # where SQLite has rolled back itself
                self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def upto(self) -> int:
        """The place in the log up to which everything is indexed."""
        found = self.db.execute("SELECT value FROM meta WHERE key = 'upto'").fetchone()
        return int(found[0]) if found else 0

    def close(self) -> None:
        self.db.close()


def remove(path: Path) -> None:
    """Delete an index, whoever has it open, and what an earlier deletion that was killed has left."""
    folder = path.parent
    with contextlib.suppress(FileNotFoundError):
        folder.rename(folder.with_name(f"{folder.name}.{os.urandom(8).hex()}{GONE}"))
    for gone in folder.parent.glob(f"{folder.name}.*{GONE}"):
        import shutil  # slow to import, and mostly there is nothing to sweep

        shutil.rmtree(gone)


def keep_numbers(db: sqlite3.Connection, session: bytes, seq: int, numbers: Numbers) -> None:
    """Of the steps of a session whose last record is `seq`."""
    data = zlib.compress(json.dumps(numbers).encode(), 1)
    db.execute("INSERT OR REPLACE INTO steps VALUES (?, ?, ?)", (session, seq, data))


def kept_numbers(db: sqlite3.Connection, session: bytes, seq: int) -> Numbers | None:
    row = db.execute("SELECT numbers FROM steps WHERE session = ? AND seq = ?", (session, seq)).fetchone()
    if row is None:
        return None
    try:
        found: Numbers = json.loads(zlib.decompress(row[0]))
    except (zlib.error, ValueError, TypeError):
        return None  # they can be read again
    return found


def locked(error: sqlite3.Error) -> bool:
    """Does another process write just now?"""
    return isinstance(error, sqlite3.OperationalError) and "locked" in str(error)


def broken(error: sqlite3.Error) -> bool:
    """Is it the file itself, and not a lock or a disk?"""
    if not isinstance(error, sqlite3.OperationalError):
        return True
    return any(words in str(error) for words in ("malformed", "no such", "Could not decode"))


def packed(text: str) -> str | bytes:
    return text if len(text) < PACKED else zlib.compress(text.encode("utf-8", "surrogatepass"), 1)


def unpacked(text: str | bytes) -> str:
    try:
        return text if isinstance(text, str) else zlib.decompress(text).decode("utf-8", "surrogatepass")
    except (zlib.error, ValueError, TypeError) as error:
        raise sqlite3.DatabaseError(f"malformed text: {error}") from error
