"""A step in full: its tabs, and below them the text of one.

What a page says is read by the worker of its reader, begun a moment after the last key: whoever walks through a session
waits for no page.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.timer import Timer

from tapes_cli.deck.model import moment
from tapes_cli.deck.model.document import Document
from tapes_cli.deck.model.pages import TABS, page, with_own_calls
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

    def __init__(self, tape: Tape, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.tape = tape
        self.tabs = TabLine((*TABS, STATE), id="tabs")
        self.reader = Reader(id="reader")
        self.raw = False
        """Bodies as they came, not in a form to read."""
        self._waiting: Timer | None = None
        self._shown = (0, "", False)

    def compose(self) -> ComposeResult:
        yield self.tabs
        yield self.reader

    def show(self) -> None:
        """The current step, as it was last read."""
        if self._waiting is not None:
            self._waiting.stop()
        self._waiting = self.set_timer(SETTLE_S, self._make)

    def _make(self) -> None:
        told, step, tab = self.tape.told, self.tape.step, self.tabs.current
        if told is None or step is None:
            return
        archive, changed = self.tape.archive, partial(self.tape.changed, told)
        if tab == STATE:
            document = Document(moment.blocks(archive, replace(told, view=with_own_calls(archive, told.view)), step))
        else:
            document = page(tab, archive, told.view, told.steps, step, changed=changed, raw=self.raw)
        what = (step.number, tab, self.raw)
        self.reader.show(document, keep=what == self._shown)
        self._shown = what

    @on(TabLine.Picked)
    def _picked(self, message: TabLine.Picked) -> None:
        self.turn_to(message.name)

    def turn_to(self, tab: str) -> None:
        self.tabs.current = tab
        self._make()

    def turn(self, by: int) -> None:
        self.turn_to(self.tabs.beside(by))

    def turn_raw(self) -> bool:
        self.raw = not self.raw
        self._make()
        return self.raw

    def scroll_text(self, direction: int) -> None:
        self.reader.move(direction * SCROLLED)
