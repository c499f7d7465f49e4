"""Pictures of every screen: at three sizes, dark and light, without colour, and on contents that are broken or hostile.

Each has one line of intent: what somebody who looks at it is to see.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from deck.shelf import AGAIN, DAMAGED, FIX, HOSTILE, OPEN, WITHHELD
from deck.support import LARGE, SMALL, USUAL, deck, picture, press
from tapes.archive.lmdb_archive import LmdbArchive


@dataclass(frozen=True)
class View:
    intent: str
    refs: str = ""
    keys: str = ""
    sizes: tuple[tuple[int, int], ...] = (SMALL, USUAL)


VIEWS = {
    "sessions": View(
        "a session a row, the newest first; whose, when, how long, how it ended", sizes=(SMALL, USUAL, LARGE)
    ),
    "sessions-filter": View("what is left of them, and where the words stand", keys="slash v a t"),
    "timeline": View(
        "threads that hang on their calls, commands under theirs, failures in red; the axis above, the step beside",
        f"{FIX}:8",
        sizes=(SMALL, USUAL, LARGE),
    ),
    "timeline-request": View("what was new in the request that the step is of", f"{FIX}:9", "v v v v", (USUAL,)),
    "timeline-search": View(
        "hits with their sign, how many there are, and which is the current", FIX, "slash v a t enter", (USUAL,)
    ),
    "timeline-open": View("a session that goes on: an answer on its way, a command that runs", OPEN, "", (USUAL,)),
    "timeline-damaged": View("the damage said at its steps, all others there", f"{DAMAGED}:6", "", (USUAL,)),
    "timeline-withheld": View("what is withheld, by whom and why", f"{WITHHELD}:4", "", (USUAL,)),
    "timeline-hostile": View("escapes, markup, bidi and wide characters as text, in their columns", f"{HOSTILE}:4"),
    "commands": View("each command with what it was asked as, its exit, and its verdict in colour", FIX, "2 j j j j"),
    "files": View("what changed, its versions, and the diff that a step made", f"{FIX}:46", "3"),
    "terminal": View("the screen as it was then, beside the outline", f"{FIX}:12", "4"),
    "compare": View("two runs beside one another from where they part", f"{FIX} {AGAIN}", "n", (SMALL, USUAL, LARGE)),
    "results": View("hits in all sessions, with the words around them", keys="S v a t enter"),
    "help": View("every key of the screen, and what its signs mean", FIX, "question_mark"),
    "palette": View("the actions that are possible here, by their names", FIX, "ctrl+p m a", (USUAL,)),
    "jump": View("where a hash leads, before one goes there", FIX, "g 1 2", (USUAL,)),
    "breaks": View("where playing stops", FIX, "b", (USUAL,)),
}  # fmt: skip


@pytest.mark.parametrize(("name", "size"), [(name, size) for name, view in VIEWS.items() for size in view.sizes])
async def test_the_picture_of(name: str, size: tuple[int, int], home: Path, tmp_path: Path) -> None:
    view = VIEWS[name]
    async with deck(home, *view.refs.split(), size=size) as pilot:
        await press(pilot, *view.keys.split())
        await picture(pilot, f"{name}-{size[0]}x{size[1]}", view.intent, tmp_path)


@pytest.mark.parametrize(("name", "ref"), [("sessions", ""), ("timeline", f"{FIX}:8"), ("commands", f"{FIX}:39")])
async def test_the_light_picture_of(name: str, ref: str, home: Path, tmp_path: Path) -> None:
    async with deck(home, *ref.split(), size=SMALL) as pilot:
        await press(pilot, "ctrl+t", *("2" if name == "commands" else ""))
        await picture(pilot, f"{name}-light", "everything to be read on a light ground", tmp_path)


@pytest.mark.parametrize(("name", "ref"), [("sessions", ""), ("timeline", f"{FIX}:8"), ("commands", f"{FIX}:39")])
async def test_the_picture_without_colour_of(
    name: str, ref: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with deck(home, *ref.split(), size=SMALL) as pilot:
        await press(pilot, *("2" if name == "commands" else ""))
        await picture(pilot, f"{name}-no-colour", "the row of the cursor reversed, failures told by signs", tmp_path)


async def test_the_picture_of_an_empty_archive(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o700)
    LmdbArchive.open(tmp_path / "home" / "archive", create=True).close()
    async with deck(tmp_path / "home", size=SMALL) as pilot:
        await picture(pilot, "empty", "what to type first", tmp_path)
