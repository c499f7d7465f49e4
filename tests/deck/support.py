"""The deck in a test: on the shelf's sessions, without a terminal, waited for until nothing of it is under way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual._context import active_app
from textual.app import App
from textual.pilot import Pilot
from textual.timer import Timer
from textual.widgets import Input
from textual.widgets._toast import Toast

from deck.pictures import compare
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.refs import resolve
from tapes_cli.deck.app import Deck, Target
from tapes_cli.deck.keyboard import Typed
from tapes_cli.deck.widgets.box import Ask

SMALL, USUAL, LARGE = (80, 24), (120, 40), (240, 70)
PATIENCE_S = 60.0
"""Until a test gives up on a worker; none takes nearly so long."""


@asynccontextmanager
async def deck(home: Path, *refs: str, size: tuple[int, int] = USUAL) -> AsyncIterator[Pilot[Any]]:
    """The deck on the archive of a home, opened where `refs` say, and at rest."""
    with LmdbArchive.open(home / "archive", readonly=True) as archive:
        found = [resolve(archive, text) for text in refs]
        app = Deck(archive, [Target(one.session, one.step) for one in found])
        async with app.run_test(size=size, notifications=True) as pilot:
            await idle(pilot)
            yield pilot


async def press(pilot: Pilot[Any], *keys: str) -> None:
    """Keys, each at rest again before the next."""
    for key in keys:
        await pilot.app._press_keys([key])
        await idle(pilot)


async def idle(pilot: Pilot[Any]) -> None:
    """Until all that was begun has come to its end: messages, drawing, workers, and timers that run once."""
    until = time.monotonic() + PATIENCE_S
    while True:
        await ran_out()
        if not (waiting := _under_way(pilot.app)):
            pilot.app.screen._on_timer_update()  # what it does sixty times a second
            await ran_out()
            if not (waiting := _under_way(pilot.app) + _undrawn(pilot.app)):
                return
        assert time.monotonic() < until, f"still under way: {waiting}"
        await asyncio.sleep(0.002)


async def ran_out(*_: float) -> None:
    """Until every message that is there has been worked on, and those that this led to: nobody but timers, threads and
    the terminal could set anything going now. It stands in for Textual's way to wait for the same, which guesses it
    from the processor being idle for 20 ms, twice for a key: of these waits most of a test's time was made."""
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
    until = time.monotonic() + PATIENCE_S
    app = active_app.get(None)
    await asyncio.sleep(0)
    while ready or (isinstance(app, Typed) and app._held):  # a key that waits for its screen is not pressed yet
        assert time.monotonic() < until, "messages without end"
        await asyncio.sleep(0 if ready else 0.002)


def _under_way(app: App[Any]) -> list[str]:
    # Notices stay for some seconds, and are there at once.
    pumps = [app, *app.screen_stack, *(one for one in app.screen.walk_children() if not isinstance(one, Toast))]
    timers = [timer for pump in pumps for timer in pump._timers if timer._repeat == 0 and _runs(timer)]
    workers = [worker for worker in app.workers if not worker.is_finished]
    asking = [pump for pump in pumps if isinstance(pump, Ask) and pump.busy]
    return [
        *(f"worker {worker.name}" for worker in workers),
        *(f"timer {timer.name}" for timer in timers),
        *(f"question of {ask}" for ask in asking),
        *(["a movement"] if not app.animator._complete_event.is_set() else []),
    ]


def _undrawn(app: App[Any]) -> list[str]:
    one = app.screen
    undrawn = one._dirty_widgets or one._layout_required or one._repaint_required or one._callbacks
    return ["what is to be drawn"] if undrawn else []


def _runs(timer: Timer) -> bool:
    return timer._task is not None and not timer._task.done()


def screen(pilot: Pilot[Any]) -> list[str]:
    """What stands on the screen, line by line."""
    return [strip.text.rstrip() for strip in pilot.app.screen._compositor.render_strips()]


def shown(pilot: Pilot[Any]) -> str:
    return "\n".join(screen(pilot))


async def picture(pilot: Pilot[Any], name: str, intent: str, folder: Path) -> None:
    """Compare what is shown with the picture that is kept as `name`. `intent`: what it is there to show, in a line."""
    for field in pilot.app.screen.query(Input):
        field.cursor_blink = False
    await idle(pilot)
    compare(pilot.app.export_screenshot(title="tapes deck", simplify=True), name, intent, folder)
