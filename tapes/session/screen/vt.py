"""A terminal without a terminal: bytes in, a screen out. It never raises, and what it holds has a bound.

Recorded bytes may be anything, and they are drawn only from here: so no escape sequence of a recording reaches the
terminal of whoever watches it. Sizes are held within `MOST_COLUMNS` and `MOST_ROWS`, also against 0×0. What a sequence
costs is at most in the order of one row and the number of rows. Its whole state can be taken out as plain values and
put back (`state`, `of_state`), which is what makes a keyframe.

It knows what full-screen programs use: cursor movement, erasing, inserting and deleting, margins, tabs, both screens,
colours and attributes, line-drawing characters, wide and combining characters. Resizing cuts or adds, as xterm does;
nothing flows anew. Not known, and without effect: double-size lines, images, left and right margins, hyperlinks,
clipboard, every kind of question to the terminal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapes.session.screen import sgr
from tapes.session.screen.cells import CLUSTER, PLAIN, Line, Pen, Row, columns_of, row_text
from tapes.session.screen.parser import Parser

ENGINE = 1
"""Rises with every change of what comes out for the same bytes: keyframes of another are made anew."""
MOST_COLUMNS = 500
MOST_ROWS = 300

type Told = Callable[[str, str], None]
"""Is told ("title", text), ("bell", "") and ("scrolled", text of a row that left the main screen at its top)."""

_DRAWING = dict(zip("`abcdefghijklmnopqrstuvwxyz{|}~", "◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·", strict=True))
_NUMBER = 9999


def held(columns: int, rows: int) -> tuple[int, int]:
    """A size within our bounds. 0 says that it is not known: then 80 by 24, which programs take it for."""
    return min(columns or 80, MOST_COLUMNS), min(rows or 24, MOST_ROWS)


class Screen:
    x: int
    y: int
    """The cursor, from 0."""
    pen: Pen

    def __init__(self, columns: int, rows: int, told: Told | None = None) -> None:
        self.columns, self.rows = held(columns, rows)
        self._told = told or (lambda what, text: None)
        self._parser = Parser()
        self.title = ""
        self.bells = 0
        self._reset()

    def _reset(self) -> None:
        self.alternate = False
        """Is the second screen shown, which full-screen programs use?"""
        self.cursor_shown = True
        self._lines: list[Row] = [PLAIN] * self.rows
        self._other: list[Row] = [PLAIN] * self.rows
        self._saved: list[list[Any]] = [self._cursor0(), self._cursor0()]
        """The saved cursor of the main and of the alternate screen."""
        self._tabs = list(range(8, MOST_COLUMNS, 8))
        self._top, self._bottom = 0, self.rows - 1
        self._insert = self._newline = False
        self._wrap = True
        self._last = ""
        self._put_cursor(self._cursor0())

    @staticmethod
    def _cursor0() -> list[Any]:
        return [0, 0, list(PLAIN), [False, False], 0, False, False]

    def _get_cursor(self) -> list[Any]:
        return [self.x, self.y, list(self.pen), list(self._drawing), self._set, self._origin, self._pending]

    def _put_cursor(self, cursor: list[Any]) -> None:
        x, y, pen, drawing, self._set, self._origin, pending = cursor
        self.x, self.y = min(x, self.columns - 1), min(y, self.rows - 1)
        self.pen = Pen(*pen)
        self._drawing = list(drawing)
        self._pending = pending and self.x == self.columns - 1
        """The last column has been written, and the next character goes to the next row."""

    # -- what it is asked

    def feed(self, data: bytes) -> None:
        """Bytes that went to the terminal, in any slices."""
        for kind, text, final in self._parser.feed(data):
            if kind == "text":
                self._print(text)
            elif kind == "csi":
                self._csi(text, final)
            elif kind == "control":
                self._control(text)
            elif kind == "escape":
                self._escape(final)
            else:
                self._osc(text)

    def resize(self, columns: int, rows: int) -> None:
        columns, rows = held(columns, rows)
        if (columns, rows) == (self.columns, self.rows):
            return
        cut = max(0, self.y - rows + 1)
        self._lines = self._resized(self._lines, cut, columns, rows)
        self._other = self._resized(self._other, 0, columns, rows)
        self.columns, self.rows = columns, rows
        self._top, self._bottom = 0, rows - 1
        self.y = min(self.y - cut, rows - 1)
        self.x, self._pending = min(self.x, columns - 1), False

    def lines(self) -> list[Row]:
        """The rows as they are shown. They go on changing: read them before the next `feed`."""
        return list(self._lines)

    def text(self) -> list[str]:
        """The rows as plain text, without blanks at their ends."""
        return [row_text(row) for row in self._lines]

    def main_text(self) -> list[str]:
        """The rows of the main screen, also while the alternate one is shown."""
        return [row_text(row) for row in (self._other if self.alternate else self._lines)]

    # -- rows

    def _resized(self, lines: list[Row], cut: int, columns: int, rows: int) -> list[Row]:
        for row in lines:
            if isinstance(row, Line) and len(row.chars) > columns:
                del row.chars[columns:], row.pens[columns:]
                if columns_of(row.chars[-1][:1] or " ") == 2:
                    row.chars[-1] = " "
        kept = lines[cut : cut + rows]
        return kept + [PLAIN] * (rows - len(kept))

    def _line(self, y: int) -> Line:
        """A row that may be written to, as wide as the screen."""
        row = self._lines[y]
        if not isinstance(row, Line):
            row = self._lines[y] = Line([" "] * self.columns, [row] * self.columns)
        elif (missing := self.columns - len(row.chars)) > 0:
            row.chars += [" "] * missing
            row.pens += [PLAIN] * missing
        return row

    @property
    def _blank(self) -> Pen:
        """What is erased takes the background that is set."""
        return Pen(-1, self.pen.background)

    def _split(self, line: Line, x: int) -> None:
        """No half of a wide character stays when the other is written over: here between x - 1 and x."""
        if 0 < x < self.columns and line.chars[x] == "":
            line.chars[x - 1] = line.chars[x] = " "

    def _erase(self, y: int, start: int, end: int) -> None:
        if start <= 0 and end >= self.columns:
            self._lines[y] = self._blank
            return
        line = self._line(y)
        self._split(line, start)
        self._split(line, end)
        count = end - start
        line.chars[start:end] = [" "] * count
        line.pens[start:end] = [self._blank] * count

    def _scroll(self, count: int, top: int, bottom: int) -> None:
        """Rows top…bottom go up by so many, or down where it is negative."""
        height = bottom - top + 1
        new: list[Row] = [self._blank] * min(abs(count), height)
        if count > 0:
            gone = slice(top, top + len(new))
            if top == 0 and not self.alternate:
                for row in self._lines[gone]:
                    self._told("scrolled", row_text(row))
            del self._lines[gone]
            self._lines[bottom + 1 - len(new) : bottom + 1 - len(new)] = new
        else:
            del self._lines[bottom + 1 - len(new) : bottom + 1]
            self._lines[top:top] = new

    # -- text

    def _print(self, text: str) -> None:
        if self._drawing[self._set]:
            text = "".join(_DRAWING.get(char, char) for char in text)
        self._last = text[-1]
        if not text.isascii() or self._insert:
            for char in text:
                self._put(char)
            return
        at, end = 0, len(text)
        while at < end:
            self._wrap_if_pending()
            count = min(end - at, self.columns - self.x)
            if not self._wrap and count < end - at:  # all that has no room is written over the last column
                text, end = text[: at + count - 1] + text[end - 1], at + count
            line, x = self._line(self.y), self.x
            self._split(line, x)
            self._split(line, x + count)
            line.chars[x : x + count] = text[at : at + count]
            line.pens[x : x + count] = [self.pen] * count
            at += count
            self._advance(count)

    def _put(self, char: str) -> None:
        width = columns_of(char)
        if width <= 0:
            if width == 0:
                self._join(char)
            return
        width = min(width, self.columns)
        self._wrap_if_pending()
        if self.x + width > self.columns:
            if self._wrap:
                self._pending = True
                self._wrap_if_pending()
            else:
                self.x = self.columns - width
        if self._insert:
            self._insert_blanks(width)
        line, x = self._line(self.y), self.x
        self._split(line, x)
        self._split(line, x + width)
        line.chars[x : x + width] = [char, ""][:width]
        line.pens[x : x + width] = [self.pen] * width
        self._advance(width)

    def _join(self, mark: str) -> None:
        """Add a mark to the character before the cursor."""
        line = self._line(self.y)
        x = self.x if self._pending else self.x - 1
        if x > 0 and line.chars[x] == "":
            x -= 1
        if x >= 0 and len(line.chars[x]) < CLUSTER:
            line.chars[x] += mark

    def _advance(self, count: int) -> None:
        self.x += count
        if self.x >= self.columns:
            self.x = self.columns - 1
            self._pending = self._wrap

    def _wrap_if_pending(self) -> None:
        if self._pending:
            self.x = 0
            self._index()

    # -- control characters and short sequences

    def _control(self, char: str) -> None:
        match char:
            case "\n" | "\x0b" | "\x0c":
                self._index()
                if self._newline:
                    self.x = 0
            case "\r":
                self._to(0, self.y)
            case "\b":
                self._to(self.x - 1, self.y)
            case "\t":
                self._tab(1)
            case "\x07":
                self.bells += 1
                self._told("bell", "")
            case "\x0e" | "\x0f":
                self._set = int(char == "\x0e")
            case _:
                pass

    def _index(self) -> None:
        self._pending = False
        if self.y == self._bottom:
            self._scroll(1, self._top, self._bottom)
        elif self.y < self.rows - 1:
            self.y += 1

    def _escape(self, final: str) -> None:
        match final:
            case "D":
                self._index()
            case "E":
                self.x = 0
                self._index()
            case "M":
                self._pending = False
                if self.y == self._top:
                    self._scroll(-1, self._top, self._bottom)
                elif self.y:
                    self.y -= 1
            case "H":
                if self.x not in self._tabs:
                    self._tabs = sorted([*self._tabs, self.x])
            case "7":
                self._saved[self.alternate] = self._get_cursor()
            case "8":
                self._put_cursor(self._saved[self.alternate])
            case "c":
                self._reset()
            case "(0" | "(B" | ")0" | ")B":
                self._drawing[final[0] == ")"] = final[1] == "0"
            case _:
                pass

    def _osc(self, content: str) -> None:
        number, _, text = content.partition(";")
        if number in ("0", "2"):
            self.title = "".join(char for char in text if columns_of(char) >= 0)
            self._told("title", self.title)

    # -- control sequences

    def _csi(self, given: str, final: str) -> None:
        marker = given[:1] if given[:1] in ("<", "=", ">", "?") else ""
        given = given[len(marker) :]
        if final == "m" and not marker:
            self.pen = sgr.apply(self.pen, given)
            return
        if given.strip("0123456789;"):
            return
        numbers = [min(int(part), _NUMBER) if part else 0 for part in given.split(";")]
        if marker == "?" and final in ("h", "l"):
            for mode in numbers[:16]:
                self._mode(mode, final == "h")
        elif not marker:
            self._move_or_edit(final, numbers)

    def _move_or_edit(self, final: str, numbers: list[int]) -> None:
        n = numbers[0] or 1
        match final:
            case "A" | "k":
                self._to(self.x, max(self.y - n, self._top if self.y >= self._top else 0))
            case "B" | "e":
                self._to(self.x, min(self.y + n, self._bottom if self.y <= self._bottom else self.rows - 1))
            case "C" | "a":
                self._to(self.x + n, self.y)
            case "D" | "j":
                self._to(self.x - n, self.y)
            case "E":
                self._to(0, min(self.y + n, self._bottom if self.y <= self._bottom else self.rows - 1))
            case "F":
                self._to(0, max(self.y - n, self._top if self.y >= self._top else 0))
            case "G" | "`":
                self._to(n - 1, self.y)
            case "d":
                self._to_origin(self.x, n - 1)
            case "H" | "f":
                self._to_origin((numbers[1] or 1) - 1 if len(numbers) > 1 else 0, n - 1)
            case "I":
                self._tab(n)
            case "Z":
                self._tab_back(n)
            case "J":
                self._erase_screen(numbers[0])
            case "K":
                start, end = {0: (self.x, self.columns), 1: (0, self.x + 1), 2: (0, self.columns)}.get(
                    numbers[0], (0, 0)
                )
                if end:
                    self._erase(self.y, start, end)
            case "X":
                self._erase(self.y, self.x, min(self.x + n, self.columns))
            case "@":
                self._insert_blanks(n)
            case "P":
                self._delete(n)
            case "L" | "M":
                if self._top <= self.y <= self._bottom:
                    self._scroll(n if final == "M" else -n, self.y, self._bottom)
                    self._to(0, self.y)
            case "S" | "T":
                if final == "S" or len(numbers) == 1:
                    self._scroll(n if final == "S" else -n, self._top, self._bottom)
            case "b":
                if self._last:
                    self._print(self._last * min(n, self.columns))
            case "g":
                if numbers[0] == 3:
                    self._tabs = []
                elif numbers[0] == 0 and self.x in self._tabs:
                    self._tabs.remove(self.x)
            case "h" | "l":
                for mode in numbers[:16]:
                    if mode == 4:
                        self._insert = final == "h"
                    elif mode == 20:
                        self._newline = final == "h"
            case "r":
                bottom = (numbers[1] if len(numbers) > 1 else 0) or self.rows
                if n < bottom <= self.rows:
                    self._top, self._bottom = n - 1, bottom - 1
                    self._to_origin(0, 0)
            case "s":
                self._escape("7")
            case "u":
                self._escape("8")
            case "!p":
                self._soft_reset()
            case _:
                pass

    def _to(self, x: int, y: int) -> None:
        self.x, self.y = min(max(x, 0), self.columns - 1), min(max(y, 0), self.rows - 1)
        self._pending = False

    def _to_origin(self, x: int, y: int) -> None:
        """To a position that counts from the margins where the program asked for that."""
        if self._origin:
            self._to(x, min(self._top + y, self._bottom))
        else:
            self._to(x, y)

    def _tab(self, count: int) -> None:
        behind = [stop for stop in self._tabs if self.x < stop < self.columns]
        self._to(behind[count - 1] if count <= len(behind) else self.columns - 1, self.y)

    def _tab_back(self, count: int) -> None:
        before = [stop for stop in self._tabs if stop < self.x]
        self._to(before[-count] if count <= len(before) else 0, self.y)

    def _erase_screen(self, what: int) -> None:
        if what == 0:
            self._erase(self.y, self.x, self.columns)
            self._lines[self.y + 1 :] = [self._blank] * (self.rows - self.y - 1)
        elif what == 1:
            self._lines[: self.y] = [self._blank] * self.y
            self._erase(self.y, 0, self.x + 1)
        elif what == 2:
            self._lines = [self._blank] * self.rows

    def _insert_blanks(self, count: int) -> None:
        line, x = self._line(self.y), self.x
        count = min(count, self.columns - x)
        self._split(line, x)
        self._split(line, self.columns - count)
        line.chars[x:x] = [" "] * count
        line.pens[x:x] = [self._blank] * count
        del line.chars[self.columns :], line.pens[self.columns :]
        self._pending = False

    def _delete(self, count: int) -> None:
        line, x = self._line(self.y), self.x
        count = min(count, self.columns - x)
        self._split(line, x)
        self._split(line, x + count)
        del line.chars[x : x + count], line.pens[x : x + count]
        line.chars += [" "] * count
        line.pens += [self._blank] * count
        self._pending = False

    def _soft_reset(self) -> None:
        self._insert = self._newline = self._origin = False
        self._wrap = self.cursor_shown = True
        self._top, self._bottom = 0, self.rows - 1
        self.pen, self._drawing, self._set = PLAIN, [False, False], 0
        self._saved[self.alternate] = self._cursor0()

    def _mode(self, mode: int, on: bool) -> None:
        match mode:
            case 6:
                self._origin = on
                self._to_origin(0, 0)
            case 7:
                self._wrap = on
                self._pending = False
            case 25:
                self.cursor_shown = on
            case 47 | 1047:
                self._show_alternate(on, clear=mode == 1047 and not on)
            case 1048:
                self._escape("7" if on else "8")
            case 1049:
                if on:
                    self._escape("7")
                    self._show_alternate(True, clear=True)
                else:
                    self._show_alternate(False, clear=False)
                    self._escape("8")
            case _:
                pass

    def _show_alternate(self, on: bool, *, clear: bool) -> None:
        if on != self.alternate:
            if clear and not on:
                self._lines = [PLAIN] * self.rows
            self._lines, self._other, self.alternate = self._other, self._lines, on
        if clear and on:
            self._lines = [self._blank] * self.rows

    # -- keyframes

    _PLAIN_STATE = (
        "columns", "rows", "title", "bells", "alternate", "cursor_shown",
        "_saved", "_tabs", "_top", "_bottom", "_insert", "_newline", "_wrap", "_last",
    )  # fmt: skip

    def state(self) -> dict[str, Any]:
        """All of it as plain values."""
        state = {name: getattr(self, name) for name in self._PLAIN_STATE}
        return state | {
            "parser": self._parser.state(),
            "cursor": self._get_cursor(),
            "lines": [_row_state(row) for row in self._lines],
            "other": [_row_state(row) for row in self._other],
        }

    @classmethod
    def of_state(cls, state: dict[str, Any], told: Told | None = None) -> Screen:
        screen = cls(state["columns"], state["rows"], told)
        for name in cls._PLAIN_STATE:
            setattr(screen, name, state[name])
        screen._parser.set_state(state["parser"])
        screen._put_cursor(state["cursor"])
        screen._lines = [_row_of(row) for row in state["lines"]]
        screen._other = [_row_of(row) for row in state["other"]]
        return screen


def _row_state(row: Row) -> list[Any]:
    """Cells hold no control characters, so that one can stand between them; pens as runs."""
    if not isinstance(row, Line):
        return list(row)
    runs: list[list[Any]] = []
    for pen in row.pens:
        if runs and runs[-1][1] == pen:
            runs[-1][0] += 1
        else:
            runs.append([1, pen])
    return ["\n".join(row.chars), [[count, *pen] for count, pen in runs]]


def _row_of(state: list[Any]) -> Row:
    if len(state) == 3:
        return Pen(*state)
    chars, runs = state
    line = Line(chars.split("\n"))
    for count, *pen in runs:
        line.pens += [Pen(*pen)] * count
    return line
