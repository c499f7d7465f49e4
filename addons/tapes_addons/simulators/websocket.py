"""The Responses API over WebSocket (RFC 6455): a message asks, and every event of the answer is a message.

One connection is one Exchange, with status 101 and its messages. A response can be gone on from only on the
connection that made it, as with the real service when nothing is stored: who connects again must send the
whole history. The script's faults come as they do there: an error is a message, a cut ends the connection, a
refusal comes before it.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate
from wsproto.utilities import ProtocolError

from tapes_addons.simulators.answer import cut, pause
from tapes_addons.simulators.apis import openai
from tapes_addons.simulators.apis.cue import asker, started
from tapes_addons.simulators.apis.openai_responses import Declared, Refused, plan
from tapes_addons.simulators.http1 import Headers, Request
from tapes_addons.simulators.reply import Json, Reply, salt
from tapes_addons.simulators.script import NO_FAULTS, Faults, Stage
from tapes_addons.simulators.truth import Exchange, Message

UNSUPPORTED = 1003
"""Close code: a kind of message that is not taken here."""


def wanted(request: Request) -> bool:
    upgrade = request.header("upgrade").lower() == "websocket"
    return upgrade and request.method == "GET" and request.path.endswith("/responses")


def refusal(request: Request, stage: Stage) -> Reply | None:
    """The answer where the script wants no WebSocket, or nobody could open one."""
    if not request.header("sec-websocket-key"):
        return openai.error(request, 400, "a handshake without a Sec-WebSocket-Key")
    script = started(request, stage)
    if not (refused := stage.refusal(script, "\n".join(asker(request)))):
        return None
    message = "WebSocket connections are not supported here."
    return openai.error(request, refused.status, message, script=script, faults=replace(NO_FAULTS, refuse=refused))


class Conversation:
    """One connection, from the handshake that `exchange.request` asks for."""

    def __init__(
        self, exchange: Exchange, stage: Stage, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.exchange, self.stage, self.reader, self.writer = exchange, stage, reader, writer
        self._socket = WSConnection(ConnectionType.SERVER)
        self._asked: asyncio.Queue[Message | None] = asyncio.Queue()
        self._given: dict[str, Declared] = {}
        self._closing: CloseConnection | None = None

    async def serve(self) -> None:
        """Until the client closes. Raises Dropped, ConnectionError (also where it left without a word)."""
        try:
            self._accept()
        except ProtocolError as problem:
            raise ConnectionAbortedError(str(problem)) from problem
        self._send(Ping(b"are you there?"))
        receiving = asyncio.create_task(self._receive())
        try:
            while message := await self._asked.get():
                await self._answer(message)
        finally:
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)
        if not self._closing:
            raise ConnectionResetError("the client went away without a close frame")
        if self._socket.state is ConnectionState.REMOTE_CLOSING:
            # Last of all and without a pause: who has seen this may look at the exchange.
            self.writer.write(self._socket.send(self._closing.response()))

    def _accept(self) -> None:
        request = self.exchange.request
        headers = [(key.encode("latin-1"), value.encode("latin-1")) for key, value in request.headers]
        self._socket.initiate_upgrade_connection(headers, request.target)
        tuple(self._socket.events())  # the request itself, which we know
        extra = [(b"x-request-id", f"req_{salt(request)}".encode())]
        head = self._socket.send(AcceptConnection(extensions=[PerMessageDeflate()], extra_headers=extra))
        self.exchange.status, self.exchange.headers = 101, _headers(head)
        self.writer.write(head)

    async def _receive(self) -> None:
        """Answers pings at once, even in the middle of an answer; messages wait for their turn."""
        parts: list[str] = []
        try:
            while not self._closing and (data := await self.reader.read(1 << 16)):
                self._socket.receive_data(data)
                for event in self._socket.events():
                    self._take(event, parts)
        except (ConnectionError, ProtocolError):
            pass  # the connection is over, and not by a close frame: serve() says so
        finally:
            self._asked.put_nowait(None)

    def _take(self, event: Event, parts: list[str]) -> None:
        match event:
            case TextMessage():
                parts.append(event.data)
                if event.message_finished:
                    self._asked.put_nowait(self.exchange.message("client", "".join(parts)))
                    parts.clear()
            case BytesMessage():
                self._send(CloseConnection(code=UNSUPPORTED, reason="text messages only"))
            case Ping() if self._socket.state is ConnectionState.OPEN:  # else a close came in the same packet
                self._send(event.response())
            case Pong():
                self.exchange.pongs += 1
            case CloseConnection():
                self._closing = event

    async def _answer(self, message: Message) -> None:
        faults, events = self._plan(message)
        await pause(self.reader, faults.first_byte + self.stage.script.pace.first_ms / 1000)
        last = len(events) - 1
        for number, event in enumerate(events):
            if faults.drop and number == max(0, min(faults.drop.after, last)):
                await cut(self.writer, faults.drop)
            if faults.stall and number == min(faults.stall.after, last):
                await pause(self.reader, faults.stall.seconds)
            text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
            self.exchange.message("server", text)
            self._send(TextMessage(text))
            await self.writer.drain()
            await pause(self.reader, self.stage.script.pace.gap_ms / 1000)

    def _plan(self, message: Message) -> tuple[Faults, tuple[Json, ...]]:
        """The faults and the messages of an answer; `message` learns what it asked for."""
        request = replace(self.exchange.request, method="POST", body=message.text.encode())
        try:
            asked = json.loads(message.text)
            if asked["type"] != "response.create":
                raise ValueError(f"type {asked['type']!r}")
            planned = plan(request, asked, self.stage, self._given)
        except (ValueError, KeyError, TypeError, AttributeError) as problem:
            return NO_FAULTS, (_error(400, None, f"the message cannot be read: {problem}"),)
        except Refused as refused:
            return NO_FAULTS, (_error(refused.status, refused.code, refused.message),)
        told = planned.told
        message.script, message.turn, message.fault = told.script, told.index, told.faults.names
        self.exchange.script = told.script
        if told.faults.error:
            return told.faults, (_error(told.faults.error.status, None, "The model is overloaded."),)
        self._given[planned.whole["id"]] = planned.declared
        return told.faults, planned.events

    def _send(self, event: Event) -> None:
        if self._socket.state is not ConnectionState.OPEN:
            raise ConnectionResetError("the client has closed the WebSocket")
        self.writer.write(self._socket.send(event))


def _error(status: int, code: str | None, message: str) -> Json:
    return {"type": "error", "status": status, "error": openai.error_object(status, message, code)}


def _headers(head: bytes) -> Headers:
    lines = head.decode("latin-1").split("\r\n\r\n")[0].split("\r\n")[1:]
    return tuple((key, value.strip()) for key, value in (line.split(":", 1) for line in lines))
