"""The deck: `tapes deck`. Opens the screens that were asked for and changes between them; all reading is done by the
models in worker threads, all writing by other verbs in processes of their own (`running.py`)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import ClassVar

from textual.filter import Monochrome, NoColor
from textual.notifications import SeverityLevel

from tapes.archive.base import Archive
from tapes.archive.refs import name_of
from tapes.record.digest import Digest
from tapes.values import dataclass
from tapes_cli.deck.actions import bindings
from tapes_cli.deck.finder import Finder
from tapes_cli.deck.keyboard import Typed
from tapes_cli.deck.model.shelf import Shelf
from tapes_cli.deck.model.tape import Seeking, Tape
from tapes_cli.deck.running import LONG_S, SHORT_S, Then, ran, typed
from tapes_cli.deck.screens.base import TapeScreen
from tapes_cli.deck.screens.sessions import Sessions
from tapes_cli.home import home
from tapes_cli.output import harmless

COPY_SHOWN = 200
"""Characters of what was copied that a notice has."""
SWITCH_S = 0.001
"""How long a worker may keep the interpreter from whoever answers a key."""
VIEWS = {
    "timeline": ("timeline", "Timeline"),
    "commands": ("commands", "Commands"),
    "files": ("files", "FilesScreen"),
    "terminal": ("terminal", "Terminal"),
    "compare": ("compare", "CompareScreen"),
}
"""The screens of a session: module and class."""
DARK, LIGHT = "textual-dark", "textual-light"


@dataclass(frozen=True, slots=True)
class Target:
    """What to open: a session, one of its steps."""

    session: Digest
    number: int | None = None


class Deck(Typed):
    TITLE = "tapes"
    CSS_PATH = "deck.tcss"
    BINDINGS: ClassVar = bindings("deck")
    ENABLE_COMMAND_PALETTE = True
    COMMANDS: ClassVar = {Finder}

    def __init__(self, archive: Archive, targets: Sequence[Target] = ()) -> None:
        """One target opens there, two are compared."""
        super().__init__()
        self.archive, self.home = archive, home().absolute()
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

    def open_tape(
        self, session: Digest, number: int | None = None, view: str = "timeline", *, seeking: str = ""
    ) -> None:
        """Open a session on top of what is open, at a step; without one at its first. `seeking`: a query that led
        there, and goes on to further places in it."""
        tape = Tape(self.archive, session, seeking=Seeking(seeking, brought=bool(seeking)))
        if number is not None:
            tape.number = number
        self.push_screen(view_of(tape, view))

    def show_view(self, tape: Tape, view: str) -> None:
        """Another screen of the same session, in place of the one that is open."""
        self.switch_screen(view_of(tape, view))

    def compare(self, one: Target, other: Target) -> None:
        """Put two sessions side by side. The one that is open is not read again."""
        from tapes_cli.deck.screens.compare import CompareScreen

        here = self.screen
        is_open = isinstance(here, TapeScreen) and here.tape.session == one.session
        tape = here.tape if is_open and isinstance(here, TapeScreen) else Tape(self.archive, one.session)
        if one.number is not None:
            tape.number = one.number
        self.push_screen(CompareScreen(tape, other.session))

    async def action_back(self) -> None:
        if len(self.screen_stack) > 2:
            self.pop_screen()
        else:
            self.exit()

    def action_dark(self) -> None:
        self.theme = LIGHT if self.current_theme.dark else DARK

    def action_help(self) -> None:
        from tapes_cli.deck.screens.help import Help

        self.push_screen(Help.of(self.screen))

    # -- for what the screens do

    def ref_of(self, session: Digest) -> str:
        """What a person would type for a session: its name, else the beginning of its hash."""
        return name_of(self.archive, session) or session.short()

    def do(self, *words: str, then: Then | None = None) -> None:
        """Run another verb, and say what came of it."""
        self.run_worker(self._do(words, then), group="verbs")

    async def _do(self, words: tuple[str, ...], then: Then | None) -> None:
        try:
            done = await asyncio.to_thread(ran, self.home, words)
        except (OSError, ValueError) as error:
            self.notify(str(error), title=typed(words), severity="error", timeout=LONG_S, markup=False)
            return
        self.clear_notifications()  # they would stand on one another
        severity: SeverityLevel = "error" if done.status else "information"
        long = done.status or "\n" in done.notice
        self.notify(
            done.notice, title=done.command, severity=severity, timeout=LONG_S if long else SHORT_S, markup=False
        )
        if then is not None:
            then(done)

    def copy(self, text: str, what: str) -> None:
        """By the terminal's own means (OSC 52), which say nothing back. Controls in it become visible: pasted into a
        shell they would do what they say."""
        clean = harmless(text, lines=True)
        self.copy_to_clipboard(clean)
        first = clean.split("\n", 1)[0]
        shown = first if first == clean and len(first) <= COPY_SHOWN else first[:COPY_SHOWN] + " …"
        changed = "" if clean == text else ", its control characters made visible"
        self.notify(shown, title=f"sent to the terminal's clipboard: {what}{changed}", markup=False)

    def pick_session(self) -> None:
        from tapes_cli.deck.dialogs.pick import Pick

        def open_it(session: Digest | None) -> None:
            if session is not None:
                self.open_tape(session)

        self.push_screen(Pick("Go to session", self.shelf), open_it)

    def export(self, session: Digest, number: int | None = None) -> None:
        from tapes_cli.deck.dialogs.export import Export

        def write(words: tuple[str, ...] | None) -> None:
            if words is not None:
                self.do(*words)

        self.push_screen(Export(self.ref_of(session), number), write)

    def action_results(self) -> None:
        from tapes_cli.deck.screens.results import Results

        self.push_screen(Results(self.archive))


def view_of(tape: Tape, view: str) -> TapeScreen:
    """The screens of a session, each imported when it is first opened. KeyError for one that there is not."""
    module, name = VIEWS[view]
    found: type[TapeScreen] = getattr(import_module(f"tapes_cli.deck.screens.{module}"), name)
    return found(tape)
