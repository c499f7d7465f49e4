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
from tapes.search.find import Search, search
from tapes.search.hits import Hit
from tapes.search.query import parse
from witnessed import SECOND, Session

BEGAN = 0


type Answer = list[tuple[str, str, str, str, int | None]]


def searched(folder: Path, archive: Archive, *asked: Search) -> list[Answer]:
    folder.mkdir(exist_ok=True)
    with Index(folder / "index" / "search.sqlite", archive) as index:
        index.catch_up()
        return [found(search(index, one).hits) for one in asked]


def asked(text: str, **more: object) -> Search:
    return Search(parse(text), moment=lambda seconds: int(seconds) * SECOND, **more)  # type: ignore[arg-type]


def found(hits: list[Hit]) -> Answer:
    return sorted((h.session.hex(), h.record.hex(), h.type, h.text, h.step) for h in hits)


def expected(archive: Archive, *tests: Test) -> list[Answer]:
    def timed(one: Seen) -> Seen:
        return Seen(one.session, one.record, one.type, one.text, one.facts | {"wall_ns": one.facts["wall_ns"] / SECOND})

    told = [
        ((one.session.hex(), one.record.hex(), one.type, one.text, one.facts["step"]), timed(one))
        for one in seen(archive)
    ]
    return [sorted(row for row, one in told if test(one)) for test in tests]


@settings(max_examples=40, deadline=None)
@given(st.lists(happenings, min_size=1, max_size=3), st.lists(queries, min_size=1, max_size=12))
def test_words_phrases_and_fields_find_what_a_plain_look_finds(
    stories: list[list[tuple[str, str, str]]], several: list[tuple[str, Test]]
) -> None:
    questions, tests = [asked(text) for text, _ in several], [test for _, test in several]
    archive = MemoryArchive()
    sessions = [Session(archive, agent="claude", began=BEGAN) for _ in stories]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for session, story in zip(sessions, stories, strict=True):
            tell(session, story[:2])
            session.commit()
        early = searched(folder, archive, *questions)
        # While it is recorded, nobody knows yet that a prompt is only repeated.
        assert all(set(one) >= set(other) for one, other in zip(early, expected(archive, *tests), strict=True))
        for session, story in zip(sessions, stories, strict=True):
            tell(session, story[2:])
            session.close()
        grown = searched(folder, archive, *questions)
        anew = searched(folder / "other", archive, *questions)
    assert grown == anew == expected(archive, *tests)


@settings(max_examples=40, deadline=None)
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
        both = searched(
            Path(name),
            archive,
            asked("", substrings=(piece,)),
            asked("-type:gap", patterns=(re.compile(pattern),)),
            asked("", substrings=(piece, "red"), patterns=(re.compile(pattern),)),
        )
    assert both == expected(
        archive,
        lambda one: piece in one.text,
        lambda one: one.type != "gap" and re.search(pattern, one.text) is not None,
        lambda one: piece in one.text and "red" in one.text and re.search(pattern, one.text) is not None,
    )
