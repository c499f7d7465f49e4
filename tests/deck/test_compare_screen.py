"""Two sessions side by side, walked by keys: pair by pair, face by face, and into either of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from deck.shelf import AGAIN, CARRIED, DAMAGED, FIX, HOSTILE, OPEN, WITHHELD
from deck.support import LARGE, SMALL, USUAL, deck, idle, press, screen, shown
from tapes_cli.deck.model.comparing import FACES, Pair
from tapes_cli.deck.screens.compare import CompareScreen
from tapes_cli.deck.screens.timeline import Timeline


def comparing(pilot: Pilot[Any]) -> CompareScreen:
    found = pilot.app.screen
    assert isinstance(found, CompareScreen)
    return found


def numbers(pilot: Pilot[Any]) -> tuple[int | None, int | None]:
    """Of the pair at the cursor."""
    pair = comparing(pilot).pair
    assert pair is not None
    return pair.a.number if pair.a else None, pair.b.number if pair.b else None


def pairs(pilot: Pilot[Any]) -> list[Pair]:
    listed = comparing(pilot).listed
    assert listed is not None
    return [pair for n in range(len(listed)) if (pair := listed.pair(n)) is not None]


def page(pilot: Pilot[Any]) -> str:
    return "\n".join(line for part in comparing(pilot).page.document.parts for line in part.text.splitlines())


async def test_it_opens_where_they_part(home: Path) -> None:
    async with deck(home, FIX, AGAIN) as pilot:
        made = comparing(pilot).kept.comparing
        assert made is not None and made.found.made.first is not None
        first = made.found.made.first
        row = made.found.made.rows[first.row]
        assert numbers(pilot) == (row.a.number if row.a else None, row.b.number if row.b else None)
        assert "they part after" in shown(pilot), screen(pilot)[:9]


async def test_above_stand_the_names_and_the_figures_of_both(home: Path) -> None:
    async with deck(home, FIX, AGAIN, size=LARGE) as pilot:
        text = shown(pilot)
        assert f"A {FIX}" in text and f"B {AGAIN}" in text
        assert "commands" in text and "tokens in" in text and "wall time" in text and "cost $" in text


async def test_on_a_usual_screen_nothing_of_the_figures_is_cut(home: Path) -> None:
    async with deck(home, FIX, AGAIN) as pilot:
        parted, counted, took = screen(pilot)[3:6]
        assert "they part after" in parted and "steps:" in counted and "cost $" in took
        assert "…" not in parted + counted + took


async def test_differences_are_walked_both_ways_and_their_ends_are_said(home: Path) -> None:
    async with deck(home, FIX, AGAIN) as pilot:
        await press(pilot, "0")
        seen = []
        for _ in range(30):
            before = comparing(pilot).rows.cursor
            await press(pilot, "n")
            if comparing(pilot).rows.cursor == before:
                break
            seen.append(comparing(pilot).rows.cursor)
            pair = comparing(pilot).pair
            assert pair is not None and pair.differs
        assert len(seen) > 1 and seen == sorted(seen)
        assert "no difference further down" in shown(pilot)
        await press(pilot, "p")
        assert comparing(pilot).rows.cursor == seen[-2]


async def test_failures_of_either_run_are_walked(home: Path) -> None:
    async with deck(home, FIX, AGAIN) as pilot:
        await press(pilot, "0", "right_square_bracket")
        pair = comparing(pilot).pair
        assert pair is not None and pair.failed
        await press(pilot, "left_square_bracket")
        assert "no failure further up" in shown(pilot)


async def test_what_is_the_same_folds_and_unfolds(home: Path) -> None:
    async with deck(home, FIX, FIX) as pilot:
        all_of_them = len(pairs(pilot))
        await press(pilot, "z")
        assert all(pair.kind == "head" for pair in pairs(pilot))
        assert "pairs the same" in shown(pilot)
        await press(pilot, "z")
        assert len(pairs(pilot)) == all_of_them


async def test_every_face_forwards_and_backwards(home: Path) -> None:
    async with deck(home, FIX, AGAIN, size=LARGE) as pilot:
        seen = []
        for _ in FACES:
            seen.append(comparing(pilot).kept.face)
            assert len(comparing(pilot).rows.source) > 0
            await press(pilot, "v")
        assert tuple(seen) == FACES
        assert comparing(pilot).kept.face == "steps"
        await press(pilot, "V")
        assert comparing(pilot).kept.face == "figures"
        assert "wall time" in shown(pilot)


async def test_a_face_is_picked_with_the_mouse(home: Path) -> None:
    async with deck(home, FIX, AGAIN) as pilot:
        await pilot.click("#compare-faces", offset=(20, 0))
        await idle(pilot)
        assert comparing(pilot).kept.face == "files"
        assert comparing(pilot).faces.current == "files"


async def test_a_command_with_its_outputs_as_a_diff(home: Path) -> None:
    async with deck(home, FIX, AGAIN) as pilot:
        await press(pilot, "v")
        found = [n for n, pair in enumerate(pairs(pilot)) if pair.a and pair.b]
        comparing(pilot).rows.cursor = found[0]
        await press(pilot, "J", "K")
        assert "what it wrote" in page(pilot) and "1 failed in 0.31s" in page(pilot)


async def test_a_file_that_is_not_the_same_at_the_end(home: Path) -> None:
    async with deck(home, FIX, AGAIN) as pilot:
        await press(pilot, "v", "v")
        pair = comparing(pilot).pair
        assert pair is not None and pair.kind == "only_a"
        assert "coverage.xml" in page(pilot) and "-<coverage/>" in page(pilot)


async def test_the_step_of_either_side_opens_and_escape_comes_back(home: Path) -> None:
    async with deck(home, FIX, AGAIN) as pilot:
        await press(pilot, "0", "j")
        a, b = numbers(pilot)
        for key, ref, number in (("a", FIX, a), ("b", AGAIN, b), ("enter", FIX, a)):
            await press(pilot, key)
            here = pilot.app.screen
            assert isinstance(here, Timeline)
            assert (here.tape.title, here.tape.number) == (ref, number)
            await press(pilot, "escape")
            assert numbers(pilot) == (a, b)


async def test_a_side_that_has_no_step_there_is_said(home: Path) -> None:
    async with deck(home, FIX, AGAIN) as pilot:
        at = next(n for n, pair in enumerate(pairs(pilot)) if pair.a is None and pair.b is not None)
        comparing(pilot).rows.cursor = at
        await press(pilot, "a")
        assert "there is no step of A in this row" in shown(pilot)
        await press(pilot, "enter")
        assert isinstance(pilot.app.screen, Timeline)


async def test_swapped_sides_are_the_other_way_round(home: Path) -> None:
    async with deck(home, FIX, AGAIN) as pilot:
        kinds = [pair.kind for pair in pairs(pilot)]
        await press(pilot, "x")
        assert f"A {AGAIN}" in shown(pilot) and f"B {FIX}" in shown(pilot)
        assert sum(k == "only_b" for k in kinds) == sum(pair.kind == "only_a" for pair in pairs(pilot))
        await press(pilot, "x")
        assert [pair.kind for pair in pairs(pilot)] == kinds


async def test_the_current_step_is_that_of_the_pair(home: Path) -> None:
    async with deck(home, FIX, AGAIN) as pilot:
        await press(pilot, "0", "j", "j", "j")
        number, _ = numbers(pilot)
        assert comparing(pilot).tape.number == number
        await press(pilot, "1", "j", "5")
        found = comparing(pilot)
        assert numbers(pilot)[0] == found.tape.number


async def test_compared_again(home: Path) -> None:
    async with deck(home, FIX, AGAIN) as pilot:
        before = comparing(pilot).kept.comparing
        await press(pilot, "r")
        assert comparing(pilot).kept.comparing not in (None, before)


async def test_it_is_left_while_it_reads_and_opened_again(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        tape = pilot.app.screen.tape  # type: ignore[attr-defined]
        other = tape.archive.names()[AGAIN]
        pilot.app.push_screen(CompareScreen(tape, other))
        await pilot.press("escape")
        await idle(pilot)
        assert isinstance(pilot.app.screen, Timeline)
        pilot.app.push_screen(CompareScreen(tape, other))
        await idle(pilot)
        assert "they part after" in shown(pilot)


async def test_beside_no_other_it_is_asked_which(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "5")
        assert f"Compare {FIX} with" in shown(pilot)
        await press(pilot, "enter")
        assert comparing(pilot).tape.title == FIX
        await press(pilot, "1", "5")
        assert "they part" in shown(pilot)


async def test_a_session_beside_itself_is_the_same(home: Path) -> None:
    async with deck(home, FIX, FIX) as pilot:
        assert "the same in all" in shown(pilot)
        await press(pilot, "n")
        assert "no difference further down" in shown(pilot)


async def test_one_column_shows_both_numbers_and_where_texts_part(home: Path) -> None:
    async with deck(home, FIX, AGAIN, size=SMALL) as pilot:
        assert any(line.startswith("| ") and "→" in line for line in screen(pilot))
        assert all(len(line) <= 80 for line in screen(pilot))


@pytest.mark.parametrize("size", [SMALL, USUAL, LARGE])
@pytest.mark.parametrize("other", [HOSTILE, DAMAGED, WITHHELD, CARRIED, OPEN])
async def test_odd_sessions_are_compared_as_far_as_they_go(home: Path, other: str, size: tuple[int, int]) -> None:
    async with deck(home, FIX, other, size=size) as pilot:
        for _ in FACES:
            await press(pilot, "n", "n", "v")
        assert "\x1b" not in shown(pilot) and "\u202e" not in shown(pilot)
        assert f"A {FIX}" in shown(pilot)
