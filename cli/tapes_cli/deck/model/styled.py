"""What the deck's model hands to its widgets: lines of harmless pieces, each with the name of a style.

A style is a name and no colour (`error`, `dim`, `bold`, …; several with a blank between them): what it looks like is
the theme's business, and without colour something of it must still be seen. Nothing captured becomes a piece but
through `harmless`, so that whoever draws a line need not think of it.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len, set_cell_size

from tapes_addons.harmless import harmless

type Piece = tuple[str, str]
type Line = tuple[Piece, ...]

BLANK: Line = ()


def styled(text: str, style: str = "") -> Line:
    """Captured text, or ours, as a line of one piece."""
    return ((harmless(text), style),) if text else BLANK


def joined(*lines: Line) -> Line:
    return tuple(piece for line in lines for piece in line)


def dotted(parts: Iterable[Line]) -> Line:
    """Things said one after the other: `one · another`."""
    dot: Line = ((" · ", "dim"),)
    return joined(*(joined(dot, part) if n else part for n, part in enumerate(parts)))


def width(line: Line) -> int:
    """Columns that it takes."""
    return sum(cell_len(text) for text, _ in line)


def words(line: Line) -> str:
    return "".join(text for text, _ in line)


def fitted(line: Line, columns: int) -> Line:
    """In at most so many columns, an ellipsis where something was cut."""
    if width(line) <= columns:
        return line
    kept: list[Piece] = []
    left = columns - 1
    for text, style in line:
        cells = cell_len(text)
        if cells > left:
            kept.append((_cut(text, left).removesuffix("…") + "…", style))
            break
        kept.append((text, style))
        left -= cells
    return tuple(kept) if columns > 0 else BLANK


def _cut(text: str, columns: int) -> str:
    """Cut by cells; of a wide character that does not fit nothing is left, not even the blank beside it."""
    return text[:columns] if text.isascii() else set_cell_size(text, columns).rstrip(" ") if columns > 0 else ""


def padded(line: Line, columns: int, *, right: bool = False) -> Line:
    """Cut or filled to just so many columns. `right`: with the blanks before it."""
    line = fitted(line, columns)
    blank: Line = ((" " * (columns - width(line)), ""),)
    if blank == (("", ""),):
        return line
    return joined(blank, line) if right else joined(line, blank)


def columns(cells: Iterable[tuple[Line, int, bool]], gap: str = "  ") -> Line:
    """A row of a table: each cell with its width, and whether it stands at the right of it. No cell of no width."""
    row: list[Piece] = []
    for cell, wide, right in cells:
        if wide > 0:
            row += [*((((gap, "")),) if row else ()), *padded(cell, wide, right=right)]
    return tuple(row)
