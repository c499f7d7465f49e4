"""One of a few words in a line: ←/→ or a click choose, tab goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from tapes_cli.deck.actions import bindings

GAP = 2


class Choice(Widget, can_focus=True):
    DEFAULT_CSS = """
    Choice { height: auto; min-height: 1; padding: 0 1; }
    Choice:focus { background: $boost; }
    """
    BINDINGS: ClassVar = bindings("choice")

    at: reactive[int] = reactive(0)

    class Changed(Message):
        def __init__(self, choice: Choice) -> None:
            self.choice = choice
            super().__init__()

        @property
        def control(self) -> Choice:
            return self.choice

    def __init__(self, options: Sequence[str], chosen: str = "", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.options = list(options)
        self.set_reactive(Choice.at, self.options.index(chosen) if chosen in self.options else 0)

    @property
    def value(self) -> str:
        return self.options[self.at]

    def validate_at(self, at: int) -> int:
        return at % len(self.options)

    def watch_at(self) -> None:
        self.post_message(self.Changed(self))

    def action_choose(self, by: int) -> None:
        self.at += by

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.focus()
        at = event.style.meta.get("option")
        if at is not None:
            self.at = int(at)

    def render(self) -> Text:
        text = Text()
        for n, option in enumerate(self.options):
            text.append(" " * GAP if n else "")
            text.append(f" {option} ", "reverse bold" if n == self.at else "")
            text.apply_meta({"option": n}, len(text) - len(option) - 2)
        return text
