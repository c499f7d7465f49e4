"""What to find in the text that is shown."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.widgets import Input

from tapes_cli.deck.dialogs.base import Dialog


class Find(Dialog[str]):
    KEYS = "⏎ find, n and N go on · nothing: no longer · esc close"

    def __init__(self, text: str) -> None:
        super().__init__("Find in this text")
        self._text = text

    def body(self) -> ComposeResult:
        yield Input(self._text, placeholder="words as they stand there", id="words")

    @on(Input.Submitted, "#words")
    def _submitted(self, message: Input.Submitted) -> None:
        self.dismiss(message.value)
