"""A screen drawn in the terminal of whoever watches: with sequences of our own making only.

What is drawn are cells, which hold no control characters; colours come from their pens. Each row that has changed is
drawn whole, and behind every character that terminals may disagree about the place is set anew, so that one wide
emoji can not shift the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tapes.session.screen import sgr
from tapes.session.screen.cells import PLAIN, Line, Row
from tapes.session.screen.vt import Screen

ENTER = "\x1b[?1049h\x1b[?7l\x1b[?25l\x1b[2J"
LEAVE = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"


def coloured(row: Row, columns: int, *, placed: bool = False) -> str:
    """A row with our own colours, cut to so many columns; reset at its end. `placed`: with the column set where
    terminals may differ."""
    if not isinstance(row, Line):
        row = Line([" "] * columns, [row] * columns) if row != PLAIN else Line()
    drawn, pen, at = [], PLAIN, 0
    for at, (char, of) in enumerate(zip(row.chars[:columns], row.pens, strict=False), 1):
        if not char:
            continue
        if at < len(row.chars) and row.chars[at] == "" and at == columns:
            break  # the half of a wide character
        if of != pen:
            pen = of
            drawn.append(sgr.sequence(pen))
        drawn.append(char)
        if placed and not char.isascii():
            wide = at < len(row.chars) and row.chars[at] == ""
            drawn.append(f"\x1b[{at + 1 + wide}G")
    text = "".join(drawn)
    return text + "\x1b[0m" if pen != PLAIN else text


def printed(screen: Screen, ansi: bool) -> Iterator[str]:
    """The screen's rows to print one below the other, without empty ones at the end."""
    rows, texts = screen.lines(), screen.text()
    filled = len(rows)
    while filled and not texts[filled - 1] and (not ansi or rows[filled - 1] == PLAIN):
        filled -= 1
    for row, text in zip(rows[:filled], texts, strict=False):
        yield coloured(row, screen.columns).rstrip(" ") if ansi else text


class Canvas:
    """What is on the watcher's terminal, so that only what differs is written."""

    def __init__(self) -> None:
        self._shown: dict[int, str] = {}
        self._size = (0, 0)

    def draw(self, screen: Screen, size: tuple[int, int], status: str) -> str:
        """What to write so that a terminal of this size shows the screen and, in its last row, the status. What has
        no room is cut; the rows around the cursor are those that are shown."""
        out = []
        if size != self._size:
            self._shown, self._size = {}, size
            out.append("\x1b[0m\x1b[2J")
        columns, rows = size
        room = max(0, rows - 1)
        top = first_row(screen, room)
        drawn: Sequence[Row] = screen.lines()[top : top + room]
        wanted = {y: coloured(row, min(columns, screen.columns), placed=True) for y, row in enumerate(drawn)}
        y = screen.y - top
        if screen.cursor_shown and screen.x < columns and y in wanted:
            wanted[y] += f"\x1b[{screen.x + 1}G\x1b[7m{_at(drawn[y], screen.x)}\x1b[0m"
        wanted |= dict.fromkeys(range(len(drawn), room), "")
        wanted[rows - 1] = f"\x1b[7m{status}\x1b[K\x1b[0m"
        for y, text in wanted.items():
            if self._shown.get(y) != text:
                out.append(f"\x1b[{y + 1};1H\x1b[0m\x1b[K{text}")
        self._shown = wanted
        return "".join(out)


def first_row(screen: Screen, room: int) -> int:
    """The topmost row shown where there is room for only so many: the cursor's row is among them."""
    return max(0, min(screen.y - room + 1, screen.rows - room))


def _at(row: Row, x: int) -> str:
    return (row.chars[x] if isinstance(row, Line) and x < len(row.chars) else "") or " "
