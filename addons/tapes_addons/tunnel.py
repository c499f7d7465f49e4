"""The plain tunnel that takes the launcher's socket when nothing can be recorded: bytes through, nothing kept.

CONNECT is tunnelled; an absolute http URL, and any request on the base-URL route, is forwarded on a connection of its
own. A host that the user mapped elsewhere can not be reached without decrypting, so it is answered with 502 and the
reason. With `--strict` everything is refused. The user's own upstream proxy is not chained here. Standard library
only; it must work when our libraries do not.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

from tapes_addons.plan import choose_base

HEAD_LIMIT = 1024 * 1024


class Tunnel:
    """`base_urls`: what path prefixes of our own address stand for; `mapped`: HOST=URL pairs; `strict`: refuse all."""

    def __init__(self, base_urls: dict[str, str], mapped: list[str], *, strict: bool = False) -> None:
        self.strict = strict
        self.base_urls = base_urls
        self.mapped = {pair.partition("=")[0].lower() for pair in mapped}

    async def serve(self, listener: socket.socket) -> None:
        server = await asyncio.start_server(self.handle, sock=listener, limit=HEAD_LIMIT)
        await server.serve_forever()

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if self.strict:
                raise ValueError("--strict: nothing passes unrecorded")
            method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
            if method == "CONNECT":
                host, _, port = target.rpartition(":")
                await self._connect(host.strip("[]"), int(port), reader, writer)
            else:
                await self._forward(head, target, reader, writer)
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            await refuse(writer, f"tapes is not recording, and could not pass this on: {error}")
        finally:
            writer.close()

    def _is_mapped(self, host: str, port: int) -> bool:
        return bool({host.lower(), f"{host.lower()}:{port}"} & self.mapped)

    async def _connect(self, host: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_mapped(host, port):
            await refuse(writer, f"tapes is not recording, and can not map {host} without it")
            return
        up_reader, up_writer = await asyncio.open_connection(host, port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await both(reader, writer, up_reader, up_writer)

    async def _forward(
        self, head: bytes, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        url = urlsplit(target)
        prefix, own = "", url.scheme == ""
        if own:
            found = choose_base(self.base_urls, url.path)
            if found is None:
                raise ValueError("the request names no host")
            base = urlsplit(found[0])
            prefix, url = base.path.rstrip("/"), url._replace(scheme=base.scheme, netloc=base.netloc, path=found[1])
        if not url.hostname:
            raise ValueError("the request names no host")
        secure = url.scheme == "https"
        context = ssl.create_default_context() if secure else None
        port = url.port or (443 if secure else 80)
        if self._is_mapped(url.hostname, port):
            raise ValueError(f"can not map {url.hostname} without recording")
        up_reader, up_writer = await asyncio.open_connection(url.hostname, port, ssl=context)
        first, *rest = head.rstrip(b"\r\n").split(b"\r\n")
        method, _, version = first.split(b" ", 2)
        path = (prefix + (url.path or "/") + (f"?{url.query}" if url.query else "")).encode("latin-1")
        dropped = (b"proxy-connection:", b"connection:", *([b"host:"] if own else []))
        fields = [line for line in rest if not line.lower().startswith(dropped)]
        if own:
            fields.append(b"Host: " + url.netloc.encode("latin-1"))
        # One request a connection: no framing to follow, and the next one comes through us again.
        fields.append(b"Connection: close")
        up_writer.write(b"\r\n".join([b" ".join([method, path, version]), *fields, b"", b""]))
        await both(reader, writer, up_reader, up_writer)


async def both(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    up_reader: asyncio.StreamReader,
    up_writer: asyncio.StreamWriter,
) -> None:
    """Pump both ways until the far side is done."""
    up = asyncio.ensure_future(pump(reader, up_writer))
    try:
        await pump(up_reader, writer)
    finally:
        up.cancel()
        up_writer.close()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


async def refuse(writer: asyncio.StreamWriter, reason: str) -> None:
    body = json.dumps({"type": "error", "error": {"type": "api_error", "message": reason}}).encode()
    head = f"HTTP/1.1 502 Bad Gateway\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    writer.write(head.encode() + b"Connection: close\r\n\r\n" + body)


def outlive_nobody(agent: int) -> None:
    """End this process when the launcher is gone (its end of our standard input is closed) and the agent too."""
    sys.stdin.read()
    while agent and Path(f"/proc/{agent}").exists():
        time.sleep(0.5)
    os._exit(0)


def main(argv: list[str]) -> None:
    # By standard input: a URL may carry a password, and arguments are for everybody to see.
    settings = json.loads(sys.stdin.readline())
    threading.Thread(target=outlive_nobody, args=[settings["agent"]], daemon=True).start()
    tunnel = Tunnel(settings["base_urls"], settings["mapped"], strict=settings["strict"])
    asyncio.run(tunnel.serve(socket.socket(fileno=int(argv[0]))))


if __name__ == "__main__":
    main(sys.argv[1:])
