"""A label for a step; and the list of a session's marks, to go to them or take them back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.widgets import Input

from tapes.session.marks import MOST, SIGN
from tapes.session.view import Step
from tapes.values import dataclass
from tapes_cli.deck.actions import bindings
from tapes_cli.deck.dialogs.base import Dialog
from tapes_cli.deck.model.spots import step_line
from tapes_cli.deck.model.styled import fitted, joined, styled
from tapes_cli.deck.model.tape import Told
from tapes_cli.deck.widgets.rows import Lines, Rows


class Label(Dialog[str]):
    """Asks for a label; answers with it."""

    KEYS = "⏎ mark · esc close"

    def __init__(self, told: Told, step: Step) -> None:
        super().__init__(f"Mark step {step.number}")
        self._told, self._step = told, step

    def body(self) -> ComposeResult:
        yield Input(placeholder="a label, such as: the wrong turn", id="label")

    def on_mount(self) -> None:
        there = [styled(f"{SIGN} {label}", "note") for label in self._step.facts.get("marks", ())]
        self.say(step_line(self._told, self._step), *there)

    @on(Input.Submitted, "#label")
    def _submitted(self, message: Input.Submitted) -> None:
        label = " ".join(message.value.split())
        size = len(label.encode("utf-8", "surrogateescape"))
        if size > MOST:
            self.say(styled(f"a label has {MOST} bytes at most, and this one {size}", "error"))
        elif label:
            self.dismiss(label)
        else:
            self.say(styled("a mark has a label", "error"))


@dataclass(frozen=True, slots=True)
class Marked:
    number: int
    unmark: bool = False


class Marks(Dialog[Marked]):
    """The steps that are marked; answers with one, to go to or to take the marks from."""

    BINDINGS: ClassVar = bindings("marks")
    KEYS = "⏎ go · x take its marks back · esc close"

    def __init__(self, told: Told, steps: Sequence[Step]) -> None:
        super().__init__("Marks")
        self._told, self._steps = told, steps

    def body(self) -> ComposeResult:
        yield Rows(id="marks")

    def on_mount(self) -> None:
        rows = self.query_one("#marks", Rows)
        rows.show(Lines([self._line(step) for step in self._steps]))
        rows.focus()

    def _line(self, step: Step) -> tuple[tuple[str, str], ...]:
        labels = styled(f"{SIGN} " + f" {SIGN} ".join(step.facts["marks"]), "note")
        return joined(fitted(labels, 44), styled("  "), step_line(self._told, step))

    @on(Rows.Chosen, "#marks")
    def _chosen(self, message: Rows.Chosen) -> None:
        self.dismiss(Marked(self._steps[message.index].number))

    def action_unmark(self) -> None:
        self.dismiss(Marked(self._steps[self.query_one("#marks", Rows).cursor].number, unmark=True))
