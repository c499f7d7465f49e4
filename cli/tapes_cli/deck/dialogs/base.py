"""What all dialogs share: a title, something to fill in, a line that says what it would do, and escape."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.worker import Worker, WorkerState

from tapes_cli.deck.actions import bindings
from tapes_cli.deck.model.styled import BLANK, Line, styled
from tapes_cli.deck.widgets.said import Said


class Dialog[T](ModalScreen[T | None]):
    """Answers with what was chosen, or with None where it was closed."""

    BINDINGS: ClassVar = bindings("dialog")
    DEFAULT_CSS = """
    Dialog { align: center middle; }
    Dialog > Vertical {
        width: 90%; max-width: 100; height: auto; max-height: 90%;
        background: $surface; border: round $primary; padding: 0 1;
    }
    Dialog Input { border: none; height: 1; padding: 0 1; background: $boost; }
    Dialog Input:focus { border: none; }
    Dialog Rows { height: auto; max-height: 12; margin-top: 1; }
    Dialog .field { color: $text-muted; margin-top: 1; }
    Dialog #feedback { margin-top: 1; height: auto; max-height: 8; }
    Dialog #keys { color: $text-muted; margin-top: 1; }
    """
    KEYS = "⏎ do it · esc close"

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = styled(title, "bold")
        self.is_unsettled = False

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Said(id="heading")
            yield from self.body()
            feedback = Said(id="feedback")
            feedback.display = False
            yield feedback
            yield Said(id="keys")

    def body(self) -> ComposeResult:
        """What is filled in."""
        yield from ()

    def on_mount(self) -> None:
        self.query_one("#heading", Said).tell(self._title)
        self.query_one("#keys", Said).tell(styled(self.KEYS))

    def say(self, *lines: Line) -> None:
        """What it would do, or why it can not."""
        shown = [line for line in lines if line]
        self.query_one("#feedback", Said).tell(*(shown or [BLANK]))
        self.query_one("#feedback").display = bool(shown)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A fault of ours costs what it was about to show, not the deck."""
        if event.state == WorkerState.ERROR:
            error = event.worker.error
            self.say(styled(f"a fault of tapes: {type(error).__name__}: {error}", "error"))

    def action_accept(self) -> None:
        """Enter where nothing that has the focus takes it."""

    def action_close(self) -> None:
        self.dismiss(None)


def field(label: str) -> Said:
    """The name of what is below it."""
    said = Said(classes="field")
    said.update(label)
    return said
