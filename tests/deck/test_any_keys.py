"""Any keys in any order, at any size: the deck is still there, and says of no fault of its own."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from deck.shelf import DAMAGED, FIX, HOSTILE, OPEN, WITHHELD
from deck.support import LARGE, SMALL, USUAL, deck, shown
from tapes_cli.deck.actions import ACTIONS

LEAVES = frozenset({"deck.quit", "tape.open"})
"""Not pressed: the end of the deck, and a pager that would wait for a person."""
KEYS = sorted({key for action in ACTIONS if action.id not in LEAVES for key in action.keys} | set("vat1.2:%(*"))
FAULT = "a fault of"


async def press_any(pilot: Pilot[Any], chance: random.Random, count: int) -> list[str]:
    """The keys that were pressed. Where the list of sessions is open, back would leave: one goes in again."""
    pressed: list[str] = []
    for _ in range(count):
        key = chance.choice(KEYS)
        if len(pilot.app.screen_stack) <= 2 and key in ("escape", "q"):
            key = "enter"
        pressed.append(key)
        await pilot.press(key)
        if chance.random() < 0.2:
            await pilot.resize_terminal(*chance.choice((SMALL, USUAL, LARGE, (40, 10), (1, 1))))
        if chance.random() < 0.3:
            await pilot.pause()  # it may play for minutes: at rest it is not
        assert FAULT not in shown(pilot), f"{' '.join(pressed)}\n{shown(pilot)}"
        assert pilot.app._exception is None, " ".join(pressed)
    return pressed


@pytest.mark.parametrize("ref", ["", FIX, HOSTILE, DAMAGED, WITHHELD, OPEN])
async def test_any_keys_leave_it_alive(ref: str, home: Path) -> None:
    async with deck(home, *filter(None, [ref]), size=SMALL) as pilot:
        await press_any(pilot, random.Random(len(ref)), 60)
