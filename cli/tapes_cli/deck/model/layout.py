"""Where the rows of a document stand at a width.

Only parts that are looked at are drawn and broken into rows, so a resize costs the same whatever was read. How high the
others are is estimated; so a place is never a number of rows from the top, but a row of a part, and moving from there
is exact. The number of rows from the top is for the scrollbar.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from rich.cells import cell_len

from tapes_cli.deck.model.document import Document, Place
from tapes_cli.deck.model.styled import Line, words
from tapes_cli.deck.model.wrapping import rows

LINE = 16
"""What a line costs beside its characters."""
KEPT = 32
"""Parts that stay drawn."""
EXACT = 16 * 1024
"""Characters at the beginning that are not estimated: so the scrollbar of what is not long is exact."""


class Spot(NamedTuple):
    """A row: of which part, and which of its rows."""

    part: int
    row: int


class Row(NamedTuple):
    """A row of a drawn part: a stretch of one of its lines."""

    line: int
    start: int
    stop: int


class Drawn(NamedTuple):
    """A part as it is shown."""

    lines: Sequence[Line]
    rows: Sequence[Row]


class Layout:
    """Of one document, at one width. Of one thread."""

    def __init__(self, document: Document, columns: int, *, wrap: bool = True) -> None:
        self.document, self.columns, self.wrap = document, max(2, columns), wrap
        self.widest = 0
        """Columns of the longest line that was drawn, where lines are not broken."""
        self._heights: list[int] = []
        self._starts: list[int] = []
        self._drawn: OrderedDict[int, Drawn] = OrderedDict()
        self._begin = 0
        self.grow()

    def grow(self) -> None:
        """Take in what was read since."""
        begin = len(self._heights)
        new = self.document.parts[begin:]
        if not new:
            return
        columns = self.columns if self.wrap else sys.maxsize
        self._heights += [max(part.count, len(part.text) // columns) for part in new]
        self._starts.clear()
        for number, part in enumerate(new, begin):
            if self._begin >= EXACT:
                break
            self._begin += len(part.text) + LINE * part.count
            self.draw(number)

    def draw(self, number: int) -> Drawn:
        found = self._drawn.get(number)
        if found is None:
            lines = self.document.parts[number].lines()
            found = Drawn(lines, list(self._rows(lines)))
            self._drawn[number] = found
            if len(self._drawn) > KEPT:
                self._drawn.popitem(last=False)
            if self._heights[number] != len(found.rows):
                self._heights[number] = len(found.rows)
                self._starts.clear()
        self._drawn.move_to_end(number)
        return found

    def _rows(self, lines: Sequence[Line]) -> list[Row]:
        found: list[Row] = []
        for number, line in enumerate(lines):
            text = words(line)
            if not self.wrap:
                self.widest = max(self.widest, cell_len(text))
            spans = rows(text, self.columns) if self.wrap else [(0, len(text))]
            found += [Row(number, start, stop) for start, stop in spans]
        return found

    # -- places

    @property
    def total(self) -> int:
        """Rows, as far as is known."""
        return self._sums()[-1]

    def y(self, spot: Spot) -> int:
        """Rows above it."""
        return self._sums()[min(spot.part, len(self._heights))] + spot.row

    def at(self, y: int) -> Spot:
        """The row that is about so far from the top."""
        if y <= 0 or not self._heights:
            return Spot(0, 0)
        sums = self._sums()
        if y >= sums[-1]:
            return self.last
        part = bisect_right(sums, y) - 1
        return Spot(part, min(y - sums[part], len(self.draw(part).rows) - 1))

    def _sums(self) -> list[int]:
        if not self._starts:
            self._starts = [0, *accumulate(self._heights)]
        return self._starts

    @property
    def last(self) -> Spot:
        """The last row of what was read."""
        end = len(self._heights) - 1
        return Spot(end, len(self.draw(end).rows) - 1) if end >= 0 else Spot(0, 0)

    def moved(self, spot: Spot, by: int) -> Spot:
        """The row that is just so far below it, or above; the first or last one where there are not so many."""
        part, row = spot.part, spot.row + by
        while row < 0:
            if part == 0:
                return Spot(0, 0)
            part -= 1
            row += len(self.draw(part).rows)
        while part < len(self._heights) and row >= (height := len(self.draw(part).rows)):
            row -= height
            part += 1
        return Spot(part, row) if part < len(self._heights) else self.last

    def spot_of(self, part: int, line: int, at: int) -> Spot:
        """The row that shows a character of a line of a part."""
        if part >= len(self._heights):
            return self.last
        found = self.draw(part).rows
        for number, row in enumerate(found):
            if (row.line == line and at < row.stop) or row.line > line:
                return Spot(part, number if row.line == line else max(0, number - 1))
        return Spot(part, len(found) - 1)

    def character(self, spot: Spot) -> Place:
        """What a row begins with: `spot_of` finds it at another width."""
        if spot.part >= len(self._heights):
            return Place(0, 0, 0)
        row = self.draw(spot.part).rows[spot.row]
        return Place(spot.part, row.line, row.start)

    def title(self, spot: Spot, step: int) -> Spot | None:
        """The next title below a row (1) or above it (-1); None where no such was read."""
        end = len(self._heights) if step > 0 else -1
        for number in range(spot.part, end, step):
            part = self.document.parts[number]
            title = Spot(number, part.count - 1)  # there may be a blank line above it
            if part.is_title and (title > spot if step > 0 else title < spot):
                return title
        return None

    def window(self, top: Spot, height: int) -> list[tuple[Spot, Line, Row]]:
        """So many rows from one on: each with its whole line."""
        found: list[tuple[Spot, Line, Row]] = []
        part, first = top
        while part < len(self._heights) and len(found) < height:
            drawn = self.draw(part)
            for number in range(first, min(len(drawn.rows), first + height - len(found))):
                row = drawn.rows[number]
                found.append((Spot(part, number), drawn.lines[row.line], row))
            part, first = part + 1, 0
        return found
