"""The line above a list that names its columns."""

from __future__ import annotations

from collections.abc import Callable

from textual.strip import Strip
from textual.widget import Widget

from tapes_cli.deck.model.styled import BLANK, Line
from tapes_cli.deck.widgets.palette import strip_of


class Head(Widget):
    DEFAULT_CSS = """
    Head { height: 1; background: $panel; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._line: Callable[[int], Line] = lambda width: BLANK

    def show(self, line: Callable[[int], Line]) -> None:
        self._line = line
        self.refresh()

    def render_line(self, y: int) -> Strip:
        # As wide as the rows below, beside which stands a scrollbar.
        return strip_of(self.app, self._line(self.size.width - 1), self.rich_style, self.size.width)
