"""mitmproxy as we run it: few addons, a socket that is already listening, and no time-out of our own.

mitmproxy has no option for an inherited socket. A proxy mode of our own (`inherited`) is registered beside its modes
with a server instance whose `listen` takes the socket; everything else is the regular explicit proxy
(docs/adr/0003-inherited-socket.md). The minor version of mitmproxy is pinned for this.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from mitmproxy import options
from mitmproxy.proxy import layers, mode_specs
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layer import Layer
from mitmproxy.proxy.mode_servers import AsyncioServerInstance

from tapes.intake.recording import Who
from tapes.intake.writer import Writer
from tapes.wire import endpoints
from tapes_addons import http1_mends, websocket_mends
from tapes_addons.capture import Capture, Config
from tapes_addons.mitm_addons import Master, TlsConfig, core, next_layer, proxyserver
from tapes_addons.plan import Plan
from tapes_addons.routes import HostMap, Target, UpstreamProxy

Whose = Callable[[Mapping[str, str], str], Who]

CONFIRM_S = 5.0
SWITCH_S = 0.0005
"""Thread switch interval: the writer's Python must not hold the event loop up for the default 5 ms."""
NEVER_S = 7 * 24 * 3600
"""mitmproxy closes connections that are idle for ten minutes; a model may think longer."""


class InheritedMode(mode_specs.ProxyMode):
    """An explicit HTTP proxy on a socket that another process bound."""

    description: ClassVar[str] = "HTTP(S) proxy on an inherited socket"
    transport_protocol = mode_specs.TCP

    def __post_init__(self) -> None:
        mode_specs._check_empty(self.data)


class InheritedInstance(AsyncioServerInstance[InheritedMode]):
    """Serves the socket given to `build`; one proxy per process."""

    sock: ClassVar[socket.socket]

    def make_top_layer(self, context: Context) -> Layer:
        return layers.modes.HttpProxy(context)

    async def listen(self, host: str, port: int) -> list[Any]:
        return [await asyncio.start_server(self.handle_stream, sock=self.sock, backlog=1024)]


def configure(
    plan: Plan,
    own_port: int,
    writer: Writer,
    proxy: UpstreamProxy | None,
    whose: Whose | None = None,
    *,
    network: bool = False,
) -> Config:
    """What the addon is to do. Raises UsageError for what can not be read. `proxy`: the user's own; `whose`: None
    where there is one session only."""

    async def confirm() -> str:
        safe = await asyncio.to_thread(writer.wait_safe, CONFIRM_S)
        return "" if safe and not writer.failing else writer.failing or "the archive is too slow"

    config = Config(
        own_port=own_port,
        host_map=HostMap.parse(plan.map_host),
        model_hosts=tuple(plan.model_hosts),
        rows=tuple(endpoints.Row(**row) for row in plan.rows),  # type: ignore[arg-type]
        base_urls={prefix: Target.parse(url, "a base URL") for prefix, url in plan.base_urls.items()},
        proxy=proxy,
        all_paths=plan.all_paths,
        offline=plan.offline,
        confirm=confirm if plan.strict else None,
        network=network,
    )
    return replace(config, whose=whose) if whose else config


def build(
    capture: Capture, config: Config, listener: socket.socket, ca: str, upstream_ca: str, insecure: bool
) -> Master:
    """A master ready to `run()` on the running loop. `ca`: folder of our CA; `upstream_ca`: roots for providers."""
    sys.setswitchinterval(SWITCH_S)
    http1_mends.apply()
    websocket_mends.apply()
    InheritedInstance.sock = listener
    master = Master(options.Options())
    master.addons.add(core.Core(), capture, proxyserver.Proxyserver(), next_layer.NextLayer(), TlsConfig())
    hosts = list(config.model_hosts)
    master.options.update(
        confdir=ca,
        mode=["inherited"],
        listen_port=config.own_port,
        listen_host="127.0.0.1",
        connection_strategy="lazy",
        allow_hosts=endpoints.allow_host_patterns(hosts),
        show_ignored_hosts=True,
        ssl_insecure=insecure,
        ssl_verify_upstream_trusted_ca=upstream_ca,
        tcp_timeout=NEVER_S,
        validate_inbound_headers=False,
    )
    return master
