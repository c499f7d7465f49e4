"""The terminal screen: the recorded screen and the steps move together, by every key of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from deck.shelf import AGAIN, FIX, HOSTILE
from deck.support import LARGE, SMALL, USUAL, deck, idle, picture, press, screen, shown
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.errors import Damaged
from tapes.session.screen import tape as tape_module
from tapes.session.screen.playback import screen_at
from tapes.session.screen.tape import Tape as Recording
from tapes.session.screen.tape import tape_of
from tapes_cli.deck.app import Deck, Target
from tapes_cli.deck.screens.terminal import Terminal
from terminal_tape import TerminalSession

SECOND = 1_000_000_000


def terminal(pilot: Pilot[Any]) -> Terminal:
    found = pilot.app.screen
    assert isinstance(found, Terminal)
    return found


def at(pilot: Pilot[Any]) -> float:
    """Seconds. What is shown is the screen at that time, and the step is the last one by then, or of that moment."""
    here = terminal(pilot)
    seen = here.projector.seen
    assert seen is not None
    assert seen.arrived
    assert here.picture.shot == seen.shot
    recorded, _ = screen_at(recording(pilot), seen.at_ns)
    assert [list(map(str, row)) for row in recorded.text()] == [list(map(str, _text(row))) for row in seen.shot.lines]
    return seen.at_ns / SECOND


def _text(row: Any) -> str:
    return row.text() if hasattr(row, "text") else ""


def recording(pilot: Pilot[Any]) -> Recording:
    tape = terminal(pilot).tape
    found = tape_of(tape.archive, tape.session)
    assert found is not None
    return found


def step(pilot: Pilot[Any]) -> int:
    return terminal(pilot).tape.number


async def test_it_opens_where_the_current_step_was(home: Path) -> None:
    async with deck(home, f"{FIX}:10") as pilot:
        await press(pilot, "4")
        times = terminal(pilot).projector.times
        assert times is not None
        assert at(pilot) == times.moments[9] / SECOND
        assert step(pilot) == 10


async def test_stepping_moves_the_screen_and_seeking_the_step(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "4")
        times = terminal(pilot).projector.times
        assert times is not None
        for _ in range(8):
            await press(pilot, "j")
            assert at(pilot) == times.moments[step(pilot) - 1] / SECOND
        await press(pilot, "k", "up", "down")
        assert at(pilot) == times.moments[step(pilot) - 1] / SECOND
        for key, by in (("right", 5), ("right", 5), ("left", -5)):
            before = at(pilot)
            await press(pilot, key)
            assert at(pilot) == pytest.approx(before + by)
            there = times.step_at(round(at(pilot) * SECOND))
            assert there is not None
            assert times.moment(step(pilot)) == times.moment(there)


async def test_the_outline_is_walked_through_its_threads_both_ways(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "4")
        rows = terminal(pilot).rows
        for key, last in (("j", len(rows.source) - 1), ("k", 0)):
            for _ in range(len(rows.source) - 1):
                await pilot.press(key)
            await press(pilot, key)
            assert rows.cursor == last
        assert step(pilot) == 1


async def test_the_ends_are_those_of_the_recording(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "4")
        for key in ("dollar_sign", "0", "end", "home", "G"):
            await press(pilot, key)
            assert at(pilot) == (0 if key in ("0", "home") else recording(pilot).upto_ns / SECOND)
        await press(pilot, "right")
        assert at(pilot) == recording(pilot).upto_ns / SECOND
        await press(pilot, "0", "left")
        assert at(pilot) == 0


async def test_events_are_walked_both_ways(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "4", "0")
        there = sorted({event.at_ns for event in recording(pilot).events() if event.at_ns > 0})
        walked = []
        for _ in range(5):
            await press(pilot, "full_stop")
            walked.append(round(at(pilot) * SECOND))
        assert walked == there[:5]
        await press(pilot, "comma", "comma")
        assert round(at(pilot) * SECOND) == there[2]


async def test_commands_are_walked_both_ways_and_said(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "4", "0")
        times = terminal(pilot).projector.times
        assert times is not None
        for mark in times.marks[:3]:
            await press(pilot, "n")
            assert round(at(pilot) * SECOND) == mark.at_ns
            assert f"$ {mark.text[:20]}" in shown(pilot)
        await press(pilot, "p")
        assert round(at(pilot) * SECOND) == times.marks[1].at_ns
        await press(pilot, "0", "p")
        assert "no more commands this way" in shown(pilot)


async def test_failures_are_those_of_every_screen(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "4", "right_square_bracket")
        here = terminal(pilot)
        assert here.tape.step is not None
        assert here.tape.step.failed
        times = here.projector.times
        assert times is not None
        assert round(at(pilot) * SECOND) == times.moment(step(pilot))
        first = step(pilot)
        await press(pilot, "right_square_bracket", "left_square_bracket")
        assert step(pilot) == first


async def test_a_time_is_jumped_to_as_the_clock_shows_it_and_a_step_by_its_number(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "4", "g", *"12.5s", "enter")
        assert at(pilot) == 12.5
        assert " 0:12.5/" in screen(pilot)[-2]
        times = terminal(pilot).projector.times
        assert times is not None
        there = times.step_at(round(12.5 * SECOND))
        assert there is not None
        assert times.moment(step(pilot)) == times.moment(there)
        await press(pilot, "colon", *"20", "enter")
        assert (step(pilot), round(at(pilot) * SECOND)) == (20, times.moment(20))


async def test_it_plays_to_the_end_and_from_there_from_the_beginning(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "4", "0", *["greater_than_sign"] * 4, *["i"] * 3)  # no wait longer than half a second
        await pilot.press("space")
        assert terminal(pilot).projector.playing
        await press(pilot, "full_stop")
        assert not terminal(pilot).projector.playing
        await press(pilot, "space")  # at rest where it has come to the end
        assert at(pilot) == recording(pilot).upto_ns / SECOND
        assert "■" in screen(pilot)[-2]
        await press(pilot, *["less_than_sign"] * 4)
        await pilot.press("space", "space")
        await press(pilot, "comma")
        assert at(pilot) < recording(pilot).upto_ns / SECOND / 2


async def test_the_speed_and_the_idle_cap_are_said(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "4")
        said = []
        for key in ("greater_than_sign", "plus", "plus", "plus", "plus", "less_than_sign", "minus", "i", "i"):
            await press(pilot, key)
            found = re.search(r"(\d+)× (≤\S+)?", screen(pilot)[-2])
            assert found is not None
            said.append((int(found[1]), found[2] or ""))
        assert [speed for speed, _ in said[:7]] == [2, 4, 8, 16, 16, 8, 4]
        assert [idle for _, idle in said[6:]] == ["≤2s", "≤5s", ""]


async def test_playing_stops_at_a_break_and_goes_on_behind_it(home: Path) -> None:
    with LmdbArchive.open(home / "archive", readonly=True) as archive:
        session = archive.names()[FIX]
    (home / "breaks.json").write_text(
        json.dumps({"last": 1, "breaks": [{"id": 1, "session": session.hex(), "kind": "error"}]})
    )
    async with deck(home, FIX) as pilot:
        await press(pilot, "4", "0", *["greater_than_sign"] * 4, *["i"] * 3, "space")
        assert "● break 1:" in shown(pilot)
        assert "●" in screen(pilot)[-3]
        times = terminal(pilot).projector.times
        assert times is not None
        assert (round(at(pilot) * SECOND), step(pilot)) == times.stops[0][:2]
        await press(pilot, "space")
        assert step(pilot) != times.stops[0][1]


async def test_a_click_in_the_bar_goes_there_and_dragging_goes_on(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "4", "0")
        bar = terminal(pilot).timebar
        await pilot.mouse_down(bar, offset=(70, 1))
        await pilot.pause()
        await press(pilot, "full_stop", "comma")
        first = at(pilot)
        assert 0 < first < recording(pilot).upto_ns / SECOND
        await pilot.hover(bar, offset=(119, 1))
        await press(pilot, "f13")
        assert at(pilot) == recording(pilot).upto_ns / SECOND
        await pilot.mouse_up(bar, offset=(119, 1))
        await pilot.hover(bar, offset=(70, 1))
        await press(pilot, "f13")
        assert at(pilot) == recording(pilot).upto_ns / SECOND


async def test_a_row_of_the_outline_is_gone_to_by_mouse_and_pages(home: Path) -> None:
    async with deck(home, FIX, size=LARGE) as pilot:
        await press(pilot, "4")
        assert terminal(pilot).rows.display
        await pilot.click("#steps", offset=(8, 9))
        await press(pilot, "f13")
        assert terminal(pilot).rows.cursor == 9
        times = terminal(pilot).projector.times
        assert times is not None
        assert round(at(pilot) * SECOND) == times.moment(step(pilot))
        await press(pilot, "pagedown", "ctrl+u", "pageup", "ctrl+d")
        assert round(at(pilot) * SECOND) == times.moment(step(pilot))


async def test_the_outline_gives_way_to_the_screen_unless_it_is_asked_for(home: Path) -> None:
    for size, beside in ((SMALL, False), (USUAL, True), (LARGE, True)):
        async with deck(home, FIX, size=size) as pilot:
            await press(pilot, "4")
            assert terminal(pilot).rows.display is beside
            await press(pilot, "v")
            assert terminal(pilot).rows.display is not beside
            assert max(map(len, screen(pilot))) <= size[0]


async def test_what_is_not_seen_of_a_larger_screen_is_said_and_scrolled_to(home: Path) -> None:
    async with deck(home, FIX, size=SMALL) as pilot:
        await press(pilot, "4", "dollar_sign")
        assert "rows 1–19 of 30, columns 1–80 of 100" in screen(pilot)[-4]
        await press(pilot, "J", "shift+down", "K", "shift+down", "L", "shift+right", "H")
        assert "rows 3–21 of 30, columns 9–88 of 100" in screen(pilot)[-4]
        await press(pilot, "shift+up", "shift+left")
        assert "rows 2–20 of 30, columns 1–80 of 100" in screen(pilot)[-4]
        before = at(pilot)
        await press(pilot, "left")  # goes through time, and does not scroll
        assert at(pilot) == before - 5
        assert "columns 1–80 of 100" in screen(pilot)[-4]


@pytest.mark.parametrize(
    ("size", "theme", "ref", "keys", "intent"),
    [
        (USUAL, "dark", FIX, ("dollar_sign",), "The recorded screen in its own colours, and its time below"),
        (
            SMALL,
            "light",
            FIX,
            ("right_square_bracket",),
            "On a small one the outline gives way, and what is cut is said",
        ),
        (
            LARGE,
            "dark",
            HOSTILE,
            ("dollar_sign", "comma"),
            "What could drive a terminal is drawn as cells, or not at all",
        ),
    ],
)
async def test_it_looks_as_it_is_kept(
    home: Path, tmp_path: Path, size: tuple[int, int], theme: str, ref: str, keys: tuple[str, ...], intent: str
) -> None:
    async with deck(home, ref, size=size) as pilot:
        await press(pilot, "4", *keys, *(["ctrl+t"] if theme == "light" else []))
        await picture(pilot, f"terminal-{size[0]}x{size[1]}-{theme}", intent, tmp_path)


@pytest.mark.parametrize("size", [SMALL, USUAL, LARGE])
async def test_a_hostile_recording_is_shown_harmlessly(home: Path, size: tuple[int, int]) -> None:
    async with deck(home, HOSTILE, size=size) as pilot:
        await press(pilot, "4", "dollar_sign")
        assert not {"\x1b", "\x07", "\u202e", "\x9b"} & set(shown(pilot))
        await press(pilot, "0", *["full_stop"] * 4, *["j"] * 6)


async def test_a_session_without_a_recorded_screen_says_so_and_what_to_type(home: Path) -> None:
    with LmdbArchive.open(home / "archive", readonly=True) as archive:
        without = next(name for name, session in archive.names().items() if tape_of(archive, session) is None)
    async with deck(home, without) as pilot:
        await press(pilot, "4")
        assert "has no recorded screen" in shown(pilot) and "⏎" not in shown(pilot)
        assert "tapes export" in shown(pilot)
        keys = ("space", "right", "full_stop", "comma", "n", "p", "0", "dollar_sign", "i", "v", "J", "j", "plus")
        await press(pilot, *keys)
        assert "has no recorded screen" in shown(pilot)


async def test_help_has_the_keys_of_this_screen_and_not_those_that_it_has_taken(home: Path) -> None:
    async with deck(home, FIX, size=LARGE) as pilot:
        await press(pilot, "4", "question_mark")
        assert "Where the recording begins." in shown(pilot)
        assert "something of the recording is not there" in shown(pilot)
        assert "The first row." not in shown(pilot)


async def test_other_screens_stand_at_the_step_that_it_was_left_at(home: Path) -> None:
    async with deck(home, AGAIN) as pilot:
        await press(pilot, "4")
        assert isinstance(pilot.app.screen, Terminal)
        await press(pilot, "j", "j", "j")
        there = step(pilot)
        await press(pilot, "1")
        assert pilot.app.screen.tape.number == there  # type: ignore[attr-defined]


async def test_what_is_missing_is_said_from_there_on(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = tape_module._data

    def damaged(archive: Any, record: Any, rows: Any) -> bytes:
        if record.body["n"] == 3:
            raise Damaged("not what it was", where="there")
        return reading(archive, record, rows)

    monkeypatch.setattr(tape_module, "_data", damaged)
    async with deck(home, FIX, size=LARGE) as pilot:
        await press(pilot, "4", "0")
        assert "not what it was" not in shown(pilot)
        await press(pilot, "dollar_sign")
        assert re.search(r"incomplete from 0:\d\d on: \d+ bytes are not there: not what it was", shown(pilot))
        assert "?" in screen(pilot)[-3]
        await press(pilot, "0")
        assert "not what it was" not in shown(pilot)
        assert "?" in screen(pilot)[-3]


async def _grown(pilot: Pilot[Any]) -> None:
    terminal(pilot)._look()
    await idle(pilot)


async def test_playing_a_session_that_goes_on_waits_at_its_end_for_more() -> None:
    session = TerminalSession()
    session.command(0, b"make")
    session.said(b"first ", b"second ")
    app = Deck(session.archive, [Target(session.session)])
    async with app.run_test(size=USUAL) as pilot:
        await idle(pilot)
        await press(pilot, "4", *["greater_than_sign"] * 4, "space")
        assert at(pilot) == 1
        assert terminal(pilot).projector.playing
        session.terminal(3, [(0, "o", b"third")], last=True)
        await _grown(pilot)
        assert "first second third" in shown(pilot)
        assert at(pilot) == 3
        assert not terminal(pilot).projector.playing


async def test_a_session_that_goes_on_is_watched_on() -> None:
    session = TerminalSession()
    session.said(b"first\r\n", b"second\r\n")
    session.command(1.5, b"make")
    app = Deck(session.archive, [Target(session.session)])
    async with app.run_test(size=USUAL) as pilot:
        await idle(pilot)
        await press(pilot, "4", "dollar_sign")
        assert "live" in screen(pilot)[-4]
        session.terminal(2.5, [(0, "o", b"more")])
        await _grown(pilot)
        assert at(pilot) == 1  # one is left where one is
        await press(pilot, "f")
        assert at(pilot) == 2.5
        session.terminal(3, [(0, "o", b"third")], last=True)
        session.command(3.5, b"make again")
        session.close(5)
        await _grown(pilot)
        assert "third" in shown(pilot)
        assert "live" not in screen(pilot)[-4]
        assert at(pilot) == 3
        assert step(pilot) == 2
        await press(pilot, "0")
        assert not terminal(pilot).tape.following
