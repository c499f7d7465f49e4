"""Just enough HTTP/1.1 (RFC 9112) for a server on loopback: read a request, write the frames of a response.

It takes what real clients send (chunked bodies, Expect, keep-alive, absolute targets) and nothing more:
this is a simulator's server, not one to put before strangers.
"""

from __future__ import annotations

import asyncio
import http
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from tapes_addons.simulators.encode import decode

Headers = tuple[tuple[str, str], ...]
HEAD_LIMIT = 1 << 20
BODY_LIMIT = 1 << 28


class Malformed(ValueError):
    """The other side did not speak HTTP/1.1; there is nothing to answer to."""


@dataclass(frozen=True)
class Request:
    """One request. `body` is out of its transfer coding and still in its content coding: what was sent."""

    method: str
    target: str
    headers: Headers
    body: bytes

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")

    @cached_property
    def path(self) -> str:
        return urlsplit(self.target).path

    @cached_property
    def content(self) -> bytes:
        """The body out of its content coding. Raises ValueError."""
        return decode(self.body, self.header("content-encoding"))

    @property
    def keep_alive(self) -> bool:
        return "close" not in self.header("connection").lower()


async def read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request | None:
    """The next request, or None when the client has ended the connection. Raises Malformed."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise Malformed("the connection ended inside a head") from error
        return None
    except asyncio.LimitOverrunError as error:
        raise Malformed("a head of more than 1 MiB") from error
    line, *rest = head[:-4].decode("latin-1").split("\r\n")
    try:
        method, target, version = line.split(" ")
        headers = tuple((key, value.strip()) for key, value in (field.split(":", 1) for field in rest))
    except ValueError as error:
        raise Malformed(f"not a request: {line[:80]!r}") from error
    if version != "HTTP/1.1":
        raise Malformed(f"{version} is not spoken here")
    names = {key.lower(): value for key, value in headers}
    if names.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    try:
        body = await _read_body(reader, names)
    except asyncio.IncompleteReadError as error:
        raise Malformed("the connection ended inside a body") from error
    return Request(method, target, headers, body)


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return await _read_chunked(reader)
    length = headers.get("content-length", "0")
    return await reader.readexactly(_size(length, 10))


async def _read_chunked(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := _size((await reader.readuntil(b"\r\n")).split(b";")[0].decode("latin-1").strip(), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
        _size(str(len(body)), 10)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # trailers say nothing that matters here
    return bytes(body)


def _size(text: str, base: int) -> int:
    try:
        size = int(text, base)
    except ValueError as error:
        raise Malformed(f"not a length: {text[:20]!r}") from error
    if not 0 <= size <= BODY_LIMIT:
        raise Malformed(f"a body of {size} bytes")
    return size


def head_bytes(status: int, headers: Headers) -> bytes:
    lines = [f"HTTP/1.1 {status} {reason(status)}", *(f"{key}: {value}" for key, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def reason(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Overloaded" if status == 529 else "Unknown"  # 529 is in use, and in no RFC


def chunk_bytes(data: bytes) -> bytes:
    """One chunk of a chunked body; an empty one would end it, so the end is written as `LAST_CHUNK`."""
    return b"%x\r\n%s\r\n" % (len(data), data)


LAST_CHUNK = b"0\r\n\r\n"
