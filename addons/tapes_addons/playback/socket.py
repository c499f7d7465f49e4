"""WebSockets of a recording: a message that asks is given the recorded messages of the turn it fits.

A connection that the provider closed behind a turn is closed behind it, with the same code or without a word. A turn
whose answer nobody waited for gets what was recorded of it, and the connection goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Event, Ping, TextMessage
from wsproto.events import Request as Handshake
from wsproto.extensions import PerMessageDeflate
from wsproto.utilities import ProtocolError

from tapes.intake.sockets import ASKS, message_type
from tapes.playback import refusal
from tapes.playback.matching import Given, Refused
from tapes.playback.recorded import Answer
from tapes_addons.playback.sending import Clock, Cut
from tapes_addons.playback.words import why
from tapes_addons.simulators.http1 import Request

BROKEN = 1006
_ASKS = frozenset().union(*ASKS.values())
_OURS = (b"sec-websocket-accept", b"sec-websocket-extensions", b"sec-websocket-protocol")


def wanted(request: Request) -> bool:
    return request.method == "GET" and request.header("upgrade").lower() == "websocket"


Ask = Callable[[bytes], Given | Refused]


async def converse(
    ask: Ask,
    accepted: Answer,
    request: Request,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    *,
    fast: bool,
) -> None:
    """One connection, until either side ends it. Raises Cut, ConnectionError."""
    await _Conversation(ask, request, reader, writer, fast).run(accepted)


class _Conversation:
    def __init__(
        self, ask: Ask, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fast: bool
    ) -> None:
        self._ask, self._request, self._fast = ask, request, fast
        self._reader, self._writer = reader, writer
        self._socket = WSConnection(ConnectionType.SERVER)
        self._asked: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._closing: CloseConnection | None = None

    async def run(self, accepted: Answer) -> None:
        try:
            self._accept(accepted)
        except ProtocolError as problem:
            raise ConnectionAbortedError(str(problem)) from problem
        receiving = asyncio.create_task(self._receive())
        try:
            while (message := await self._asked.get()) is not None:
                if not await self._answer(message):
                    return
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)
        if self._closing is not None and self._socket.state is ConnectionState.REMOTE_CLOSING:
            self._writer.write(self._socket.send(self._closing.response()))

    def _accept(self, accepted: Answer) -> None:
        headers = [(key.encode("latin-1"), value.encode("latin-1")) for key, value in self._request.headers]
        self._socket.initiate_upgrade_connection(headers, self._request.target)
        offered = next((e.subprotocols for e in self._socket.events() if isinstance(e, Handshake)), [])
        given = next((v.decode("latin-1") for n, v in accepted.headers if n.lower() == _OURS[2]), None)
        self._writer.write(
            self._socket.send(
                AcceptConnection(
                    subprotocol=given if given in offered else None,
                    extensions=[PerMessageDeflate()],
                    extra_headers=[(n, v) for n, v in accepted.headers if n.lower() not in _OURS],
                )
            )
        )

    async def _receive(self) -> None:
        """Answers pings at once, also in the middle of an answer; messages wait for their turn."""
        parts: list[bytes] = []
        try:
            while self._closing is None and (data := await self._reader.read(1 << 16)):
                self._socket.receive_data(data)
                for event in self._socket.events():
                    self._take(event, parts)
        except (ConnectionError, ProtocolError):
            pass  # it is over, and not by a close frame
        finally:
            self._asked.put_nowait(None)

    def _take(self, event: Event, parts: list[bytes]) -> None:
        match event:
            case TextMessage() | BytesMessage():
                data = event.data
                parts.append(data.encode() if isinstance(data, str) else bytes(data))
                if event.message_finished:
                    self._asked.put_nowait(b"".join(parts))
                    parts.clear()
            case Ping() if self._socket.state is ConnectionState.OPEN:
                self._send(event.response())
            case CloseConnection():
                self._closing = event

    async def _answer(self, message: bytes) -> bool:
        """Whether the connection goes on. Raises Cut, ConnectionError."""
        if message_type(message) not in _ASKS:
            return True  # a word in between, of which the recording knows no answer
        found = self._ask(message)
        if isinstance(found, Refused):
            text = why(found, f"a message on {self._request.path}")
            self._send(TextMessage(refusal.message(f"tapes playback: {text}").decode()))
            await self._writer.drain()
            return True
        answer = found.answer
        clock = Clock(self._reader, self._fast)
        for piece in answer.pieces:
            await clock.wait(piece.after_us)
            self._send(
                TextMessage(piece.data.decode("utf-8", "replace")) if piece.is_text else BytesMessage(piece.data)
            )
            await self._writer.drain()
        if answer.code == BROKEN or (answer.end == "cut" and not answer.code):
            raise Cut
        if answer.code:
            await clock.wait(answer.after_us)
            self._send(CloseConnection(answer.code))
            await self._writer.drain()
            with suppress(TimeoutError):  # theirs is waited for, so that ours is read
                await asyncio.wait_for(self._asked.get(), 1)
            return False
        return True

    def _send(self, event: Event) -> None:
        if self._socket.state is not ConnectionState.OPEN:
            raise ConnectionResetError("the client has closed the WebSocket")
        self._writer.write(self._socket.send(event))
