"""The line of keys: as many as there is room for, whole ones; those that lead back and to the help always."""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.binding import Binding
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import Footer
from textual.widgets._footer import FooterKey, FooterLabel

from tapes_cli.deck.actions import ACTIONS

VIEWS = "screens"
"""What the keys of a session's screens are called together, where there is no room for the name of each."""
PLACE = {action.id: n for n, action in enumerate(ACTIONS)}


class Keys(Footer):
    def __init__(self) -> None:
        super().__init__(show_command_palette=False, compact=True)
        self._fitted = 0
        """For how many columns it was made."""

    def compose(self) -> ComposeResult:
        keys = [key for key in super().compose() if isinstance(key, FooterKey)]
        ids = {b.action: b.id or "" for _, b, _, _ in self.screen.active_bindings.values() if isinstance(b, Binding)}
        keys.sort(key=lambda key: _rank(ids.get(key.action, "")))
        self._fitted = self.app.size.width
        return fitting(keys, self._fitted)

    def on_resize(self, event: Resize) -> None:
        if self.app.size.width != self._fitted:
            self.refresh(recompose=True)


def _rank(action: str) -> tuple[int, int]:
    """The screens of the session, what can be done on this one alone, on all of them, everywhere."""
    place = action.split(".")[0]
    group = 0 if action.startswith("tape.view") else 2 if place == "tape" else 3 if place == "deck" else 1
    return group, PLACE.get(action, len(PLACE))


def fitting(keys: list[FooterKey], width: int) -> Iterable[Widget]:
    """Those that are the last to go stand at the ends: the screens at the left, what is everywhere at the right."""
    views = [key for key in keys if key.action.startswith("view(")]
    own = [key for key in keys if key not in views and not key.action.startswith(("app.", "back", "help"))]
    ends = [key for key in keys if key not in views and key not in own]
    names: list[Widget] = [*views]
    if views and _wide([*views, *own[:4], *ends]) > width:
        for key in views:
            key.description = ""
        names = [*views, FooterLabel(f"{VIEWS} ")]
    room = width - _wide([*views, *ends]) - (len(VIEWS) + 1 if len(names) > len(views) else 0)
    while own and _wide(own) > room:
        own.pop()
    return [*names, *own, *ends]


def _wide(keys: Iterable[FooterKey]) -> int:
    """In cells, with the one behind each."""
    return sum(cell_len(f"{key.key_display} {key.description}".strip()) + 1 for key in keys)
