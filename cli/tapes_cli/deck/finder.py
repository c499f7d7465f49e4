"""The command palette (ctrl+p): every action of the registry that is possible where one is, its key beside it, and the
sessions by their titles."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.dom import DOMNode

from tapes.session.rows import Row
from tapes_cli.deck.actions import ACTIONS, PLACES, Action, keys_of, places_of
from tapes_cli.deck.model.shelf import title
from tapes_cli.deck.model.styled import styled, words

if TYPE_CHECKING:
    from tapes_cli.deck.app import Deck

SESSIONS_MOST = 12
"""Sessions that are offered for one query."""
MOVING = ("rows", "reader")


class Finder(Provider):
    @property
    def _deck(self) -> Deck:
        return cast("Deck", self.app)

    def _possible(self) -> list[tuple[Action, DOMNode]]:
        """Each with what does it: the focused widget, what is around it, the screen, the app. Moving in a list comes
        last: nobody looks for it by name."""
        around = list(self.focused.ancestors_with_self) if self.focused is not None else [self.screen, self.app]
        found = [
            (action, node)
            for node in around
            for place in places_of(type(node))
            for action in ACTIONS
            if action.on == place and action.name != "command_palette"
        ]
        return sorted(found, key=lambda one: one[0].on in MOVING)

    async def discover(self) -> Hits:
        yield DiscoveryHit(Content("Go to session …"), self._deck.pick_session, "Go to session", "Choose one of all.")
        for action, node in self._possible():
            told = _told(action)
            yield DiscoveryHit(Content(told), partial(self._do, action, node), told, action.help)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for action, node in self._possible():
            told = _told(action)
            # Of the words that are shown or, at half the worth, of its help.
            score = max(matcher.match(told), matcher.match(f"{action.says} {action.help}") / 2)
            if score > 0:
                yield Hit(score, Content(told), partial(self._do, action, node), told, action.help)
        if (score := matcher.match("Go to session …")) > 0:
            yield Hit(score, Content("Go to session …"), self._deck.pick_session, "Go to session", "Choose one of all.")
        for row in self._sessions(query):
            name = words(styled(f"Session {row.session.short()} {row.summary.name or row.summary.label}".rstrip()))
            about = words(styled(f"{row.summary.agent} · {row.summary.cwd}"))
            # In what is shown, as the palette reads every hit's help as markup.
            shown = Content.assemble(name, "\n", (about, "dim"))
            yield Hit(0.1, shown, partial(self._deck.open_tape, row.session), name)

    def _sessions(self, query: str) -> Iterator[Row]:
        asked = query.casefold().split()
        found = (row for row in list(self._deck.shelf.rows.values()) if all(word in title(row) for word in asked))
        return (row for row, _ in zip(found, range(SESSIONS_MOST), strict=False))

    async def _do(self, action: Action, node: DOMNode) -> None:
        await self.app.run_action(action.name, default_namespace=node)


def _told(action: Action) -> str:
    return f"{action.says}  [{keys_of(action)}]  {PLACES[action.on]}"
