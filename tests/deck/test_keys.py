"""Every key of every place does what its row in the registry says: a walk a place, in which each action has its step.

A step says what to press before, and how what is seen differs then; each of the action's keys is tried. That a walk has
all actions of its place is a test as well: who adds a row there adds a step here.
"""

from __future__ import annotations

import asyncio
import difflib
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from deck.shelf import AGAIN, FIX, HOSTILE
from deck.support import PATIENCE_S, deck, idle, press, shown
from tapes_cli.deck.actions import ACTIONS, PLACES, Action, actions
from tapes_cli.deck.widgets.rows import Rows


@dataclass(frozen=True)
class Seen:
    """What is to be seen of the deck."""

    screen: str
    focus: str
    focus_id: str | None
    number: int
    """Of the current step; 0 where there is none."""
    cursor: int
    top: int
    left: int
    playing: bool
    theme: str
    clipboard: str
    text: str
    running: bool
    look: str
    """The text and how each piece of it is styled."""
    folded: bool

    @classmethod
    def of(cls, pilot: Pilot[Any]) -> Seen:
        app = pilot.app
        screen, focus = app.screen, app.focused
        tape = getattr(screen, "tape", None)
        return cls(
            type(screen).__name__,
            type(focus).__name__,
            focus.id if focus else None,
            tape.number if tape else 0,
            getattr(focus if isinstance(focus, Rows) else getattr(screen, "rows", None), "cursor", -1),
            round(focus.scroll_y) if focus else 0,
            getattr(focus, "column", round(focus.scroll_x) if focus else 0),
            bool(tape and tape.playing),
            app.theme,
            app.clipboard,
            shown(pilot),
            app.is_running and not app._exit,
            str([(piece.text, str(piece.style)) for row in screen._compositor.render_strips() for piece in row]),
            bool(getattr(getattr(screen, "kept", None), "folded", False)),
        )


type Check = Callable[[Seen, Seen], bool]


@dataclass(frozen=True)
class Do:
    """A step of a walk."""

    action: str
    check: Check
    before: str = ""
    after: str = ""
    """Keys that lead there, and back to where the next step begins."""
    quick: bool = False
    """It goes on by itself: what is seen is what is seen at once."""


@dataclass(frozen=True)
class Walk:
    steps: tuple[Do, ...]
    ref: str = ""
    keys: str = ""
    """What leads to the place."""
    size: tuple[int, int] = (120, 30)


def says(*words: str) -> Check:
    return lambda before, after: all(word in after.text and word not in before.text for word in words)


def screen(name: str) -> Check:
    return lambda before, after: before.screen != name == after.screen


def focus(name: str) -> Check:
    return lambda before, after: before.focus != name == after.focus


def step(number: int) -> Check:
    return lambda before, after: before.number != number == after.number


def further(what: str, by: int = 0) -> Check:
    """So much further, or at all."""
    return lambda b, a: getattr(a, what) - getattr(b, what) == by if by else getattr(a, what) > getattr(b, what)


def back(what: str) -> Check:
    return lambda before, after: getattr(after, what) < getattr(before, what)


def is_(what: str, value: object) -> Check:
    return lambda before, after: getattr(before, what) != value == getattr(after, what)


def other(what: str) -> Check:
    return lambda before, after: getattr(before, what) != getattr(after, what)


WALKS = {
    "deck": Walk(
        (
            Do("help", screen("Help"), after="escape"),
            Do("command_palette", screen("CommandPalette"), after="escape"),
            Do("dark", is_("theme", "textual-light"), after="ctrl+t"),
            Do("results", screen("Results"), after="escape"),
            Do("back", screen("Sessions"), before="enter"),
            Do("quit", is_("running", False)),
        )
    ),
    "rows": Walk(
        (
            Do("move(1)", step(2), after="0"),
            Do("move(-1)", step(1), before="j"),
            Do("page(1)", further("cursor"), after="0"),
            Do("page(-1)", is_("cursor", 0), before="pagedown"),
            Do("first", step(1), before="j j"),
            Do("last", step(46), after="0"),
            Do("choose", focus("Reader"), after="escape"),
        ),
        ref=FIX,
    ),
    "reader": Walk(
        (
            Do("move(1)", further("top", 1), after="0"),
            Do("move(-1)", is_("top", 0), before="j"),
            Do("page(1)", further("top"), after="0"),
            Do("page(-1)", is_("top", 0), before="pagedown"),
            Do("last", further("top"), after="0"),
            Do("first", is_("top", 0), before="G"),
            Do("title(1)", further("top"), after="0"),
            Do("title(-1)", back("top"), before="} }", after="0"),
            Do("find", screen("Find"), after="escape"),
            Do("hit(1)", other("look"), before="/ r e d enter", after="escape 0"),
            Do("hit(-1)", other("look"), before="/ r e d enter n", after="escape 0"),
            Do("wrap", other("text"), after="w"),
            Do("aside(1)", other("text"), before="w", after="0 w"),
            Do("aside(-1)", other("text"), before="w l", after="0 w"),
            Do("copy_block", other("clipboard")),
            Do("leave", focus("Rows"), after="enter"),
        ),
        ref=f"{HOSTILE}:3",
        keys="enter",
        size=(120, 16),
    ),
    "help": Walk(
        (
            Do("scroll(1)", other("text"), after="0 home"),
            Do("scroll(-1)", other("text"), before="j j", after="home"),
            Do("app.back", screen("Sessions"), after="question_mark"),
        ),
        keys="question_mark",
        size=(80, 16),
    ),
    "dialog": Walk(
        (
            Do("close", screen("Timeline"), before="g", after=""),
            Do("accept", step(12), before="0 g 1 2"),
        ),
        ref=FIX,
    ),
    "choice": Walk(
        (
            Do("choose(1)", other("text"), after="left"),
            Do("choose(-1)", other("text"), before="right"),
        ),
        ref=FIX,
        keys="e",
    ),
    "breaks": Walk(
        (
            Do("pattern", focus("Input"), after="escape b"),
            Do("remove", says("tapes break remove"), before="0 enter"),
        ),
        ref=FIX,
        keys="b",
    ),
    "marks": Walk(
        (Do("unmark", screen("Timeline"), before="m l o o k enter wait:2★ M", after="wait:unmark"),),
        ref=FIX,
        keys="j",
    ),
    "box": Walk(
        (
            Do("list(1)", further("cursor", 1), before="0 slash", after="escape"),
            Do("list(-1)", further("cursor", -1), before="0 slash down down", after="escape"),
            Do("leave", focus("Rows"), before="slash"),
        ),
    ),
    "sessions": Walk(
        (
            Do("filter", focus("Input"), after="escape"),
            Do("unfilter", says("going-on"), before="slash w i t h h tab"),
            Do("sort(1)", other("text")),
            Do("reverse", other("text"), after="r"),
            Do("compare", screen("Pick"), after="escape"),
            Do("copy_hash", other("clipboard")),
            Do("export", screen("Export"), after="escape"),
        ),
    ),
    "tape": Walk(
        (
            Do("view('commands')", says("6 witnessed"), after="1"),
            Do("view('files')", says("changed since the start"), after="1"),
            Do("view('terminal')", says("Welcome to Claude Code"), after="1"),
            Do("view('compare')", screen("Pick"), after="escape"),
            Do("view('timeline')", screen("Timeline"), before="2"),
            Do("failure(1)", step(8), after="0"),
            Do(
                "failure(-1)",
                step(9),
                before="right_square_bracket right_square_bracket right_square_bracket",
                after="0",
            ),
            Do("jump", screen("Jump"), after="escape"),
            Do("mark", screen("Label"), after="escape"),
            Do("marks", screen("Marks"), before="0 j m l o o k enter wait:2★", after="escape"),
            Do("unmark", says("--unmark"), before="0 j"),
            Do("breakpoint", screen("BreaksDialog"), after="escape"),
            Do("copy_hash", other("clipboard")),
            Do("copy_command", other("clipboard")),
            Do("open", says("pager")),
            Do("export", screen("Export"), after="escape"),
            Do("checkout", screen("Checkout"), after="escape"),
            Do("compare", screen("Pick"), after="escape"),
            Do("follow", says("following"), after="f 0"),
        ),
        ref=FIX,
    ),
    "timeline": Walk(
        (
            Do("out", is_("cursor", 13), before="0 g 1 8 enter"),
            Do("into", is_("cursor", 14), before="0 g 1 8 enter h"),
            Do("alike(1)", step(12), before="0 j j", after="0"),
            Do("alike(-1)", step(3), before="0 g 1 2 enter", after="0"),
            Do("search", focus("Input"), after="escape"),
            Do("unsearch", focus("Rows"), before="slash v a t"),
            Do("speed(1)", says("2 times as fast"), after="less_than_sign"),
            Do("speed(-1)", says("2 times as fast"), before="greater_than_sign greater_than_sign"),
            Do("idle", says("waits 5 s at most")),
            Do("tab(1)", other("text"), after="V"),
            Do("tab(-1)", other("text"), after="v"),
            Do("raw", other("text"), after="R"),
            Do("scroll(1)", other("text"), before="0 g 9 enter", after="K"),
            Do("scroll(-1)", other("text"), before="0 g 9 enter J"),
            Do("play", is_("playing", True), after="k", quick=True),
        ),
        ref=FIX,
        size=(120, 20),
    ),
    "commands": Walk(
        (
            Do("filter", focus("Input"), after="escape"),
            Do("only", other("text"), after="u u"),
            Do("doubt(1)", other("cursor"), before="0", after="0"),
            Do("doubt(-1)", other("cursor"), before="G", after="0"),
            Do("scroll(1)", other("text"), before="0", after="K"),
            Do("scroll(-1)", other("text"), before="0 J"),
            Do("leave", focus("Rows"), before="enter"),
        ),
        ref=FIX,
        keys="2",
        size=(120, 20),
    ),
    "files": Walk(
        (
            Do("change(1)", step(29), after="g 1 enter"),
            Do("change(-1)", step(29), before="g 4 6 enter p", after="g 1 enter"),
            Do("into", other("focus_id"), before="g 4 6 enter 0 j", after="h"),
            Do("out", other("focus_id"), before="l"),
            Do("face(1)", says("as it was after"), before="l", after="V h"),
            Do("face(-1)", other("text"), before="l", after="v h"),
            Do("other_side", other("text"), before="l j", after="x h"),
            Do("everything", other("text"), after="a"),
            Do("tree", other("text"), after="t"),
            Do("filter", focus("Input"), after="escape"),
            Do("scroll(1)", other("text"), before="l", after="K h"),
            Do("scroll(-1)", other("text"), before="l J", after="h"),
        ),
        ref=FIX,
        keys="3",
        size=(120, 16),
    ),
    "terminal": Walk(
        (
            Do("seek(5)", says("0:05"), before="0", after="0"),
            Do("seek(-5)", says("0:46"), before="G", after="0"),
            Do("event(1)", other("text"), before="0", after="0"),
            Do("event(-1)", other("text"), before="G", after="0"),
            Do("command(1)", other("text"), before="0", after="0"),
            Do("command(-1)", other("text"), before="G", after="0"),
            Do("step(1)", step(2), before="g 1 enter"),
            Do("step(-1)", step(1), before="g 2 enter"),
            Do("page(1)", further("number"), before="g 1 enter"),
            Do("page(-1)", back("number"), before="g 4 6 enter"),
            Do("begin", says("0:00"), before="G"),
            Do("end", says("0:51.3/0:51"), before="0", after="0"),
            Do("speed(1)", says("2×"), after="less_than_sign"),
            Do("speed(-1)", says("1×"), before="greater_than_sign"),
            Do("idle", says("≤5s"), after="i i i i"),
            Do("outline", other("text"), after="v"),
            Do("scroll(0, 1)", other("text"), before="0", after="K"),
            Do("scroll(0, -1)", other("text"), before="0 J"),
            Do("scroll(8, 0)", other("text"), before="0", after="H"),
            Do("scroll(-8, 0)", other("text"), before="0 L"),
            Do("play", says("▶"), before="0", after="space 0", quick=True),
        ),
        ref=FIX,
        keys="4",
        size=(70, 16),
    ),
    "compare": Walk(
        (
            Do("difference(1)", other("cursor"), after="0"),
            Do("difference(-1)", other("cursor"), before="G", after="0"),
            Do("face(1)", other("text"), after="V"),
            Do("face(-1)", other("text"), after="v"),
            Do("fold", is_("folded", True), after="z"),
            Do("swap", other("text"), after="x"),
            Do("open_side('a')", screen("Timeline"), after="q"),
            Do("open_side('b')", screen("Timeline"), after="q"),
            Do("again", lambda before, after: before.text == after.text),
            Do("scroll(1)", other("text"), after="K"),
            Do("scroll(-1)", other("text"), before="J"),
        ),
        ref=f"{FIX} {AGAIN}",
        size=(120, 20),
    ),
    "results": Walk(
        (
            Do("search", focus("Input"), after="enter"),
            Do("again", lambda before, after: before.text == after.text),
            Do("copy_hash", other("clipboard")),
        ),
        keys="S v a t enter",
    ),
}


def at_once(key: str) -> str:
    return {"/": "slash", "}": "right_curly_bracket", "{": "left_curly_bracket", "$": "dollar_sign"}.get(key, key)


@pytest.mark.parametrize("place", WALKS)
async def test_every_key_of(place: str, home: Path) -> None:
    walk = WALKS[place]
    rows = {action.name: action for action in actions(place)}
    assert {do.action for do in walk.steps} == rows.keys()
    failed = []
    async with deck(home, *walk.ref.split(), size=walk.size) as pilot:
        await press(pilot, *map(at_once, walk.keys.split()))
        for do in walk.steps:
            for key in rows[do.action].keys:
                failed += await tried(pilot, rows[do.action], key, do)
    assert not failed, "\n\n".join(failed)


async def tried(pilot: Pilot[Any], action: Action, key: str, do: Do) -> list[str]:
    """What is wrong with it."""
    await walked(pilot, do.before)
    pilot.app.clear_notifications()
    await idle(pilot)
    before = Seen.of(pilot)
    await pilot.press(key)
    if not do.quick and action.name != "quit":
        await idle(pilot)
    after = Seen.of(pilot)
    wrong = []
    if not do.check(before, after):
        facts = [
            f.name
            for f in fields(Seen)
            if getattr(before, f.name) != getattr(after, f.name) and f.name not in ("text", "look")
        ]
        differ = {name: (getattr(before, name), getattr(after, name)) for name in facts}
        moved = "\n".join(difflib.unified_diff(before.text.splitlines(), after.text.splitlines(), lineterm="", n=0))
        wrong = [f"{action.id} by {key} ({action.help}): {differ or 'nothing differs'}\n{moved or after.text}"]
    await walked(pilot, do.after)
    return wrong


async def walked(pilot: Pilot[Any], keys: str) -> None:
    """`wait:WORD` among them: what another process writes is read within half a second."""
    for key in keys.split():
        if key.startswith("wait:"):
            await until(pilot, key.removeprefix("wait:"))
        else:
            await press(pilot, at_once(key))


async def until(pilot: Pilot[Any], words: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while words not in shown(pilot):
        assert time.monotonic() < deadline, f"{words!r} is not shown:\n{shown(pilot)}"
        await asyncio.sleep(0.02)
        await idle(pilot)


def test_every_place_has_its_walk() -> None:
    assert WALKS.keys() == PLACES.keys() == {action.on for action in ACTIONS}
