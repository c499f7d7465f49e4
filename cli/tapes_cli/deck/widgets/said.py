"""A few lines of a dialog, drawn from the model's pieces: nothing in them is markup."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from tapes_cli.deck.model.styled import Line
from tapes_cli.deck.widgets.palette import style_of


class Said(Static):
    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes, markup=False)
        self._lines: tuple[Line, ...] = ()

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _: self.tell(*self._lines))

    def tell(self, *lines: Line) -> None:
        self._lines = lines
        text = Text(overflow="fold")
        for n, line in enumerate(lines):
            text.append("\n" if n else "")
            for piece, style in line:
                text.append(piece, style_of(self.app, style))
        self.update(text)
