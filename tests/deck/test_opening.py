"""The deck opens where it is asked to, and reads no more than it has to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import tapes_cli.deck
from deck.shelf import FIX
from deck.support import deck, idle, press
from tapes_cli.commands.deck import command
from tapes_cli.deck.app import VIEWS, Deck
from tapes_cli.deck.model.tape import Tape
from tapes_cli.deck.screens.base import TapeScreen
from tapes_cli.deck.screens.sessions import Sessions

DECK = Path(tapes_cli.deck.__path__[0])


@pytest.mark.parametrize("view", VIEWS)
async def test_a_session_is_read_once_and_then_kept(home: Path, view: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    read = TapeScreen.read
    monkeypatch.setattr(TapeScreen, "read", lambda self: (asked.append(self), read(self))[1])
    async with deck(home, FIX) as pilot:
        assert len(asked) == 1
        pilot.app.screen.action_view(view)  # type: ignore[attr-defined]
        await idle(pilot)
        assert len(asked) == 1


def test_no_handler_calls_the_one_of_its_base() -> None:
    """Textual calls those of all classes, the base's last: it would be done twice."""
    found = [path.name for path in DECK.rglob("*.py") if re.search(r"super\(\)\.on_(?!event\b)", path.read_text())]
    assert not found


def test_no_worker_is_described_by_its_arguments() -> None:
    """Textual writes them out otherwise, on the thread that draws: a session of 5,000 steps as 100 MB of text."""
    works = re.compile(r"@work\(([^\n]*)\)\n    (?:async )?def (\w+)\(self, ")
    found = {name: how for path in DECK.rglob("*.py") for how, name in works.findall(path.read_text())}
    assert found and all("description=" in how for how in found.values()), found


@pytest.mark.parametrize("status", [0, 1])
def test_a_fault_that_ends_it_is_its_exit_status(home: Path, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setattr(Deck, "run", lambda self: setattr(self, "_return_code", status))
    assert command.main([], standalone_mode=False) == status


async def test_it_opens_at_a_step(home: Path) -> None:
    async with deck(home, f"{FIX}:12") as pilot:
        tape: Tape = pilot.app.screen.tape  # type: ignore[attr-defined]
        assert (tape.title, tape.number) == (FIX, 12)
        await press(pilot, "q")
        assert isinstance(pilot.app.screen, Sessions)
