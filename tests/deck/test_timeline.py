"""The timeline of a session: walked by keys and mouse, folded, and always at one step on all of its parts."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from textual.pilot import Pilot

from deck.shelf import FIX, HOSTILE
from deck.support import SMALL, USUAL, deck, idle, press, screen, shown
from tapes.archive.base import Batch, Draft
from tapes.archive.lmdb_archive import LmdbArchive
from tapes_cli.deck.app import Deck, Target
from tapes_cli.deck.model.tape import Tape, Told
from tapes_cli.deck.screens import base
from tapes_cli.deck.screens.timeline import Timeline


def timeline(pilot: Pilot[Any]) -> Timeline:
    found = pilot.app.screen
    assert isinstance(found, Timeline)
    return found


def at(pilot: Pilot[Any]) -> int:
    """The current step; the row of the cursor is of it."""
    here = timeline(pilot)
    node = here.outline.node(here.rows.cursor) if here.outline else None
    assert node is not None
    assert here.tape.number in (node.number, *(step.number for step in node.group))
    return here.tape.number


@pytest.mark.parametrize(("there", "back"), [("j", "k"), ("down", "up")])
async def test_keys_step_through_the_story(home: Path, there: str, back: str) -> None:
    async with deck(home, FIX) as pilot:
        walked = [at(pilot)]
        for _ in range(6):
            await press(pilot, there)
            walked.append(at(pilot))
        assert walked == [1, 2, 3, 4, 5, 8, 6]  # a command stands behind the call that it is joined to
        await press(pilot, back, back)
        assert at(pilot) == 5


async def test_the_first_and_the_last_step(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        for key in ("dollar_sign", "0", "end", "home", "G"):
            await press(pilot, key)
            assert at(pilot) == (1 if key in ("0", "home") else 46)


async def test_pages_are_as_long_as_the_list_is_high(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "pagedown")
        assert timeline(pilot).rows.cursor == timeline(pilot).rows.scrollable_content_region.height - 1
        await press(pilot, "ctrl+u")
        assert at(pilot) == 1


async def test_failures_are_walked_both_ways_and_their_ends_are_said(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        found = []
        for _ in range(8):
            await press(pilot, "right_square_bracket")
            found.append(at(pilot))
        told = timeline(pilot).tape.told
        assert told is not None
        failed = [number for number in told.order if told.steps[number - 1].failed]
        assert found == [*failed, *[failed[-1]] * (8 - len(failed))]
        assert "no failure behind this step" in shown(pilot)
        await press(pilot, "left_square_bracket")
        assert at(pilot) == failed[-2]


async def test_the_next_step_of_a_kind(home: Path) -> None:
    async with deck(home, f"{FIX}:4") as pilot:
        await press(pilot, "n")
        here = timeline(pilot)
        assert here.tape.step is not None and here.tape.step.type == "answer" and at(pilot) > 4
        await press(pilot, "p")
        assert at(pilot) == 4
        await press(pilot, "p")
        assert "no answer before this one" in shown(pilot)


async def test_a_thread_is_entered_left_and_folded(home: Path) -> None:
    async with deck(home, f"{FIX}:13") as pilot:
        rows = len(timeline(pilot).rows.source)
        await press(pilot, "l")  # from the call to the agent that it started
        assert "subagent" in screen(pilot)[timeline(pilot).rows.region.y + timeline(pilot).rows.cursor]
        await press(pilot, "l")
        assert at(pilot) == 16
        await press(pilot, "j", "h")  # to its heading
        await press(pilot, "h")  # folded
        folded = len(timeline(pilot).rows.source)
        assert rows - folded == 9 and "▸ subagent" in shown(pilot)
        await press(pilot, "j")
        assert at(pilot) == 14  # what is folded is passed over
        await press(pilot, "k", "right")
        assert len(timeline(pilot).rows.source) == rows and "▾ subagent" in shown(pilot)
        await press(pilot, "enter")
        assert len(timeline(pilot).rows.source) == folded


async def test_a_step_in_a_folded_thread_is_at_its_heading(home: Path) -> None:
    async with deck(home, f"{FIX}:13") as pilot:
        await press(pilot, "l", "h")
        timeline(pilot).go_to(20)
        await pilot.pause()
        assert timeline(pilot).tape.number == 20
        assert "subagent" in screen(pilot)[timeline(pilot).rows.region.y + timeline(pilot).rows.cursor]


async def test_a_step_may_be_named_when_it_is_opened(home: Path) -> None:
    async with deck(home, f"{FIX}:30") as pilot:
        assert at(pilot) == 30
        assert "rm -rf build" in shown(pilot)


async def test_a_click_goes_to_a_row_and_one_on_the_axis_to_a_time(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await pilot.click("#outline", offset=(10, 3))
        await press(pilot)
        assert at(pilot) == 4
        width = timeline(pilot).time.size.width
        await pilot.click("#time", offset=(width - 1, 1))
        await press(pilot)
        told = timeline(pilot).tape.told
        assert told is not None
        assert at(pilot) == len(told.steps)
        await pilot.click("#time", offset=(12, 1))
        await press(pilot)
        assert at(pilot) == 1


async def test_going_back_shows_how_things_stood_there(home: Path) -> None:
    async with deck(home, f"{FIX}:11", size=(160, 45)) as pilot:
        early = timeline(pilot).standing.words
        assert "todo 0/4: Run the tests" in early and "failures 2 before, 5 after" in early
        await press(pilot, "dollar_sign")
        late = timeline(pilot).standing.words
        assert "0 after" in late and late != early
        await press(pilot, "0")
        assert "todo" not in timeline(pilot).standing.words and "failures 0 before" in timeline(pilot).standing.words


async def test_each_lane_of_the_axis_is_of_a_thread_or_of_commands(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        lanes = timeline(pilot).axis
        assert lanes is not None
        assert [lane.name.split()[0] for lane in lanes.lanes if lane.name] == ["main", "subagent", "commands"]
        assert any(span.kind == "failed" for lane in lanes.lanes for span in lane.spans)


@pytest.mark.parametrize("size", [SMALL, USUAL, (40, 12)])
async def test_what_was_captured_can_not_drive_the_screen(home: Path, size: tuple[int, int]) -> None:
    async with deck(home, HOSTILE, size=size) as pilot:
        for _ in range(13):
            await press(pilot, "j")
            for line in screen(pilot):
                assert line.isprintable() and "\u202e" not in line


async def test_a_note_of_much_later_leaves_the_axis_to_the_run(home: Path) -> None:
    with LmdbArchive.open(home / "archive") as archive:
        session = archive.names()[FIX]
        archive.commit(Batch([Draft("note", {"kind": "note", "text": "much later", "who": "alice"}, session)]))
    async with deck(home, FIX) as pilot:
        assert "╷45.6s" in shown(pilot)
        await press(pilot, "G")
        assert "much later" in shown(pilot)


async def test_a_small_screen_has_lanes_of_commands_too_and_says_how_the_session_ended(home: Path) -> None:
    async with deck(home, FIX, size=SMALL) as pilot:
        title, _, *lanes = screen(pilot)[:5]
        assert [lane[:8].strip() for lane in lanes] == ["main", "subagent", "commands"]
        assert title.startswith(f" {FIX} · timeline") and title.endswith("46 steps · 51.4s · $0.1080 · exit 0 · 1 gap")


async def test_the_sign_of_where_one_is_leaves_no_half_of_a_time(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        for _ in range(46):
            await press(pilot, "j")
            assert not re.search(r"╷[\d.]+▼", screen(pilot)[1])


async def test_beside_a_note_the_list_of_things_to_do_is_that_of_the_main_thread(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "G")
        step = timeline(pilot).tape.step
        assert step is not None and step.type == "note" and "todo 3/4: Say what was wrong" in screen(pilot)[-2]


async def test_on_a_small_screen_the_failures_before_and_after_are_told_in_full(home: Path) -> None:
    async with deck(home, f"{FIX}:9", size=SMALL) as pilot:
        told = screen(pilot)[-2]
        assert "todo 0/4" in told and told.endswith("failures 2 before, 5 after")


async def test_while_a_session_is_read_on_nothing_is_said_of_what_comes_later(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "FIRST", 12)
    read, going_on = Tape.read, Event()

    def late(tape: Tape, most: int | None = None) -> Told:
        if most is None:
            going_on.wait(10)
        return read(tape, most)

    monkeypatch.setattr(Tape, "read", late)
    with LmdbArchive.open(home / "archive", readonly=True) as archive:
        app = Deck(archive, [Target(archive.names()[FIX])])
        async with app.run_test(size=USUAL) as pilot:
            while "reading on" not in screen(pilot)[0]:
                await pilot.pause(0.01)
            assert "failures 0 before, - after" in screen(pilot)[-2]
            going_on.set()
            await idle(pilot)
            assert "reading on" not in screen(pilot)[0] and "failures 0 before, 7 after" in screen(pilot)[-2]


async def test_where_nothing_is_found_enter_says_so_beside_what_was_typed(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "slash", *"nowhere", "enter")
        assert "no hits" in screen(pilot)[0] and screen(pilot)[-2].endswith("no hits in this session")


async def test_a_very_small_screen_has_one_lane_of_time_and_the_rest_for_the_steps(home: Path) -> None:
    async with deck(home, FIX, size=(60, 15)) as pilot:
        assert timeline(pilot).time.size.height == 2 and timeline(pilot).rows.size.height >= 3


async def test_where_there_is_no_thread_to_go_in_or_out_of_it_is_said(home: Path) -> None:
    async with deck(home, f"{FIX}:2") as pilot:
        await press(pilot, "h")
        assert "this is in no other thread" in shown(pilot)
        await press(pilot, "l")
        assert "no thread begins here" in shown(pilot)


async def test_the_end_is_gone_to_though_only_the_beginning_is_read(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rest = threading.Event()
    read = Tape.read

    def in_two(tape: Tape, most: int | None = None) -> Told:
        if most is None:
            rest.wait(20)
        return read(tape, most)

    monkeypatch.setattr(base, "FIRST", 40)
    monkeypatch.setattr(Tape, "read", in_two)
    async with deck(home) as pilot:
        pilot.app.open_tape(pilot.app.screen.listing.rows[2].session)  # type: ignore[attr-defined]
        while "reading on" not in shown(pilot):
            await pilot.pause(0.02)
        await pilot.press("G")
        await pilot.pause()
        assert 1 < at(pilot) < 46
        rest.set()
        await idle(pilot)
        assert at(pilot) == 46
