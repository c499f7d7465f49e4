"""The list of all sessions: sorted, filtered as one types, growing while others record."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual import on, work
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Static
from textual.worker import Worker, WorkerState, get_current_worker

from tapes.errors import TapesError
from tapes.record.digest import Digest
from tapes.session.rows import Row
from tapes_cli import output
from tapes_cli.deck.actions import bindings
from tapes_cli.deck.messages import ShelfRead
from tapes_cli.deck.model.results import Answer, Seeker, called, snippet
from tapes_cli.deck.model.shelf import Listing, Shelf
from tapes_cli.deck.model.styled import dotted, joined, styled, width
from tapes_cli.deck.widgets.bar import Bar
from tapes_cli.deck.widgets.box import Ask
from tapes_cli.deck.widgets.head import Head
from tapes_cli.deck.widgets.keys import Keys
from tapes_cli.deck.widgets.rows import Rows
from tapes_cli.home import index_path

if TYPE_CHECKING:
    from tapes_cli.deck.app import Deck

LIVE_S = 0.5
"""How often it is looked whether another process has recorded more."""
MOST = 1000
"""Sessions that are found by their contents at once: the newest. Who has more of them asks for more words."""
EMPTY = """Nothing has been recorded yet.

  tapes demo               records two runs of a scripted agent, without a network
  tapes run -- claude      records a real one

They will appear here."""


class Sessions(Screen[None]):
    BINDINGS: ClassVar = bindings("sessions")
    AUTO_FOCUS = "#sessions"
    """Not the box, which is there before it is known that it is hidden."""

    def __init__(self, shelf: Shelf) -> None:
        super().__init__()
        self.shelf = shelf
        self.bar = Bar(id="title")
        self.head = Head(id="head")
        self.rows = Rows(id="sessions")
        self.order, self.reverse = "started", True
        self.listing = Listing([])
        seeker = Seeker(shelf.archive, index_path(), by_session=True)
        self.ask = Ask("words, or a query of tapes search", seeker, limit=MOST, id="filter")
        self.why = Bar(id="why")
        self.answer = Answer()
        self.whole = False
        self._opening = False

    @property
    def deck(self) -> Deck:
        return cast("Deck", self.app)

    def compose(self) -> ComposeResult:
        yield self.bar
        yield self.ask
        yield self.head
        yield self.rows
        yield self.why
        yield Static(EMPTY, id="empty", markup=False)
        yield Keys()

    def on_mount(self) -> None:
        self.why.display = False
        self.query_one("#empty").display = False
        self.rows.focus()
        self.bar.say("reading…")
        self.read()
        self.set_interval(LIVE_S, self._look)

    # -- reading

    @work(thread=True, exclusive=True, group="shelf", exit_on_error=False)
    def read(self) -> None:
        worker = get_current_worker()
        for whole in self.shelf.read():
            if worker.is_cancelled:
                return
            self.post_message(ShelfRead(whole))

    @work(thread=True, exclusive=True, group="shelf", exit_on_error=False)
    def refresh_shelf(self) -> None:
        self.shelf.refresh()
        self.post_message(ShelfRead(True))

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A list that can not be read (an archive that is gone, a fault of ours) is said in its place."""
        if event.state == WorkerState.ERROR:
            error = event.worker.error
            said = str(error) if isinstance(error, TapesError) else f"a fault of tapes: {type(error).__name__}: {error}"
            self.bar.say(f"the sessions can not be read: {said}", "error")

    def _look(self) -> None:
        if self.is_current and self.whole and self.shelf.has_grown():
            self.refresh_shelf()

    def on_shelf_read(self, message: ShelfRead) -> None:
        self.whole = message.whole
        self._list()
        self.query_one("#empty").display = message.whole and not self.shelf.rows
        if message.whole and self.ask.text and not self.ask.busy:
            self.ask.ask()

    def _list(self) -> None:
        """List them anew; the cursor stays on the session that it is on."""
        here = self.chosen()
        hits = {hit.session: hit for hit in self.answer.hits}
        self.listing = Listing.of(self.shelf, self.order, self.reverse, self.ask.text, hits)
        self.head.show(self.listing.head)
        row = self.listing.row_of(here.session) if here is not None else None
        self.rows.show(self.listing, row if row is not None else 0)
        self._tell()
        self._say_why()

    def _tell(self) -> None:
        """How many there are, and how far it is known which."""
        listed, there = len(self.listing), len(self.shelf.rows)
        if not self.ask.text:
            self.bar.say(output.plural(there, "session") + ("" if self.whole else ", reading on …"))
            return
        parts = [styled(f"{listed} of {output.plural(there, 'session')}", "dim")]
        if self.answer.trouble:
            parts.append(styled(f"titles alone: {self.answer.trouble}", "error"))
        elif self.ask.busy:
            parts.append(styled("searching contents …", "dim"))
        elif not self.answer.wrong:
            newest = "the newest " if self.answer.more else ""
            parts.append(styled(f"{newest}{len(self.answer.hits)} by their contents: {self.answer.text}", "dim"))
            parts += [styled(remark, "warn") for remark in self.answer.remarks]
        self.bar.tell(dotted(parts))

    def _say_why(self) -> None:
        """What was found in the session that the cursor is on."""
        row = self.chosen()
        hit = self.listing.hits.get(row.session) if row is not None else None
        self.why.display = bool(self.ask.text)
        if hit is None:
            self.why.say("in its title" if row is not None else "")
        else:
            head = called(hit, self.answer.names)
            self.why.tell(joined(head, snippet(hit, self.size.width - width(head) - 2)))

    def chosen(self) -> Row | None:
        return self.listing.rows[self.rows.cursor] if len(self.listing) else None

    # -- what is done

    @on(Rows.Moved, "#sessions")
    def _moved(self) -> None:
        if self.ask.text:
            self._say_why()

    @on(Rows.Chosen, "#sessions")
    def _open(self) -> None:
        """At what was found in it; and `n` and `p` go on to what else was."""
        row = self.chosen()
        if row is None:
            return
        hit = self.listing.hits.get(row.session)
        text = (self.answer.text or self.ask.text) if hit is not None else ""
        self.deck.open_tape(row.session, hit.step if hit else None, seeking=text)

    @on(Ask.Changed)
    def _typed(self) -> None:
        """Titles at once, contents when the index has said something."""
        self.answer = Answer()
        self._opening = False
        self._list()

    @on(Ask.Answered)
    def _answered(self, message: Ask.Answered) -> None:
        self.answer = message.answer
        self._list()
        if self._opening and len(self.listing):
            self._entered()
        self._opening = False

    @on(Ask.Entered)
    def _entered(self) -> None:
        """Open the one that is chosen; where none is, the first that the contents bring."""
        if len(self.listing):
            self.rows.focus()
            self._open()
        else:
            self._opening = self.ask.busy

    @on(Ask.Moved)
    def _pointed(self, message: Ask.Moved) -> None:
        self.rows.action_move(message.by)

    def action_filter(self) -> None:
        self.ask.open()

    @on(Ask.Left)
    def action_unfilter(self) -> None:
        self.ask.close()
        self.rows.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "unfilter" or self.ask.display

    def action_sort(self, by: int) -> None:
        names = self.listing.orders(self.rows.columns)
        self.order = names[(names.index(self.order) + by) % len(names)] if self.order in names else names[0]
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
        from tapes_cli.deck.dialogs.pick import Pick

        row = self.chosen()
        if row is None:
            return
        one = row.session

        def compare(other: Digest | None) -> None:
            if other is not None:
                self.deck.compare(Target(one), Target(other))

        self.deck.push_screen(Pick(f"Compare {self.deck.ref_of(one)} with", self.shelf, one), compare)
