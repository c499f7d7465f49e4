"""The deck: `tapes deck`. Opens the screens that were asked for and changes between them; all reading is done by the
models in worker threads, all writing by other verbs in processes of their own (`running.py`)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import ClassVar

from textual.app import App
from textual.filter import Monochrome, NoColor

from tapes.archive.base import Archive
from tapes.record.digest import Digest
from tapes.values import dataclass
from tapes_cli.deck.actions import bindings
from tapes_cli.deck.model.shelf import Shelf
from tapes_cli.deck.model.tape import Tape
from tapes_cli.deck.screens.base import TapeScreen
from tapes_cli.deck.screens.sessions import Sessions

SWITCH_S = 0.001
"""How long a worker may keep the interpreter from whoever answers a key."""
DARK, LIGHT = "textual-dark", "textual-light"


@dataclass(frozen=True, slots=True)
class Target:
    """What to open: a session, one of its steps."""

    session: Digest
    number: int | None = None


class Deck(App[None]):
    TITLE = "tapes"
    CSS_PATH = "deck.tcss"
    BINDINGS: ClassVar = bindings("deck")
    ENABLE_COMMAND_PALETTE = True

    def __init__(self, archive: Archive, targets: Sequence[Target] = ()) -> None:
        """One target opens there, two are compared."""
        super().__init__()
        self.archive = archive
        self.shelf = Shelf(archive)
        self._targets = targets
        self._switch = sys.getswitchinterval()
        # NO_COLOR means none at all (no-color.org); greys are colours to a terminal.
        self._filters = [NoColor() if isinstance(one, Monochrome) else one for one in self._filters]

    def on_mount(self) -> None:
        sys.setswitchinterval(SWITCH_S)
        self.theme = DARK
        self.push_screen(Sessions(self.shelf))
        match self._targets:
            case [one]:
                self.open_tape(one.session, one.number)
            case [one, other]:
                self.compare(one, other)
            case _:
                pass

    def on_unmount(self) -> None:
        sys.setswitchinterval(self._switch)

    def open_tape(self, session: Digest, number: int | None = None, view: str = "timeline") -> None:
        """Open a session on top of what is open, at a step; without one at its first."""
        tape = Tape(self.archive, session)
        if number is not None:
            tape.number = number
        self.push_screen(view_of(tape, view))

    def show_view(self, tape: Tape, view: str) -> None:
        """Another screen of the same session, in place of the one that is open."""
        self.switch_screen(view_of(tape, view))

    def compare(self, one: Target, other: Target) -> None:
        self.open_tape(one.session, one.number)

    async def action_back(self) -> None:
        if len(self.screen_stack) > 2:
            self.pop_screen()
        else:
            self.exit()

    def action_dark(self) -> None:
        self.theme = LIGHT if self.current_theme.dark else DARK

    def action_help(self) -> None:
        self.action_show_help_panel()

    def action_results(self) -> None:
        self.notify("not yet")


def view_of(tape: Tape, view: str) -> TapeScreen:
    """The screens of a session, each imported when it is first opened."""
    from tapes_cli.deck.screens.timeline import Timeline

    return Timeline(tape)
