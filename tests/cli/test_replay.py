"""`tapes replay`: what was recorded is drawn, and nothing of it drives the terminal that it is drawn in."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support import Bench
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.session.screen.playback import Playback
from tapes.session.screen.timeline import marks
from tapes.session.screen.vt import Screen
from tapes_cli.drawing import ENTER, LEAVE, Canvas, coloured
from tapes_cli.player import Controls, keys, status
from terminal_tape import SECOND, TerminalSession

HOSTILE = b"\x1b]52;c;aGVsbG8=\x07\x1b]0;evil\x07\x1bP+q544e\x1b\\\x1b[6n\x1b[c\x1b[?1003h\x1b]8;;file:///x\x07\x1b[21t\x1b[3J"
OURS = re.compile(r"\x1b\[(?:\?(?:1049|7|25)[hl]|2J|K|[0-9;]*m|\d+;1H|\d+G)")
"""All that we ever write to a terminal."""


def only_ours(text: str) -> str:
    """What is left without our own sequences; AssertionError where another one is."""
    left = OURS.sub("", text)
    assert "\x1b" not in left
    assert all(char.isprintable() or char in "\r\n" for char in left)
    return left


@pytest.fixture
def recorded(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.home.mkdir(mode=0o700)
    with LmdbArchive.open(bench.home / "archive", create=True) as archive:
        session = TerminalSession(archive)
        session.terminal(0, [(0, "o", b"first" + HOSTILE), (0, "r", 40, 5)], (30, 4))
        session.command(1, b"ls \x1b[31m")
        session.terminal(1.5, [(0, "o", b"\r\n\x1b[31msecond\x1b[0m"), (1_000_000, "x", 9)], (40, 5))
        session.record("gap", 1.75, {"reason": "a test"})
        session.terminal(3, [(0, "o", b"\r\nthird")], (40, 5), last=True)
    return bench


def test_without_a_terminal_the_last_screen_is_printed(recorded: Bench) -> None:
    done = recorded.tapes("replay")
    assert done.stdout.decode() == "first\nsecond\nthird\n"
    assert b"9 bytes are not there" in done.stderr


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        (["--at", "0s"], ["first"]),
        (["--at", "1.5s"], ["first", "second"]),
        (["--at", "0:02.9"], ["first", "second"]),
        (["--at", "99:00:00"], ["first", "second", "third"]),
        (["--at", "1"], ["first"]),
        (["--at", "2"], ["first", "second"]),
        (["@:2"], ["first", "second"]),
    ],
)
def test_the_screen_is_printed_as_it_was(recorded: Bench, words: list[str], rows: list[str]) -> None:
    done = recorded.tapes("replay", *words)
    assert done.stdout.decode().splitlines() == rows
    assert done.returncode == 0


def test_colours_are_of_our_own_making(recorded: Bench) -> None:
    done = recorded.tapes("replay", "--at", "99", "--ansi")
    assert done.returncode == 3  # a number is a step
    done = recorded.tapes("replay", "--at", "99s", "--ansi")
    assert done.stdout.decode() == "first\n\x1b[0;31msecond\x1b[0m\nthird\n"


def test_commands_are_listed_with_their_times(recorded: Bench) -> None:
    (line,) = recorded.tapes("replay", "--list-marks").stdout.decode().splitlines()
    assert line.split()[0] == "1.000s"
    assert line.endswith("$ ls ␛[31m")


@pytest.mark.parametrize("words", [["--at", "soon"], ["@:1", "--at", "2"], ["--speed", "0"]])
def test_what_cannot_be_is_a_usage_error(recorded: Bench, words: list[str]) -> None:
    assert recorded.tapes("replay", *words).returncode == 2


@pytest.mark.parametrize("verb", [["replay"], ["export", "--format", "asciicast"], ["export", "--format", "text"]])
def test_a_session_without_a_screen_says_so_and_what_to_do(tmp_path: Path, verb: list[str]) -> None:
    bench = Bench(tmp_path)
    bench.home.mkdir(mode=0o700)
    with LmdbArchive.open(bench.home / "archive", create=True) as archive:
        TerminalSession(archive)
    done = bench.tapes(*verb)
    assert done.returncode == 3
    assert b"no recorded screen" in done.stderr and b"tapes run" in done.stderr


def test_what_a_screen_showed_goes_when_its_session_is_forgotten(recorded: Bench) -> None:
    cache = recorded.home / "cache"
    cache.mkdir(mode=0o700)
    (cache / "kept").write_bytes(b"a screen")
    done = recorded.tapes("forget", "@", "--yes", "--reason", "a test")
    assert done.returncode == 0, done.stderr.decode()
    assert list(cache.iterdir()) == []
    done = recorded.tapes("replay")
    assert (done.returncode, done.stdout) == (0, b"")
    assert b"withheld by record" in done.stderr
    assert not list(cache.iterdir())
    assert recorded.tapes("export", "--format", "asciicast").returncode == 1
    assert recorded.tapes("export", "--format", "jsonl").returncode == 1


# -- played in a real terminal


class Watched:
    """`tapes replay` in a pseudo-terminal."""

    def __init__(self, bench: Bench, words: list[str], size: tuple[int, int]) -> None:
        self.descriptor, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (size[1], size[0]))
        command = bench.command("replay", *words)
        self.process = subprocess.Popen(command, env=bench.env(), stdin=theirs, stdout=theirs, start_new_session=True)
        os.close(theirs)
        self.screen = Screen(*size)
        self.raw = b""

    def until(self, wanted: str) -> None:
        end = time.monotonic() + 30
        while wanted not in "\n".join(self.screen.text()):
            assert time.monotonic() < end, self.screen.text()
            self.read()

    def read(self) -> bool:
        if not select.select([self.descriptor], [], [], 1)[0]:
            return True
        try:
            data = os.read(self.descriptor, 65536)
        except OSError:  # the other side has closed
            return False
        self.raw += data
        self.screen.feed(data)
        return bool(data)

    def press(self, text: str) -> None:
        os.write(self.descriptor, text.encode())

    def end(self) -> int:
        while self.read():
            pass
        return self.process.wait(30)


@contextmanager
def watched(bench: Bench, *words: str, size: tuple[int, int] = (60, 10)) -> Iterator[Watched]:
    it = Watched(bench, list(words), size)
    try:
        yield it
    finally:
        it.process.kill()
        it.process.wait()
        os.close(it.descriptor)


def test_played_in_a_terminal_it_draws_the_screen_and_nothing_else_reaches_it(recorded: Bench) -> None:
    with watched(recorded, "--speed", "9", "--idle-limit", "0.2") as it:
        it.until("■ end")
        assert it.screen.text()[:3] == ["first", "second", "third"]
        it.press("q")
        assert it.end() == 0
        text = it.raw.decode()
        assert text.startswith(ENTER) and text.endswith(LEAVE)
        only_ours(text)
        assert not it.screen.alternate and it.screen.cursor_shown


def test_keys_go_where_they_say(recorded: Bench) -> None:
    with watched(recorded, "--speed", "0.01") as it:
        it.until("first")
        it.press(" ]")
        it.until("$ ls")
        it.press("\x1b[C")
        it.until("third")
        it.press("\x1b[D")
        it.until("0:00/")
        it.press("..")
        it.until("second")
        it.press("\x03")
        assert it.end() == 0


def test_a_terminal_that_is_too_small_is_told_what_it_shows(recorded: Bench) -> None:
    with watched(recorded, "--at", "99s", size=(20, 3)) as it:
        assert it.end() == 0  # --at prints, also here
    with watched(recorded, "--speed", "1000", size=(60, 3)) as it:
        it.until("rows 2–3 of 5")
        assert it.screen.text()[:2] == ["second", "third"]
        it.press("q")
        it.end()
    with watched(recorded, "--speed", "1000", size=(39, 9)) as it:
        it.until("columns 1–39")


def test_a_signal_leaves_the_terminal_as_it_was(recorded: Bench) -> None:
    with watched(recorded) as it:
        it.until("first")
        it.process.send_signal(signal.SIGTERM)
        assert it.end() == 128 + signal.SIGTERM
        assert it.raw.decode().endswith(LEAVE)


# -- the parts of it that need no terminal


def controls() -> Controls:
    session = TerminalSession()
    session.said(*(b"%d" % n for n in range(9)))
    session.command(3.5, b"ls")
    return Controls(Playback(session.tape, marks(session.archive, session.tape)))


def test_keys_change_speed_and_pause() -> None:
    it = controls()
    it.playback.advance()
    assert it.pause_s() == 1
    it.key("4")
    assert it.pause_s() == 0.25
    it.idle_ns = SECOND // 2
    assert it.pause_s() == 0.125
    it.key(" ")
    assert not it.running
    it.key(" ")
    assert it.running
    it.key("?")
    it.key("q")
    assert it.quit


def test_an_escape_sequence_is_one_key() -> None:
    assert keys("a\x1b[C\x1bOD\x1b[1;5C.\x1b") == ["a", "\x1b[C", "\x1bOD", "\x1b[1;5C", ".", "\x1b"]


def test_the_status_says_where_one_is_and_fits() -> None:
    it = controls()
    it.playback.go_to(70 * SECOND)
    assert status(it, (90, 30)).startswith(" ■ end 0:08/0:08")
    assert len(status(it, (12, 30))) <= 12


def test_a_row_drawn_shows_the_same_row() -> None:
    screen = Screen(20, 2)
    screen.feed("a\x1b[1;38;5;99mb漢\x1b[0me\u0301\x1b[7m  \x1b[44m\x1b[K\x1b[0m".encode())
    for placed in (False, True):
        again = Screen(20, 2)
        again.feed(coloured(screen.lines()[0], 20, placed=placed).encode())
        assert again.text() == screen.text()
        assert again.lines()[0] == screen.lines()[0]


def test_half_a_wide_character_at_the_edge_is_not_drawn() -> None:
    screen = Screen(20, 1)
    screen.feed("ab漢".encode())
    assert only_ours(coloured(screen.lines()[0], 3)) == "ab"


def test_a_canvas_writes_only_what_has_changed() -> None:
    screen, canvas = Screen(20, 4), Canvas()
    screen.feed(b"one\r\ntwo\x1b[?25l")
    first = canvas.draw(screen, (20, 5), "status")
    assert "one" in first and "status" in first
    assert canvas.draw(screen, (20, 5), "status") == ""
    screen.feed(b"!")
    changed = canvas.draw(screen, (20, 5), "status")
    assert "two!" in changed and "one" not in changed
    assert "one" in canvas.draw(screen, (30, 5), "status")


# -- breakpoints


def stopping(*stops: tuple[float, str]) -> Controls:
    """Something happens each second, from 0 to 8."""
    session = TerminalSession()
    session.said(*(b"%d" % n for n in range(9)))
    session.command(3.5, b"ls")
    playback = Playback(session.tape, marks(session.archive, session.tape))
    return Controls(playback, stops=[(round(at * SECOND), why) for at, why in stops])


def played(it: Controls) -> float:
    """Play until it stops; at which second it does."""
    while it.running:
        it.advance()
    return it.playback.at_ns / SECOND


def test_playing_stops_at_the_moment_of_a_break_and_space_goes_on() -> None:
    it = stopping((2.5, "break 1: a"), (4, "break 1: b"), (4, "break 2: c"), (8, "break 3: d"))
    assert played(it) == 2.5
    assert (it.paused, it.said, "".join(it.playback.screen.text()).strip()) == (True, "● break 1: a", "012")
    it.key(" ")
    assert it.pause_s() == 0.5  # what was shown before the break is not waited for again
    assert played(it) == 4
    assert it.said == "● break 1: b, break 2: c"
    it.key(" ")
    assert (played(it), it.said, it.playback.ended) == (8, "● break 3: d", True)


def test_a_break_before_anything_happens_stops_at_once() -> None:
    it = stopping((0, "break 1: a"))
    assert it.pause_s() == 0
    assert (played(it), it.paused) == (0, True)
    it.key(" ")
    assert played(it) == 8


def test_who_goes_to_a_place_is_not_stopped_on_the_way_but_behind_it() -> None:
    it = stopping((1, "break 1: a"), (3, "break 2: b"), (7, "break 3: c"))
    it.key("\x1b[C")
    assert (it.playback.at_ns, it.paused, it.said) == (5 * SECOND, False, "")
    assert played(it) == 7
    it.key("\x1b[D")
    it.key(" ")
    assert (it.playback.at_ns / SECOND, played(it)) == (2, 3)
    it.key("[")  # none before: it stays
    it.key(" ")
    assert played(it) == 7
    it.key(".")
    assert it.playback.at_ns == 8 * SECOND


def test_changing_the_speed_while_a_break_is_waited_for_does_not_lose_it() -> None:
    it = stopping((0, "break 1: a"), (2.5, "break 1: b"))
    it.key("4")
    assert played(it) == 0
    it.key(" ")
    it.key("2")
    assert played(it) == 2.5


def test_breaks_stop_what_is_played_in_a_terminal(recorded: Bench) -> None:
    recorded.read("break", "add", "--all", "--pattern", "^ls")
    with watched(recorded, size=(80, 10)) as it:
        it.until("● break 1: /^ls/ at step 1")
        assert it.screen.text()[:2] == ["first", ""]
        assert "❚❚ 0:01/0:03" in it.screen.text()[-1]
        it.press(" ")
        it.until("■ end")
        it.press("q")
        assert it.end() == 0
        only_ours(it.raw.decode())
    with watched(recorded, "--no-breaks", "--speed", "9", size=(80, 10)) as it:
        it.until("■ end")
        it.press("q")
        assert it.end() == 0 and b"break 1" not in it.raw


def test_breaks_that_can_not_be_read_are_told_before_anything_is_played(recorded: Bench) -> None:
    (recorded.home / "breaks.json").write_text("{")
    with watched(recorded) as it:
        assert it.end() == 2
        assert ENTER.encode() not in it.raw
    with watched(recorded, "--no-breaks") as it:
        it.until("first")
