"""A session step by step: its outline at the left, the step in full at the right."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Static

from tapes_cli.deck.actions import bindings
from tapes_cli.deck.model.outline import Outline
from tapes_cli.deck.model.tape import Tape
from tapes_cli.deck.screens.base import TapeScreen
from tapes_cli.deck.widgets.rows import Rows


class Timeline(TapeScreen):
    BINDINGS: ClassVar = bindings("timeline")
    VIEW = "timeline"

    def __init__(self, tape: Tape) -> None:
        super().__init__(tape)
        self.rows = Rows(id="outline")
        self.outline: Outline | None = None

    def body(self) -> ComposeResult:
        with Horizontal(id="panes"):
            yield self.rows
            yield Static("", id="step", markup=False)

    def on_mount(self) -> None:
        super().on_mount()
        self.rows.focus()

    def on_grown(self) -> None:
        told = self.tape.told
        assert told is not None
        self.outline = Outline.of(told, self.tape.folded)
        self.rows.show(self.outline, self.outline.row_of(self.tape.number))

    def on_step(self, number: int) -> None:
        if self.outline is None:
            return
        row = self.outline.row_of(number)
        node = self.outline.node(self.rows.cursor)
        if node is None or number not in (node.number, *(step.number for step in node.group)):
            self.rows.cursor = row
        step = self.tape.step
        self.query_one("#step", Static).update(step.text[:5000] if step else "")

    @on(Rows.Moved, "#outline")
    def _moved(self, message: Rows.Moved) -> None:
        node = self.outline.node(message.index) if self.outline else None
        if node is not None and self.tape.told is not None and self.tape.told.step(node.number):
            self.go_to(node.number)
