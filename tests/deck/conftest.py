"""An archive for the deck's tests, made once a run; and a world around it that is the same everywhere."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from deck import shelf
from deck.support import ran_out
from tapes.session import prices
from tapes.session.usage import Tokens


@pytest.fixture(scope="session")
def the_shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nobody may write to it: `home` is a copy."""
    home = tmp_path_factory.mktemp("shelf") / "home"
    shelf.fill(home)
    return home


@pytest.fixture
def home(the_shelf: Path, tmp_path: Path) -> Path:
    return shelf.copied(the_shelf, tmp_path / "home")


@pytest.fixture(autouse=True)
def same_everywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Time zone, terminal, and prices of no list that changes."""
    for name in [
        name for name in os.environ if name.startswith(("TAPES_", "TEXTUAL")) and name != "TAPES_NEW_PICTURES"
    ]:
        monkeypatch.delenv(name)
    for name in ("NO_COLOR", "COLORTERM", "SSH_CONNECTION", "TMUX", "PAGER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("TAPES_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(prices, "version", lambda: "1.0")
    monkeypatch.setattr(prices, "price", _price)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def no_idle_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever drives a screen by Textual's pilot goes on when it is at rest, not when the processor seems to be."""
    monkeypatch.setattr("textual.app.wait_for_idle", ran_out)
    monkeypatch.setattr("textual.pilot.wait_for_idle", ran_out)


def _price(tokens: Tokens, model: str, url: str, wall_ns: int) -> Decimal | None:
    return Decimal(tokens.given + 5 * tokens.output) / 1_000_000 if model else None
