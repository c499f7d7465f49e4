"""What was captured never rules the terminal that it is shown on: every byte that the deck writes is looked at."""

from __future__ import annotations

import re
from pathlib import Path

from deck.test_in_terminal import begin, leave
from deck.tmux import needs_tmux, terminal

pytestmark = needs_tmux

OURS = re.compile(
    r"\x1b\[[\d;]*[mH]|\x1b\[\?\d+[hl]|\x1b\[\?\d+\$p|\x1b\[[<>]\d*u|\x1b\]22;\w+\x07|[\r\n]"
    r"|[^\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]"
)
"""What a deck may say to a terminal: colours and places, modes, the shape of the pointer; text that rules nothing."""


def test_nothing_captured_reaches_the_terminal(home: Path) -> None:
    with terminal(home) as shell:
        begin(shell, "hostile")
        shell.wait("hostile ·", "13 steps")
        for _ in range(13):
            shell.keys("j")
        for key, view in (("2", "commands"), ("3", "files"), ("4", "terminal"), ("1", "timeline")):
            shell.keys(key)
            shell.wait(f" · {view} · ")
            shell.keys("j", "Enter")
        shell.keys("5")
        shell.wait("Compare hostile with")
        shell.keys("Enter")
        shell.wait(" · compare · ", "they part")
        shell.keys("j", "q")
        shell.wait(" · timeline · ")
        shell.keys("q")
        shell.wait("8 sessions")
        leave(shell)
        raw = shell.raw()
    text = raw[raw.index(b"\x1b[?1049h") : raw.index(b"\x1b[?1049l")].decode("utf-8")
    assert (at := foreign(text)) is None, f"{text[max(0, at - 40) : at]!r} is followed by {text[at : at + 40]!r}"
    assert "\x1b[31mred" not in text


def foreign(text: str) -> int | None:
    """Where something begins that is neither ours nor plain text."""
    at = 0
    while at < len(text):
        found = OURS.match(text, at)
        if found is None:
            return at
        at = found.end()
    return None
