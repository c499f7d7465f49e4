"""Keys in the order in which they were typed, each for what the one before it has opened.

Textual hands a key on to the widget that has the focus at that moment, which works on it later; of several keys that
come at once (somebody who knows the way, a pasted line, a slow connection) the later ones reach what the first is about
to leave: `/price` would filter nothing and export something. Here a key's action is over before the next key is looked
at, and a key waits while a screen is being put up, or while a line that is typed in has not taken the one before.
"""

from __future__ import annotations

import time
from collections import deque

from textual import events
from textual.app import App
from textual.widget import Widget

LOOK_S = 0.005
"""Between two looks whether a key that waits can be handed on."""
PATIENCE_S = 2.0
"""How long one waits at most: a key that comes too early is better than one that never comes."""


class Typed(App[None]):
    """A screen MAY say `is_unsettled`: what a key led to is still on its way there."""

    def __init__(self) -> None:
        super().__init__()
        self._held: deque[events.Key] = deque()
        self._held_since = 0.0

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, events.Key) or event.is_forwarded or not self.screen_stack:
            await super().on_event(event)
        elif self._held or not self._is_ready():
            if not self._held:
                self._held_since = time.monotonic()
                self.set_timer(LOOK_S, self._hand_on)
            self._held.append(event)
        else:
            await self._take(event)

    async def _hand_on(self) -> None:
        while (
            self._held and self.screen_stack and (self._is_ready() or time.monotonic() - self._held_since > PATIENCE_S)
        ):
            await self._take(self._held.popleft())
            self._held_since = time.monotonic()
        if self._held and self.screen_stack:  # else a key has ended the program
            self.set_timer(LOOK_S, self._hand_on)

    def _is_ready(self) -> bool:
        """Is what has the focus what the keys before have led to?"""
        screen, focused = self.screen, self.focused
        if not screen.is_mounted or getattr(screen, "is_unsettled", False):
            return False
        if focused is None:
            return not screen.focus_chain and not screen.message_queue_size
        on_the_way = focused.ancestors_with_self  # what it says goes up through all of them, the screen the last
        return not any(isinstance(node, Widget) and node.message_queue_size for node in on_the_way)

    async def _take(self, event: events.Key) -> None:
        focused = self.focused
        if focused is None or not focused.check_consume_key("a", "a"):  # a line to type in does all by itself
            found = self.screen.active_bindings.get(event.key)
            if (
                found is not None
                and found.enabled
                and not found.binding.priority
                and await self.run_action(found.binding.action, found.node)
            ):
                return
        await super().on_event(event)
