"""Names in a line, of which one is shown: tabs, a click on which is a choice."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from tapes_cli.deck.model.styled import fitted, joined, styled
from tapes_cli.deck.widgets.palette import strip_of


class TabLine(Widget):
    DEFAULT_CSS = """
    TabLine { height: 1; background: $panel; }
    """
    ALLOW_SELECT = False

    current: reactive[str] = reactive("")

    class Picked(Message):
        """Another one was clicked."""

        def __init__(self, tabs: TabLine, name: str) -> None:
            self.tabs, self.name = tabs, name
            super().__init__()

        @property
        def control(self) -> TabLine:
            return self.tabs

    def __init__(self, names: Sequence[str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.names = names
        self.set_reactive(TabLine.current, names[0])

    def beside(self, by: int) -> str:
        """The name so many places further, in a circle."""
        return self.names[(self.names.index(self.current) + by) % len(self.names)]

    def on_click(self, event: events.Click) -> None:
        ends = accumulate(len(name) + 2 for name in self.names)
        picked = next((name for name, end in zip(self.names, ends, strict=True) if event.x < end), None)
        if picked is not None and picked != self.current:
            self.post_message(self.Picked(self, picked))

    def render_line(self, y: int) -> Strip:
        line = joined(*(styled(f" {one} ", "reverse bold" if one == self.current else "dim") for one in self.names))
        return strip_of(self.app, fitted(line, self.size.width), self.rich_style, self.size.width)
