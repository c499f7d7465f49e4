"""The commands of a session in the deck: as `tapes commands` tells them, at one step with all other screens."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from textual.pilot import Pilot

from deck import shelf
from deck.filming import Clock, Scene, text, use
from deck.shelf import FIX, HOSTILE, OPEN
from deck.support import LARGE, SMALL, deck, idle, press, screen, shown
from tapes_cli.deck.screens.commands import Commands
from tapes_cli.deck.screens.timeline import Timeline
from tapes_cli.main import tapes as verbs

LINES = [
    "python -m pytest -q", "git log --oneline -3", "grep -rn 'vat(' shop", "grep -rn 'round(' shop",
    "rm -rf build", "make coverage", "timeout 60 python -m pytest -q", "wc -l shop/prices.py",
]  # fmt: skip


def commands(pilot: Pilot[Any]) -> Commands:
    found = pilot.app.screen
    assert isinstance(found, Commands)
    return found


def listed(pilot: Pilot[Any]) -> list[str]:
    found = commands(pilot).listed
    assert found is not None
    return [found.audit.all[place].line for place in found.places]


def at(pilot: Pilot[Any]) -> str:
    one = commands(pilot).chosen()
    return one.line if one else ""


def number(pilot: Pilot[Any]) -> int:
    found = pilot.app.screen
    assert isinstance(found, (Commands, Timeline))
    return found.tape.number


async def test_it_lists_what_tapes_commands_lists(home: Path) -> None:
    printed = CliRunner().invoke(verbs, ["commands", FIX], env={"COLUMNS": "116"}).stdout.splitlines()
    async with deck(home, FIX) as pilot:
        await press(pilot, "2")
        assert listed(pilot) == LINES
        rows = [line.rstrip() for line in screen(pilot)]
        told = [line for line in printed if line[:1] in "!✗" or line.startswith("  1")]
        assert len(told) == len(LINES)
        for line in told:
            assert any(" ".join(line.split()) == " ".join(row.split()) for row in rows), line


async def test_it_opens_at_the_command_of_the_step_and_does_not_move_it(home: Path) -> None:
    async with deck(home, f"{FIX}:10") as pilot:
        await press(pilot, "2")
        assert at(pilot) == "python -m pytest -q"  # the last one before an answer
        assert number(pilot) == 10
        await press(pilot, "1")
        assert number(pilot) == 10


async def test_moving_the_cursor_moves_all_screens(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "2", "j", "j")
        assert at(pilot) == LINES[2]
        here = number(pilot)
        await press(pilot, "1")
        assert number(pilot) == here
        step = pilot.app.screen.tape.step  # type: ignore[attr-defined]
        assert (step.type, step.text) == ("command", LINES[2])


async def test_a_call_that_was_denied_is_at_its_own_step(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "2", *"jjjj")
        assert at(pilot) == "rm -rf build"
        await press(pilot, "1")
        assert pilot.app.screen.tape.step.type == "tool.use"  # type: ignore[attr-defined]


async def test_doubtful_verdicts_are_walked_both_ways_and_their_ends_are_said(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "2")
        seen = []
        for _ in range(4):
            await press(pilot, "n")
            seen.append(at(pilot))
        assert seen == LINES[4:]
        await press(pilot, "n")
        assert at(pilot) == LINES[7]
        assert "no doubtful command behind this one" in shown(pilot)
        await press(pilot, "p")
        assert at(pilot) == LINES[6]


async def test_failures_are_walked_both_ways(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "2", "right_square_bracket")
        assert at(pilot) == LINES[3]
        await press(pilot, "left_square_bracket")
        assert at(pilot) == LINES[0]
        await press(pilot, "left_square_bracket")
        assert "no failed command before this one" in shown(pilot)


async def test_one_key_lists_the_failed_then_the_doubtful_then_all(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "2", "u")
        assert listed(pilot) == [LINES[0], LINES[3]]
        assert "2 shown (failed)" in shown(pilot)
        await press(pilot, "u")
        assert listed(pilot) == LINES[4:]
        await press(pilot, "u")
        assert listed(pilot) == LINES


async def typed(pilot: Pilot[Any], text: str) -> None:
    await press(pilot, "slash")
    commands(pilot).box.put(text)
    await idle(pilot)


FOUND = {
    "PYTEST": [LINES[0], LINES[6]],
    "exit:nonzero": [LINES[0], LINES[3]],
    "exit:0 grep": [LINES[2]],
    "verdict:rewritten": [LINES[6]],
    "verdict:denied verdict:not-witnessed": [LINES[4], LINES[5]],
    "verdict:unmatched": LINES[4:],
    '"-rn \'vat"': [LINES[2]],
    "tool:toolu_09": [LINES[4]],
    "regex:^(git|wc)": [LINES[1], LINES[7]],
    "cwd:/home/alice/shop wc": [LINES[7]],
    "http://nowhere": [],
}
WRONG = {
    "exit:": "exit: has no value",
    "exit:soon": "is no exit",
    "verdict:odd": "there is no verdict 'odd'",
    "regex:(": "no regular expression",
    "since:never": "never",
}


async def test_the_filter_takes_words_and_the_options_of_tapes_commands(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "2")
        for asked, found in FOUND.items():
            await typed(pilot, asked)
            assert listed(pilot) == found, asked
        assert "No command is like that" in shown(pilot)


async def test_a_filter_that_can_not_be_used_says_why_and_lists_all(home: Path) -> None:
    async with deck(home, FIX, size=LARGE) as pilot:
        await press(pilot, "2")
        for asked, said in WRONG.items():
            await typed(pilot, asked)
            assert said in shown(pilot), asked
            assert listed(pilot) == LINES


async def test_enter_keeps_a_filter_and_escape_ends_it(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "2", "slash", *"pytest", "down", "enter")
        assert (listed(pilot), at(pilot)) == ([LINES[0], LINES[6]], LINES[6])
        assert commands(pilot).rows.has_focus
        await press(pilot, "escape")
        assert (listed(pilot), at(pilot)) == (LINES, LINES[6])
        assert not commands(pilot).box.display
        await press(pilot, "escape")
        assert not isinstance(pilot.app.screen, Commands)


async def test_a_command_is_told_in_full(home: Path) -> None:
    async with deck(home, FIX, size=LARGE) as pilot:
        await press(pilot, "2", *"jjjjjj")
        told = shown(pilot)
        for words in (
            "rewritten: another line ran than was asked for", "exit 0, took 1.8s", "/home/alice/shop",
            "timeout 60 python -m pytest -q", "the line that was asked for", "98 B to standard output",
            "3 passed in 0.28s", "what the model was told of it · step 4",
        ):  # fmt: skip
            assert words in told


async def test_enter_goes_to_the_text_of_a_command_and_escape_back(home: Path) -> None:
    async with deck(home, FIX, size=SMALL) as pilot:
        await press(pilot, "2", "enter")
        assert commands(pilot).reader.has_focus
        before = screen(pilot)
        await press(pilot, "pagedown")
        assert screen(pilot) != before
        await press(pilot, "escape")
        assert commands(pilot).rows.has_focus


async def test_the_text_scrolls_from_the_list(home: Path) -> None:
    async with deck(home, FIX, size=SMALL) as pilot:
        await press(pilot, "2")
        before = shown(pilot)
        await press(pilot, "J")
        assert shown(pilot) != before
        await press(pilot, "K")
        assert shown(pilot) == before
        assert at(pilot) == LINES[0]


async def test_the_line_is_copied(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "2", *"jjjj", "Y")
        assert pilot.app.clipboard == "rm -rf build"


async def test_captured_text_stays_text(home: Path) -> None:
    async with deck(home, HOSTILE) as pilot:
        await press(pilot, "2", "enter")
        told = shown(pilot)
        assert "[red]markup[/red]" in told
        assert not any(char in told for char in "\x1b\x07\u202e\x9b")


async def test_a_session_without_a_witness_says_so_and_shows_what_was_asked_for(home: Path) -> None:
    clock = Clock()
    with shelf.archive_of(home, clock=clock) as archive:
        scene = Scene(archive, clock, "served", at=9 * 3600)
        scene.turn(text("I look."), use("toolu_01", "Bash", command="ls -la"), said=("What is here?",))
        scene.close()
    async with deck(home, "served") as pilot:
        await press(pilot, "2")
        assert listed(pilot) == ["ls -la"]
        assert "1 command, 0 witnessed" in shown(pilot)
        assert "nothing was seen to run: no witness was at work when" in " ".join(shown(pilot).split())


async def test_a_session_in_which_nothing_was_to_run_says_that(home: Path) -> None:
    async with deck(home, shelf.CARRIED) as pilot:
        await press(pilot, "2", "j", "n", "u", "enter", "Y")
        assert "no commands: none was seen to run, and no call is of a tool known to run one" in shown(pilot)


async def test_a_command_that_still_runs_is_told(home: Path) -> None:
    async with deck(home, OPEN) as pilot:
        await press(pilot, "2", "G")
        assert "it is still running" in shown(pilot)


async def test_the_list_grows_below_the_cursor_also_by_what_came_while_it_was_read(home: Path) -> None:
    clock = Clock()
    with shelf.archive_of(home, clock=clock) as archive:
        scene = Scene(archive, clock, "growing", at=9 * 3600)
        scene.run("first")
        scene.run("second", status=1)
        async with deck(home, "growing") as pilot:
            await press(pilot, "2", "u", "u", "u", "j")
            tape = commands(pilot).tape
            assert tape.told is not None
            tape.told = replace(tape.told, whole=False)
            scene.run("third")
            for _ in range(100):
                await asyncio.sleep(0.1)
                await idle(pilot)
                if len(listed(pilot)) == 3:
                    break
            assert (listed(pilot), at(pilot)) == (["first", "second", "third"], "second")
            await press(pilot, "f")
            assert at(pilot) == "third"
