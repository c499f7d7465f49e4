"""Brings the index up to the end of the log: some records a transaction, each with how far it has come.

So a process that is killed leaves an index that is whole up to some record, and the next one goes on there; and two at
once do one part each, as whoever has SQLite's lock looks again where the index ends. Nothing is held of the archive
between two records, so that whoever is recording is never kept waiting.

**Commands** go on after their first record: with each further one their items are written anew, read from as much of
their output as is kept. **Forgetting** removes the file before anything is destroyed. A redaction that is met here (its
destruction may not have been carried out) takes back what it withholds, and the file is then written anew (VACUUM), so
that no page keeps it.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress

from tapes.archive.base import Archive
from tapes.archive.redaction import covers
from tapes.errors import Damaged, NotFound, Withheld
from tapes.index.file import ITEM_BITS, IndexFile, packed, unpacked
from tapes.index.settled import Settled, is_over, settled
from tapes.index.sound import row_sum, word_sum
from tapes.index.texts import OUTPUT, Fact, Item, Texts, unique
from tapes.index.words import kept
from tapes.record.digest import Digest
from tapes.record.kinds import BodyRef, Record
from tapes.record.tomb import WITHHELD
from tapes.session.exchanges import FAILED
from tapes.session.joining import witnessed
from tapes.session.marks import is_mark, is_unmark, place_of
from tapes.session.notes import words_of

CHUNK_SECONDS = 0.5
"""One transaction takes about so long at most: others wait for it."""
CHUNK_RECORDS = 2000
UNREADABLE = (Damaged, NotFound)


class Follower:
    """Writes one archive's records into its index."""

    def __init__(self, file: IndexFile, archive: Archive) -> None:
        self.file = file
        self.archive = archive
        self._texts = Texts(archive)
        self._words: dict[Fact, int] = {}
        self._sessions: dict[Digest, int] = {}
        self._settled: dict[int, int] = {}
        """By a session's number, the seq up to which it is indexed from its timeline; -1: not at all."""
        self._redacted: dict[int, list[tuple[Digest, Record]]] = {}
        self._data_version = -1

    def chunk(self, end: int) -> int:
        """One transaction; how far the index then is."""
        try:
            with self.file.writing() as db:
                self._look_again(db)
                return self._index(db, self.file.upto(), end)
        except BaseException:
            self._data_version = -1  # what is remembered may have been rolled back
            raise

    def _look_again(self, db: sqlite3.Connection) -> None:
        """Forget what is remembered of the tables where another process has written."""
        (version,) = db.execute("PRAGMA data_version").fetchone()
        if version != self._data_version:
            self._data_version = version
            self._words.clear()
            self._sessions.clear()
            self._settled.clear()
            self._redacted.clear()
            self._texts.forget()

    def _index(self, db: sqlite3.Connection, upto: int, end: int) -> int:
        until, last = time.monotonic() + CHUNK_SECONDS, upto
        latest: bytes = b""
        changed: dict[Digest, None] = {}
        for pos, digest, record in self._records(db, upto, end):
            last, latest = pos, digest or b""
            if record is not None and digest is not None:
                self._record(db, pos, digest, record, changed)
            if pos - upto >= CHUNK_RECORDS or time.monotonic() > until:
                break
        for start in changed:
            self._command(db, start)
        if last > upto:
            values = (("upto", last), ("hash", latest))
            db.executemany(
                "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", values
            )
        return last

    def _records(
        self, db: sqlite3.Connection, after: int, end: int
    ) -> Iterator[tuple[int, Digest | None, Record | None]]:
        """The log, with None for a record that is damaged: it is noted, and does not hide those behind it."""
        while after < end:
            try:
                for pos, digest, record in self.archive.log(after):
                    after = pos
                    yield pos, digest, record
                    if pos >= end:
                        return
                return
            except Damaged as error:
                after += 1
                self._unread(db, after, None, error)
                yield after, None, None

    def _unread(self, db: sqlite3.Connection, pos: int, digest: Digest | None, error: Exception) -> None:
        db.execute("INSERT OR REPLACE INTO unread VALUES (?, ?, ?)", (pos, digest, str(error)))

    # -- one record

    def _record(
        self, db: sqlite3.Connection, pos: int, digest: Digest, record: Record, changed: dict[Digest, None]
    ) -> None:
        session = record.session or digest
        number = self._session(db, session, pos, record.wall_ns)
        over = record.type == "session.close" or (record.seq == 0 and self._is_over(session))
        if over and record.seq > self._settled[number]:
            self._settle(db, session, number)
        done = record.seq <= self._settled[number]
        try:
            if record.type.startswith("command.") or record.type == "join":
                self._part(db, pos, digest, record, {} if done else changed)
            elif done:
                pass
            elif record.type == "redaction":
                self._take_back(db, pos, session, number)
            else:
                self._write(db, pos, session, number, digest, record)
        except Withheld:
            pass  # as it should be
        except UNREADABLE as error:
            self._unread(db, pos, digest, error)

    def _is_over(self, session: Digest) -> bool:
        with suppress(*UNREADABLE):  # then its records are read one by one
            return is_over(self.archive, session)
        return False

    def _write(
        self, db: sqlite3.Connection, pos: int, session: Digest, number: int, digest: Digest, record: Record
    ) -> None:
        if self._hidden(number, record):
            return
        items = list(self._items(db, number, digest, record))
        if items:
            self._add(db, pos, session, number, digest, record.wall_ns, items)
        if is_unmark(record):
            self._unmark(db, session, number, record)

    def _unmark(self, db: sqlite3.Connection, session: Digest, number: int, unmark: Record) -> None:
        """From now on the marks that it takes back are notes like others."""
        for digest, record in self.archive.session_records(session):
            if record.seq >= unmark.seq:
                return
            if is_mark(record) and place_of(record) == place_of(unmark) and not self._hidden(number, record):
                pos = self.archive.position(digest)
                self._remove(db, "id = ?", (pos << ITEM_BITS,))
                items = [Item(0, "note", words_of(record.body))]
                self._add(db, pos, session, number, digest, record.wall_ns, items)

    def _items(self, db: sqlite3.Connection, session: int, digest: Digest, record: Record) -> Iterator[Item]:
        body = record.body
        match record.type:
            case "exchange.open":
                # A retry says the same once more.
                if not self._has_failed(db, session, record):
                    yield from self._texts.opened(digest)
            case "exchange.end":
                opened = self.archive.record(record.parents[0])
                again = self._has_failed(db, session, opened)
                request = BodyRef.match(opened.body.get("request"))
                if request is not None and body["outcome"] in FAILED:
                    db.execute("INSERT OR IGNORE INTO failed VALUES (?, ?)", (session, request.hash))
                yield from self._texts.ended(digest, record, again=again)
            case "tool.use":
                db.execute("INSERT OR REPLACE INTO calls VALUES (?, ?, ?)", (session, body["id"], body["name"]))
                yield self._texts.used(record)
            case "tool.result":
                key = (session, body["id"])
                named = db.execute("SELECT name FROM calls WHERE session = ? AND id = ?", key).fetchone()
                yield self._texts.resulted(record, named[0] if named else "")
            case "note" if body.get("decision") != "allowed":
                yield Item(0, "note", words_of(body), (("is", "mark"),) if is_mark(record) else ())
            case "gap":
                yield Item(0, "gap", str(body["reason"]), (("is", "error"),))
            case _:
                return

    def _has_failed(self, db: sqlite3.Connection, session: int, opened: Record) -> bool:
        """Has an earlier exchange of the session failed with this very request?"""
        request = BodyRef.match(opened.body.get("request"))
        key = (session, request.hash if request else b"")
        return db.execute("SELECT 1 FROM failed WHERE session = ? AND request = ?", key).fetchone() is not None

    def _add(
        self,
        db: sqlite3.Connection,
        pos: int,
        session: Digest,
        number: int,
        digest: Digest,
        wall_ns: int,
        items: Iterable[Item],
    ) -> None:
        common = self._texts.of_session(session)
        cwd = self._texts.cwd(session)
        for item in items:
            if item.number >= 1 << ITEM_BITS:
                return
            facts = [*common, *item.facts, ("type", item.type)]
            if cwd and not any(kind == "cwd" for kind, _ in facts):
                facts.append(("cwd", cwd))
            marks = " ".join(f"k{self._word(db, fact)}" for fact in unique(facts))
            text = kept(item.text)
            key = pos << ITEM_BITS | item.number
            row = (key, number, digest, wall_ns, marks, packed(text), item.step)
            db.execute("INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, row_sum(*row)))
            db.execute("INSERT INTO fts (rowid, text, facts) VALUES (?, ?, ?)", (key, text, marks))

    def _remove(self, db: sqlite3.Connection, where: str, values: tuple[object, ...]) -> list[tuple[int, str, str]]:
        """Items, with their words; what they were."""
        rows = db.execute(f"SELECT id, facts, text FROM items WHERE {where}", values).fetchall()
        found = [(key, facts, unpacked(text)) for key, facts, text in rows]
        db.executemany("INSERT INTO fts (fts, rowid, facts, text) VALUES ('delete', ?, ?, ?)", found)
        db.execute(f"DELETE FROM items WHERE {where}", values)
        return found

    # -- commands

    def _part(
        self, db: sqlite3.Connection, pos: int, digest: Digest, record: Record, changed: dict[Digest, None]
    ) -> None:
        """Note a record of a command; its items are written when all of them that there are have been seen."""
        start = digest if record.type == "command.start" else record.parents[1 if record.type == "join" else 0]
        length = BodyRef.of(record.body["data"]).length if record.type == "command.output" else 0
        db.execute("INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?)", (start, pos, record.type, length))
        changed[start] = None

    def _command(self, db: sqlite3.Connection, start: Digest) -> None:
        try:
            pos = self.archive.position(start)
            record = self.archive.record(start)
            session = record.session
            if session is None or record.type != "command.start":
                return
            number = self._session(db, session, pos, record.wall_ns)
            self._remove(db, "id BETWEEN ? AND ?", (pos << ITEM_BITS, (pos + 1 << ITEM_BITS) - 1))
            if not self._hidden(number, record):
                self._rewrite(db, pos, session, number, start, record)
        except Withheld:
            pass
        except UNREADABLE as error:
            self._unread(db, self.archive.position(start), start, error)

    def _rewrite(
        self, db: sqlite3.Connection, pos: int, session: Digest, number: int, start: Digest, record: Record
    ) -> None:
        rows = db.execute("SELECT pos, kind, bytes FROM parts WHERE start = ? ORDER BY pos", (start,)).fetchall()
        records = [(start, record)]
        use: Record | None = None
        for place in chosen(rows):
            digest, part = self.archive.at(place)
            if part.type == "join":
                exact = bool(part.body.get("exact"))
                use = self.archive.record(part.parents[0]) if exact or use is None else use
            elif digest != start and part.type != WITHHELD and not self._hidden(number, part):
                records.append((digest, part))
        items = self._texts.command(witnessed(records)[start], use if use and use.type == "tool.use" else None)
        self._add(db, pos, session, number, start, record.wall_ns, items)

    # -- sessions, facts, and what is withheld

    def _session(self, db: sqlite3.Connection, session: Digest, pos: int, wall_ns: int) -> int:
        """Its number; from now on it goes at least from and to this place and time."""
        number = self._sessions.get(session)
        if number is None:
            db.execute(
                "INSERT INTO sessions (hash, first_ns, last_ns, first_id, last_id) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (hash) DO NOTHING",
                (session, wall_ns, wall_ns, pos << ITEM_BITS, pos << ITEM_BITS),
            )
            number, over = db.execute("SELECT id, settled FROM sessions WHERE hash = ?", (session,)).fetchone()
            self._sessions[session], self._settled[int(number)] = int(number), int(over)
        db.execute(
            "UPDATE sessions SET first_ns = min(first_ns, ?1), last_ns = max(last_ns, ?1), last_id = max(last_id, ?2)"
            " WHERE id = ?3",
            (wall_ns, (pos + 1 << ITEM_BITS) - 1, number),
        )
        return int(number)

    def _word(self, db: sqlite3.Connection, fact: Fact) -> int:
        if fact not in self._words:
            db.execute(
                "INSERT INTO words (kind, value, sum) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (*fact, word_sum(*fact))
            )
            (number,) = db.execute("SELECT id FROM words WHERE kind = ? AND value = ?", fact).fetchone()
            self._words[fact] = int(number)
        return self._words[fact]

    def _redactions(self, number: int) -> list[tuple[Digest, Record]]:
        if number not in self._redacted:
            (text,) = self.file.db.execute("SELECT redactions FROM sessions WHERE id = ?", (number,)).fetchone()
            self._redacted[number] = [self.archive.at(pos) for pos in json.loads(text or "[]")]
        return self._redacted[number]

    def _hidden(self, number: int, record: Record) -> bool:
        """Is this record of the session withheld? Bodies that are go behind the veil."""
        found = self._redactions(number)
        self._texts.veil.hidden = {
            Digest(bytes(body)): digest for digest, redaction in found for body in redaction.body["bodies"]
        }
        return any(covers(redaction.body, record.seq) for _, redaction in found)

    def _settle(self, db: sqlite3.Connection, session: Digest, number: int) -> None:
        """Index a session that is over from its timeline, in place of what was read of its records one by one. Where a
        record is damaged, those stay."""
        found: list[Settled] = []
        try:
            records = list(self.archive.session_records(session))
            places = [self.archive.position(digest) for digest, record in records if record.type == "redaction"]
            self._note_redactions(db, number, places)
            hidden = frozenset(digest for digest, record in records if self._hidden(number, record))
            self._texts.veil.read = {session: records}
            found += settled(self._texts, session, hidden)
        except UNREADABLE:
            return
        finally:
            self._texts.veil.read = {}
        self._clear(db, number)
        for row in found:
            self._add(db, self.archive.position(row.record), session, number, row.record, row.wall_ns, row.items)
        self._settled[number] = records[-1][1].seq
        db.execute("UPDATE sessions SET settled = ? WHERE id = ?", (records[-1][1].seq, number))

    def _clear(self, db: sqlite3.Connection, number: int) -> list[tuple[int, str, str]]:
        """Remove all of a session; what it was."""
        first, last = db.execute("SELECT first_id, last_id FROM sessions WHERE id = ?", (number,)).fetchone()
        return self._remove(db, "id BETWEEN ? AND ? AND session = ?", (first, last, number))

    def _note_redactions(self, db: sqlite3.Connection, number: int, places: list[int]) -> None:
        db.execute("UPDATE sessions SET redactions = ? WHERE id = ?", (json.dumps(places), number))
        self._redacted.pop(number, None)
        self._texts.forget()

    def _take_back(self, db: sqlite3.Connection, pos: int, session: Digest, number: int) -> None:
        """Read the session again without what a redaction withholds. Most often that has been destroyed, and nothing
        of it was here."""
        (text,) = db.execute("SELECT redactions FROM sessions WHERE id = ?", (number,)).fetchone()
        self._note_redactions(db, number, [*json.loads(text or "[]"), pos])
        before = self._clear(db, number)
        db.execute("DELETE FROM failed WHERE session = ?", (number,))
        db.execute("DELETE FROM calls WHERE session = ?", (number,))
        if self._settled[number] >= 0:
            self._settle(db, session, number)
        else:
            self._read_again(db, session, pos)
        rows = db.execute("SELECT id, facts, text FROM items WHERE session = ?", (number,)).fetchall()
        if set(before) - {(key, facts, unpacked(text)) for key, facts, text in rows}:
            db.execute("INSERT OR REPLACE INTO meta VALUES ('purge', 1)")

    def _read_again(self, db: sqlite3.Connection, session: Digest, until: int) -> None:
        changed: dict[Digest, None] = {}
        for digest, record in self.archive.session_records(session):
            place = self.archive.position(digest)
            if place < until and record.type != "redaction":
                self._record(db, place, digest, record, changed)
        for start in changed:
            self._command(db, start)


def chosen(rows: list[tuple[int, str, int]]) -> Iterator[int]:
    """The places of a command's records, but for output in the middle, where that is long."""
    total = sum(length for _, _, length in rows)
    read = 0
    for pos, kind, length in rows:
        if kind != "command.output" or read < OUTPUT // 2 or total - read - length < OUTPUT // 2:
            yield pos
        read += length
