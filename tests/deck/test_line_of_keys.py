"""The line of keys has whole keys only, and as many as there is room for."""

from __future__ import annotations

from pathlib import Path

import pytest

from deck.shelf import FIX
from deck.support import LARGE, SMALL, deck, idle, press, screen
from tapes_cli.deck.actions import actions
from tapes_cli.deck.screens.help import Help
from tapes_cli.deck.widgets.keys import Keys


@pytest.mark.parametrize("view", "1234")
async def test_no_key_is_cut_and_help_is_always_there(home: Path, view: str) -> None:
    async with deck(home, FIX, size=SMALL) as pilot:
        await press(pilot, view)
        line = screen(pilot)[-1]
        assert line.startswith("1 2 3 4 5 screens ") and line.endswith("esc Back ? Help")


async def test_where_there_is_room_there_are_more_keys_and_they_come_and_go_with_it(home: Path) -> None:
    async with deck(home, FIX, size=LARGE) as pilot:
        line = screen(pilot)[-1]
        assert line.startswith("1 Timeline 2 Commands") and "f Follow" in line and line.endswith("esc Back ? Help")
        await pilot.resize_terminal(*SMALL)
        await press(pilot, "j")
        assert screen(pilot)[-1].endswith("space Play esc Back ? Help")


async def test_a_screen_is_chosen_with_the_mouse_also_where_its_name_has_no_room(home: Path) -> None:
    async with deck(home, FIX, size=SMALL) as pilot:
        await pilot.click("Keys", offset=(4, 0))
        await press(pilot, "j")
        assert "files" in screen(pilot)[0]


async def test_a_click_on_a_key_is_the_key_and_beside_all_keys_nothing(home: Path) -> None:
    async with deck(home, size=(240, 40)) as pilot:
        line = screen(pilot)[-1]
        await pilot.click(Keys, offset=(len(line) + 5, 0))
        await idle(pilot)
        assert not isinstance(pilot.app.screen, Help)
        await pilot.click(Keys, offset=(line.index("Help"), 0))
        await idle(pilot)
        assert isinstance(pilot.app.screen, Help)


async def test_the_keys_are_those_of_what_has_the_focus(home: Path) -> None:
    async with deck(home, "@", size=(240, 40)) as pilot:
        of_the_session = screen(pilot)[-1]
        assert of_the_session.startswith("1 Timeline")
        await press(pilot, "question_mark")
        assert "1 Timeline" not in screen(pilot)[-1] and screen(pilot)[-1].endswith("esc Back")
        await press(pilot, "escape")
        assert screen(pilot)[-1] == of_the_session


async def test_the_key_under_the_pointer_says_in_a_sentence_what_it_does(home: Path) -> None:
    sentence = next(action.help for action in actions("deck") if action.name == "help")
    async with deck(home, size=(240, 40)) as pilot:
        keys = pilot.app.screen.query_one(Keys)
        await pilot.hover(Keys, offset=(screen(pilot)[-1].index("Help"), 0))
        await idle(pilot)
        assert keys.tooltip == sentence
        await pilot.hover(Keys, offset=(len(screen(pilot)[-1]) + 5, 0))
        await idle(pilot)
        assert keys.tooltip is None


async def test_escape_is_called_what_it_does_and_no_key_is_offered_that_would_be_typed(home: Path) -> None:
    async with deck(home, FIX, size=SMALL) as pilot:
        await press(pilot, "slash", *"vat")
        assert screen(pilot)[-1].strip() == "^p Palette esc Close f1 Help"
        await press(pilot, "enter")
        assert screen(pilot)[-1].endswith("esc End search q Back ? Help")
        await press(pilot, "escape")
        assert screen(pilot)[-1].endswith("esc Back ? Help")
        await press(pilot, "enter")
        assert "esc Leave" in screen(pilot)[-1]


async def test_beside_the_hits_of_a_search_the_outcome_is_still_told(home: Path) -> None:
    async with deck(home, FIX, size=SMALL) as pilot:
        await press(pilot, "slash", *"vat", "enter")
        assert "hit" in screen(pilot)[0] and screen(pilot)[0].endswith("exit 0 · 1 gap")
