"""`tapes deck` as a person runs it: in a real terminal, by its keys; and what of it reaches that terminal."""

from __future__ import annotations

import re
from pathlib import Path

from deck.filming import Clock, Scene, text
from deck.shelf import archive_of
from deck.tmux import PROMPT, Terminal, needs_tmux, terminal

pytestmark = needs_tmux

STATE = (
    "#{alternate_on} #{cursor_flag} #{mouse_any_flag} #{keypad_cursor_flag} #{keypad_flag} #{insert_flag} #{wrap_flag}"
)


def begin(shell: Terminal, words: str = "") -> None:
    shell.type(f"clear; tapes deck {words}; echo left with $?")


def leave(shell: Terminal) -> str:
    shell.keys("C-q")
    return shell.wait("left with", PROMPT)


def state(shell: Terminal) -> str:
    """The terminal's own, and its line discipline's."""
    shell.type("clear; stty -g | md5sum")
    shown = shell.wait_for(lambda shown: bool(re.search(r"^[0-9a-f]{32}", shown, re.MULTILINE)), "no state")
    return f"{shown.split()[0]} {shell.asks(STATE)}"


def test_it_is_started_walked_filtered_and_left_without_a_trace(home: Path) -> None:
    with terminal(home, COLUMNS="120", LINES="40") as shell:  # exported by whoever: the window's size rules
        before = state(shell)
        begin(shell)
        shell.wait("8 sessions", "going-on", "damaged")
        assert shell.asks("#{alternate_on}") == "1"
        shell.keys("j", "j", "Enter")
        shell.wait("fix-the-tests ·", "46 steps", "Keep answers short.")
        shell.keys("j", "j", "j")
        shell.wait("│ I'll look at what fails.")
        shell.resize(80, 24)
        shell.wait("I'll look at what fails.", "46 steps")
        shell.keys("q")
        shell.wait("8 sessions")
        shell.keys("/")
        shell.wait("a query of tapes search")
        shell.keys(*"withh")
        shell.wait("going-on", gone=True)
        shell.wait("withheld")
        left = leave(shell)
        assert re.fullmatch(rf"left with 0\n{PROMPT}\s*", left)
        assert state(shell) == before


def test_on_an_empty_archive_it_says_what_to_type(tmp_path: Path) -> None:
    with terminal(tmp_path / "new") as shell:
        begin(shell)
        shell.wait("tapes demo", "tapes run")


def test_what_another_process_records_appears_and_grows(home: Path) -> None:
    with terminal(home) as shell:
        begin(shell)
        shell.wait("8 sessions")
        clock = Clock()
        with archive_of(home, clock=clock) as archive:
            scene = Scene(archive, clock, "brand-new", at=5 * 3600)
            shell.wait("9 sessions", "brand-new")
            shell.keys("0", "Enter")
            shell.wait("brand-new ·", "timeline")
            scene.turn(text("Here I am."), said=("Say something new.",))
            shell.wait("Say something new.", "Here I am.")
            shell.keys("f")
            scene.turn(text("And again."), said=("Once more.",))
            shell.wait("And again.", "following")
            scene.close()
        shell.wait("exit 0")
        leave(shell)
