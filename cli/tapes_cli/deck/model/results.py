"""A query, asked of the index of `tapes search` in a worker; and its hits as rows.

The index is of one thread, and may be another process's just now, or lie where nobody may write: it is opened, used and
closed within one question, and what is wrong with it is part of the answer.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from tapes.archive.base import Archive
from tapes.errors import ArchiveError, Damaged, NotFound, UsageError
from tapes.index.file import BUSY_SECONDS, locked
from tapes.index.index import Index
from tapes.pattern import pattern
from tapes.record.digest import Digest
from tapes.search.find import Found, Search, search
from tapes.search.hits import Hit
from tapes.search.plan import positive
from tapes.search.query import All, Field, Words, parse
from tapes_cli import output
from tapes_cli.deck.model.styled import Line, columns, joined, styled
from tapes_cli.finding import asked_for, cut, names_of, ref

_WORD = pattern(r"[^\W_]+")
BEGUN = pattern(r"(?:^|\s)\w+$")
"""A query that ends in a word which may not be typed to its end."""
STEPS = 10_000
"""Of SQLite's machine, after each of which it is looked whether somebody still waits: a millisecond or less."""


class Overtaken(Exception):
    """Nobody waits for the answer any more."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a query."""

    text: str = ""
    """The query that was answered: with a star, where nothing was found without it."""
    hits: Sequence[Hit] = ()
    """Newest first."""
    names: Mapping[Digest, str] = field(default_factory=dict)
    more: bool = False
    """There are more than were asked for."""
    remarks: Sequence[str] = ()
    wrong: str = ""
    """Why the text is no query."""
    trouble: str = ""
    """Why the index could not be asked."""


@dataclass(frozen=True, slots=True)
class Seeker:
    """Asks one archive's index."""

    archive: Archive
    index: Path
    by_session: bool = False
    """The earliest hit of each session, with how many it has."""
    within: Digest | None = None
    """Only in this session."""

    def ask(
        self,
        text: str,
        limit: int | None = None,
        *,
        progress: Callable[[int, int], None] = lambda done, total: None,
        overtaken: Callable[[], bool] = lambda: False,
    ) -> Answer:
        """Raises Overtaken once it is; everything else that can go wrong is in the answer."""
        try:
            return self._ask(text, limit, progress, overtaken)
        except (UsageError, NotFound) as error:
            return Answer(text, wrong=said(error))
        except (ArchiveError, Damaged) as error:
            if overtaken():
                raise Overtaken from error
            return Answer(text, trouble=said(error))

    def _ask(
        self, text: str, limit: int | None, progress: Callable[[int, int], None], overtaken: Callable[[], bool]
    ) -> Answer:
        asked = self._search(text, limit)

        def told(done: int, total: int) -> None:
            if overtaken():
                raise Overtaken
            progress(done, total)

        with Index(self.index, self.archive) as index:
            index.db.set_progress_handler(overtaken, STEPS)
            if busy := _is_busy(index):
                answer = _as_it_is(index)
            else:
                answer = partial(index.answer, progress=told)
            found, unread = answer(lambda: _found(index, asked))
            if not found.hits and BEGUN.search(text):
                begun, _ = answer(lambda: _found(index, self._search(f"{text}*", limit)))
                text, found = (f"{text}*", begun) if begun.hits else (text, found)
        remarks = [f"nothing that was recorded has {what}" for what in found.useless]
        remarks += [f"{output.plural(unread, 'record')} can not be read, and were not searched"] if unread else []
        remarks += ["another process is indexing: what was recorded last is not searched yet"] if busy else []
        names = names_of(self.archive, {hit.session for hit in found.hits})
        # Their texts can be long, and nobody shows more of them than the snippet.
        hits = [replace(hit, text="") for hit in found.hits]
        return Answer(text, hits, names, found.more, remarks)

    def _search(self, text: str, limit: int | None) -> Search:
        asked = replace(asked_for(text, by_session=self.by_session, limit=limit), earliest=self.by_session)
        if self.within is None:
            return asked
        return replace(asked, query=All((asked.query, Field("session", self.within.hex()))))


def _is_busy(index: Index) -> bool:
    """Is there something to be indexed, while another process is at it? It may be for a minute: nobody who types waits
    for that."""
    try:
        if index.file.upto() >= index.archive.last():
            return False
        index.db.execute("PRAGMA busy_timeout = 300")
        with index.file.writing():
            return False
    except sqlite3.DatabaseError as error:
        # What else is wrong with it, `Index.answer` finds as well, and mends it where it can.
        return locked(error)
    finally:
        index.db.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")


def _as_it_is(index: Index) -> Callable[[Callable[[], tuple[Found, int]]], tuple[Found, int]]:
    """Answers without what is not indexed yet."""

    def answer(ask: Callable[[], tuple[Found, int]]) -> tuple[Found, int]:
        try:
            return ask()
        except sqlite3.DatabaseError as error:
            raise ArchiveError(f"the search index {index.file.path} can not be used: {error}") from error

    return answer


def _found(index: Index, asked: Search) -> tuple[Found, int]:
    return search(index, asked), index.db.execute("SELECT count(*) FROM unread").fetchone()[0]


def said(error: UsageError | NotFound | ArchiveError | Damaged) -> str:
    """With its hint, but for one that speaks of options, of which a box has none."""
    return f"{error} ({error.hint})" if error.hint and "--" not in error.hint else str(error)


@dataclass(slots=True)
class Hits:
    """The hits of an answer as rows; a `Source`."""

    answer: Answer
    _refs: dict[int, tuple[Sequence[str], int, int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.answer.hits)

    def line(self, index: int, width: int) -> Line:
        hit = self.answer.hits[index]
        refs, ref_width, type_width = self._cells(width)
        when = output.wall(hit.wall_ns)
        when, when_width = (when, 19) if width >= 110 else (when[5:16], 11 if width >= 72 else 0)
        rest = width - ref_width - type_width - when_width - 4 - (2 if when_width else 0)
        failed = "error" in hit.facts.get("is", ())
        return columns(
            (
                (styled(refs[index], "bold"), ref_width, False),
                (styled(when, "dim"), when_width, False),
                (styled(hit.type, "error" if failed else ""), type_width, False),
                (snippet(hit, rest), rest, False),
            )
        )

    def _cells(self, width: int) -> tuple[Sequence[str], int, int]:
        """What each session and step is called, and how wide it and the types are."""
        if width not in self._refs:
            refs = [ref(hit, dict(self.answer.names), width // 4) for hit in self.answer.hits]
            widest = max((output.cell_width(output.harmless(one)) for one in refs), default=0)
            self._refs[width] = (refs, widest, max((len(hit.type) for hit in self.answer.hits), default=0))
        return self._refs[width]


def snippet(hit: Hit, columns: int) -> Line:
    """Why it was found, in so many columns."""
    return tuple((text, "match" if fits else "") for text, fits in cut(hit.snippet, max(8, columns)) if text)


def called(hit: Hit, names: Mapping[Digest, str]) -> Line:
    return joined(styled(ref(hit, dict(names)), "bold"), styled(f" {hit.type}  ", "dim"))


def fitting(text: str) -> re.Pattern[str] | None:
    """The words of a query, as they may stand in what it finds; None where it has none."""
    try:
        found = [words for words in positive(parse(text)) if isinstance(words, Words)]
    except UsageError:
        return None
    parts = set[str]()
    for words in found:
        *whole, last = _WORD.findall(words.text) or [""]
        parts |= {re.escape(part) + r"(?![^\W_])" for part in whole}
        parts |= {re.escape(last) + ("" if words.prefix else r"(?![^\W_])")} if last else set()
    return re.compile(rf"(?<![^\W_])(?:{'|'.join(sorted(parts))})", re.IGNORECASE) if parts else None


def numbers(answer: Answer, rank: Mapping[int, int]) -> Sequence[int]:
    """The steps of one session that hits are at, in the order of the story. A step that fits in several places is
    one."""
    found = {hit.step for hit in answer.hits if hit.step is not None and hit.step in rank}
    return sorted(found, key=lambda number: rank[number])
