"""The time axis above a session: where one is, and what went on around it. A click goes there."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tapes_cli.deck.model.axis import LABEL, Axis
from tapes_cli.deck.model.styled import BLANK
from tapes_cli.deck.widgets.palette import strip_of


class TimeAxis(Widget):
    DEFAULT_CSS = """
    TimeAxis { background: $panel; height: 3; }
    """
    ALLOW_SELECT = False

    class Sought(Message):
        """A click at a time."""

        def __init__(self, wall_ns: int) -> None:
            self.wall_ns = wall_ns
            super().__init__()

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._axis: Axis | None = None
        self._lanes: Sequence[int] = ()
        self._wall_ns = 0

    def show(self, axis: Axis, most: int) -> None:
        """At most so many lanes are drawn; all of them have a row each, so that none is untrue."""
        self._axis, self._lanes = axis, axis.shown(most)
        self.styles.height = 1 + max(1, len(self._lanes))
        self.refresh()

    def go_to(self, wall_ns: int) -> None:
        self._wall_ns = wall_ns
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        width = self.size.width
        if self._axis is not None and event.x >= LABEL:
            self.post_message(self.Sought(self._axis.time(event.x - LABEL, width - LABEL)))

    def render_line(self, y: int) -> Strip:
        width, line = self.size.width, BLANK
        if self._axis is not None and y == 0:
            line = self._axis.ruler(width, self._wall_ns)
        elif self._axis is not None and y - 1 < len(self._lanes):
            line = self._axis.line(self._lanes[y - 1], width, self._wall_ns)
        return strip_of(self.app, line, self.rich_style, width)
