"""A recorded screen at one moment: a copy, which whoever draws may keep while the recording goes on."""

from __future__ import annotations

from tapes.session.screen.cells import Line, Row
from tapes.session.screen.vt import Screen
from tapes.values import dataclass


@dataclass(frozen=True, slots=True)
class Shot:
    columns: int
    rows: int
    lines: tuple[Row, ...]
    x: int
    y: int
    """The cursor, from 0; also where it is not shown, as there one was at work."""
    cursor_shown: bool
    title: str

    @classmethod
    def of(cls, screen: Screen) -> Shot:
        lines = tuple(Line(list(row.chars), list(row.pens)) if isinstance(row, Line) else row for row in screen.lines())
        return cls(screen.columns, screen.rows, lines, screen.x, screen.y, screen.cursor_shown, screen.title)

    @property
    def cursor(self) -> tuple[int, int] | None:
        return (self.x, self.y) if self.cursor_shown else None

    def differs(self, other: Shot, y: int) -> bool:
        """Does this row look different in another of the same size?"""
        here, there = self.cursor, other.cursor
        moved = here != there and y in {at[1] for at in (here, there) if at}
        return moved or self.lines[y] != other.lines[y]
