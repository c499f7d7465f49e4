"""The plain tunnel that serves when nothing can be recorded: real sockets on loopback."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tapes_addons.tunnel import Tunnel


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = f"{self.path} {self.headers['Host']} ".encode() + body
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{http.server_address[1]}"
        http.shutdown()


def start(tunnel: Tunnel) -> tuple[asyncio.Task[None], str]:
    listener = socket.create_server(("127.0.0.1", 0))
    return asyncio.ensure_future(tunnel.serve(listener)), f"http://127.0.0.1:{listener.getsockname()[1]}"


async def test_a_plain_request_passes_unchanged(server: str) -> None:
    task, own = start(Tunnel({}, []))
    async with httpx.AsyncClient(proxy=own, trust_env=False) as client:
        for body in (b"one", b"two"):
            answer = await client.post(f"http://{server}/path?q=1", content=body)
            assert answer.content == f"/path?q=1 {server} ".encode() + body
    task.cancel()


async def test_a_request_to_our_own_address_goes_to_the_base_url(server: str) -> None:
    task, own = start(Tunnel({"": f"http://{server}/prefix"}, []))
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{own}/v1/messages", content=b"x")
    assert answer.content == f"/prefix/v1/messages {server} x".encode()
    task.cancel()


async def test_each_prefix_of_our_own_address_has_its_base_url_also_without_recording(server: str) -> None:
    task, own = start(Tunnel({"openai": f"http://{server}/v1", "gemini": "http://127.0.0.1:1"}, []))
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{own}/openai/responses?a=b", content=b"x")
        stray = await client.post(f"{own}/elsewhere", content=b"x")
    assert answer.content == f"/v1/responses?a=b {server} x".encode()
    assert stray.status_code == 502
    task.cancel()


async def test_connect_is_tunnelled_byte_for_byte(server: str) -> None:
    task, own = start(Tunnel({}, []))
    reader, writer = await asyncio.open_connection("127.0.0.1", int(own.rpartition(":")[2]))
    writer.write(f"CONNECT {server} HTTP/1.1\r\n\r\n".encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    writer.write(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nok")
    assert (await reader.readuntil(b"/ h ok")).startswith(b"HTTP/1.0 200")
    writer.close()
    task.cancel()


async def test_a_mapped_host_is_refused_with_the_reason_and_not_sent_astray() -> None:
    task, own = start(Tunnel({}, ["api.example=http://127.0.0.1:1"]))
    async with httpx.AsyncClient(proxy=own, trust_env=False) as client:
        with pytest.raises(httpx.ProxyError, match="502"):
            await client.post("https://api.example/v1/messages", content=b"x")
    task.cancel()


async def test_an_unreachable_host_is_answered_and_does_not_hang() -> None:
    task, own = start(Tunnel({}, []))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    async with httpx.AsyncClient(proxy=own, trust_env=False) as client:
        answer = await client.post(f"http://127.0.0.1:{port}/", content=b"x")
    assert answer.status_code == 502
    assert "not recording" in answer.json()["error"]["message"]
    task.cancel()
