"""What is done to a step or a session, by its keys: on a real archive, with the real verbs as processes."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from deck.shelf import AGAIN, DAMAGED, FIX, HOSTILE, OPEN, WITHHELD
from deck.support import PATIENCE_S, SMALL, deck, idle, press, shown
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.refs import resolve
from tapes.session.verdicts import VERDICTS
from tapes_cli.breakpoints import FILE, Breaks
from tapes_cli.deck.actions import ACTIONS, PLACES, actions, keys_of
from tapes_cli.deck.app import Deck, Target
from tapes_cli.deck.dialogs.base import Dialog
from tapes_cli.deck.dialogs.paths import Paths
from tapes_cli.deck.screens.base import TapeScreen
from tapes_cli.deck.screens.help import VERDICT_WORDS, Help


def on(pilot: Pilot[Any]) -> TapeScreen:
    found = pilot.app.screen
    assert isinstance(found, TapeScreen), found
    return found


def at(pilot: Pilot[Any]) -> tuple[str, int]:
    return on(pilot).tape.title, on(pilot).tape.number


def notices(pilot: Pilot[Any]) -> str:
    return "\n".join(f"{each.title}\n{each.message}" for each in pilot.app._notifications)


async def said(pilot: Pilot[Any], words: str) -> str:
    """What the notices say, once they say this."""
    until = time.monotonic() + PATIENCE_S
    while words not in notices(pilot):
        await idle(pilot)
        assert time.monotonic() < until, notices(pilot)
        await asyncio.sleep(0.01)
    return notices(pilot)


async def write(pilot: Pilot[Any], text: str, *keys: str) -> None:
    """Into the line that has the focus; then keys."""
    for char in text:
        await pilot.press({" ": "space", ":": "colon", ".": "full_stop", "/": "slash"}.get(char, char))
    await idle(pilot)
    await press(pilot, *keys)


async def grown(pilot: Pilot[Any]) -> None:
    """Until what a verb has written was read."""
    here = on(pilot)
    here._look()
    await idle(pilot)


def records(home: Path, ref: str) -> list[tuple[str, str]]:
    """Type and hash."""
    with LmdbArchive.open(home / "archive", readonly=True) as archive:
        found = archive.session_records(resolve(archive, ref).session)
        return [(record.type, digest.hex()) for digest, record in found]


# -- jumping


@pytest.mark.parametrize(
    ("typed", "number"), [("12", 12), ("0:00", 2), ("51.4s", 45), ("1m", 46), ("999", 0), ("10:27:00", 7)]
)
async def test_a_number_or_a_time_is_jumped_to(home: Path, typed: str, number: int) -> None:
    async with deck(home, FIX) as pilot:
        told = on(pilot).tape.told
        assert told is not None
        await press(pilot, "g")
        await write(pilot, typed)
        before = shown(pilot)
        await press(pilot, "enter")
        if not number:
            assert "there is no step 999: 1 to 46" in before
            assert isinstance(pilot.app.screen, Dialog)
            return
        arrived = at(pilot)[1]
        assert f"→ {arrived:>4}" in before.replace("→    ", "→   ").replace("→   ", "→ ", 1) or f" {arrived} " in before
        if typed == "12":
            assert arrived == 12
        else:  # the last step that had begun by then
            started = told.summary.started_ns
            since = {"0:00": 0.0, "51.4s": 51.4, "1m": 60.0}.get(typed)
            limit = started + int((since or 0) * 1e9) + 999_999 if since is not None else None
            if limit is not None:
                begun = [step.number for step in told.steps if step.wall_ns <= limit] or [1]
                assert arrived == max(begun)


async def test_the_clock_that_is_shown_is_jumped_to(home: Path) -> None:
    from tapes_cli import output

    async with deck(home, FIX) as pilot:
        told = on(pilot).tape.told
        assert told is not None
        clock = output.wall(told.steps[19].wall_ns)[11:]
        await press(pilot, "colon")
        await write(pilot, clock, "enter")
        last = max(step.number for step in told.steps if output.wall(step.wall_ns)[11:] == clock)
        assert at(pilot)[1] == last


async def test_the_beginning_of_a_hash_is_jumped_to(home: Path) -> None:
    wanted = [digest for kind, digest in records(home, FIX) if kind == "command.start"][1]
    async with deck(home, FIX) as pilot:
        await press(pilot, "g")
        await write(pilot, wanted[:10], "enter")
        step = on(pilot).tape.step
        assert step is not None and step.hash.hex() == wanted


async def test_every_record_of_a_session_leads_to_one_of_its_steps(home: Path) -> None:
    from tapes_cli.deck.model.spots import spots

    async with deck(home, FIX) as pilot:
        tape, archive = on(pilot).tape, pilot.app.archive  # type: ignore[attr-defined]
        assert tape.told is not None
        for _, digest in records(home, FIX):
            (spot,) = spots(archive, tape.session, tape.told, digest)
            assert spot.session == tape.session and spot.number and tape.told.step(spot.number)


async def test_of_several_records_one_is_chosen(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    starts = [digest for kind, digest in records(home, FIX) if kind == "command.start"][:2]
    async with deck(home, FIX) as pilot:
        archive = pilot.app.archive  # type: ignore[attr-defined]
        found = [resolve(archive, digest).record for digest in starts]
        monkeypatch.setattr(type(archive), "find", lambda self, prefix: found)
        await press(pilot, "g")
        await write(pilot, "abcd", "enter")
        assert "2 records begin so: which?" in shown(pilot)
        await press(pilot, "j", "enter")
        step = on(pilot).tape.step
        assert step is not None and step.hash == found[1]


async def test_a_step_of_another_session_is_opened(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "g")
        await write(pilot, f"{AGAIN}:3", "enter")
        assert at(pilot) == (AGAIN, 3)
        await press(pilot, "q")
        assert at(pilot) == (FIX, 1)


async def test_a_record_of_another_session_opens_that_at_its_step(home: Path) -> None:
    wanted = next(digest for kind, digest in records(home, AGAIN) if kind == "command.start")
    async with deck(home, FIX) as pilot:
        await press(pilot, "g")
        await write(pilot, wanted[:12], "enter")
        step = on(pilot).tape.step
        assert at(pilot)[0] == AGAIN and step is not None and step.hash.hex() == wanted


async def test_what_means_nothing_is_said_in_the_words_of_the_commands(home: Path) -> None:
    async with deck(home, FIX, size=SMALL) as pilot:
        await press(pilot, "g")
        await write(pilot, "no-such", "enter")
        assert "no session is named 'no-such'" in shown(pilot)
        await press(pilot, "escape")
        assert at(pilot) == (FIX, 1)


# -- marks


async def test_a_mark_is_a_note_that_is_shown_without_a_restart_and_taken_back(home: Path) -> None:
    async with deck(home, f"{FIX}:5") as pilot:
        await press(pilot, "m")
        await write(pilot, "the wrong [b]turn", "enter")
        await said(pilot, f"tapes note {FIX}:5 --mark 'the wrong [b]turn'")
        await grown(pilot)
        assert "5★" in shown(pilot).replace(" ", "")
        assert records(home, FIX)[-1][0] == "note"
        await press(pilot, "0", "M")
        assert "★ the wrong [b]turn" in shown(pilot)
        await press(pilot, "enter")
        assert at(pilot) == (FIX, 5)
        await press(pilot, "U")
        await said(pilot, "--unmark")
        await grown(pilot)
        assert "5★" not in shown(pilot).replace(" ", "")
        await press(pilot, "M")
        assert "no step of this session has a mark" in notices(pilot)


async def test_a_mark_is_taken_back_from_the_list_of_marks(home: Path) -> None:
    async with deck(home, f"{FIX}:7") as pilot:
        before = on(pilot).tape.told
        await press(pilot, "m")
        await write(pilot, "here", "enter")
        await said(pilot, "--mark here")
        await grown(pilot)
        after = on(pilot).tape.told
        assert before and after and len(after.steps) == len(before.steps) + 1
        assert after.axis.end_ns == before.axis.end_ns  # what is marked later makes the run no longer
        await press(pilot, "0", "M", "x")
        await said(pilot, f"tapes note {FIX}:7 --unmark")
        await grown(pilot)
        assert "★" not in "".join(line.split("│")[0] for line in shown(pilot).splitlines() if "★ " not in line)


async def test_a_mark_without_a_label_or_with_too_long_a_one_is_none(home: Path) -> None:
    before = records(home, FIX)
    async with deck(home, f"{FIX}:5") as pilot:
        await press(pilot, "m", "enter")
        assert "a mark has a label" in shown(pilot)
        pilot.app.screen.query_one(Input).value = "x" * 201
        await press(pilot, "enter")
        assert "200 bytes at most, and this one 201" in shown(pilot)
        await press(pilot, "escape", "U")
        assert "step 5 has no mark" in notices(pilot)
    assert records(home, FIX) == before


# -- breaks, and playing


async def test_a_break_at_a_step_is_set_and_taken_away(home: Path) -> None:
    async with deck(home, f"{FIX}:5") as pilot:
        await press(pilot, "b", "enter")
        await said(pilot, "tapes break add")
        await idle(pilot)
        assert [(b.kind, b.step) for b in Breaks.load(home).all] == [("step", 5)]
        assert "● this step" in shown(pilot)
        await press(pilot, "escape")
        await grown(pilot)
        assert list(on(pilot).tape.stops) == [5] and "5●" in shown(pilot).replace(" ", "")
        await press(pilot, "b", "enter")
        await said(pilot, "tapes break remove")
        await press(pilot, "escape")
        await grown(pilot)
        assert not Breaks.load(home).all and not on(pilot).tape.stops


async def test_breaks_on_failures_and_on_a_pattern_say_how_many_steps_they_fit(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        told = on(pilot).tape.told
        assert told is not None
        failed = sum(step.failed for step in told.steps)
        await press(pilot, "b")
        assert f"every failure  ({failed} steps)" in shown(pilot)
        await press(pilot, "j", "enter")
        await said(pilot, "--error")
        await press(pilot, "slash")
        await write(pilot, "pytest")
        fitting = sum("pytest" in step.text for step in told.steps)
        assert f"fits {fitting} steps" in shown(pilot)
        await press(pilot, "enter")
        await said(pilot, "--pattern pytest")
        await idle(pilot)
        assert [b.what for b in Breaks.load(home).all] == ["any failed step", "/pytest/"]
        assert f"● /pytest/  ({fitting} steps)" in shown(pilot)
        await press(pilot, "end", "x")
        await said(pilot, "tapes break remove")
        assert [b.what for b in Breaks.load(home).all] == ["any failed step"]
        await press(pilot, "slash")
        await write(pilot, "(", "enter")
        assert "is no regular expression" in shown(pilot)


async def test_a_break_that_another_process_sets_is_seen(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        from tapes.session.breaks import Break

        with Breaks.changing(home) as breaks:
            breaks.add(Break(0, None, "error"))
        await grown(pilot)
        told = on(pilot).tape.told
        assert told is not None
        assert list(on(pilot).tape.stops) == [step.number for step in told.steps if step.failed]


async def test_breaks_that_can_not_be_read_are_said_once_and_the_session_is_there(home: Path) -> None:
    (home / FILE).write_text("no json")
    async with deck(home, FIX) as pilot:
        await grown(pilot)
        assert notices(pilot).count("cannot be read") == 1
        await press(pilot, "j")
        assert at(pilot)[1] == 2


async def test_playing_goes_to_the_end_at_whatever_speed_and_says_so(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await pilot.press("space")
        await pilot.pause()
        assert "▶ 1× idle ≤ 2 s · 0:0" in shown(pilot)
        await pilot.press(*(["greater_than_sign"] * 5), "less_than_sign", "greater_than_sign", "i", "i", "i")
        assert (on(pilot).tape.speed, on(pilot).tape.idle_cap_s) == (16.0, 0.5)
        await idle(pilot)
        told = on(pilot).tape.told
        assert told is not None
        assert at(pilot)[1] == told.order[-1] and "played to the end" in notices(pilot)
        assert "▶ 16×" not in shown(pilot)
        await press(pilot, "space")
        assert "this is the last step" in notices(pilot)


async def test_playing_stops_at_each_break_and_says_which(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        told = on(pilot).tape.told
        assert told is not None
        failed = sorted((step.number for step in told.steps if step.failed), key=told.rank.__getitem__)
        await press(pilot, "b", "j", "enter")
        await said(pilot, "tapes break add")
        await press(pilot, "escape")
        await grown(pilot)
        await press(pilot, *(["greater_than_sign"] * 4))
        for number in failed[:2]:
            await press(pilot, "space")
            assert at(pilot)[1] == number and f"at step {number}" in notices(pilot)


async def test_any_step_key_stops_playing(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await pilot.press("space")
        await pilot.pause()
        assert on(pilot).tape.playing
        await press(pilot, "j")
        assert not on(pilot).tape.playing and "▶ 1×" not in shown(pilot)


@pytest.mark.parametrize("away", ["2", "question_mark", "m", "escape"])
async def test_playing_stops_where_nobody_sees_it(home: Path, away: str) -> None:
    async with deck(home, FIX) as pilot:
        tape = on(pilot).tape
        await pilot.press("space")
        await pilot.pause()
        assert tape.playing
        await press(pilot, away)
        assert not tape.playing


async def test_following_stays_at_the_last_step_until_a_step_key(home: Path) -> None:
    async with deck(home, OPEN) as pilot:
        await press(pilot, "f")
        told = on(pilot).tape.told
        assert told is not None
        assert at(pilot)[1] == len(told.steps) and "following" in shown(pilot)
        await press(pilot, "k")
        assert "following" not in shown(pilot) and at(pilot)[1] != len(told.steps)


async def test_playing_while_following_goes_on_when_the_session_grows(home: Path) -> None:
    async with deck(home, OPEN) as pilot:
        await press(pilot, "f", "space")
        last = at(pilot)[1]
        assert on(pilot).tape.playing  # it waits for more
        on(pilot).deck.do("note", OPEN, "more")
        await said(pilot, "tapes note ")
        await grown(pilot)
        assert at(pilot)[1] == last + 1 and on(pilot).tape.playing


# -- out of the deck


async def test_a_hash_and_a_command_are_copied(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        tape = on(pilot).tape
        assert tape.told is not None
        number = next(step.number for step in tape.told.steps if step.type == "command")
        await press(pilot, "g")
        await write(pilot, str(number), "enter")
        assert tape.step is not None
        await press(pilot, "y")
        assert pilot.app.clipboard == tape.step.hash.hex()
        await press(pilot, "Y")
        assert pilot.app.clipboard == tape.step.text
        assert f"sent to the terminal's clipboard: the command of step {number}" in notices(pilot)


async def test_of_a_call_the_command_that_it_asks_for_is_copied(home: Path) -> None:
    async with deck(home, f"{FIX}:5") as pilot:
        await press(pilot, "Y")
        assert pilot.app.clipboard == "python -m pytest -q"
        await press(pilot, "g")
        await write(pilot, "7", "enter", "Y")  # a list of things to do is no command
        assert "the words of step 7" in notices(pilot)


async def test_controls_in_a_command_are_not_copied_as_such(home: Path) -> None:
    async with deck(home, HOSTILE) as pilot:
        await press(pilot, "j", "Y")
        assert "\x1b" not in pilot.app.clipboard and "␛" in pilot.app.clipboard
        assert "its control characters made visible" in notices(pilot)


@contextmanager
def pager(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A pager that keeps what it is shown. The deck of a test has no terminal that it could leave to it."""
    script, kept = folder / "my pager", folder / "kept"
    script.write_text(f"#!/bin/sh\ncat > '{kept}'\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PAGER", f"'{script}' -x")
    from contextlib import nullcontext

    monkeypatch.setattr(Deck, "suspend", lambda self: nullcontext())
    yield kept


async def test_the_step_is_opened_in_the_pager_harmlessly(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pager(tmp_path, monkeypatch) as kept:
        async with deck(home, f"{HOSTILE}:2") as pilot:
            await press(pilot, "o")
        text = kept.read_text()
    assert text.startswith("step 2 · prompt") and "␛]0;owned␇" in text and "\x1b" not in text


async def test_without_a_terminal_or_a_pager_it_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "o")
        assert "suspend is not supported" in notices(pilot)
        monkeypatch.setenv("PAGER", "'unclosed")
        await press(pilot, "o")
        assert "No closing quotation" in notices(pilot)


async def test_a_session_is_exported_up_to_a_step_and_nothing_is_overwritten_unasked(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with deck(home, f"{FIX}:6") as pilot:
        await press(pilot, "e", "right", "right", "right")
        assert f"tapes export {FIX} --format json -o {FIX}.json" in shown(pilot)
        await press(pilot, "tab", "right", "enter")
        await said(pilot, f"tapes export {FIX}:6 --format json -o {FIX}.json")
        done = Path(f"{FIX}.json")
        assert max(step["step"] for step in json.loads(done.read_bytes())["steps"]) <= 6
        done.write_text("mine")
        await press(pilot, "e", "right", "right", "right", "enter")
        assert "is there already: ⏎ again replaces it" in shown(pilot) and done.read_text() == "mine"
        await press(pilot, "enter")
        await said(pilot, "--force")
        assert done.read_text() != "mine"


async def test_a_format_that_can_not_end_at_a_step_is_of_the_whole_session(home: Path) -> None:
    async with deck(home, f"{FIX}:6", size=SMALL) as pilot:
        await press(pilot, "e", "tab", "right", "shift+tab", "right")
        assert "asciicast is of a whole session" in shown(pilot) and f"{FIX}.cast" in shown(pilot)
        assert f"{FIX}:6 --format" not in shown(pilot)


async def test_a_format_is_chosen_with_the_mouse(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "e")
        line = next(line for line in shown(pilot).splitlines() if "asciicast-v2" in line)
        row = shown(pilot).splitlines().index(line)
        await pilot.click(offset=(line.index("jsonl") + 1, row))
        await idle(pilot)
        assert f"--format jsonl -o {FIX}.jsonl" in shown(pilot)


async def test_an_error_of_the_verb_is_said_in_its_own_words(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with deck(home, AGAIN) as pilot:
        await press(pilot, "e", "right", "enter")
        words = await said(pilot, f"tapes export {AGAIN} --format asciicast")
        assert "exit " in words and "tapes: " in words


async def test_a_path_is_completed(tmp_path: Path) -> None:
    (tmp_path / "some").mkdir()
    (tmp_path / "so\x1bme-else").touch()
    (tmp_path / "sober.md").touch()
    (tmp_path / ".hidden").touch()
    base = f"{tmp_path}{os.sep}"
    assert await Paths().get_suggestion(base + "so") == base + "sober.md"
    assert await Paths().get_suggestion(base + "some") == base + "some/"
    assert await Paths(folders=True).get_suggestion(base + "so") == base + "some/"
    assert await Paths().get_suggestion(base) == base + "sober.md"
    assert await Paths().get_suggestion(base + "none/x") is None
    assert await Paths().get_suggestion("") is None


async def test_a_moment_is_checked_out_as_files(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with deck(home, f"{FIX}:20") as pilot:
        await press(pilot, "c", "enter")
        await said(pilot, f"tapes checkout {FIX}:20 -o tapes-")
        (folder,) = tmp_path.glob("tapes-*-20")
        assert (folder / "request.json").is_file() and (folder / "files").is_dir()


async def test_of_a_moment_that_is_withheld_what_is_left_is_taken_when_asked_for(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with deck(home, f"{WITHHELD}:5", size=SMALL) as pilot:
        await press(pilot, "c", "enter")
        assert "--partial takes out what is left" in await said(pilot, f"tapes checkout {WITHHELD}:5 -o ")
        assert not list(tmp_path.glob("tapes-*"))
        await press(pilot, "c", "tab", "right", "enter")
        assert "NOT RESTORED" in await said(pilot, "--partial\n")
        assert list(tmp_path.glob("tapes-*-5/*"))


async def test_a_moment_becomes_a_transcript_and_its_command_is_copied(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "claude"))
    (tmp_path / "claude" / "projects").mkdir(parents=True)
    program = tmp_path / "bin" / "claude"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    async with deck(home, f"{FIX}:20") as pilot:
        await press(pilot, "c", "right", "tab")  # to the folder: of a transcript nothing may be missing
        pilot.app.screen.query_one(Input).value = str(tmp_path)
        await press(pilot, "enter")
        await said(pilot, "the command with which it goes on")
        assert "claude --resume" in pilot.app.clipboard
        assert list((tmp_path / "claude").rglob("*.jsonl"))


async def test_a_session_is_compared_with_one_that_is_picked(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(Deck, "compare", lambda self, one, other: asked.append((one, other)))
    async with deck(home, f"{FIX}:9") as pilot:
        await press(pilot, "d")
        await write(pilot, "tests-2", "enter")
        one, other = asked[0]
        archive = pilot.app.archive  # type: ignore[attr-defined]
        assert (one.session, one.number) == (resolve(archive, FIX).session, 9)
        assert other.session == resolve(archive, AGAIN).session


async def test_sessions_are_exported_copied_and_compared_from_their_list(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked: list[Any] = []
    monkeypatch.setattr(Deck, "compare", lambda self, one, other: asked.append((one, other)))
    async with deck(home) as pilot:
        sessions = pilot.app.screen
        row = sessions.chosen()  # type: ignore[attr-defined]
        await press(pilot, "y")
        assert pilot.app.clipboard == row.session.hex()
        await press(pilot, "e", "enter")
        await said(pilot, "tapes export ")
        assert Path(f"{row.summary.name}.md").is_file()
        await press(pilot, "d", "enter")
        assert asked[0][0].session == row.session != asked[0][1].session


async def test_what_runs_while_the_deck_is_left_is_done_whole(home: Path) -> None:
    async with deck(home, f"{FIX}:5") as pilot:
        on(pilot).deck.do("note", f"{FIX}:5", "--mark", "late")
        await pilot.pause()
    await asyncio.get_running_loop().shutdown_default_executor()  # as the deck's loop does at its end
    assert records(home, FIX)[-1][0] == "note"


# -- what can be done


DIALOGS = {"g": "Jump to", "m": "Mark step", "b": "Playing stops", "e": "Export", "c": "Check out", "d": "Compare"}


@pytest.mark.parametrize("view", ["1", "2", "3", "4", "5"])
async def test_what_is_done_to_a_step_is_done_on_every_screen_of_its_session(home: Path, view: str) -> None:
    async with deck(home, f"{FIX}:5") as pilot:
        archive = pilot.app.archive  # type: ignore[attr-defined]
        if view == "5":  # it compares with a session that was chosen
            pilot.app.compare(*(Target(resolve(archive, name).session, 5) for name in (FIX, AGAIN)))  # type: ignore[attr-defined]
            await idle(pilot)
        else:
            await press(pilot, view)
        screen = on(pilot)
        for key, title in DIALOGS.items():
            if (view, key) == ("5", "b"):
                continue  # opens the step of B
            await press(pilot, key)
            assert isinstance(pilot.app.screen, Dialog), key
            assert title in shown(pilot), key
            await press(pilot, "escape")
            assert pilot.app.screen is screen
        step = screen.tape.step
        assert step is not None
        await press(pilot, "y")
        assert pilot.app.clipboard == step.hash.hex()
        if view != "5":  # a pair has no last step
            await press(pilot, "f")
            assert screen.tape.following


async def test_the_palette_does_what_a_key_does(home: Path) -> None:
    async with deck(home, f"{FIX}:5") as pilot:
        await press(pilot, "ctrl+p")
        await write(pilot, "Jump")
        assert "Jump  [g :]" in shown(pilot)
        await press(pilot, "down", "enter")
        assert isinstance(pilot.app.screen, Dialog) and "Jump to" in shown(pilot)


async def test_the_palette_offers_what_is_possible_here_and_no_more(home: Path) -> None:
    async with deck(home) as pilot:
        await press(pilot, "ctrl+p")
        await write(pilot, "Jump")
        assert "Jump  [" not in shown(pilot)
        await press(pilot, "escape", "ctrl+p")
        await write(pilot, "Reverse", "down", "enter")
        assert pilot.app.screen.reverse is False  # type: ignore[attr-defined]


async def test_the_palette_goes_to_a_session(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "ctrl+p")
        await write(pilot, "fix-the-tests-2")
        await press(pilot, "down", "enter")
        assert at(pilot)[0] == AGAIN
        await press(pilot, "ctrl+p", "enter")  # the first of what it offers
        await write(pilot, DAMAGED, "enter")
        assert at(pilot)[0] == DAMAGED


@pytest.mark.parametrize("back", ["question_mark", "escape", "q"])
async def test_help_tells_every_key_of_the_screen_and_closes(home: Path, back: str) -> None:
    async with deck(home, FIX, size=SMALL) as pilot:
        await press(pilot, "question_mark")
        page, seen = pilot.app.screen, set[str]()
        assert isinstance(page, Help)
        scroll = page.query_one("VerticalScroll")
        while True:
            seen |= set(shown(pilot).splitlines())
            if scroll.scroll_y >= scroll.max_scroll_y:
                break
            await press(pilot, "pagedown")
        text = "\n".join(seen)
        for action in actions("timeline", "tape", "rows", "deck"):
            assert any(line.strip().startswith(keys_of(action).split("  ")[0][:14]) for line in seen), action
        assert all(verdict in text for verdict in VERDICTS)
        await press(pilot, back)
        assert at(pilot) == (FIX, 1)


async def test_a_key_that_a_screen_has_for_itself_is_told_once(home: Path) -> None:
    async with deck(home, FIX, AGAIN) as pilot:
        await press(pilot, "question_mark")
        page = pilot.app.screen
        assert isinstance(page, Help)
        assert "compare" in page._places
        taken = [key for place in page._places if place in ("compare", "tape") for key, _, _ in page.rows(place)]
        assert len(taken) == len(set(taken))


def test_the_verdicts_are_explained() -> None:
    assert tuple(VERDICT_WORDS) == VERDICTS


def test_no_screen_of_a_session_takes_the_name_of_an_action_of_all_of_them() -> None:
    """It would be done in its stead."""
    ours = {action.name.split("(")[0] for action in actions("tape")}
    for place in ("timeline", "commands", "files", "terminal", "compare"):
        assert not ours & {action.name.split("(")[0] for action in actions(place)}, place


def test_every_action_is_on_a_place_that_has_a_title_and_no_place_has_a_key_twice() -> None:
    for place in PLACES:
        keys = [key for action in ACTIONS if action.on == place for key in action.keys]
        assert len(keys) == len(set(keys)), place
    assert {action.on for action in ACTIONS} <= set(PLACES)


async def test_a_dialog_stays_open_on_a_screen_that_becomes_small(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "e")
        await pilot.resize_terminal(80, 24)
        await idle(pilot)
        assert "Export" in shown(pilot) and "take the path proposed" in shown(pilot)
