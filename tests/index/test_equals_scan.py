"""The index and a plain look through everything give the same answers, whatever happened to the index before."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from index.told import Seen, Test, happenings, queries, seen, tell
from tapes.archive.base import Archive
from tapes.archive.memory_archive import MemoryArchive
from tapes.index.index import Index
from tapes.search.find import Hit, Search, search
from tapes.search.query import parse
from witnessed import SECOND, Session

BEGAN = 0


def searched(folder: Path, archive: Archive, asked: Search) -> list[Hit]:
    folder.mkdir(exist_ok=True)
    with Index(folder / "index" / "search.sqlite", archive) as index:
        index.catch_up()
        return search(index, asked).hits


def asked(text: str, **more: object) -> Search:
    return Search(parse(text), moment=lambda seconds: int(seconds) * SECOND, **more)  # type: ignore[arg-type]


def found(hits: list[Hit]) -> list[tuple[str, str, str, str, int | None]]:
    return sorted((h.session.hex(), h.record.hex(), h.type, h.text, h.step) for h in hits)


def expected(archive: Archive, test: Test) -> list[tuple[str, str, str, str, int | None]]:
    def timed(one: Seen) -> Seen:
        return Seen(one.session, one.record, one.type, one.text, one.facts | {"wall_ns": one.facts["wall_ns"] / SECOND})

    return sorted(
        (one.session.hex(), one.record.hex(), one.type, one.text, one.facts["step"])
        for one in seen(archive)
        if test(timed(one))
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(happenings, min_size=1, max_size=3), queries)
def test_words_phrases_and_fields_find_what_a_plain_look_finds(
    stories: list[list[tuple[str, str, str]]], query: tuple[str, Test]
) -> None:
    archive = MemoryArchive()
    sessions = [Session(archive, agent="claude", began=BEGAN) for _ in stories]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for session, story in zip(sessions, stories, strict=True):
            tell(session, story[:2])
            session.commit()
        early = found(searched(folder, archive, asked(query[0])))
        # While it is recorded, nobody knows yet that a prompt is only repeated.
        assert set(early) >= set(expected(archive, query[1]))
        for session, story in zip(sessions, stories, strict=True):
            tell(session, story[2:])
            session.close()
        grown = found(searched(folder, archive, asked(query[0])))
        anew = found(searched(folder / "other", archive, asked(query[0])))
    assert grown == anew == expected(archive, query[1])


@settings(max_examples=60, deadline=None)
@given(
    happenings,
    st.sampled_from(("ed", "red g", "a.p", ".py v1 12", "größe red", " ", "Blue ", "d B", "\n")),
    st.sampled_from(("r.d+", "green (red|v1)", "(?i)BLUE", "^12$", "a\\.py (?:red ){1,2}green", "[rg]re?e.", "v1 ?12")),
)
def test_patterns_find_what_a_plain_look_finds(story: list[tuple[str, str, str]], piece: str, pattern: str) -> None:
    archive = MemoryArchive()
    session = Session(archive, agent="claude", began=BEGAN)
    tell(session, story)
    session.close()
    with tempfile.TemporaryDirectory() as name:
        pieces = found(searched(Path(name), archive, asked("", substrings=(piece,))))
        patterns = found(searched(Path(name), archive, asked("-type:gap", patterns=(re.compile(pattern),))))
    assert pieces == expected(archive, lambda one: piece in one.text)
    assert patterns == expected(archive, lambda one: one.type != "gap" and re.search(pattern, one.text) is not None)
