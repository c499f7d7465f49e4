"""The line of keys: as many as there is room for, whole ones; those that lead back and to the help always.

Textual's Footer is a widget for each key, and makes all of them anew whenever the focus moves: a third of the time in
which a screen opens. This is one widget, which draws a line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from tapes.values import dataclass
from tapes_cli.deck.actions import ACTIONS

VIEWS = "screens"
"""What the keys of a session's screens are called together, where there is no room for the name of each."""
PLACE = {action.id: n for n, action in enumerate(ACTIONS)}
DIM = Style(dim=True)


@dataclass(frozen=True, slots=True)
class Key:
    key: str
    display: str
    says: str
    action: str = ""
    id: str = ""
    enabled: bool = True
    help: str = ""

    @property
    def pieces(self) -> tuple[str, str]:
        return self.display, " " * bool(self.display and self.says) + self.says

    @property
    def cells(self) -> int:
        """With the one behind it."""
        return sum(map(cell_len, self.pieces)) + 1


NAME = Key("", "", VIEWS)
"""Of several keys before it; no key itself."""


class Keys(Widget):
    DEFAULT_CSS = """
    Keys {
        dock: bottom; height: 1; color: $footer-foreground; background: $footer-background;
        .keys--key { color: $footer-key-foreground; background: $footer-key-background; text-style: bold; }
        .keys--says { color: $footer-description-foreground; background: $footer-description-background; }
        .keys--over { color: $footer-key-foreground; background: $block-hover-background; }
    }
    """
    COMPONENT_CLASSES: ClassVar = {"keys--key", "keys--says", "keys--over"}
    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self._keys: tuple[Key, ...] = ()
        """All that do something now, in their order."""
        self._over: Key | None = None
        """What the pointer is on."""

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, screen: Screen[object]) -> None:
        if not self.app.app_focus or not self.is_attached or screen is not self.screen:
            return
        keys = tuple(sorted(self._now(), key=lambda key: _rank(key.id)))
        if keys != self._keys:
            self._keys = keys
            self.refresh()

    def _now(self) -> Iterator[Key]:
        """Of an action that has several keys the first one. None that would be typed instead."""
        seen, focused = set(), self.screen.focused
        types = focused is not None and focused.check_consume_key("a", "a")
        for _, binding, enabled, help in self.screen.active_bindings.values():
            if binding.show and binding.action not in seen and isinstance(binding, Binding):
                seen.add(binding.action)
                display, says = self.app.get_key_display(binding), binding.description
                if len(display) > 1 or not types:
                    yield Key(binding.key, display, says, binding.action, binding.id or "", enabled, help)

    def render_line(self, y: int) -> Strip:
        base = self.rich_style
        key, says, over = (
            base + self.get_component_rich_style(f"keys--{part}", partial=True) for part in ("key", "says", "over")
        )
        blank = Style(bgcolor=base.bgcolor)
        pieces = []
        for one in fitting(self._keys, self.size.width):
            styles = (over + Style(bold=True), over) if one == self._over else (key, says)
            for text, style in zip(one.pieces, styles, strict=True):
                if text:
                    pieces.append(Segment(text, style if one.enabled else style + DIM))
            pieces.append(Segment(" ", says if one == NAME else blank))
        return Strip(pieces).adjust_cell_length(self.size.width, blank)

    def _at(self, x: int) -> Key | None:
        end = 0
        for one in fitting(self._keys, self.size.width):
            end += one.cells
            if x < end:
                return one if x < end - 1 and one != NAME else None
        return None

    def on_mouse_move(self, event: events.MouseMove) -> None:
        self._point(self._at(event.x))

    def on_leave(self) -> None:
        self._point(None)

    def _point(self, over: Key | None) -> None:
        if over != self._over:
            self._over = over
            self.tooltip = over.help if over else None
            self.refresh()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        clicked = self._at(event.x)
        if clicked is None:
            return
        if clicked.enabled:
            self.app.simulate_key(clicked.key)
        else:
            self.app.bell()


def _rank(action: str) -> tuple[int, int]:
    """The screens of the session, what can be done on this one alone, on all of them, everywhere."""
    place = action.split(".")[0]
    group = 0 if action.startswith("tape.view") else 2 if place == "tape" else 3 if place == "deck" else 1
    return group, PLACE.get(action, len(PLACE))


def fitting(keys: Iterable[Key], width: int) -> list[Key]:
    """Those that are the last to go stand at the ends: the screens at the left, what is everywhere at the right."""
    keys = list(keys)
    views = [key for key in keys if key.action.startswith("view(")]
    ends = [key for key in keys if key.key == "escape" or key.action.startswith(("app.", "back", "help"))]
    own = [key for key in keys if key not in views and key not in ends]
    if views and _wide([*views, *own[:4], *ends]) > width:
        views = [*(replace(key, says="") for key in views), NAME]
    room = width - _wide([*views, *ends])
    while own and _wide(own) > room:
        own.pop()
    return [*views, *own, *ends]


def _wide(keys: Iterable[Key]) -> int:
    return sum(key.cells for key in keys)
