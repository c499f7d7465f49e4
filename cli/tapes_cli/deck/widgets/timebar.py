"""A recording's time as a bar: where one is in it, and above it where commands, failures, breaks and gaps are."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter

from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tapes_cli.deck.model.screening import Times
from tapes_cli.deck.model.signs import BREAK
from tapes_cli.deck.model.styled import BLANK, Line, Piece, joined, styled, width
from tapes_cli.deck.widgets.palette import strip_of

SIGNS = {
    "$": "a command began",
    "✗": "a step failed",
    "?": "something of the recording is not there",
    BREAK: "playing stops here",
    "▶ ❚❚ ■": "it plays, it does not, nothing more was recorded",
}
"""Above the bar and before it."""


class TimeBar(Widget):
    """Two rows. A click, or moving with the button held, asks for another time."""

    class Sought(Message):
        def __init__(self, at_ns: int) -> None:
            super().__init__()
            self.at_ns = at_ns

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, TimeBar.Sought)

    DEFAULT_CSS = """
    TimeBar { height: 2; background: $panel; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._times: Times | None = None
        self._at_ns = 0
        self._label: Line = BLANK
        self._drawn: tuple[object, ...] = ()
        self._signs: tuple[Times | None, int, Line] = (None, 0, BLANK)

    @property
    def _room(self) -> int:
        return max(2, self.size.width - width(self._label) - 1)

    def show(self, times: Times | None, at_ns: int, label: Line) -> None:
        """`label` stands before the bar; it should keep its width."""
        self._times, self._at_ns, self._label = times, at_ns, label
        drawn = (id(times), label, place_of(at_ns, times.upto_ns, self._room) if times else 0)
        if drawn != self._drawn:
            self._drawn = drawn
            self.refresh()

    def render_line(self, y: int) -> Strip:
        times, room, left = self._times, self._room, width(self._label)
        line = BLANK if y == 0 else self._label
        if times is not None and y == 0:
            if self._signs[0] is not times or self._signs[1] != room:
                self._signs = (times, room, signs_of(times, room))
            line = joined(((" " * left, ""),), self._signs[2])
        elif times is not None:
            line = joined(self._label, bar_of(times.upto_ns, self._at_ns, room))
        return strip_of(self.app, line, self.rich_style, self.size.width)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self.capture_mouse()
        self._seek(event.x)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self.app.mouse_captured is self:
            self._seek(event.x)

    def on_mouse_up(self) -> None:
        self.release_mouse()

    def _seek(self, x: int) -> None:
        if self._times is not None:
            at = min(max(x - width(self._label), 0), self._room - 1)
            self.post_message(self.Sought(time_at(at, self._times.upto_ns, self._room)))


def place_of(at_ns: int, upto_ns: int, room: int) -> int:
    """The column of a time, from 0."""
    return min(room - 1, at_ns * (room - 1) // upto_ns) if upto_ns and at_ns > 0 else 0


def time_at(column: int, upto_ns: int, room: int) -> int:
    """The first time of a column; of the last one the very end."""
    return upto_ns if column >= room - 1 else -(-column * upto_ns // (room - 1))


def signs_of(times: Times, room: int) -> Line:
    """What is where. In one column a break hides a gap, that a failure, that a command."""
    cells: list[Piece] = [(" ", "")] * room
    for found, cell in (
        ([mark.at_ns for mark in times.marks], ("$", "command")),
        (times.failures, ("✗", "error")),
        (times.holes, ("?", "warn")),
        ([stop[0] for stop in times.stops], (BREAK, "error")),
    ):
        for at in found:
            cells[place_of(at, times.upto_ns, room)] = cell
    return tuple(("".join(text for text, _ in run), style) for style, run in groupby(cells, key=itemgetter(1)))


def bar_of(upto_ns: int, at_ns: int, room: int) -> Line:
    at = place_of(at_ns, upto_ns, room)
    return joined(styled("━" * at, "accent"), styled("█", "bold"), styled("─" * (room - at - 1), "dim"))
