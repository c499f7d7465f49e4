"""What a screen is made of: pens, and rows of cells. Nothing in a cell can drive a terminal.

A row is a `Line`, or the bare `Pen` it was last erased with: clearing a screen costs a reference a row, however wide
it is, so that a flood of four-byte erase sequences stays cheap. A line may be shorter than the screen is wide; what
is missing is blank.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import NamedTuple

from tapes.values import dataclass, field

BOLD, FAINT, ITALIC, UNDERLINE, BLINK, INVERSE, HIDDEN, STRIKE = (1 << bit for bit in range(8))
RGB = 1 << 24
"""Added to 0xRRGGBB, to tell it from the number of a palette's colour."""
CLUSTER = 12
"""Code points that a cell holds at most: a letter with heaps of marks is cut there."""


class Pen(NamedTuple):
    """How a cell is drawn. Colours: -1 the terminal's own, 0–255 of the palette, `RGB | 0xRRGGBB`."""

    foreground: int = -1
    background: int = -1
    flags: int = 0


PLAIN = Pen()


@dataclass(slots=True)
class Line:
    """Cells: one text each ("" for the right half of a wide one), and the pen of each."""

    chars: list[str] = field(default_factory=list)
    pens: list[Pen] = field(default_factory=list)

    def text(self) -> str:
        return "".join(self.chars).rstrip(" ")


type Row = Line | Pen


def row_text(row: Row) -> str:
    """The row as plain text, without the blanks at its end."""
    return row.text() if isinstance(row, Line) else ""


@lru_cache(maxsize=4096)
def columns_of(char: str) -> int:
    """Columns that a character takes: 0 for one that joins the cell before it, -1 for one that is not drawn at all.

    What reorders text, or is no character, is not drawn: so no cell can turn around the line it is shown in.
    """
    category = unicodedata.category(char)
    if category in ("Mn", "Me") or char == "\u200d":
        return 0
    if category in ("Cc", "Cf", "Zl", "Zp", "Cs"):
        return -1
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
