"""One of the sessions: type to filter; those of the same place or task stand first."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.widgets import Input

from tapes.archive.summary import Summary
from tapes.record.digest import Digest
from tapes_cli.deck.dialogs.base import Dialog
from tapes_cli.deck.model.shelf import Listing, Shelf
from tapes_cli.deck.model.styled import styled
from tapes_cli.deck.widgets.rows import Rows

LIVE_S = 0.5


class Pick(Dialog[Digest]):
    DEFAULT_CSS = """
    Pick > Vertical { max-width: 160; }
    Pick Rows { height: 1fr; max-height: 100%; }
    Pick > Vertical { height: 80%; }
    """
    KEYS = "type to filter · ↑/↓ choose · ⏎ take it · esc close"

    def __init__(self, title: str, shelf: Shelf, like: Digest | None = None) -> None:
        """`like`: a session that is not offered, but those like it first."""
        super().__init__(title)
        self._shelf, self._like = shelf, like
        self._known = -1
        self.listing = Listing([])

    def body(self) -> ComposeResult:
        yield Input(placeholder="words of its title, agent, directory …", id="words")
        yield Rows(id="picked")

    def on_mount(self) -> None:
        self._look()
        self.set_interval(LIVE_S, self._look)

    def _look(self) -> None:
        """More of them may have been read since, or begun."""
        if len(self._shelf.rows) != self._known:
            self._list()

    @on(Input.Changed, "#words")
    def _list(self) -> None:
        self._known = len(self._shelf.rows)
        found = Listing.of(self._shelf, "started", True, self.query_one("#words", Input).value).rows
        own = self._shelf.rows.get(self._like) if self._like else None
        if own is not None:
            summary = own.summary
            others = (row for row in found if row.session != self._like)
            found = sorted(others, key=lambda row: -likeness(row.summary, summary))
        rows = self.query_one("#picked", Rows)
        self.listing = Listing(found)
        rows.show(self.listing, 0)
        none = "no session has all these words" if self._known else "no session has been read yet"
        self.say(styled("" if found else none, "warn"))

    @on(Input.Submitted)
    @on(Rows.Chosen)
    def _chosen(self) -> None:
        if len(self.listing):
            self.dismiss(self.listing.rows[self.query_one("#picked", Rows).cursor].session)

    def key_down(self) -> None:
        self._move(1)

    def key_up(self) -> None:
        self._move(-1)

    def _move(self, by: int) -> None:
        """While one types; the list itself moves by its own keys."""
        if self.query_one("#words").has_focus:
            self.query_one("#picked", Rows).cursor += by


def likeness(one: Summary, other: Summary) -> int:
    """How much of two sessions is the same: a try of one task again has its directory, command and label."""
    return (
        4 * bool(one.cwd and one.cwd == other.cwd)
        + 2 * bool(one.command and one.command == other.command)
        + 2 * bool(one.label and one.label == other.label)
        + (one.agent == other.agent)
    )
