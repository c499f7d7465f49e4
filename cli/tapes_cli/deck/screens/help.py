"""All keys of the screen one is on, then those of everywhere, then what the signs mean: made from the registry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Static

from tapes.session.marks import SIGN
from tapes_cli.deck.actions import PLACES, actions, bindings, places_of, shown
from tapes_cli.deck.model.signs import BOTH, BREAK
from tapes_cli.deck.model.styled import words
from tapes_cli.deck.screens.searching import HIT
from tapes_cli.deck.widgets.bar import Bar
from tapes_cli.deck.widgets.keys import Keys
from tapes_cli.deck.widgets.timebar import SIGNS as TIME_SIGNS
from tapes_cli.story import ACTION_ICONS, ICONS

SHARED = ("tape", "rows", "reader", "deck")
EVERYWHERE = ("rows", "reader", "deck")
SIGNS = {
    SIGN: "marked, with a label (m)",
    BREAK: "playing stops here (b)",
    BOTH: "both",
    words(HIT): "fits what was searched for (/)",
    "▾ ▸": "a thread of its own, unfolded or folded",
    "│": "below the call that started it",
    "✗": "failed",
}
FILE_SIGNS = {
    "A M D R T": "added, changed, deleted, renamed, of another mode: against the start of the session",
    "!": "said to be changed, and is not",
    "×3": "versions since the start",
    "✓ ! ?": "claimed and true; claimed, not on disk; changed, not claimed",
    "●": "of the versions the one that stood at the current step",
    "x": "of the versions the other side of the diff",
}
COMPARE_SIGNS = {
    "|": "changed: in both, and not the same",
    "< >": "only in A; only in B",
    "~": "moved: it stands elsewhere in the other run",
}
AXIS_SIGNS = {
    "▼": "where you are",
    "━": "a model call",
    "▪": "a command",
    "✗": "one that failed",
    "┄": "not over, as far as is known",
}
OWN_SIGNS = (
    ("timeline", "Signs on the time axis", AXIS_SIGNS),
    ("files", "Signs of files", FILE_SIGNS),
    ("terminal", "On the bar of a recording", TIME_SIGNS),
    ("compare", "Signs of compare", COMPARE_SIGNS),
)
"""Of the screens that have some of their own."""
VERDICT_WORDS = {
    "matched": "it was asked for, it ran, and nothing that can be compared differs",
    "rewritten": "what ran is another line than was asked for",
    "denied": "it was kept from running, by a person, a rule, a sandbox or a mode",
    "not-witnessed": "it was asked for, and nobody saw it run",
    "not-requested": "it ran, and no call asked for it",
    "result-differs": "the model was told something else than came of it",
}
"""As `tapes.session.verdicts` has them."""


class Help(Screen[None]):
    BINDINGS: ClassVar = bindings("help")
    DEFAULT_CSS = """
    Help VerticalScroll { padding: 0 1; }
    """

    def __init__(self, places: list[str]) -> None:
        """`places`: those of the screen that was open."""
        super().__init__()
        own = [place for place in PLACES if place in places and place not in EVERYWHERE]
        self._places = own[::-1] + [place for place in EVERYWHERE if place in places or place == "deck"]
        self.bar = Bar(id="title")

    @classmethod
    def of(cls, screen: Screen[object]) -> Help:
        """For a screen: what can be done on it, and in each widget of it."""
        return cls([place for node in (screen, *screen.walk_children()) for place in places_of(type(node))])

    def compose(self) -> ComposeResult:
        yield self.bar
        with VerticalScroll():
            yield Static(Group(*self._parts()), markup=False)
        yield Keys()

    def on_mount(self) -> None:
        self.bar.say("Keys and signs · of the screen that was open, then everywhere · esc closes")
        self.query_one(VerticalScroll).focus()

    def action_scroll(self, by: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)

    def rows(self, place: str) -> list[tuple[str, str, str]]:
        """Keys, name and help of each action. A screen's own key goes before that of all screens of a session."""
        own = [one for one in self._places if one not in SHARED]
        taken = {key for action in actions(*own) for key in action.keys} if place == "tape" else set()
        return [
            (" ".join(map(shown, keys)), action.says, action.help)
            for action in actions(place)
            if (keys := [key for key in action.keys if key not in taken])
        ]

    def _parts(self) -> Iterator[RenderableType]:
        for place in self._places:
            yield from _part(PLACES[place], self.rows(place))
        for place, title, signs in OWN_SIGNS:
            if place in self._places:
                yield from _part(title, [(sign, "", means) for sign, means in signs.items()])
        yield from _part("Signs before a step", [(sign, "", means) for sign, means in SIGNS.items()])
        yield from _part("Kinds of steps", [(icon, "", kind) for kind, icon in ICONS.items()])
        yield from _part("Verdicts on commands", [(name, "", means) for name, means in VERDICT_WORDS.items()])
        yield from _part("What a call does", [(icon, "", action) for action, icon in ACTION_ICONS.items()])


def _part(title: str, rows: list[tuple[str, str, str]]) -> Iterator[RenderableType]:
    yield Text(f"\n{title}", "bold underline")
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(width=16)
    table.add_column(width=15 if any(says for _, says, _ in rows) else 0)
    table.add_column(ratio=1)
    for keys, says, help_ in rows:
        table.add_row(Text(keys, "bold"), Text(says), Text(help_))
    yield table
