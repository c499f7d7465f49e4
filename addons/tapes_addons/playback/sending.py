"""A recorded answer on its way out: in its pieces, each when it came, and ended as it ended."""

from __future__ import annotations

import asyncio

from tapes.playback.recorded import Answer
from tapes_addons.simulators.answer import pause
from tapes_addons.simulators.http1 import LAST_CHUNK, Request, chunk_bytes, head_bytes, reason

HELD_S = 600.0
"""How long a call whose recorded answer nobody waited for is left without its end."""
NO_CONTENT = 204
BODILESS = (NO_CONTENT, 304)


class Cut(Exception):
    """The recording breaks off here."""


async def send(
    answer: Answer, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, fast: bool
) -> None:
    """An answer as it was recorded. Raises Cut, ConnectionError."""
    clock = Clock(reader, fast)
    if answer.status is None:
        await clock.wait(answer.after_us)
        if answer.end == "held":
            await pause(reader, HELD_S)
        raise Cut
    bodiless = request.method == "HEAD" or answer.status in BODILESS
    sized = answer.sized and not bodiless
    chunked = not sized and not bodiless
    head = head_of(answer, sized=sized, chunked=chunked)
    pieces = () if bodiless else answer.pieces
    for n, piece in enumerate(pieces):
        await clock.wait(piece.after_us)
        data = chunk_bytes(piece.data) if chunked and piece.data else piece.data
        writer.write(head + data if n == 0 else data)
        await writer.drain()
    if not pieces:
        writer.write(head)
    await clock.wait(answer.after_us)
    await writer.drain()
    if answer.end == "held":
        await pause(reader, HELD_S)
    if answer.end != "whole":
        raise Cut
    if chunked:
        writer.write(LAST_CHUNK)
        await writer.drain()


class Clock:
    """Waits as long as was waited in the recording; what we are late by is not waited again."""

    def __init__(self, reader: asyncio.StreamReader, fast: bool) -> None:
        self._reader, self._fast = reader, fast
        self._due = asyncio.get_running_loop().time()

    async def wait(self, after_us: int) -> None:
        """Raises ConnectionResetError when the agent has gone."""
        if self._fast:
            return
        self._due += after_us / 1_000_000
        await pause(self._reader, self._due - asyncio.get_running_loop().time())


def head_of(answer: Answer, *, sized: bool, chunked: bool) -> bytes:
    assert answer.status is not None
    lines = [b"HTTP/1.1 %d %s" % (answer.status, (answer.reason or reason(answer.status)).encode("latin-1", "replace"))]
    lines += [key + b": " + value for key, value in answer.headers]
    if sized:
        missing = 0 if answer.end == "whole" else 1  # so that it is seen to be cut
        lines.append(b"content-length: %d" % (len(answer.body) + missing))
    if chunked:
        lines.append(b"transfer-encoding: chunked")
    return b"\r\n".join([*lines, b"", b""])


def whole(
    status: int, body: bytes, kind: str = "application/json", *, closing: bool = False, bodiless: bool = False
) -> bytes:
    """A response of our own."""
    headers = [] if status == NO_CONTENT else [("content-type", kind), ("content-length", str(len(body)))]
    if closing:
        headers.append(("connection", "close"))
    return head_bytes(status, tuple(headers)) + (b"" if bodiless else body)
