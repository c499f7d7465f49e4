"""WebSockets: which messages are a model call, told as the happenings of an exchange; and which are not.

A turn begins with the agent's message that asks (`response.create`) and ends with the provider's terminal event. It is
an exchange like any other: its request body is that message, its response body the provider's messages joined by line
feeds. One connection answers one request at a time, in order; a provider's message belongs to the oldest turn that has
not ended. All other messages, and the agent's while a turn is going on, are an `Aside` of the connection.

Pure: happenings in, happenings out. Only the writer's thread touches it.
"""

from __future__ import annotations

import json
import re
from collections import deque

from tapes.values import dataclass, field
from tapes.wire.exchange import (
    Answered,
    Arrived,
    Finished,
    Happening,
    Opened,
    SocketClosed,
    SocketGap,
    SocketMessage,
)
from tapes.wire.outcome import ENDINGS

ASKS = {"openai-responses": frozenset({"response.create"})}
"""By provider, the `type` of the messages that ask a model for something. A provider that is missing here has no turns
that we know of: all its messages are kept with the connection."""
LINES = "application/x-ndjson"
"""The form that JSON messages have once they are joined."""
_PARSED = 64 * 1024 * 1024

_TYPE_FIRST = re.compile(rb'\s*\{\s*"type"\s*:\s*"([\w.-]*)"')


@dataclass(frozen=True, slots=True)
class Aside:
    """A message that belongs to no turn's body."""

    key: str
    message: SocketMessage


@dataclass(slots=True)
class Socket:
    """One connection, from its handshake on."""

    opened: Opened
    """The handshake."""
    turns: deque[str] = field(default_factory=deque)
    """Keys of the turns that have begun and not ended, the oldest first."""
    answered: set[str] = field(default_factory=set)
    """Those of them that the provider has begun to answer."""
    begun: int = 0
    messages: int = 0

    def take(self, message: SocketMessage) -> list[Happening | Aside]:
        """The happenings that a message is."""
        self.messages += 1
        kind = message_type(message.data) if message.is_text else ""
        provider = self.opened.provider
        if message.from_agent:
            if kind not in ASKS.get(provider, ()):
                return [Aside(self.opened.key, message)]
            return [self._begin(message)]
        if not self.turns:
            return [Aside(self.opened.key, message)]
        key = self.turns[0]
        happenings: list[Happening | Aside] = []
        if key not in self.answered:
            self.answered.add(key)
            happenings.append(Answered(key, message.at, 101, "", "websocket", ()))
        happenings.append(Arrived(key, message.at.mono_ns, message.data, message.is_text))
        ending = ENDINGS[provider]
        if kind in ending.done or kind in ending.failed:
            happenings.append(self._end(Finished(key, message.at, "eof")))
        return happenings

    def hole(self, gap: SocketGap) -> list[Happening | Aside]:
        """Messages were lost: no turn is known to go on."""
        return [self._end(Finished(key, gap.at, "capture_lost", gap.error)) for key in list(self.turns)]

    def close(self, closed: SocketClosed) -> list[Happening | Aside]:
        """What had begun ends with its connection."""
        ended = "client_gone" if closed.by_agent else "upstream_error"
        error = f"the WebSocket was closed: {closed.code} {closed.reason}".rstrip()
        return [self._end(Finished(key, closed.at, ended, error)) for key in list(self.turns)]  # type: ignore[arg-type]

    def _begin(self, message: SocketMessage) -> Opened:
        self.begun += 1
        key = f"{self.opened.key}/{self.begun}"
        self.turns.append(key)
        return Opened(
            key=key,
            at=message.at,
            method=self.opened.method,
            url=re.sub("^http", "ws", self.opened.url),
            http="websocket",
            headers=(),
            body=message.data,
            provider=self.opened.provider,
            cls="model",
            connection=self.opened.connection,
            route=self.opened.route,
            sent_to=re.sub("^http", "ws", self.opened.sent_to),
            within=self.opened.key,
        )

    def _end(self, finished: Finished) -> Finished:
        self.turns.remove(finished.key)
        self.answered.discard(finished.key)
        return finished


def message_type(data: bytes) -> str:
    """The `type` of a JSON message; empty where it has none."""
    first = _TYPE_FIRST.match(data)
    if first:
        return first[1].decode()
    if b'"type"' not in data or len(data) > _PARSED:
        return ""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return ""
    return str(value.get("type", "")) if isinstance(value, dict) else ""


def lengths(joined: bytes, feeds: list[int]) -> list[int] | None:
    """How long each message is in a body of messages joined by line feeds, where message n had `feeds[n]` line feeds of
    its own before redaction. None when redaction has taken some of them.
    """
    pieces = joined.split(b"\n")
    if len(pieces) != sum(feeds) + len(feeds):
        return None
    found, at = [], 0
    for count in feeds:
        found.append(sum(len(piece) for piece in pieces[at : at + count + 1]) + count)
        at += count + 1
    return found
