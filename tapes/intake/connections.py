"""The `connection` records of WebSockets: messages that belong to no turn, and how each connection ended.

What a turn is, sockets.py says; here the rest is gathered until it is due and written down with its parent, the
handshake's `exchange.open`.
"""

from __future__ import annotations

from tapes.archive.base import Draft
from tapes.intake.answer import PART_AGE_NS, PART_BYTES
from tapes.intake.drafting import Drafting, Spans, body_spans
from tapes.intake.sockets import Aside, Socket, lengths
from tapes.values import dataclass, field
from tapes.wire.exchange import Happening, Moment, Opened, SocketClosed, SocketGap, SocketMessage
from tapes.wire.redact import StreamRedactor


@dataclass(slots=True)
class _Connection:
    socket: Socket
    handshake: Draft
    asides: list[SocketMessage] = field(default_factory=list)
    """Messages outside of turns that no record has yet."""
    aside_bytes: int = 0


class Connections:
    """The WebSockets of one session that are open. Only the writer's thread touches it."""

    def __init__(self, drafting: Drafting) -> None:
        self._drafting = drafting
        self._open: dict[str, _Connection] = {}

    def __bool__(self) -> bool:
        return bool(self._open)

    @property
    def live(self) -> bool:
        """Is there something that falls due by time?"""
        return any(connection.asides for connection in self._open.values())

    def begin(self, opened: Opened, handshake: Draft) -> None:
        """The provider has answered a handshake with 101."""
        self._open[opened.key] = _Connection(Socket(opened), handshake)

    def handshake(self, key: str) -> list[Draft]:
        """The parents of a turn within the connection `key`."""
        return [self._open[key].handshake] if key in self._open else []

    def take(self, happening: SocketMessage | SocketGap | SocketClosed) -> list[Happening]:
        """The happenings of turns that this is; what is of no turn stays here."""
        connection = self._open.get(happening.key)
        if connection is None:
            return []
        match happening:
            case SocketMessage():
                told = connection.socket.take(happening)
            case SocketGap():
                told = connection.socket.hole(happening)
            case SocketClosed():
                told = connection.socket.close(happening)
        for item in told:
            if isinstance(item, Aside):
                self._aside(connection, item.message)
        return [item for item in told if not isinstance(item, Aside)]

    def closed(self, closed: SocketClosed) -> None:
        """Draft what is left, after the turns have ended."""
        connection = self._open.pop(closed.key, None)
        if connection is None:
            return
        self._write(connection)
        spans = Spans()
        body: dict[str, object] = {
            "event": "closed",
            "by": "agent" if closed.by_agent else "provider",
            "code": closed.code,
            "reason": self._drafting.clean(closed.reason, "reason", spans),
            "turns": connection.socket.begun,
            "messages": connection.socket.messages,
        }
        if spans:
            body["redactions"] = spans
        self._drafting.draft("connection", closed.at, body, [connection.handshake])

    def write_due(self, now_ns: int) -> None:
        """Draft the messages that have waited long enough (`now_ns`: monotonic)."""
        for connection in self._open.values():
            if connection.asides and now_ns - connection.asides[0].at.mono_ns >= PART_AGE_NS:
                self._write(connection)

    def end_all(self, at: Moment, reason: str) -> list[SocketClosed]:
        """How every open connection ends when nobody will look at it any more."""
        return [SocketClosed(key, at, by_agent=True, code=1006, reason=reason) for key in self._open]

    def _aside(self, connection: _Connection, message: SocketMessage) -> None:
        connection.asides.append(message)
        connection.aside_bytes += len(message.data)
        if connection.aside_bytes >= PART_BYTES:
            self._write(connection)

    def _write(self, connection: _Connection) -> None:
        messages, connection.asides, connection.aside_bytes = connection.asides, [], 0
        if not messages:
            return
        stream = StreamRedactor(self._drafting.redactor, sse=False, lines=True)
        joined = b"".join(stream.feed(message.data + b"\n") for message in messages) + stream.finish()
        stored = joined.removesuffix(b"\n")
        body: dict[str, object] = {
            "event": "messages",
            "data": self._drafting.stored(stored),
            "from": ["agent" if message.from_agent else "provider" for message in messages],
            "kinds": ["text" if message.is_text else "binary" for message in messages],
            "times": [max(0, (m.at.mono_ns - messages[0].at.mono_ns) // 1000) for m in messages],
        }
        sizes = lengths(stored, [message.data.count(b"\n") for message in messages])
        if sizes is not None:
            body["messages"] = sizes
        if stream.spans:
            body["redactions"] = body_spans(stream.spans)
        self._drafting.draft("connection", messages[0].at, body, [connection.handshake])
