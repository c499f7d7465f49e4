"""The line of keys has whole keys only, and as many as there is room for."""

from __future__ import annotations

from pathlib import Path

import pytest

from deck.shelf import FIX
from deck.support import LARGE, SMALL, deck, press, screen


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
