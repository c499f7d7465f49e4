"""Some lines above a list, wrapped; as high as they are, up to a few."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.widgets import Static

from tapes_cli.deck.model.styled import Line
from tapes_cli.deck.widgets.palette import style_of


class Words(Static):
    DEFAULT_CSS = """
    Words { height: auto; max-height: 7; padding: 0 1; background: $boost; }
    .-narrow Words { max-height: 4; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)

    def show(self, lines: Sequence[Line]) -> None:
        text = Text("\n").join(
            Text().join([Text(piece, style_of(self.app, style)) for piece, style in line]) for line in lines
        )
        self.update(text)
