"""Keys that come at once do what they would one after the other."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.pilot import Pilot

from deck.shelf import FIX
from deck.support import PATIENCE_S, deck, idle, screen, shown
from tapes_cli.deck.model.tape import Tape
from tapes_cli.deck.screens.sessions import Sessions
from tapes_cli.deck.screens.timeline import Timeline
from tapes_cli.deck.widgets.reader import Reader


async def type_at_once(pilot: Pilot[Any], *keys: str) -> None:
    for key in keys:
        pilot.app.post_message(events.Key(key, key if len(key) == 1 else None))
    await idle(pilot)


async def test_what_is_typed_behind_the_key_that_opens_a_filter_is_typed_in_it(home: Path) -> None:
    async with deck(home) as pilot:
        await type_at_once(pilot, "slash", *"hostile", "enter")
        assert len(pilot.app.screen_stack) == 3 and "hostile" in screen(pilot)[0]


async def test_steps_typed_behind_the_key_that_opens_a_session_are_walked_there(home: Path) -> None:
    async with deck(home) as pilot:
        assert isinstance(pilot.app.screen, Sessions)
        await type_at_once(pilot, "j", "j", "enter", "j", "j", "j")
        found = pilot.app.screen
        assert isinstance(found, Timeline) and FIX in shown(pilot)
        assert found.tape.number == 4


async def test_a_jump_typed_at_once_arrives(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await type_at_once(pilot, "g", "2", "0", "enter", "j")
        found = pilot.app.screen
        assert isinstance(found, Timeline) and found.tape.number == 21


async def test_what_it_cost_is_said_on_a_screen_that_was_opened_before_that_was_known(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    price = Tape.price
    monkeypatch.setattr(Tape, "price", lambda tape: time.sleep(0.3) or price(tape))
    async with deck(home) as pilot:
        await type_at_once(pilot, "j", "j", "enter", "2")
        until = time.monotonic() + PATIENCE_S  # it is looked for every half second
        while "$" not in screen(pilot)[0] and time.monotonic() < until:
            await pilot.pause(0.05)
        assert "commands" in screen(pilot)[0] and "$" in screen(pilot)[0]


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_what_is_typed_behind_the_key_that_opens_the_commands_walks_them(
    home: Path, size: tuple[int, int]
) -> None:
    async with deck(home, FIX, size=size) as pilot:
        await type_at_once(pilot, "2", "j", "j", "enter")
        assert "8 commands" in screen(pilot)[1] and "shown" not in screen(pilot)[1]
        assert isinstance(pilot.app.focused, Reader)


async def test_what_is_typed_behind_a_search_opens_what_it_finds_also_where_the_index_has_to_be_made(
    home: Path,
) -> None:
    async with deck(home) as pilot:
        await type_at_once(pilot, "S", *"round", "enter", "j", "enter")
        assert isinstance(pilot.app.screen, Timeline) and FIX in screen(pilot)[0]
