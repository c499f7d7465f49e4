"""The files of a session, walked by keys: as they stood at each step, and every version of each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from deck import shelf
from deck.filming import Clock, Scene
from deck.shelf import DAMAGED, FIX, HOSTILE, OPEN
from deck.support import LARGE, SMALL, USUAL, deck, idle, press, screen, shown
from snapped import Shot, file, gone, unstored
from tapes.archive.lmdb_archive import LmdbArchive
from tapes_cli.deck.app import Deck, view_of
from tapes_cli.deck.model.tape import Tape
from tapes_cli.deck.screens.files import FilesScreen
from witnessed import Session

BEFORE, WRITTEN, SED = b"one\ntwo\nthree\n", b"one\n2\nthree\n", b"one\n2\nthree\nfour\n"
NASTY = "evil\x1b[2J\u202e[red]"


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A prompt, a Write (steps 1 to 3), a sed with a move (step 4), a claim that is not so (5 and 6)."""
    home = tmp_path_factory.mktemp("files")
    home.chmod(0o700)
    archive = LmdbArchive.open(home / "archive", create=True)
    session = Session(archive, name="story")
    session.root.body = {**session.root.body, "cwd": b"/home/alice/project"}
    shot = Shot(session)
    files: dict[str, Any] = {
        "src/deep/a": BEFORE,
        "src/same": b"same\n",
        "bin": b"\0\1",
        "move": b"same\n",
        "big": unstored("big", "large", size=7_000_000),
        ".env": unstored(".env", "secret"),
        NASTY: b"\x1b[31mred\n",
    }
    shot.take(files, "start")
    session.opened([{"role": "user", "content": "make two 2"}])
    use = session.ask_all({"file_path": "src/deep/a", "content": WRITTEN.decode()}, tool="Write")[0]
    session.tell((use, "done"))
    shot.take({**files, "src/deep/a": WRITTEN}, "request")
    start = session.start("sed -i '$a four' src/deep/a; mv move moved")
    session.end(start)
    moved = file("moved", b"same\n", facts={"from": b"move"}, mode=0o755)
    rows = [(file("bin", b"\0\2"), b"\0\2"), (gone("move"), b""), (moved, b"same\n")]
    shot.write([*rows, (file("src/deep/a", SED), SED)], "command", full=False)
    use = session.ask_all({"file_path": "never", "content": "x"}, tool="Write")[0]
    session.tell((use, "done"))
    shot.write([], "end", full=False)
    session.close()
    calls = Session(archive, name="calls")
    calls.opened([{"role": "user", "content": "go"}])
    for content in ("first\n", "second\n"):
        use = calls.ask_all({"file_path": "/work/a", "content": content}, tool="Write")[0]
        calls.tell((use, "done"))
    calls.close()
    archive.close()
    yield home


def files(pilot: Pilot[Any]) -> FilesScreen:
    found = pilot.app.screen
    assert isinstance(found, FilesScreen)
    return found


def paths(pilot: Pilot[Any]) -> list[str]:
    """What is listed: paths of files, directories with a slash behind them."""
    listed = files(pilot).listed
    assert listed is not None
    keys = [(listed.key(n), listed.folder(n)) for n in range(len(listed))]
    return [key[1].decode() + ("/" if folder else "") for key, folder in keys if key is not None]


def page(pilot: Pilot[Any]) -> str:
    return "\n".join(line for part in files(pilot).page.document.parts for line in part.text.splitlines())


async def chosen(pilot: Pilot[Any], path: str) -> None:
    """With the cursor on a file that is listed."""
    files(pilot).rows.cursor = paths(pilot).index(path)
    await idle(pilot)


async def test_the_files_are_as_they_were_at_the_current_step(story: Path) -> None:
    async with deck(story, "story:1") as pilot:
        await press(pilot, "3")
        assert paths(pilot) == []
        assert "7 files, 0 changed (a: all)" in shown(pilot)
        assert "nothing changed since the start: a lists all files" in shown(pilot)
        await press(pilot, "n")
        assert (files(pilot).tape.number, paths(pilot)) == (2, ["src/", "src/deep/", "src/deep/a"])
        await press(pilot, "n")
        assert files(pilot).tape.number == 4
        assert paths(pilot) == ["src/", "src/deep/", "src/deep/a", "bin", "moved"]
        await press(pilot, "p")
        assert (files(pilot).tape.number, paths(pilot)) == (2, ["src/", "src/deep/", "src/deep/a"])


async def test_the_ends_of_what_changed_are_said(story: Path) -> None:
    async with deck(story, "story:1") as pilot:
        await press(pilot, "3", "p")
        assert "no file changed before this step" in shown(pilot)
        await press(pilot, "n", "n", "n")
        assert "no file changed after this step" in shown(pilot)
        assert files(pilot).tape.number == 4


async def test_a_claim_that_is_not_so_is_listed_as_one(story: Path) -> None:
    async with deck(story, "story:6", size=LARGE) as pilot:
        await press(pilot, "3")
        line = next(line for line in screen(pilot) if "never" in line)
        assert line.startswith("! never")
        assert "claimed, not on disk" in line


async def test_all_files_with_why_there_is_no_content(story: Path) -> None:
    async with deck(story, "story:6", size=LARGE) as pilot:
        await press(pilot, "3", "a")
        assert {"big", ".env", "src/"} <= set(paths(pilot))
        assert "it is too large" in next(line for line in screen(pilot) if line.startswith("  big "))
        for path, why in (("big", "it is too large"), (".env", "it is of a kind that holds secrets")):
            await chosen(pilot, path)
            assert f"of {path} there is no content: {why}" in page(pilot)
        await press(pilot, "a")
        assert "big" not in paths(pilot)


async def test_a_list_has_what_changed_first(story: Path) -> None:
    async with deck(story, "story:4") as pilot:
        await press(pilot, "3", "a", "t")
        assert paths(pilot)[:3] == ["bin", "moved", "src/deep/a"]
        assert paths(pilot)[3:] == [".env", "big", NASTY, "src/same"]
        await press(pilot, "t")
        assert paths(pilot)[0] == "src/"


async def test_directories_open_and_close(story: Path) -> None:
    shut, half = ["src/", "bin", "moved"], ["src/", "src/deep/", "bin", "moved"]
    whole = ["src/", "src/deep/", "src/deep/a", "bin", "moved"]
    async with deck(story, "story:4") as pilot:
        await press(pilot, "3", "0", "enter")
        assert paths(pilot) == shut
        await press(pilot, "right")
        assert paths(pilot) == whole
        await press(pilot, "l", "left")
        assert paths(pilot) == half
        await press(pilot, "h")
        assert (paths(pilot), files(pilot).rows.cursor) == (half, 0)
        await press(pilot, "h")
        assert paths(pilot) == shut


async def test_the_cursor_goes_out_to_the_directory_and_back_from_the_versions(story: Path) -> None:
    async with deck(story, "story:4") as pilot:
        await press(pilot, "3")
        await chosen(pilot, "src/deep/a")
        await press(pilot, "l")
        assert files(pilot).versions.has_focus
        await press(pilot, "h")
        assert files(pilot).rows.has_focus
        await press(pilot, "h")
        assert files(pilot).rows.cursor == paths(pilot).index("src/deep/")


async def test_versions_with_what_came_and_went_and_who_it_was(story: Path) -> None:
    async with deck(story, "story:4", size=LARGE) as pilot:
        await press(pilot, "3")
        await chosen(pilot, "src/deep/a")
        text = shown(pilot)
        words = [line.partition("│")[2].split()[:4] for line in screen(pilot)]
        assert ["2", "changed", "+1", "−1"] in words and ["●", "4", "changed", "+1"] in words
        assert "claimed and true" in text and "changed, not claimed" in text
        assert "$ sed -i '$a four' src/deep/a; mv move moved" in text


async def test_the_diff_of_a_version_and_of_any_two(story: Path) -> None:
    async with deck(story, "story:4") as pilot:
        await press(pilot, "3")
        await chosen(pilot, "src/deep/a")
        assert "from step 2 to step 4" in page(pilot) and "+four" in page(pilot) and "-two" not in page(pilot)
        await press(pilot, "enter", "0", "x", "G")
        assert "from the start to step 4" in page(pilot) and "-two" in page(pilot) and "+four" in page(pilot)
        await press(pilot, "0", "x", "G")
        assert "from step 2 to step 4" in page(pilot)


async def test_content_and_blame(story: Path) -> None:
    async with deck(story, "story:4") as pilot:
        await press(pilot, "3")
        await chosen(pilot, "src/deep/a")
        await press(pilot, "v")
        assert page(pilot).splitlines()[-4:] == ["one", "2", "three", "four"]
        await press(pilot, "v")
        blamed = [line.split() for line in page(pilot).splitlines()[-4:]]
        assert [(line[0], line[-1]) for line in blamed] == [("·", "one"), ("2", "2"), ("·", "three"), ("4", "four")]
        await press(pilot, "V")
        assert page(pilot).endswith("four")


async def test_a_version_that_is_chosen_makes_its_step_the_current_one(story: Path) -> None:
    async with deck(story, "story:6") as pilot:
        await press(pilot, "3")
        await chosen(pilot, "src/deep/a")
        await press(pilot, "enter", "k", "enter")
        assert files(pilot).tape.number == 2
        assert paths(pilot) == ["src/", "src/deep/", "src/deep/a"]
        await press(pilot, "0", "enter")
        assert "it was so before the first step" in shown(pilot)


async def test_renames_binaries_and_modes(story: Path) -> None:
    async with deck(story, "story:4") as pilot:
        await press(pilot, "3")
        assert any(line.startswith("R move → moved") for line in screen(pilot))
        await chosen(pilot, "moved")
        assert "rename from move" in page(pilot) and "new mode 100755" in page(pilot)
        await chosen(pilot, "bin")
        assert "Binary files" in page(pilot)
        await press(pilot, "v")
        assert "binary, 2 B; its bytes: tapes cat REF:STEP PATH" in page(pilot)
        await press(pilot, "v")
        assert "is binary: it has no lines" in page(pilot)


async def test_a_filter_is_typed_kept_and_left(story: Path) -> None:
    async with deck(story, "story:4", size=LARGE) as pilot:
        await press(pilot, "3", "a", "slash", *"dee")
        assert paths(pilot) == ["src/", "src/deep/", "src/deep/a"]
        await press(pilot, "enter")
        assert files(pilot).rows.has_focus and files(pilot).filter.display
        assert "with “dee”" in shown(pilot)
        await press(pilot, "slash", "escape")
        assert len(paths(pilot)) > 3 and not files(pilot).filter.display
        assert files(pilot).rows.has_focus


async def test_a_face_is_picked_with_the_mouse(story: Path) -> None:
    async with deck(story, "story:4") as pilot:
        await press(pilot, "3")
        await chosen(pilot, "src/deep/a")
        await pilot.click("#files-faces", offset=(18, 0))
        await idle(pilot)
        assert files(pilot).kept.face == "blame"
        assert "each line's step" in page(pilot)


async def test_the_page_scrolls_from_the_list(story: Path) -> None:
    async with deck(story, "story:4", size=SMALL) as pilot:
        await press(pilot, "3")
        await chosen(pilot, "src/deep/a")
        top = files(pilot).page.scroll_y
        await press(pilot, "J")
        assert files(pilot).page.scroll_y > top
        await press(pilot, "K")
        assert files(pilot).page.scroll_y == top
        assert files(pilot).rows.has_focus


async def test_without_snapshots_it_is_said_and_what_calls_tell_is_shown(story: Path) -> None:
    async with deck(story, "calls:4", size=LARGE) as pilot:
        await press(pilot, "3")
        assert "no snapshot of the directory" in shown(pilot) and "--no-worktree" in shown(pilot)
        assert paths(pilot)[-1].endswith("a")
        assert "-first" in page(pilot) and "+second" in page(pilot)
        await press(pilot, "v", "v")
        assert "can not be told without snapshots" in page(pilot)
        await press(pilot, "V", "p")
        assert page(pilot).endswith("first")


async def test_without_snapshots_it_is_not_said_that_nothing_changed(story: Path, home: Path) -> None:
    async with deck(home, f"{DAMAGED}:1", size=SMALL) as pilot:
        await press(pilot, "3")
        assert "nothing changed" not in shown(pilot) and "ones have none" in shown(pilot)
        assert "no call had read, written or edited a file" in shown(pilot)


async def test_captured_names_are_harmless(story: Path, home: Path) -> None:
    async with deck(story, "story:4") as pilot:
        await press(pilot, "3", "a")
        await chosen(pilot, NASTY)
        assert "\x1b" not in shown(pilot) and "\u202e" not in shown(pilot)
        assert "evil␛[2J" in shown(pilot) and "[red]" in shown(pilot)
    async with deck(home, HOSTILE) as pilot:
        await press(pilot, "3", "a", "t")
        assert "\x1b" not in shown(pilot) and "\u202e" not in shown(pilot)


@pytest.mark.parametrize("size", [SMALL, USUAL, LARGE])
async def test_no_line_is_wider_than_the_screen(story: Path, size: tuple[int, int]) -> None:
    async with deck(story, "story:6", size=size) as pilot:
        await press(pilot, "3", "a", "j", "j", "v")
        assert all(len(line) <= size[0] for line in screen(pilot))
        assert "diff" in shown(pilot) and "blame" in shown(pilot)


@pytest.mark.parametrize("ref", [DAMAGED, OPEN])
async def test_sessions_with_odd_contents_are_shown_as_far_as_they_go(home: Path, ref: str) -> None:
    async with deck(home, ref) as pilot:
        await press(pilot, "3", "a", "t", "v", "v", "n", "p")
        assert "no snapshot of the directory" in shown(pilot)


async def test_the_chosen_file_is_still_chosen_when_one_comes_back(home: Path) -> None:
    async with deck(home, FIX) as pilot:
        await press(pilot, "3", "a", "t")
        await chosen(pilot, "tests/test_prices.py")
        await press(pilot, "1", "G", "3")
        assert files(pilot).kept.chosen == (b"/home/alice/shop", b"tests/test_prices.py")
        assert files(pilot).tape.number == 46
        assert paths(pilot)[files(pilot).rows.cursor] == "tests/test_prices.py"


async def test_a_session_of_which_only_the_beginning_was_read_is_read_on(story: Path) -> None:
    with LmdbArchive.open(story / "archive", readonly=True) as archive:
        tape = Tape(archive, archive.names()["story"])
        assert not tape.read(3).whole
        app = Deck(archive)
        async with app.run_test(size=USUAL) as pilot:
            app.push_screen(view_of(tape, "files"))
            await idle(pilot)
            assert tape.told is not None and tape.told.whole
            await press(pilot, "n")
            assert paths(pilot) == ["src/", "src/deep/", "src/deep/a"]


async def test_files_that_change_while_they_are_looked_at_are_listed(home: Path) -> None:
    clock = Clock()
    with shelf.archive_of(home, clock=clock) as archive:
        scene = Scene(archive, clock, "growing", at=9 * 3600, cwd=b"/home/alice/project")
        shot = scene.shot()
        shot.take({"a": b"1\n"}, "start")
        scene.run("echo 2 >> a")
        shot.take({"a": b"1\n2\n"}, "command")
        async with deck(home, "growing") as pilot:
            await press(pilot, "3", "f")
            assert paths(pilot) == ["a"]
            scene.run("touch b")
            shot.take({"a": b"1\n2\n", "b": b""}, "command")
            until = time.monotonic() + 10
            while len(paths(pilot)) < 2 and time.monotonic() < until:
                await asyncio.sleep(0.1)
                await idle(pilot)
            assert paths(pilot) == ["a", "b"]
            assert files(pilot).kept.chosen == (b"/home/alice/project", b"a")
