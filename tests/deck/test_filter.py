"""The filter of the list of sessions: titles as one types, contents as soon as the index has answered."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from deck import shelf
from deck.filming import Clock, Scene, text
from deck.shelf import AGAIN, CARRIED, FIX, HOSTILE
from deck.support import LARGE, SMALL, deck, idle, press, screen, shown
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.index.index import Index
from tapes_cli.deck.model.results import Seeker
from tapes_cli.deck.model.shelf import titled
from tapes_cli.deck.screens.sessions import Sessions
from tapes_cli.deck.screens.timeline import Timeline
from tapes_cli.home import index_path


def sessions(pilot: Pilot[Any]) -> Sessions:
    found = pilot.app.screen
    assert isinstance(found, Sessions)
    return found


def listed(pilot: Pilot[Any]) -> list[str]:
    return [row.summary.name for row in sessions(pilot).listing.rows]


async def typed(pilot: Pilot[Any], asked: str) -> None:
    await press(pilot, "slash")
    sessions(pilot).ask.put(asked)
    await idle(pilot)


async def test_a_word_of_the_contents_lists_its_sessions_with_their_hits(home: Path) -> None:
    async with deck(home, size=LARGE) as pilot:
        await press(pilot, "slash", *"whole")
        assert listed(pilot) == [AGAIN, FIX]
        told = shown(pilot)
        assert "2 of 8 sessions" in told
        assert f"{FIX} (" in told and "hits)" in told


async def test_the_snippet_of_the_session_at_the_cursor_is_shown(home: Path) -> None:
    async with deck(home, size=LARGE) as pilot:
        await typed(pilot, "invoice")
        why = sessions(pilot).why.words
        assert why.startswith(f"{FIX}:") and "invoice" in why


async def test_titles_filter_before_the_index_has_said_anything(home: Path) -> None:
    async with deck(home) as pilot:
        await press(pilot, "slash")
        await pilot.press(*"carr")
        await pilot.pause()
        assert listed(pilot) == [CARRIED]
        assert sessions(pilot).why.words == "in its title"
        await idle(pilot)


async def test_a_word_that_is_not_typed_to_its_end_is_found_by_its_begin(home: Path) -> None:
    async with deck(home, size=LARGE) as pilot:
        await press(pilot, "slash", *"invo")
        assert listed(pilot) == [FIX]
        assert "1 by their contents: invo*" in shown(pilot)


async def test_the_language_is_that_of_tapes_search(home: Path) -> None:
    async with deck(home) as pilot:
        await typed(pilot, 'type:command "pytest -q" exit:1')
        assert listed(pilot) == [AGAIN, FIX]
        await typed(pilot, "picture OR dot")
        assert listed(pilot) == [CARRIED]


WRONG = {
    "tool:": "tool: has no value",
    'fix "': '" stands there alone',
    "fix (": "a ( is not closed",
    "nosuch:fix": "there is no field nosuch:",
    "session:nosuch": "nosuch",
    "fix OR": "OR stands between",
}


async def test_a_wrong_query_is_said_beside_the_box(home: Path) -> None:
    async with deck(home, size=LARGE) as pilot:
        for asked, said in WRONG.items():
            await typed(pilot, asked)
            box = next(line for line in screen(pilot) if line.startswith(f" / {asked}"))
            assert said in box
            assert "--" not in box  # a box has no options


async def test_titles_still_filter_while_the_query_is_wrong(home: Path) -> None:
    async with deck(home) as pilot:
        await press(pilot, "slash", *"carried", "quotation_mark")
        assert listed(pilot) == []  # no title has a quotation mark
        await press(pilot, "backspace", "space", "left_parenthesis")
        await press(pilot, "backspace")
        assert listed(pilot) == [CARRIED]


async def test_nothing_found_lists_nothing_and_says_so(home: Path) -> None:
    async with deck(home) as pilot:
        await typed(pilot, "zyzzogeton")
        assert listed(pilot) == []
        assert "0 of 8 sessions" in shown(pilot)
        await press(pilot, "enter", "down", "up")
        assert isinstance(pilot.app.screen, Sessions)


async def test_an_index_that_can_not_be_written_is_said_and_titles_still_filter(home: Path) -> None:
    index_path().parent.write_text("not a directory")
    async with deck(home, size=LARGE) as pilot:
        await typed(pilot, "fix")
        assert listed(pilot) == [AGAIN, FIX]
        assert "titles alone: the search index" in shown(pilot)


async def test_a_damaged_index_is_made_anew(home: Path) -> None:
    index_path().parent.mkdir()
    index_path().write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)
    async with deck(home) as pilot:
        await typed(pilot, "invoice")
        assert listed(pilot) == [FIX]
        with contextlib.closing(sqlite3.connect(index_path())) as db:
            db.execute("DROP TABLE meta")
        await press(pilot, "escape")
        await typed(pilot, "invoice")
        assert listed(pilot) == [FIX]


async def test_a_fault_while_searching_is_said_and_the_deck_lives(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Seeker, "_search", lambda *_: 1 / 0)
    async with deck(home, size=LARGE) as pilot:
        await typed(pilot, "fix")
        assert "a fault of tapes while searching: ZeroDivisionError" in shown(pilot)
        assert listed(pilot) == [AGAIN, FIX]


async def test_an_index_that_another_process_writes_is_asked_as_it_is(home: Path) -> None:
    with LmdbArchive.open(home / "archive") as archive, Index(index_path(), archive) as index:
        index.catch_up()
        clock = Clock()
        with shelf.archive_of(home, clock=clock) as written:
            Scene(written, clock, "later", at=9 * 3600).note("an invoice")
        index.db.execute("BEGIN IMMEDIATE")
        async with deck(home, size=LARGE) as pilot:
            await typed(pilot, "invoice")
            assert listed(pilot) == [FIX]
            assert "another process is indexing" in shown(pilot)
            index.db.execute("ROLLBACK")
            await press(pilot, "escape")
            await typed(pilot, "invoice")
            assert listed(pilot) == ["later", FIX]


async def test_enter_opens_the_session_at_its_first_hit(home: Path) -> None:
    async with deck(home) as pilot:
        await press(pilot, "slash", *"invoice", "enter")
        here = pilot.app.screen
        assert isinstance(here, Timeline)
        await idle(pilot)
        assert here.tape.step is not None and here.tape.step.type == "command"  # what it wrote
        assert here.tape.number == here.tape.seeking.numbers[0]
        assert f"hit 1/{len(here.tape.seeking.numbers)}" in shown(pilot)
        await press(pilot, "escape")
        assert listed(pilot) == [FIX]


async def test_up_and_down_move_the_list_while_one_types(home: Path) -> None:
    async with deck(home) as pilot:
        await press(pilot, "slash", *"fix", "down", "enter")
        assert isinstance(pilot.app.screen, Timeline)
        assert pilot.app.screen.tape.title == FIX


@pytest.mark.parametrize("focus", ["box", "list"])
async def test_escape_ends_the_filter_and_only_then_leaves(home: Path, focus: str) -> None:
    async with deck(home) as pilot:
        await press(pilot, "slash", *"fix")
        if focus == "list":
            sessions(pilot).rows.focus()
        await press(pilot, "escape")
        assert len(listed(pilot)) == 8
        assert not sessions(pilot).ask.display and not sessions(pilot).why.display
        assert sessions(pilot).rows.has_focus
        await press(pilot, "escape")
        assert pilot.app._exit


async def test_what_is_recorded_meanwhile_is_found_and_the_cursor_stays(home: Path) -> None:
    with LmdbArchive.open(home / "archive"):  # for writing, by this process too
        async with deck(home) as pilot:
            await press(pilot, "slash", *"invoice")
            clock = Clock()
            with shelf.archive_of(home, clock=clock) as archive:
                scene = Scene(archive, clock, "later", at=9 * 3600)
                scene.turn(text("An invoice is a bill."), said=("What is it?",))
                scene.close()
            sessions(pilot).refresh_shelf()
            await idle(pilot)
            assert listed(pilot) == ["later", FIX]
            row = sessions(pilot).chosen()
            assert row is not None and row.summary.name == FIX


async def test_captured_text_in_titles_and_snippets_stays_text(home: Path) -> None:
    async with deck(home, size=SMALL) as pilot:
        await typed(pilot, "markup")
        assert HOSTILE in listed(pilot)
        assert not any(char in shown(pilot) for char in "\x1b\x07\u202e\x9b")


@pytest.mark.parametrize(
    ("asked", "title", "fits"),
    [
        ("fix test", "fix-the-tests", True), ("fix -test", "fix-the-tests", False), ("a OR fix", "fix-it", True),
        ('"the tests"', "fix-the-tests", False), ("agent:claude", "claude", False), ("FIX", "fix", True),
        ("fix (", "fix (", True), ("-tool:Bash", "fix", False), ("é", "café", True),
    ],
)  # fmt: skip
def test_a_title_fits_a_query(asked: str, title: str, fits: bool) -> None:
    assert titled(asked)(title) is fits
