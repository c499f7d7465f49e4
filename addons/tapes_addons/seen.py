"""What a run's capture process saw of the agent's network, for the warning when none of it was a model call.

It listens in on what goes to the writer and changes nothing. Once a model call has come there is nothing left to
explain, and the look at the agent's own connections ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tapes.intake.recording import Who
from tapes.wire.exchange import Egress, Happening, Opened
from tapes_addons.past_us import PastUs

MAX_HOSTS = 20


class Seen:
    """One per run. Also an addon of mitmproxy's, for its one hook."""

    def __init__(self, own_port: int) -> None:
        self.past = PastUs(own_port)
        self._connections = 0
        self._hosts: dict[str, None] = {}
        self._refused: dict[str, None] = {}

    def client_connected(self, client: object) -> None:
        """A connection has come to our port."""
        self._connections += 1

    def tap(self, put: Callable[[Happening, Who], bool]) -> Callable[[Happening, Who], bool]:
        """`put`, with us listening."""

        def tapped(happening: Happening, who: Who) -> bool:
            self.happened(happening)
            return put(happening, who)

        return tapped

    def happened(self, happening: Happening) -> None:
        """Note what would explain a run without a model call."""
        if isinstance(happening, Opened) and happening.cls == "model":
            self.past.stop()
        elif isinstance(happening, Egress):
            hosts = self._refused if happening.how == "refused" else self._hosts
            if len(hosts) < MAX_HOSTS:
                hosts[f"{happening.host}:{happening.port}"] = None

    def report(self) -> dict[str, Any]:
        """The fields that `no_call.explain` reads."""
        self.past.stop()
        return {
            "connections": self._connections,
            "hosts": list(self._hosts),
            "refused": list(self._refused),
            "past": self.past.seen,
            "can_tell": self.past.can_tell,
        }
