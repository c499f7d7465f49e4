"""The mitmproxy addon: hooks to happenings. It watches and routes; it changes nothing that agent and provider say
(but for the Host header of a request that came by our own address).

Three kinds of traffic pass:

- *model calls* (a model host, a known path): every byte and every WebSocket message goes to the sink as it arrives,
- *other paths of model hosts* (telemetry, settings): counted, or stored with `all_paths`,
- *other hosts*: tunnelled without being decrypted; plain http streamed both ways. Listed as egress.

mitmproxy logs an addon's exceptions and forgets them, so everything that may fail lives behind the sink, in the
writer. Responses are streamed through a tee set in `responseheaders`: mitmproxy would otherwise buffer them whole.
Codex and others hang up after the protocol's last event, and then only the `error` hook fires: both hooks finish.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import unquote

from mitmproxy import connection, ctx, http, tcp, tls
from mitmproxy.proxy import layer, layers
from mitmproxy.proxy.layers.http import HTTPMode
from mitmproxy.proxy.layers.http._upstream_proxy import HttpUpstreamProxy

from tapes.intake.recording import LAUNCH, Who
from tapes.values import dataclass, field
from tapes.wire import endpoints
from tapes.wire.exchange import Arrived, Egress, Happening, Moment, PassedBy
from tapes_addons import flow as flows
from tapes_addons import local, refusal
from tapes_addons.routes import HostMap, Target, UpstreamProxy, choose_base, is_loopback

KEY, STORED, PLAIN = "tapes.key", "tapes.stored", "tapes.plain"
WHO, SOCKET = "tapes.who", "tapes.socket"


@dataclass(frozen=True, slots=True)
class Config:
    """What the addon is told at its start."""

    own_port: int
    host_map: HostMap
    model_hosts: tuple[str, ...] = ()
    rows: tuple[endpoints.Row, ...] = ()
    """The user's own endpoints."""
    base_urls: Mapping[str, Target] = field(default_factory=dict)
    """What each path prefix of our own address stands for on the base-URL route."""
    proxy: UpstreamProxy | None = None
    all_paths: bool = False
    confirm: Callable[[], Awaitable[str]] | None = None
    """--strict: waits until the request is safe; a reason when it is not."""
    offline: bool = False
    """Of all that is no model call, only what stays on this machine is let through."""
    network: bool = False
    """Other machines may reach us too, by names of ours that we do not know."""
    whose: Callable[[Mapping[str, str], str], Who] = lambda headers, user: LAUNCH
    """Whose session a request belongs to, by its headers (names in lower case) and the user name in the proxy URL."""


@dataclass(slots=True)
class _Pipe:
    """A connection that is passed through unread."""

    host: str
    port: int
    started: Moment
    who: Who
    up: int = 0
    down: int = 0


class Capture:
    """One instance per proxy. All hooks run on mitmproxy's event loop."""

    def __init__(self, sink: Callable[[Happening, Who], bool], config: Config) -> None:
        self._sink = sink
        self._config = config
        self._pipes: dict[str, _Pipe] = {}
        self._users: dict[str, str] = {}
        """By client connection, the user name in the proxy URL."""
        self.live: set[str] = set()
        """Exchanges that were opened and have not ended."""

    # -- requests

    def http_connect(self, flow: http.HTTPFlow) -> None:
        host, port = flow.request.host, flow.request.port
        if self._config.offline and not endpoints.is_model_host(host, port, self._config.model_hosts):
            self._refuse_offline(flow)
        user = user_name(flow.request.headers.get("proxy-authorization", ""))
        if user:
            self._users[flow.client_conn.id] = user

    def client_disconnected(self, client: connection.Client) -> None:
        self._users.pop(client.id, None)

    def _whose(self, client: connection.Client, headers: Mapping[str, str] | None = None) -> Who:
        return self._config.whose(headers or {}, self._users.get(client.id, ""))

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        request = flow.request
        # Meant for us (plain http sends it with the request itself): it names a session and must not travel on.
        user = user_name(request.headers.pop("proxy-authorization", ""))
        ours = self._is_ours(flow)
        if ours:
            user, request.path = named_in(request.path)
        if user:
            self._users[flow.client_conn.id] = user
        flow.metadata[WHO] = self._whose(flow.client_conn, {k.lower(): v for k, v in request.headers.items()})
        route = "proxy"
        if ours and local.is_local(request.path):
            flow.metadata[local.LOCAL] = True
            return
        if ours:
            chosen = choose_base(self._config.base_urls, request.path)
            if chosen is None:
                self._misdirected(flow)
                return
            route = "base-url"
            base, request.path = chosen
            self._send_to(flow, base)
            request.headers["host"] = base.authority
        url, host, port = request.url, request.host, request.port
        decrypted = route == "base-url" or endpoints.is_model_host(host, port, self._config.model_hosts)
        if not decrypted:
            if self._config.offline:
                self._refuse_offline(flow)
            if flow.response is None:
                self._pass_plain(flow)
            return
        path = request.path.partition("?")[0]
        endpoint = endpoints.classify(request.method, host, path, self._config.model_hosts, self._config.rows)
        mapped = self._config.host_map.find(host, port)
        if mapped is not None:
            self._send_to(flow, mapped)
        self._chain(flow)
        flow.metadata[KEY] = flow.id
        if endpoint.cls is not None or self._config.all_paths:
            flow.metadata[STORED] = (url, endpoint, route, request.url if mapped else "")

    def _misdirected(self, flow: http.HTTPFlow) -> None:
        """A path of our own address that stands for nothing: the agent is told, and the record that it asked."""
        request, known = flow.request, ", ".join(f"/{prefix}" for prefix in sorted(self._config.base_urls))
        text = "tapes: this is a proxy; set it as HTTPS_PROXY"
        if known:
            text += f", or take one of these as base URL: {known} (tapes serve --upstream NAME=URL makes more)"
        flow.response = http.Response.make(421, f"{text}\n".encode(), {"content-type": "text/plain; charset=utf-8"})
        where = f"{request.host}:{self._config.own_port}"
        self._sink(PassedBy(where, request.method, request.path), flow.metadata[WHO])

    def _refuse_offline(self, flow: http.HTTPFlow) -> None:
        """Answer what would leave this machine, and list it."""
        host, port = flow.request.host, flow.request.port
        if is_loopback(host):
            return
        text = f"tapes --playback: {host} is on the network, which this run has none of (--allow-network)\n"
        flow.response = http.Response.make(502, text.encode(), {"content-type": "text/plain; charset=utf-8"})
        pipe = _Pipe(host, port, Moment.now(), self._whose(flow.client_conn))
        self._egress(pipe, "refused", "a playback has no network")

    def _is_ours(self, flow: http.HTTPFlow) -> bool:
        if flow.request.port != self._config.own_port:
            return False
        return is_loopback(flow.request.host) or (self._config.network and not flow.client_conn.tls)

    @staticmethod
    def _send_to(flow: http.HTTPFlow, target: Target) -> None:
        # Through `data`, so that the Host header stays what the agent sent. In `server_connect` it would be too
        # late: mitmproxy then never finds the open connection again and the 6th request waits for ever.
        data = flow.request.data
        data.scheme, data.host, data.port = target.scheme.encode(), target.host, target.port
        if target.prefix:
            data.path = target.prefix.encode() + data.path

    def _chain(self, flow: http.HTTPFlow) -> None:
        proxy = self._config.proxy
        if proxy is not None and proxy.serves(flow.request.host, flow.request.port):
            flow.server_conn.via = (proxy.scheme, (proxy.host, proxy.port))  # type: ignore[assignment]

    def _pass_plain(self, flow: http.HTTPFlow) -> None:
        request = flow.request
        pipe = _Pipe(request.host, request.port, Moment.now(), flow.metadata[WHO])
        flow.metadata[PLAIN] = pipe

        def up(data: bytes) -> bytes:
            pipe.up += len(data)
            return data

        request.stream = up
        self._chain(flow)

    async def request(self, flow: http.HTTPFlow) -> None:
        if local.LOCAL in flow.metadata:
            local.answer(flow, self._sink, flow.metadata[WHO])
            return
        if STORED not in flow.metadata:
            if KEY in flow.metadata:
                sent = len(flow.request.raw_content or b"")
                passed = PassedBy(flow.request.pretty_host, flow.request.method, flow.request.path, sent)
                self._sink(passed, flow.metadata[WHO])
            return
        url, endpoint, route, sent_to = flow.metadata[STORED]
        opened = flows.opened(flow, flow.metadata[KEY], url, sent_to, endpoint, route)
        kept = self._sink(opened, flow.metadata[WHO])
        self.live.add(flow.id)
        if self._config.confirm is not None:
            reason = await self._config.confirm() if kept else "the archive takes no records"
            if reason:
                flow.response = refusal.response(endpoint.provider, reason)

    # -- responses

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        response = flow.response
        assert response is not None
        if PLAIN in flow.metadata:
            pipe: _Pipe = flow.metadata[PLAIN]

            def down(data: bytes) -> bytes:
                pipe.down += len(data)
                return data

            response.stream = down
        elif STORED in flow.metadata:
            key: str = flow.metadata[KEY]
            who: Who = flow.metadata[WHO]
            sink = self._sink
            sink(flows.answered(flow, key), who)
            if response.status_code == 101:
                flow.metadata[SOCKET] = True

            def tee(data: bytes) -> bytes:
                if data:
                    sink(Arrived(key, time.monotonic_ns(), data), who)
                return data

            response.stream = tee
            if response.raw_content:
                # Made here (a refusal) and not streamed, so the tee will not see it.
                sink(Arrived(key, time.monotonic_ns(), response.raw_content), who)
        else:
            response.stream = True

    def response(self, flow: http.HTTPFlow) -> None:
        self._finish(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        self._finish(flow)

    def _finish(self, flow: http.HTTPFlow) -> None:
        self.live.discard(flow.id)
        if flow.metadata.pop(STORED, None) is not None:
            self._sink(flows.finished(flow, flow.metadata[KEY]), flow.metadata[WHO])
        pipe: _Pipe | None = flow.metadata.pop(PLAIN, None)
        if pipe is not None:
            self._egress(pipe, "plain", flow.error.msg if flow.error else "")

    # -- hosts that are not decrypted

    def next_layer(self, next_: layer.NextLayer) -> None:
        """Lead a tunnel through the user's own proxy where their environment asks for it. One to us ends here."""
        proxy, address = self._config.proxy, next_.context.server.address
        if address is not None and address[1] == self._config.own_port and is_loopback(address[0]):
            # Some programs ask the proxy for a tunnel even for plain http.
            next_.layer = layers.HttpLayer(next_.context, HTTPMode.transparent)
            return
        if proxy is None or address is None or next_.context.server.via is not None:
            return
        if not endpoints.is_model_host(address[0], address[1], self._config.model_hosts) and proxy.serves(
            address[0], address[1]
        ):
            next_.context.server.via = (proxy.scheme, (proxy.host, proxy.port))  # type: ignore[assignment]
            next_.layer = HttpUpstreamProxy.make(next_.context, send_connect=True)[0]

    def http_connect_upstream(self, flow: http.HTTPFlow) -> None:
        if self._config.proxy is not None and self._config.proxy.authorization:
            flow.request.headers["Proxy-Authorization"] = self._config.proxy.authorization

    def tcp_start(self, flow: tcp.TCPFlow) -> None:
        host, port = (flow.server_conn.address or ("?", 0))[:2]
        self._pipes[flow.id] = _Pipe(host, port, Moment.now(), self._whose(flow.client_conn))

    def tcp_message(self, flow: tcp.TCPFlow) -> None:
        pipe = self._pipes.get(flow.id)
        message = flow.messages[-1]
        if pipe is not None:
            if message.from_client:
                pipe.up += len(message.content)
            else:
                pipe.down += len(message.content)
        # Ours alone: nobody else reads them, and a long tunnel would fill the memory.
        flow.messages.clear()

    def tcp_end(self, flow: tcp.TCPFlow) -> None:
        self._tunnel_done(flow)

    def tcp_error(self, flow: tcp.TCPFlow) -> None:
        self._tunnel_done(flow)

    def _tunnel_done(self, flow: tcp.TCPFlow) -> None:
        pipe = self._pipes.pop(flow.id, None)
        if pipe is not None:
            self._egress(pipe, "tunnel", flow.error.msg if flow.error else "")

    # -- WebSockets

    async def websocket_message(self, flow: http.HTTPFlow) -> None:
        assert flow.websocket is not None
        message = flow.websocket.messages[-1]
        # Ours alone: mitmproxy would keep every message in memory for as long as the connection lives.
        flow.websocket.messages.clear()
        if SOCKET not in flow.metadata or message.injected:
            return
        kept = self._sink(flows.said(message, flow.metadata[KEY]), flow.metadata[WHO])
        if self._config.confirm is not None and message.from_client:
            reason = await self._config.confirm() if kept else "the archive takes no records"
            if reason:
                message.drop()
                ctx.master.commands.call("inject.websocket", flow, True, refusal.message(reason))

    def websocket_end(self, flow: http.HTTPFlow) -> None:
        if flow.metadata.pop(SOCKET, None):
            self._sink(flows.closed(flow, flow.metadata[KEY]), flow.metadata[WHO])

    def tls_failed_client(self, data: tls.TlsData) -> None:
        """The agent does not trust our CA for a model host: nothing of that connection can be recorded."""
        host, port = (data.context.server.address or (data.conn.sni or "?", 443))[:2]
        pipe = _Pipe(data.conn.sni or host, port, Moment.now(), self._whose(data.context.client))
        self._egress(pipe, "refused", data.conn.error or "TLS failed")

    def _egress(self, pipe: _Pipe, how: str, error: str) -> None:
        self._sink(
            Egress(
                at=Moment.now(),
                host=pipe.host,
                port=pipe.port,
                how=how,  # type: ignore[arg-type]
                bytes_up=pipe.up,
                bytes_down=pipe.down,
                started_ns=pipe.started.wall_ns,
                error=error,
            ),
            pipe.who,
        )

    def finish_all(self) -> None:
        """The proxy is going down: note the tunnels that are still open."""
        for pipe in self._pipes.values():
            self._egress(pipe, "tunnel", "")
        self._pipes.clear()


def named_in(path: str) -> tuple[str, str]:
    """The session's name in a path of our own address (`/~NAME/openai/…`, for a base URL has no user), and the path
    without it."""
    if not path.startswith("/~"):
        return "", path
    name, _, rest = path[2:].partition("/")
    return unquote(name), f"/{rest}"


def user_name(authorization: str) -> str:
    """The user name in a Proxy-Authorization header (RFC 7617); empty where there is none."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        pair = base64.b64decode(value.strip(), validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""
    return pair.partition(":")[0]
