"""A list with a cursor that draws only what is to be seen. Every table, tree and list of the deck is one.

It holds no rows: it asks its source for the lines that are visible, so ten thousand of them cost what forty do. Moving
the cursor draws two lines anew.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

from rich.style import Style
from textual import events
from textual.cache import LRUCache
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tapes_cli.deck.actions import bindings
from tapes_cli.deck.model.styled import BLANK, Line, fitted
from tapes_cli.deck.widgets.palette import strip_of


class Source(Protocol):
    """What is listed. MUST be quick: it is asked while the screen is drawn."""

    def __len__(self) -> int: ...

    def line(self, index: int, width: int) -> Line:
        """The row, in at most so many columns."""
        ...


class Lines:
    """Lines that are there already."""

    def __init__(self, lines: list[Line]) -> None:
        self._lines = lines

    def __len__(self) -> int:
        return len(self._lines)

    def line(self, index: int, width: int) -> Line:
        return fitted(self._lines[index], width)


class Rows(ScrollView, can_focus=True):
    DEFAULT_CSS = """
    Rows { background: $surface; overflow-x: hidden; scrollbar-gutter: stable; }
    Rows > .rows--cursor { background: $block-cursor-blurred-background; }
    Rows:focus > .rows--cursor { background: $primary-muted; text-style: bold; }
    Rows:nocolor > .rows--cursor { text-style: reverse; }
    Rows > .rows--head { text-style: bold; background: $panel; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"rows--cursor", "rows--head"}
    BINDINGS: ClassVar = bindings("rows")
    ALLOW_SELECT = False

    cursor: reactive[int] = reactive(0)

    class Said(Message):
        """About a row."""

        def __init__(self, rows: Rows, index: int) -> None:
            self.rows, self.index = rows, index
            super().__init__()

        @property
        def control(self) -> Rows:
            return self.rows

    class Moved(Said):
        """The cursor is on another row, or the row that it is on has become another one."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, Rows.Moved) and message.rows is self.rows

    class Chosen(Said):
        """Enter, or a click on the row of the cursor."""

    def __init__(self, source: Source | None = None, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.source: Source = source or Lines([])
        self._drawn: LRUCache[tuple[int, int], Line] = LRUCache(512)

    @property
    def columns(self) -> int:
        """How wide a row is: a scrollbar stands beside it."""
        return self.scrollable_content_region.width

    # -- what is listed

    def show(self, source: Source, cursor: int | None = None) -> None:
        """List something else. `cursor` None: at the same place as before, as far as there is one."""
        self.source = source
        self.reload(cursor)

    def reload(self, cursor: int | None = None) -> None:
        """The source gives other lines than before, or more or fewer."""
        self._drawn.clear()
        self.virtual_size = Size(self.columns, len(self.source))
        at = max(0, min(self.cursor if cursor is None else cursor, len(self.source) - 1))
        if at != self.cursor:
            self.cursor = at
        elif len(self.source):
            self.post_message(self.Moved(self, at))
        self.refresh()

    def redraw(self) -> None:
        """The same rows say something else."""
        self._drawn.clear()
        self.refresh()

    def on_resize(self) -> None:
        self._drawn.clear()
        self.virtual_size = Size(self.columns, len(self.source))
        self.call_after_refresh(self._reveal)

    # -- the cursor

    def validate_cursor(self, cursor: int) -> int:
        return max(0, min(cursor, len(self.source) - 1))

    def watch_cursor(self, before: int, after: int) -> None:
        for index in (before, after):
            self.refresh_row(index)
        self._reveal()
        if len(self.source):
            self.post_message(self.Moved(self, after))

    def refresh_row(self, index: int) -> None:
        """One row says something else than before."""
        self._drawn.discard((index, self.columns))
        self.refresh(Region(0, index - self.scroll_offset.y, self.columns, 1))

    def _reveal(self) -> None:
        top, height = self.scroll_offset.y, max(1, self.scrollable_content_region.height)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, force=True)

    def action_move(self, by: int) -> None:
        self.cursor += by

    def action_page(self, direction: int) -> None:
        self.cursor += direction * max(1, self.scrollable_content_region.height - 1)

    def action_first(self) -> None:
        self.cursor = 0

    def action_last(self) -> None:
        self.cursor = len(self.source) - 1

    def action_choose(self) -> None:
        if len(self.source):
            self.post_message(self.Chosen(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        index = event.y + self.scroll_offset.y
        if index >= len(self.source):
            return
        if index == self.cursor:
            self.action_choose()
        self.cursor = index

    # -- drawing

    def render_line(self, y: int) -> Strip:
        index, width = y + self.scroll_offset.y, self.columns
        base = self.rich_style
        if index >= len(self.source):
            return Strip.blank(width, base)
        key = (index, width)
        line = self._drawn.get(key)
        if line is None:
            line = self.source.line(index, width) or BLANK
            self._drawn[key] = line
        if index == self.cursor:
            base = self._cursor_style()
        return strip_of(self.app, line, base, width)

    def _cursor_style(self) -> Style:
        return self.get_component_rich_style("rows--cursor")
