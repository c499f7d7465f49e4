"""Long text, of which only what is seen is drawn, and little more is read.

Where one is, is a row of a part of the document (see layout.py), not a number of rows from the top: so nothing moves
under the eye when the text grows, or when what is above turns out to be higher than was estimated. Reading is done by a
worker that is asked to go on until something is there: another screenful, a title, a hit, the end. Any key that moves
stops it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.actions import SkipAction
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.worker import Worker, WorkerState, get_current_worker

from tapes_cli import output
from tapes_cli.deck.actions import bindings
from tapes_cli.deck.dialogs.find import Find
from tapes_cli.deck.model.document import Document, Place
from tapes_cli.deck.model.layout import Layout, Row, Spot
from tapes_cli.deck.model.seeking import Hit, pattern, seek
from tapes_cli.deck.model.styled import Line, styled, words
from tapes_cli.deck.model.wrapping import shown
from tapes_cli.deck.widgets.palette import strip_of, style_of

AHEAD = 3
"""Screenfuls that are read beyond what is seen."""
SOON = 0.05
"""Seconds between two tellings of how far reading has come."""
WHEEL = 3
SIDEWAYS = 8
FAR = 128
"""Parts; about a megabyte."""
MOST_COPIED = 1_000_000
"""Characters: a terminal that is asked to put more on its clipboard drops it, or stands still."""


class Reader(ScrollView, can_focus=True):
    """Shows a document."""

    DEFAULT_CSS = """
    Reader {
        overflow-x: hidden;
        overflow-y: scroll;
    }
    """
    BINDINGS: ClassVar = bindings("reader")
    ALLOW_SELECT = False

    wraps: reactive[bool] = reactive(True)
    says: reactive[str] = reactive("")
    """How far reading has come, or how seeking went: stands over the last row. Empty where there is nothing to say."""

    class Read(Message):
        """Of a worker: how far it is, or what is to be done now that all is there. Who has asked is told by `asked`:
        what an overtaken one says is not heard."""

        def __init__(self, asked: int, come: str | Callable[[], None]) -> None:
            self.asked, self.come = asked, come
            super().__init__()

    def __init__(self, document: Document | None = None, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.document = document or Document(())
        self._layout = Layout(self.document, 80)
        self._top = Spot(0, 0)
        self._view: Sequence[tuple[Spot, Line, Row]] = ()
        self._coming: tuple[Document, Place] | None = None
        self._pursuit: Worker[None] | None = None
        self._awaited = False
        """Somebody has asked for what is being read."""
        self._asked = 0
        self.sought = ""
        """What `find` was asked for."""
        self._sought: re.Pattern[str] | None = None
        self._hit: Place | None = None
        self._placing = False

    # -- what is shown

    def show(self, document: Document, *, keep: bool = False) -> None:
        """Show another document as soon as some of it is read; until then the one before stays. `keep`: it is the same
        thing made anew, so go on where we are; not where somebody waits for something in it, or has read so far that
        all of it would have to be read again."""
        if keep and (self._awaited or self._top.part > FAR):
            return
        self._coming = None
        self._stop()
        place = self._layout.character(self._top) if keep else Place(0, 0, 0)
        self._coming = (document, place)
        if not keep:
            self._hit = None
        if len(document.parts) > place.part:
            self._take()
        else:
            self._read_on(document, lambda: len(document.parts) > place.part, self._take)

    def _take(self) -> None:
        if self._coming is None:
            return
        (self.document, place), self._coming = self._coming, None
        self.says = ""
        self._lay_out(place)

    def _lay_out(self, place: Place) -> None:
        self._layout = Layout(self.document, self._columns, wrap=self.wraps)
        self._go(self._layout.spot_of(*place))

    @property
    def _columns(self) -> int:
        return self.scrollable_content_region.width or 80

    @property
    def _rows(self) -> int:
        return max(1, self.scrollable_content_region.height)

    def on_mount(self) -> None:
        self._settle()

    def on_resize(self, _: events.Resize) -> None:
        if self._columns != self._layout.columns:
            self._lay_out(self._layout.character(self._top))
        else:
            self._settle()

    def watch_wraps(self) -> None:
        self.styles.overflow_x = "hidden" if self.wraps else "scroll"
        if self.is_mounted:
            self.scroll_x = 0
            self._lay_out(self._layout.character(self._top))

    # -- moving

    def move(self, rows: int) -> None:
        """So many rows down, or up."""
        self._stop()
        self._go(self._layout.moved(self._top, rows))

    def _go(self, spot: Spot) -> None:
        self._top = spot
        self._settle()

    def _settle(self) -> None:
        """Draw what is seen from the top row on, tell the scrollbar, and have more read where that is near."""
        layout, height = self._layout, self._rows
        layout.grow()
        self._view = layout.window(self._top, height)
        short = height - len(self._view)
        if short > 0 and self._top > (0, 0):
            self._top = layout.moved(self._top, -short)
            self._view = layout.window(self._top, height)
        self._placing = True
        wide = self._columns if self.wraps else max(self._columns, layout.widest)
        self.virtual_size = Size(wide, max(layout.total + self._rows_left(), 1))
        self.scroll_y = self.scroll_target_y = layout.y(self._top)
        self._placing = False
        self.refresh()
        if self.is_mounted and not self.document.done and self._pursuit is None and self._near_end():
            self._read_on(self.document, self._ahead(), self._settle)

    def _rows_left(self) -> int:
        """Of what is not read yet, as far as its size is known: so the scrollbar says how much more there is."""
        document = self.document
        return self._layout.total * document.left // document.read if document.read and not document.done else 0

    def _near_end(self) -> bool:
        return self._layout.total - self._layout.y(self._top) < (1 + AHEAD) * self._rows

    def _ahead(self) -> Callable[[], bool]:
        """Are some screenfuls more there? Counted in lines, which are never more than rows."""
        document, begin, enough = self.document, len(self.document.parts), AHEAD * self._rows
        return lambda: sum(part.count for part in document.parts[begin:]) >= enough

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self._placing or round(old_value) == round(new_value):
            return
        self._stop()  # somebody pulls the scrollbar
        y, document = round(new_value), self.document
        wanted = document.read * y // max(1, self._layout.total)
        self._awaited = y >= self._layout.total
        self._read_on(document, lambda: document.read > wanted, lambda: self._go(self._layout.at(y)))

    def action_move(self, by: int) -> None:
        self.move(by)

    def action_page(self, direction: int) -> None:
        self.move(direction * max(1, self._rows - 1))

    def action_first(self) -> None:
        self._stop()
        self._go(Spot(0, 0))

    def action_last(self) -> None:
        """Read all that there is, and show the end of it."""
        self._stop()
        self._awaited = True
        self._read_on(self.document, lambda: False, lambda: self._go(self._layout.last))

    def action_leave(self) -> None:
        """One thing at a time: what is being read, what is sought, the reader itself."""
        if self._awaited:
            self._stop()
        elif self.sought:
            self.find("")
        elif len(self.screen.focus_chain) > 1:
            self.screen.focus_previous()
        else:
            raise SkipAction

    def action_aside(self, direction: int) -> None:
        if self.wraps:
            raise SkipAction  # there is nothing beside it
        self.scroll_to(x=self.scroll_x + direction * SIDEWAYS, animate=False)

    def action_wrap(self) -> None:
        self.wraps = not self.wraps

    def action_title(self, step: int) -> None:
        """Put the next title below at the top, or the next above it."""
        self._stop()
        document, layout, top = self.document, self._layout, self._top

        def reached() -> bool:
            return step < 0 or any(part.is_title for part in document.parts[top.part + 1 :])

        def then() -> None:
            spot = layout.title(top, step)
            if spot is not None:
                self._go(spot)

        self._awaited = True
        self._read_on(document, reached, then)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._wheel(event, WHEEL)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._wheel(event, -WHEEL)

    def _wheel(self, event: events.Event, rows: int) -> None:
        event.stop()
        event.prevent_default()  # which would move by pixels, and only as far as the scrollbar knows
        self.move(rows)

    # -- reading on

    def _read_on(self, document: Document, reached: Callable[[], bool], then: Callable[[], None]) -> None:
        """Have it read until `reached`, or to its end; and `then`, unless something else was asked for meanwhile."""
        if document.done or reached():
            self._awaited = False
            then()
            return

        def steps() -> Iterator[str | Callable[[], None]]:
            while not reached() and document.more():
                yield _progress(document)
            yield then

        self._pursue(steps())

    def _pursue(self, steps: Iterator[str | Callable[[], None]]) -> None:
        """Take steps in a worker until one of them is something to do here."""
        self._asked += 1
        asked = self._asked

        def work() -> None:
            worker = get_current_worker()
            told = 0.0
            for come in steps:
                if worker.is_cancelled:
                    return
                if callable(come) or time.monotonic() - told > SOON:
                    self.post_message(self.Read(asked, come))
                    told = time.monotonic()

        self._pursuit = self.run_worker(work, group="reader", exclusive=True, thread=True, exit_on_error=False)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A fault of ours costs what it was about to show, not the deck."""
        if event.state == WorkerState.ERROR and event.worker is self._pursuit:
            error = event.worker.error
            self._stop()
            self.says = f"a fault of tapes: {type(error).__name__}: {error}"

    def _stop(self) -> None:
        """Something else is wanted, and of the page that comes, if one does: so it is shown now, whatever there is."""
        self._asked += 1
        self._awaited = False
        self.says = ""
        if self._pursuit is not None:
            self._pursuit.cancel()
            self._pursuit = None
        self._take()

    def on_reader_read(self, message: Read) -> None:
        message.stop()
        if message.asked != self._asked:
            return
        if callable(message.come):
            self._pursuit = None
            self._awaited = False
            self.says = ""
            self._layout.grow()
            message.come()
        elif self._coming is None:
            self._settle()
            self.says = message.come

    # -- finding

    def find(self, text: str) -> None:
        """Go to the first place from here on that says it; capital letters count if there are any in it. Empty: no
        longer."""
        self._stop()
        self._hit = None
        self.sought, self._sought = text, pattern(text) if text else None
        self.refresh()
        if text:
            self._seek(1)

    def point_out(self, sought: re.Pattern[str] | None) -> None:
        """Mark what fits, wherever it is seen; without going there."""
        self._stop()
        self._hit, self.sought, self._sought = None, "", sought
        self.refresh()

    def action_find(self) -> None:
        """Ask for what to find."""

        def chosen(text: str | None) -> None:
            if text is not None:
                self.find(text)

        self.app.push_screen(Find(self.sought), chosen)

    def action_hit(self, step: int) -> None:
        """The next place below that says what was sought, or the next above. Where nothing is sought here, the key is
        the screen's."""
        if self._sought is None:
            raise SkipAction
        self._stop()
        self._seek(step)

    def _seek(self, step: int) -> None:
        assert self._sought is not None
        here = self._hit
        if here is None:  # what stands at the top is found, too
            here = self._layout.character(self._top)
            here = here._replace(at=here.at - (step > 0))
        document = self.document
        found = seek(document, self._sought, here, step)
        self._awaited = True

        def steps() -> Iterator[str | Callable[[], None]]:
            for hit in found:
                if isinstance(hit, Hit):
                    yield partial(self._found, hit)
                    return
                yield _sought_in(document, hit)
            yield partial(self._found, None)

        self._pursue(steps())

    def _found(self, hit: Hit | None) -> None:
        if hit is None:
            self.says = "not found"
            return
        self._hit = hit.place
        spot = self._layout.spot_of(*hit.place)
        if not any(seen == spot for seen, _, _ in self._view):
            self._go(self._layout.moved(spot, -(self._rows // 3)))
        if not self.wraps:
            self._aside(hit.place)
        self.says = "found from the other end on" if hit.around else ""
        self.refresh()

    def _aside(self, place: Place) -> None:
        """Sideways to where a hit is."""
        text = words(self._layout.draw(place.part).lines[place.line])
        column = cell_len(text[: place.at])
        if not self.scroll_x <= column < self.scroll_x + self._columns:
            self.scroll_to(x=max(0, column - self._columns // 2), animate=False)

    # -- copying

    def block_text(self) -> tuple[str, str]:
        """The title of the part of the page that stands at the top, and what was read of its text, as it came."""
        parts = self.document.parts
        if not parts:
            return "", ""
        number = parts[min(self._top.part, len(parts) - 1)].block
        own = [part for part in parts if part.block == number]
        title = next((part.text for part in own if part.is_title), "")
        return title, "".join(part.text for part in own if not part.is_title)

    def action_copy_block(self) -> None:
        title, text = self.block_text()
        kept = text[:MOST_COPIED]
        self.app.copy_to_clipboard(kept.encode("utf-8", "replace").decode())
        cut = f", the first {output.count(len(kept))} of" if len(kept) < len(text) else ""
        said = f"sent to the terminal's clipboard{cut}: {output.count(len(text))} characters"
        says = said + (f" of: {shown(title)}" if title else "")
        self.app.notify(says, markup=False)

    # -- drawing

    def render_line(self, y: int) -> Strip:
        base = self.rich_style
        if self.says and y == self._rows - 1:
            return strip_of(self.app, styled(f" {self.says} ", "reverse"), base, self._columns)
        if y >= len(self._view):
            return Strip.blank(self._columns, base)
        spot, line, row = self._view[y]
        pieces = self._marked(spot, line, row)
        strip = Strip([Segment(text, base + style_of(self.app, style)) for text, style in pieces])
        left = int(self.scroll_x)
        return strip.crop_extend(left, left + self._columns, base)

    def _marked(self, spot: Spot, line: Line, row: Row) -> Line:
        """The pieces of a row, with what is sought in it."""
        pieces = between(line, row.start, row.stop)
        if self._sought is None:
            return pieces
        text = words(line)
        for hit in self._sought.finditer(text, max(0, row.start - 256), min(len(text), row.stop + 256)):
            now = Place(spot.part, row.line, hit.start()) == self._hit
            start, stop = max(hit.start(), row.start), min(hit.end(), row.stop)
            if start < stop:
                name = "match bold underline" if now else "match"
                before, inside, behind = (
                    between(pieces, a, b)
                    for a, b in (
                        (0, start - row.start),
                        (start - row.start, stop - row.start),
                        (stop - row.start, row.stop - row.start),
                    )
                )
                pieces = (*before, *((said, f"{style} {name}".strip()) for said, style in inside), *behind)
        return pieces


def between(line: Line, start: int, stop: int) -> Line:
    """A stretch of a line."""
    if len(line) == 1:
        return ((line[0][0][start:stop], line[0][1]),)
    found, at = [], 0
    for text, style in line:
        end = at + len(text)
        if end > start and at < stop:
            found.append((text[max(0, start - at) : stop - at], style))
        at = end
    return tuple(found)


def _sought_in(document: Document, part: int) -> str:
    if part >= len(document.parts):
        return _progress(document)
    return f"seeking: {100 * part // len(document.parts)}% of what was read"


def _progress(document: Document) -> str:
    title, read, size = document.of_block
    of = f" of {output.size(size)}" if size is not None else ""
    return f"{shown(title)}: {output.size(read)}{of} read".lstrip(": ")
