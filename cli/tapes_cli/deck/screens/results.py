"""Search in all sessions: hits as rows, newest first, each a step that can be opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual import on
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Static

from tapes.archive.base import Archive
from tapes.search.hits import Hit
from tapes_cli import output
from tapes_cli.deck.actions import bindings
from tapes_cli.deck.model.results import Answer, Hits, Seeker
from tapes_cli.deck.model.styled import dotted, styled
from tapes_cli.deck.widgets.bar import Bar
from tapes_cli.deck.widgets.box import Ask
from tapes_cli.deck.widgets.keys import Keys
from tapes_cli.deck.widgets.rows import Rows
from tapes_cli.home import index_path

if TYPE_CHECKING:
    from tapes_cli.deck.app import Deck

FIRST = 200
"""Hits that are asked for at first; then always twice as many."""
AHEAD = 20
"""So many rows before the last one, more are asked for."""
EXAMPLES = """  migration -test             both words, and without one
  "connection refused"        side by side
  timeout OR refused          one of them
  migr*                       what a word begins with
  tool:Bash exit:1 since:2d   and facts: tool agent model session thread path cwd type
                              exit is:error participant since until"""


class Results(Screen[None]):
    BINDINGS: ClassVar = bindings("results")

    def __init__(self, archive: Archive) -> None:
        super().__init__()
        self.bar = Bar(id="title")
        self.ask = Ask("words, or a query of tapes search", Seeker(archive, index_path()), limit=FIRST, id="query")
        self.rows = Rows(id="hits")
        self.found = Hits(Answer())
        self.is_unsettled = False
        """Who has typed on behind Enter means what will be found."""

    @property
    def deck(self) -> Deck:
        return cast("Deck", self.app)

    def compose(self) -> ComposeResult:
        yield self.bar
        yield self.ask
        yield self.rows
        yield Static(EXAMPLES, id="examples", markup=False)
        yield Keys()

    def on_mount(self) -> None:
        self.ask.open()
        self._tell()
        self.watch(self.rows, "scroll_y", self._more, init=False)

    # -- what was found

    @on(Ask.Changed)
    def _typed(self) -> None:
        """What was found for another query is none of this one."""
        self.found = Hits(Answer())
        self.rows.show(self.found, 0)
        self._tell()

    @on(Ask.Answered)
    def _answered(self, message: Ask.Answered) -> None:
        self.is_unsettled = False
        here = self.chosen()
        self.found = Hits(message.answer)
        hits = message.answer.hits
        places = (n for n, hit in enumerate(hits) if here and (hit.record, hit.item) == (here.record, here.item))
        self.rows.show(self.found, next(places, self.rows.cursor if here else 0))
        self._tell()

    def _tell(self) -> None:
        answer = self.found.answer
        self.query_one("#examples").display = not self.ask.text or bool(answer.wrong)
        parts = [styled("all sessions", "bold")]
        if answer.trouble:
            parts.append(styled(answer.trouble, "error"))
        elif self.ask.busy:
            parts.append(styled("searching …", "dim"))
        elif self.ask.text and not answer.wrong:
            count = output.plural(len(answer.hits), "hit") if answer.hits else "nothing found"
            more = ", and more: they come as you scroll" if answer.more else ""
            parts += [styled(f"{count} for {answer.text}{more}"), *(styled(one, "warn") for one in answer.remarks)]
        self.bar.tell(dotted(parts))

    def _more(self) -> None:
        last = self.rows.scroll_offset.y + self.rows.size.height
        answer = self.found.answer
        if answer.more and not self.ask.busy and last > len(answer.hits) - AHEAD:
            self.ask.ask(limit=2 * len(answer.hits))

    def chosen(self) -> Hit | None:
        hits = self.found.answer.hits
        return hits[self.rows.cursor] if self.rows.cursor < len(hits) else None

    # -- what is done

    @on(Rows.Chosen, "#hits")
    def _open(self) -> None:
        hit = self.chosen()
        if hit is not None:
            self.deck.open_tape(hit.session, hit.step, seeking=self.found.answer.text)

    @on(Ask.Entered)
    def _entered(self) -> None:
        """To the list; without waiting for a pause, where something was just typed."""
        if self.ask.busy:
            self.ask.ask()
        self.is_unsettled = self.ask.busy
        self.rows.focus()

    @on(Ask.Moved)
    def _pointed(self, message: Ask.Moved) -> None:
        self.rows.action_move(message.by)

    @on(Ask.Left)
    async def _left(self) -> None:
        await self.deck.action_back()

    def action_search(self) -> None:
        self.ask.open()

    def action_again(self) -> None:
        self.ask.ask(limit=max(FIRST, len(self.found.answer.hits)))
        self._tell()

    def action_copy_hash(self) -> None:
        hit = self.chosen()
        if hit is not None:
            self.deck.copy(hit.record.hex(), "the hash of the hit's record")
