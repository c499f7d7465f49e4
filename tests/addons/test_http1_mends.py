"""Messages that stock mitmproxy would hang on pass through our proxy: real sockets, the real proxy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from proxied import proxy
from tapes.wire.exchange import Answered, Arrived, Happening

HEAD = b"POST http://api.anthropic.com/v1/messages HTTP/1.1\r\nHost: api.anthropic.com\r\n"


@asynccontextmanager
async def proxied(folder: Path, answer: bytes, seen: list[Happening], asked: list[bytes]) -> AsyncIterator[int]:
    """Our proxy before an upstream that answers one request with `answer`, whatever it is; the proxy's port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n") + await reader.readuntil(b"0\r\n\r\n"))
        writer.write(answer)
        await writer.drain()

    upstream = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = upstream.sockets[0].getsockname()[1]
    async with proxy(folder, [f"api.anthropic.com=http://127.0.0.1:{port}"], seen=seen.append) as own:
        yield own
    upstream.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 102 Processing\r\n\r\n" * 2 + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Trailer: t\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ],
)
async def test_interim_responses_and_trailers_do_not_hold_the_answer_up(tmp_path: Path, answer: bytes) -> None:
    seen: list[Happening] = []
    asked: list[bytes] = []
    async with proxied(tmp_path, answer, seen, asked) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-Trailer: t\r\n\r\n")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        body = await asyncio.wait_for(reader.readuntil(b"0\r\n\r\n" if b"chunked" in head else b"hello"), 10)
        writer.close()
    assert head.startswith(b"HTTP/1.1 200")
    assert b"hello" in body
    assert asked[0].endswith(b"2\r\n{}\r\n0\r\n\r\n")
    assert [h.status for h in seen if isinstance(h, Answered)] == [200]
    assert b"".join(h.data for h in seen if isinstance(h, Arrived)) == b"hello"
