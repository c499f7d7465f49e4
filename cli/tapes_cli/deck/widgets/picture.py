"""A recorded terminal's screen, drawn from its cells: nothing recorded reaches the terminal of whoever watches.

It looks dark in a light theme too, with colours of its own for the sixteen that a terminal may choose: programs write
light on dark nearly everywhere, often in colours that they choose themselves, and of what colours the recorded
terminal had nothing is known. Under a theme of the terminal's own colours they are left to the terminal.

What is drawn takes as many columns as the recorded terminal gave it. Textual and terminals count a row as one text, in
which characters may join; so what would join with its neighbour is kept apart, or blanks fill up what it lacks.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import ClassVar

from rich.cells import cell_len
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.events import Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tapes.session.screen import cells
from tapes.session.screen.cells import PLAIN, RGB, Line, Pen, Row
from tapes_cli.deck.model.shot import Shot

_SIXTEEN = (
    *("#000000", "#cd3131", "#0dbc79", "#e5e510", "#2472c8", "#bc3fbc", "#11a8cd", "#e5e5e5"),
    *("#666666", "#f14c4c", "#23d18b", "#f5f543", "#3b8eea", "#d670d6", "#29b8db", "#ffffff"),
)
_JOINERS = dict.fromkeys((0x200D, *range(0xFE00, 0xFE10)))
"""Join what stands in two cells, or make a character as wide as two."""
_TONES = range(0x1F3FB, 0x1F400)
"""Colours of the emoji before them, if they are not kept apart."""


class Picture(ScrollView, can_focus=False):
    """Shows one `Shot`. Where it is larger than there is room for, the cursor's row is among those that are seen; who
    has scrolled away from it is left there. It has no keys of its own: arrows are for going through time."""

    class Seen(Message):
        """What part of the screen is seen has changed; `words` is empty where it is all of it."""

        def __init__(self, picture: Picture, words: str) -> None:
            super().__init__()
            self.picture = picture
            self.words = words

        @property
        def control(self) -> Picture:
            return self.picture

    DEFAULT_CSS = """
    Picture {
        scrollbar-size: 0 0;
        & > .picture--screen { color: #d4d4d4; background: #121212; }
        & > .picture--edge { text-style: dim; }
        &:ansi > .picture--screen { color: ansi_default; background: ansi_default; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"picture--screen", "picture--edge"}

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.shot: Shot | None = None
        self._said = ""

    def show(self, shot: Shot | None) -> None:
        """Draw another screen: of one that has the size of that before only the rows that differ."""
        before, self.shot = self.shot, shot
        if before is None or shot is None or (before.columns, before.rows) != (shot.columns, shot.rows):
            self.virtual_size = Size(shot.columns, shot.rows) if shot else Size()
            self._follow()
            self.refresh()
        else:
            if self._sees(before.y):
                self._follow()
            top = self.scroll_offset.y
            for y in range(top, min(top + self.size.height, shot.rows)):
                if shot.differs(before, y):
                    self.refresh(Region(0, y - top, self.size.width, 1))
        self._say()

    def on_resize(self, event: Resize) -> None:
        self._follow()
        self._say()

    def watch_scroll_x(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_x(old_value, new_value)
        self._say()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._say()

    def seen(self) -> str:
        """Which rows and columns are seen, in words; empty where it is all of them."""
        if not self.shot:
            return ""
        words = []
        sides = (
            ("rows", self.scroll_offset.y, self.size.height, self.shot.rows),
            ("columns", self.scroll_offset.x, self.size.width, self.shot.columns),
        )
        for what, first, room, all_ in sides:
            if room < all_:
                words.append(f"{what} {first + 1}–{first + room} of {all_}")
        return ", ".join(words)

    def _say(self) -> None:
        if (words := self.seen()) != self._said:
            self._said = words
            self.post_message(self.Seen(self, words))

    def _sees(self, y: int) -> bool:
        return self.scroll_offset.y <= y < self.scroll_offset.y + self.size.height

    def _follow(self) -> None:
        if self.shot and not self._sees(self.shot.y):
            room = self.size.height
            # Forced, as whether there is something to scroll is found out only when it is laid out next.
            self.scroll_to(y=max(0, min(self.shot.y - room + 1, self.shot.rows - room)), animate=False, force=True)

    # -- drawing

    def render_line(self, y: int) -> Strip:
        width, left = self.size.width, self.scroll_offset.x
        plain = self.rich_style
        if self.shot is None:
            return Strip.blank(width, plain)
        shot, row = self.shot, y + self.scroll_offset.y
        edge = plain + self.get_component_rich_style("picture--edge", partial=True)
        if row < shot.rows:
            segments = [*self._segments(shot, row), Segment("│", edge)]
        elif row == shot.rows:
            segments = [Segment("─" * shot.columns + "╯", edge)]
        else:
            segments = []
        return Strip(segments).crop(left, left + width).extend_cell_length(width, plain)

    def _segments(self, shot: Shot, y: int) -> Iterator[Segment]:
        base, native = self.get_component_rich_style("picture--screen"), self.app.native_ansi_color
        at = shot.x if shot.cursor and shot.y == y else -1
        for text, pen in pieces(shot.lines[y], shot.columns, at):
            yield Segment(text, base + _style(pen, native))


def pieces(row: Row, columns: int, cursor: int = -1) -> Iterator[tuple[str, Pen]]:
    """A row as texts of one pen each, just so many columns in all. At the cursor the pen is turned around."""
    if not isinstance(row, Line):
        row = Line([" "] * columns, [row] * columns)
    missing = columns - len(row.chars)
    chars, pens = row.chars + [" "] * missing, row.pens + [PLAIN] * missing
    if 0 < cursor < columns and chars[cursor] == "":
        cursor -= 1
    text, pen, before = "", pens[0], ""
    for x in range(columns):
        char, own = chars[x], pens[x]
        if char == "" and x:
            continue
        if x == cursor:
            own = own._replace(flags=own.flags ^ cells.INVERSE)
        if own != pen:
            if text:
                yield text, pen
            text, pen = "", own
        wide = 2 if x + 1 < columns and chars[x + 1] == "" else 1
        if own.flags & cells.HIDDEN:
            char = " " * wide
        elif not char.isascii() or not char:
            char = alone(before if text else "", char, wide)
        text += char
        before = char
    yield text, pen


@lru_cache(maxsize=4096)
def alone(before: str, char: str, columns: int) -> str:
    """A cell's text that takes just so many columns, whatever stands before it."""
    char = char.translate(_JOINERS)
    lacking = columns - (cell_len(before + char) - cell_len(before))
    if not char or ord(char[0]) in _TONES or lacking < 0:
        return " " * columns
    return char + " " * lacking


@lru_cache(maxsize=4096)
def _style(pen: Pen, native: bool) -> Style:
    flags = pen.flags
    return Style(
        color=_colour(pen.foreground, native),
        bgcolor=_colour(pen.background, native),
        bold=bool(flags & cells.BOLD) or None,
        dim=bool(flags & cells.FAINT) or None,
        italic=bool(flags & cells.ITALIC) or None,
        underline=bool(flags & cells.UNDERLINE) or None,
        blink=bool(flags & cells.BLINK) or None,
        reverse=bool(flags & cells.INVERSE) or None,
        strike=bool(flags & cells.STRIKE) or None,
    )


def _colour(number: int, native: bool) -> Color | None:
    if number < 0:
        return None
    if number >= RGB:
        return Color.from_rgb(number >> 16 & 255, number >> 8 & 255, number & 255)
    if native:
        return Color.from_ansi(number)
    if number < 16:
        return Color.parse(_SIXTEEN[number])
    return Color.from_triplet(Color.from_ansi(number).get_truecolor())
