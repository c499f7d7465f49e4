"""A blocking WebSocket client (RFC 6455) that goes where httpx would: through the proxy of the environment.

Clients reach even a plain `ws:` server with CONNECT when there is a proxy. Only proxies spoken to in plain
HTTP are known here.
"""

from __future__ import annotations

import base64
import http.client
import socket
import urllib.request
from collections.abc import Mapping
from urllib.parse import SplitResult, unquote, urlsplit

import httpx
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.extensions import PerMessageDeflate


class UpgradeRefused(Exception):
    """The server answered the handshake with an HTTP status of its own."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status} to the WebSocket handshake")
        self.status = status


class Socket:
    """Raises OSError, http.client.HTTPException, wsproto's ProtocolError, UpgradeRefused (at the start only)."""

    def __init__(self, url: str, headers: Mapping[str, str], connect_seconds: float, silence_seconds: float) -> None:
        parts = urlsplit(url)
        self._socket = _connect(parts, connect_seconds)
        self._socket.settimeout(silence_seconds)
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._events: list[Event] = []
        extra = [(key.encode("latin-1"), value.encode("latin-1")) for key, value in headers.items()]
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        try:
            self._send(Request(parts.netloc, target, extensions=[PerMessageDeflate()], extra_headers=extra))
            match self._next():
                case AcceptConnection():
                    pass
                case RejectConnection(status_code=status):
                    raise UpgradeRefused(status)
                case other:
                    raise ConnectionError(f"{type(other).__name__} in place of an answer to the handshake")
        except BaseException:
            self._socket.close()
            raise

    def send(self, text: str) -> None:
        self._send(TextMessage(text))

    def receive(self) -> str:
        """The next whole message; pings are answered on the way. Raises ConnectionError when there is none."""
        parts: list[str] = []
        while True:
            match self._next():
                case TextMessage(data=data, message_finished=finished):
                    parts.append(data)
                    if finished:
                        return "".join(parts)
                case Ping() as ping if self._protocol.state is ConnectionState.OPEN:  # else a close came right behind
                    self._send(ping.response())
                case CloseConnection(code=code, reason=reason):
                    raise ConnectionError(f"the WebSocket was closed: {code} {reason or ''}")

    def close(self, politely: bool = True) -> None:
        """Politely: a close frame, and what is left of the other side's words until its own."""
        try:
            if politely:
                self._send(CloseConnection(code=1000))
                while not isinstance(self._next(), CloseConnection | RejectData):
                    pass
        finally:
            self._socket.close()

    def _send(self, event: Event) -> None:
        self._socket.sendall(self._protocol.send(event))

    def _next(self) -> Event:
        while not self._events:
            data = self._socket.recv(1 << 16)
            if not data:
                raise ConnectionResetError("the connection ended without a close frame")
            self._protocol.receive_data(data)
            self._events += self._protocol.events()
        return self._events.pop(0)


def _connect(url: SplitResult, seconds: float) -> socket.socket:
    """A connection to the URL's host, by way of a proxy where the environment names one; TLS where it is https."""
    host, secure = url.hostname or "", url.scheme == "https"
    port = url.port or (443 if secure else 80)
    proxy = None if urllib.request.proxy_bypass(f"{host}:{port}") else urllib.request.getproxies().get(url.scheme)
    via = urlsplit(proxy if "://" in proxy else f"http://{proxy}") if proxy else None
    first, first_port = (via.hostname or "", via.port or 80) if via else (host, port)
    connection = (
        http.client.HTTPSConnection(first, first_port, timeout=seconds, context=httpx.create_ssl_context())
        if secure
        else http.client.HTTPConnection(first, first_port, timeout=seconds)
    )
    if via:
        connection.set_tunnel(host, port, headers=_authorization(via))
    connection.connect()
    return connection.sock


def _authorization(proxy: SplitResult) -> dict[str, str]:
    if not proxy.username:
        return {}
    secret = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(secret).decode()}"}
