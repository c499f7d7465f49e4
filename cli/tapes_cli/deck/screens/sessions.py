"""The list of all sessions: sorted, filtered as one types, growing while others record."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual import on, work
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Footer, Input, Static
from textual.worker import get_current_worker

from tapes.record.digest import Digest
from tapes.session.rows import Row
from tapes_cli.deck.actions import bindings
from tapes_cli.deck.dialogs.pick import Pick
from tapes_cli.deck.messages import ShelfRead
from tapes_cli.deck.model.shelf import ORDERS, Listing, Shelf
from tapes_cli.deck.widgets.bar import Bar
from tapes_cli.deck.widgets.head import Head
from tapes_cli.deck.widgets.rows import Rows

if TYPE_CHECKING:
    from tapes_cli.deck.app import Deck

LIVE_S = 0.5
"""How often it is looked whether another process has recorded more."""
EMPTY = """Nothing has been recorded yet.

  tapes demo               records two runs of a scripted agent, without a network
  tapes run -- claude      records a real one

They will appear here."""


class Sessions(Screen[None]):
    BINDINGS: ClassVar = bindings("sessions")

    def __init__(self, shelf: Shelf) -> None:
        super().__init__()
        self.shelf = shelf
        self.bar = Bar(id="title")
        self.head = Head(id="head")
        self.rows = Rows(id="sessions")
        self.order, self.reverse = "started", True
        self.listing = Listing([])

    @property
    def deck(self) -> Deck:
        return cast("Deck", self.app)

    def compose(self) -> ComposeResult:
        yield self.bar
        yield Input(placeholder="words, or a query of tapes search", id="filter")
        yield self.head
        yield self.rows
        yield Static(EMPTY, id="empty", markup=False)
        yield Footer(show_command_palette=False, compact=True)

    def on_mount(self) -> None:
        self.query_one("#filter").display = False
        self.query_one("#empty").display = False
        self.rows.focus()
        self.bar.say("reading…")
        self.read()
        self.set_interval(LIVE_S, self._look)

    # -- reading

    @work(thread=True, exclusive=True, group="shelf")
    def read(self) -> None:
        worker = get_current_worker()
        for whole in self.shelf.read():
            if worker.is_cancelled:
                return
            self.post_message(ShelfRead(whole))

    @work(thread=True, exclusive=True, group="shelf")
    def refresh_shelf(self) -> None:
        self.shelf.refresh()
        self.post_message(ShelfRead(True))

    def _look(self) -> None:
        if self.is_current and self.shelf.rows and self.shelf.has_grown():
            self.refresh_shelf()

    def on_shelf_read(self, message: ShelfRead) -> None:
        self._list()
        self.query_one("#empty").display = message.whole and not self.shelf.rows
        self.bar.say(
            f"{len(self.shelf.rows)} sessions" + ("" if message.whole else ", reading on …")
            if len(self.listing) == len(self.shelf.rows)
            else f"{len(self.listing)} of {len(self.shelf.rows)} sessions"
        )

    def _list(self) -> None:
        """List them anew; the cursor stays on the session that it is on."""
        here = self.chosen()
        self.listing = Listing.of(self.shelf, self.order, self.reverse, self.query_one("#filter", Input).value)
        self.head.show(self.listing.head)
        row = self.listing.row_of(here.session) if here is not None else None
        self.rows.show(self.listing, row if row is not None else 0)

    def chosen(self) -> Row | None:
        return self.listing.rows[self.rows.cursor] if len(self.listing) else None

    # -- what is done

    @on(Rows.Chosen, "#sessions")
    def _open(self, message: Rows.Chosen) -> None:
        self.deck.open_tape(self.listing.rows[message.index].session)

    @on(Input.Changed, "#filter")
    def _filter(self) -> None:
        self._list()

    @on(Input.Submitted, "#filter")
    def _filtered(self) -> None:
        self.rows.focus()

    def action_filter(self) -> None:
        box = self.query_one("#filter", Input)
        box.display = True
        box.focus()

    def action_sort(self, by: int) -> None:
        names = list(ORDERS)
        self.order = names[(names.index(self.order) + by) % len(names)]
        self._list()

    def action_reverse(self) -> None:
        self.reverse = not self.reverse
        self._list()

    def action_copy_hash(self) -> None:
        row = self.chosen()
        if row is not None:
            self.deck.copy(row.session.hex(), "the hash of the session")

    def action_export(self) -> None:
        row = self.chosen()
        if row is not None:
            self.deck.export(row.session)

    def action_compare(self) -> None:
        from tapes_cli.deck.app import Target

        row = self.chosen()
        if row is None:
            return
        one = row.session

        def compare(other: Digest | None) -> None:
            if other is not None:
                self.deck.compare(Target(one), Target(other))

        self.deck.push_screen(Pick(f"Compare {self.deck.ref_of(one)} with", self.shelf, one), compare)
