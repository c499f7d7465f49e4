"""The list of sessions says what it says in whole words, also where it is narrow."""

from __future__ import annotations

from pathlib import Path

from deck.shelf import FIX
from deck.support import SMALL, deck, press, screen


async def test_a_small_screen_says_when_to_the_minute_and_how_it_ended_in_full(home: Path) -> None:
    async with deck(home, size=SMALL) as pilot:
        row = next(line for line in screen(pilot) if line.startswith(f"{FIX} "))
        assert "2026-03-14 10:26 " in row and row.endswith("exit 0, 1 gap")


async def test_exchanges_are_not_called_calls_of_a_model(home: Path) -> None:
    async with deck(home) as pilot:
        assert " exchanges " in screen(pilot)[1] and "calls" not in screen(pilot)[1]


async def test_sorting_goes_through_the_columns_that_are_there(home: Path) -> None:
    async with deck(home, size=SMALL) as pilot:
        seen = set()
        for _ in range(5):
            await press(pilot, "s")
            head = screen(pilot)[1]
            assert "↓" in head
            seen.add(head[: head.index("↓")].split()[-1])
        assert seen == {"name", "agent", "started", "length", "outcome"}


async def test_how_many_hits_a_session_has_is_not_cut(home: Path) -> None:
    async with deck(home, size=SMALL) as pilot:
        await press(pilot, "slash", *"vat")
        assert [line.split("  ")[0] for line in screen(pilot)[3:5]] == ["fix-the-tests-2 (6)", "fix-the-tests (12)"]
