"""A step in full: its tabs, and below them the text of one.

What is shown is made by a worker, a moment after the last key: whoever walks through a session waits for no page.
"""

from __future__ import annotations

from typing import cast

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.timer import Timer
from textual.worker import get_current_worker

from tapes.errors import TapesError
from tapes_cli.deck.model import moment
from tapes_cli.deck.model.document import Document
from tapes_cli.deck.model.pages import TABS, Tab, page
from tapes_cli.deck.model.tape import Tape
from tapes_cli.deck.widgets.reader import Reader
from tapes_cli.deck.widgets.tab_line import TabLine

SETTLE_S = 0.03
"""How long keys must be still before the page of a step is made."""
STATE = "state"
SCROLLED = 5
"""Rows that one key moves the text from afar."""


class StepPane(Vertical):
    DEFAULT_CSS = """
    StepPane > Reader { height: 1fr; padding: 0 1; }
    """

    class Made(Message):
        """A page is there."""

        def __init__(self, number: int, tab: str, document: Document) -> None:
            self.number, self.tab, self.document = number, tab, document
            super().__init__()

    def __init__(self, tape: Tape, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.tape = tape
        self.tabs = TabLine((*TABS, STATE), id="tabs")
        self.reader = Reader(id="reader")
        self.raw = False
        """Bodies as they came, not in a form to read."""
        self._waiting: Timer | None = None
        self._shown = (0, "")

    def compose(self) -> ComposeResult:
        yield self.tabs
        yield self.reader

    def show(self) -> None:
        """The current step, as it was last read."""
        if self._waiting is not None:
            self._waiting.stop()
        self._waiting = self.set_timer(SETTLE_S, self._make_now)

    def _make_now(self) -> None:
        self._make(self.tape.number, self.tabs.current)

    @work(thread=True, exclusive=True, group="page", exit_on_error=False)
    def _make(self, number: int, tab: str) -> None:
        worker, told = get_current_worker(), self.tape.told
        step = told.step(number) if told is not None else None
        if told is None or step is None:
            return
        archive = self.tape.archive
        try:
            if tab == STATE:
                document = Document(moment.blocks(archive, told, step))
            else:
                changed = self.tape.changed(told) if tab == TABS[0] else None
                document = page(cast("Tab", tab), archive, told.view, told.steps, step, changed=changed, raw=self.raw)
        except TapesError as error:
            document = Document.of_text(str(error), style="error")
        if not worker.is_cancelled:
            self.post_message(self.Made(number, tab, document))

    def on_step_pane_made(self, message: Made) -> None:
        if (message.number, message.tab) == (self.tape.number, self.tabs.current):
            self.reader.show(message.document, keep=(message.number, message.tab) == self._shown)
            self._shown = (message.number, message.tab)

    @on(TabLine.Picked)
    def _picked(self, message: TabLine.Picked) -> None:
        self.turn_to(message.name)

    def turn_to(self, tab: str) -> None:
        self.tabs.current = tab
        self._make_now()

    def turn(self, by: int) -> None:
        self.turn_to(self.tabs.beside(by))

    def turn_raw(self) -> bool:
        self.raw = not self.raw
        self._make_now()
        return self.raw

    def scroll_text(self, direction: int) -> None:
        self.reader.move(direction * SCROLLED)
