"""A session step by step: its time at the top, its outline at the left, the step in full at the right."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.events import Resize

from tapes_cli import output
from tapes_cli.deck.actions import bindings
from tapes_cli.deck.model.axis import Axis
from tapes_cli.deck.model.nodes import Node
from tapes_cli.deck.model.outline import Outline
from tapes_cli.deck.model.signs import signs
from tapes_cli.deck.model.standing import told_in_a_line
from tapes_cli.deck.model.tape import Tape
from tapes_cli.deck.screens.searching import HIT, Searching
from tapes_cli.deck.widgets.axis import TimeAxis
from tapes_cli.deck.widgets.bar import Bar
from tapes_cli.deck.widgets.rows import Rows
from tapes_cli.deck.widgets.step_pane import StepPane

LANES = ((16, 1), (30, 3), (45, 5))
"""Up to which height of the screen there are how many lanes at most; else MOST_LANES."""
MOST_LANES = 8


class Timeline(Searching):
    BINDINGS: ClassVar = bindings("timeline")
    VIEW = "timeline"

    def __init__(self, tape: Tape) -> None:
        super().__init__(tape)
        self.rows = Rows(id="outline")
        self.time = TimeAxis(id="time")
        self.standing = Bar(id="standing")
        self.pane = StepPane(tape, id="step")
        self.outline: Outline | None = None
        self.axis: Axis | None = None

    def body(self) -> ComposeResult:
        yield self.time
        with Horizontal(id="panes"):
            yield self.rows
            yield self.pane
        yield self.standing
        yield self.ask

    def on_mount(self) -> None:
        self.rows.focus()

    def on_resize(self, event: Resize) -> None:
        self._show_axis()

    def _show_axis(self) -> None:
        if self.axis is not None:
            most = next((lanes for height, lanes in LANES if self.size.height <= height), MOST_LANES)
            self.time.show(self.axis, most)

    # -- what is shown

    def on_grown(self) -> None:
        told = self.tape.told
        assert told is not None
        self.axis = told.axis
        self._show_axis()
        self.outline = Outline.of(told, self.tape.folded)
        self._sign()
        self.rows.show(self.outline, self.outline.row_of(self.tape.number))

    def on_step(self, number: int) -> None:
        told, step = self.tape.told, self.tape.step
        if self.outline is None or told is None or step is None:
            return
        if not self._is_at(self.outline.node(self.rows.cursor), number):
            self.rows.cursor = self.outline.row_of(number)
        self.on_walked()
        self.time.go_to(step.wall_ns)
        self.standing.tell(*told_in_a_line(told.course.at(number, step.thread), told.summary.cwd, told.whole))
        self.pane.show()

    def on_signs(self) -> None:
        if self.outline is not None:
            self._sign()
            self.rows.reload()

    def _sign(self) -> None:
        told, outline = self.tape.told, self.outline
        if told is not None and outline is not None:
            hits = {told.nodes[told.places[number]].number: HIT for number in self.tape.seeking.numbers}
            outline.marks = signs(told, self.tape.stops) | hits

    @staticmethod
    def _is_at(node: Node | None, number: int) -> bool:
        """Is this the row of a step? Reminders that are one row are all there."""
        return node is not None and number in (node.number, *(step.number for step in node.group))

    # -- where one goes

    @on(Rows.Moved, "#outline")
    def _moved(self, message: Rows.Moved) -> None:
        node = self.outline.node(self.rows.cursor) if self.outline else None  # it may have moved on meanwhile
        if node is not None and not self._is_at(node, self.tape.number):
            self.go_to(node.number)

    @on(Rows.Chosen, "#outline")
    def _chosen(self, message: Rows.Chosen) -> None:
        node = self.outline.node(message.index) if self.outline else None
        if node is not None and node.key:
            self._fold(node, node.key not in self.tape.folded)
        else:
            self.pane.reader.focus()

    @on(TimeAxis.Sought)
    def _sought(self, message: TimeAxis.Sought) -> None:
        if self.tape.told is not None:
            self.go_to(self.tape.told.at_time(message.wall_ns))

    def action_into(self) -> None:
        """Unfold the thread; in an open one, to its first step. From a call that started one, to its thread."""
        row = self.rows.cursor
        node = self.outline.node(row) if self.outline else None
        below = self.outline.node(row + 1) if self.outline else None
        if node is not None and node.key and node.key in self.tape.folded:
            self._fold(node, False)
        elif node is not None and (node.key or (below is not None and below.key)):
            self.rows.cursor = row + 1
        else:
            self.notify("no thread begins here")

    def action_out(self) -> None:
        """To the heading of the thread; on the heading, fold it; where it is folded, out to what it hangs below."""
        row = self.rows.cursor
        node = self.outline.node(row) if self.outline else None
        if self.outline is None or node is None:
            return
        if node.key and node.key not in self.tape.folded:
            self._fold(node, True)
            return
        parent = self.outline.parent(row)
        if parent is not None:
            self.rows.cursor = parent
        else:
            self.notify("this is in no other thread")

    def _fold(self, node: Node, folded: bool) -> None:
        assert self.outline is not None
        (self.tape.folded.add if folded else self.tape.folded.discard)(node.key)
        self.outline.fold(self.tape.folded)
        self.rows.reload(self.outline.row_of_heading(node))

    def action_alike(self, direction: int) -> None:
        """While something is searched for, to where it is; else to a step of the type that this one has."""
        told, step, seeking = self.tape.told, self.tape.step, self.tape.seeking
        if told is None or step is None:
            return
        hits = frozenset(seeking.numbers)
        wanted = (lambda other: other.number in hits) if seeking.text else (lambda other: other.type == step.type)
        found = told.nearest(step.number, direction, wanted)
        if found is not None:
            self.go_to(found)
        else:
            what = f"hit of {seeking.text}" if seeking.text else step.type
            where = "behind this one" if direction > 0 else "before this one"
            self.notify(output.harmless(f"no {what} {where}{self.so_far}"), markup=False)

    def action_tab(self, by: int) -> None:
        self.pane.turn(by)

    def action_raw(self) -> None:
        self.notify("as it came" if self.pane.turn_raw() else "in a form to read")

    def action_scroll(self, direction: int) -> None:
        self.pane.scroll_text(direction)
