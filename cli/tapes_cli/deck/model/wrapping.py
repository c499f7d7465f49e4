"""A line of captured text as it is shown: harmless, without tabs, and in rows no wider than the place for it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len, get_character_cell_size

from tapes_addons.harmless import harmless

TAB = 8
NARROWEST = 2
"""Columns of the widest character: no row can be narrower."""
WIDENING = "\ufe0f"
"""Asks for the character before it to be a picture, which may take one column more."""

type Row = tuple[int, int]
"""Where it begins in its line, and where it ends."""


def shown(text: str) -> str:
    """A line without its end. A carriage return just before the line feed is a part of that end."""
    text = text.removesuffix("\r")
    return harmless(text.expandtabs(TAB) if "\t" in text else text)


def rows(text: str, columns: int) -> list[Row]:
    """Where a line that is shown breaks: between words, but not before one that fills more than a row by itself. Rows
    stand one behind another; at most one blank between two of them is in neither."""
    columns = max(columns, NARROWEST)
    if (len(text) if text.isascii() else cell_len(text)) <= columns:
        return [(0, len(text))]
    return list((_narrow if text.isascii() else _wide)(text, columns))


def _narrow(text: str, columns: int) -> Iterator[Row]:
    start, size = 0, len(text)
    while size - start > columns:
        stop = text.rfind(" ", start, start + columns + 1)
        if not _breaks(text, start, stop, columns):
            stop = start + columns
            yield start, stop
            start = stop
        else:
            yield start, stop
            start = stop + 1
    if start < size:
        yield start, size


def _breaks(text: str, start: int, blank: int, columns: int) -> bool:
    """Not where the row would be an indent alone."""
    if blank <= start or text[start:blank].isspace():
        return False
    return len(text) - blank <= columns or text.find(" ", blank + 1, blank + columns + 2) >= 0


def _wide(text: str, columns: int) -> Iterator[Row]:
    start = used = 0
    blank = -1
    for at, char in enumerate(text):
        cells = _cells(char)
        if used + cells > columns and at > start:
            stop = at if char == " " else blank
            if stop == at or _breaks(text, start, stop, columns):
                yield start, stop
                start = stop + 1
                used = sum(map(_cells, text[start:at]))
            else:
                yield start, at
                start, used = at, 0
            blank = -1
            if start > at:
                continue
        if char == " ":
            blank = at
        used += cells
    if start < len(text):
        yield start, len(text)


def _cells(char: str) -> int:
    return 1 if char == WIDENING else get_character_cell_size(char)
