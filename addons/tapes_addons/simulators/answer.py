"""One reply on its way out: paced, coded, framed, noted; cut or held back where a fault says so."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import NoReturn

from tapes_addons.simulators.encode import Encoder, codings
from tapes_addons.simulators.http1 import LAST_CHUNK, Headers, chunk_bytes, head_bytes
from tapes_addons.simulators.reply import Reply
from tapes_addons.simulators.script import DropFault, Pace
from tapes_addons.simulators.truth import Exchange


class Dropped(Exception):
    """The script cuts the connection here."""


class Answer:
    """Sends `reply` and notes it in `exchange`; `encode`: the codings wanted, for clients that take them."""

    def __init__(
        self,
        exchange: Exchange,
        reply: Reply,
        encode: list[str],
        pace: Pace,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.exchange, self.reply, self.faults, self.pace = exchange, reply, reply.faults, pace
        self.reader, self.writer = reader, writer
        accepted = {name.split(";")[0] for name in codings(exchange.request.header("accept-encoding"))}
        self.codings = encode if reply.events[0] and accepted.issuperset(encode) else []

    async def send(self) -> None:
        """Raises Dropped, ConnectionError."""
        await self._pause(self.faults.first_byte + (self.pace.first_ms / 1000 if self.reply.stream else 0))
        await self._drop_at(-1)
        encoder = Encoder(self.codings)
        if self.reply.stream:
            await self._stream(encoder)
        else:
            await self._whole(encoder)
        await self.writer.drain()

    async def _whole(self, encoder: Encoder) -> None:
        (plain,) = self.reply.events
        wire = encoder.feed(plain) + encoder.end()
        self._head(("content-length", str(len(wire))))
        await self._drop_at(0)
        if self.exchange.request.method != "HEAD":
            self._write(wire, plain)

    async def _stream(self, encoder: Encoder) -> None:
        self._head(("transfer-encoding", "chunked"), ("cache-control", "no-cache"))
        last = len(self.reply.events) - 1
        for number, plain in enumerate(self.reply.events):
            await self._drop_at(number, last)
            if self.faults.stall and number == min(self.faults.stall.after, last):
                await self._pause(self.faults.stall.seconds)
            self._write(encoder.feed(plain), plain)
            await self.writer.drain()
            await self._pause(self.pace.gap_ms / 1000)
        if tail := encoder.end():
            self._write(tail, b"")
        await self._pause(self.faults.no_close)
        self.writer.write(LAST_CHUNK)

    def _head(self, *framing: tuple[str, str]) -> None:
        headers: Headers = (*self.reply.headers, *framing)
        if self.codings:
            headers += (("content-encoding", ", ".join(self.codings)),)
        self.exchange.status, self.exchange.headers = self.reply.status, headers
        self.writer.write(head_bytes(self.reply.status, headers))

    def _write(self, wire: bytes, plain: bytes) -> None:
        self.exchange.note(wire, plain)
        if self.reply.stream:
            wire = chunk_bytes(wire)
        self.writer.write(wire)

    async def _drop_at(self, number: int, last: int = 0) -> None:
        if self.faults.drop and number == min(self.faults.drop.after, last):
            await cut(self.writer, self.faults.drop)

    async def _pause(self, seconds: float) -> None:
        await pause(self.reader, seconds)


async def cut(writer: asyncio.StreamWriter, drop: DropFault) -> NoReturn:
    """Everything written still arrives, unless the cut is a reset. Raises Dropped."""
    await writer.drain()
    if drop.rst:
        linger = struct.pack("ii", 1, 0)  # close() then sends RST and forgets what is unsent
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
    raise Dropped


async def pause(reader: asyncio.StreamReader, seconds: float) -> None:
    """Wait, but no longer than there is somebody to wait for. Raises ConnectionResetError."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while (left := until - loop.time()) > 0:
        await asyncio.sleep(min(left, 0.02))
        if reader.at_eof() or reader.exception():
            raise ConnectionResetError("the client hung up")
