"""The pictures of docs/deck.md: what the deck shows of the two runs that `tapes demo` records.

    python docs/pictures/make.py [folder]

The demo is recorded anew, in a temporary home and on a terminal of its own, and each screen is opened by its keys. So
the pictures are true, and differ from one making to the next by what demos differ in: hashes, times, folders. No
network is asked, not even for a font. It needs the native supervisor, which an installation with a C compiler has.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "tests"))

from deck.pictures import plain
from deck.support import deck, press
from tapes_addons.terminal.supervisor import PROGRAM
from terminal import clean_environ, terminal

SIZE = (120, 34)
FIRST, SECOND = "demo-a", "demo-b"
SCREENS = {
    "sessions": ("", ""),
    "timeline": (FIRST, "right_square_bracket"),
    "context": (SECOND, "right_square_bracket right_square_bracket v v v v"),
    "commands": (SECOND, "2 j"),
    "files": (SECOND, "G 3"),
    "terminal": (FIRST, "G 4"),
    "compare": (f"{FIRST} {SECOND}", "n"),
    "results": ("", "S s h i p p i n g enter"),
    "help": (FIRST, "question_mark"),
}
"""By the name of the picture: what is opened, and which keys are pressed."""


def record(home: Path) -> None:
    """`tapes demo` on a terminal, as somebody called alice types it."""
    environ = clean_environ(home.parent, TAPES_HOME=str(home), TERM="xterm-256color", LOGNAME="alice", USER="alice")
    with terminal([sys.executable, "-m", "tapes_cli", "demo"], environ, home.parent) as screen:
        screen.resize(100, 28)
        if screen.wait():
            raise SystemExit(bytes(screen.shown).decode("utf-8", "replace"))


async def draw(home: Path, folder: Path) -> None:
    for name, (refs, keys) in SCREENS.items():
        async with deck(home, *refs.split(), size=SIZE) as pilot:
            await press(pilot, *keys.split())
            svg = plain(pilot.app.export_screenshot(title=f"tapes deck {refs}".strip(), simplify=True))
            (folder / f"{name}.svg").write_text(svg, "utf-8")


def main() -> None:
    if not PROGRAM.exists():
        raise SystemExit("the native supervisor is not built: without it the commands of the demo have no output")
    folder = Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).parent
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        home = Path(place) / "tapes"
        os.environ["TAPES_HOME"] = str(home)
        record(home)
        asyncio.run(draw(home, folder))


if __name__ == "__main__":
    main()
