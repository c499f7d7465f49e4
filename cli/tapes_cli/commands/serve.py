"""`tapes serve`: a standing proxy that records agents started elsewhere, in this terminal until it is stopped."""

from __future__ import annotations

import errno
import os
import shlex
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Unpack

import click

from tapes.errors import ArchiveError, UsageError
from tapes.wire import agents
from tapes.wire.agents.base import Launch, Trust
from tapes_addons import serve_state
from tapes_addons.plan import Plan
from tapes_addons.routes import HostMap, Target, UpstreamProxy, is_loopback
from tapes_addons.trust import ensure_ca
from tapes_cli.addresses import DEFAULT_HOST, DEFAULT_PORT, UPSTREAMS, address
from tapes_cli.config import load_config
from tapes_cli.exit_codes import Exit
from tapes_cli.home import home
from tapes_cli.launching import check_archive, read, user_model_hosts, working_directory
from tapes_cli.options import How, put_into, recording

BACKLOG = 1024


@click.command("serve")
@click.option("--listen", metavar="HOST:PORT", default=f"{DEFAULT_HOST}:{DEFAULT_PORT}", show_default=True)
@click.option("--allow-network", is_flag=True, help="Listen where other machines can reach it. Read the warning.")
@click.option(
    "--upstream",
    metavar="PREFIX=URL",
    multiple=True,
    help="Base-URL route: what /PREFIX of our address stands for. May be repeated.",
)
@recording
def command(
    listen: str,
    allow_network: bool,
    upstream: tuple[str, ...],
    **how: Unpack[How],
) -> int:
    """Record every agent that is led here, until Ctrl-C.

    Lead one here with the settings that `tapes env AGENT` prints. Each agent has a session of its own.

    \b
    tapes serve
    eval "$(tapes env codex)"; codex        # in another terminal
    """
    base = home()
    host, port = address(listen)
    check_network(host, allow_network)
    try:
        check_archive(base, "")
        plan = Plan(home=str(base), run_dir="", argv=[], cwd="", agent="", environment={})
        put_into(plan, how)
        plan.base_urls = {**UPSTREAMS, **upstreams(upstream)}
        config = load_config(base)
        mapped = HostMap.parse(how["map_host"])
        plan.model_hosts = model_hosts(
            [*how["model_host"], *(host for host in mapped.targets if host != "*"), *config.model_hosts]
        )
        plan.rows = [asdict(row) for row in config.rows]
        plan.ca = str(ensure_ca(base))
        listener = bind(host, port, base)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        hint = f"tapes keeps its files in {base}; set TAPES_HOME to a directory that can be written"
        raise ArchiveError(f"cannot prepare to serve: {error.strerror}{where}", hint=hint) from error
    return serve(plan, listener, network=not is_loopback(host))


def serve(plan: Plan, listener: socket.socket, *, network: bool) -> int:
    """Announce and serve; the process ends here."""
    from tapes_addons.serve import refresh_bundles
    from tapes_addons.serve import serve as serve_on
    from tapes_addons.voice import Voice

    host, port = listener.getsockname()[:2]
    base = Path(plan.home)
    state = serve_state.State(os.getpid(), host, port, plan.base_urls, plan.model_hosts, time.time_ns())
    voice = Voice()
    plan.upstream_ca = str(refresh_bundles(Path(plan.ca), os.environ))
    proxy = UpstreamProxy.of(os.environ)
    if proxy is not None and proxy.port == port and is_loopback(proxy.host):
        voice.say("HTTPS_PROXY names this very address: it is ignored here")
        proxy = None
    with ExitStack() as until_the_end:

        def ready() -> None:
            for lines in announcement(state, base, network=network):
                voice.say(*lines)
            until_the_end.enter_context(serve_state.announced(base, state))

        written = serve_on(plan, listener, proxy, voice, ready, network=network)
    voice.say("stopped" if written else "stopped, but the archive did NOT take everything")
    voice.close()
    return Exit.OK if written else Exit.COULD_NOT_CAPTURE


def check_network(host: str, allowed: bool) -> None:
    """Loopback, or said in words."""
    if is_loopback(host):
        return
    if not allowed:
        raise UsageError(
            f"{host} can be reached from other machines",
            hint="whoever reaches it can use this proxy, and is recorded; if that is what you want: --allow-network",
        )


def bind(host: str, port: int, base: Path) -> socket.socket:
    """The listening socket. UsageError when the port is taken: by another `tapes serve`, if that is known."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # As the launcher's: asyncio sets TCP_NODELAY only on sockets that say TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno != errno.EADDRINUSE:
            raise UsageError(f"cannot listen on {host}:{port}: {error.strerror}") from error
        other = next((state for state in serve_state.running(base) if state.port == port), None)
        if other is None:
            text = f"{host}:{port} is in use by another program (or by a tapes serve with another TAPES_HOME)"
            raise UsageError(text, hint=f"choose another one: --listen {host}:{port + 1}") from error
        text = f"another tapes serve (pid {other.pid}) records into this archive on {other.authority}"
        raise UsageError(text, hint='use it: eval "$(tapes env claude)", or choose another --listen') from error
    return listener


def upstreams(pairs: Sequence[str]) -> dict[str, str]:
    """`--upstream PREFIX=URL`. Raises UsageError."""
    found: dict[str, str] = {}
    for pair in pairs:
        prefix, equals, url = pair.partition("=")
        if not equals or not prefix or "/" in prefix or prefix.startswith("~"):
            raise UsageError(f"--upstream {pair!r} is not PREFIX=URL", hint="for example openai=https://gateway/v1")
        Target.parse(url, f"--upstream {prefix}")
        found[prefix] = url.rstrip("/")
    return found


def model_hosts(further: Sequence[str]) -> list[str]:
    """Hosts named by options, and those that the user's own settings of any agent name."""
    launch = Launch(
        argv=["tapes"],
        environ=os.environ,
        route="proxy",
        own_url="",
        trust=Trust("", ""),
        home=str(Path.home()),
        cwd=working_directory(),
        read=read,
    )
    anybody = agents.by_name("generic")
    return sorted({*further, *user_model_hosts(anybody, anybody.settings(launch), launch)})


def announcement(state: serve_state.State, base: Path, *, network: bool) -> list[list[str]]:
    """What is said at the start: lines, each with the rows below it."""
    own = f"http://{state.authority}"
    said = f"TAPES_HOME={shlex.quote(str(base))} " if "TAPES_HOME" in os.environ else ""
    known = [agent.name for agent in agents.AGENTS if agent.name not in ("demo", "human", "generic")]
    rows = [f'{name:9} eval "$({said}tapes env {name})"' for name in [*known, "generic"]]
    ca = base / "ca"
    raw = [
        f"HTTPS_PROXY=http://NAME:x@{state.authority} (and HTTP_PROXY, https_proxy, http_proxy; NAME is the session's)",
        f"NODE_EXTRA_CA_CERTS={ca / 'extra.pem'}",
        f"SSL_CERT_FILE={ca / 'bundle.pem'} (and REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, CODEX_CA_CERTIFICATE)",
    ]
    bases = [f"ANTHROPIC_BASE_URL={own}/~NAME/anthropic", f"OPENAI_BASE_URL={own}/~NAME/openai"]
    bases.append(f"GOOGLE_GEMINI_BASE_URL={own}/~NAME/gemini")
    lines = [
        [f"recording ON · model calls that come by {own} · archive {base}"],
        ["to lead an agent here, in its shell:", *(f"  {row}" for row in rows)],
        ["by hand:", *(f"  {row}" for row in [*raw, "or, instead of the proxy:", *bases])],
    ]
    if network:
        text = (
            f"WARNING: other machines can reach {state.host}:{state.port}. Whoever does can send requests from this "
            "machine (as an open proxy), and what they say to models is recorded in your archive. Calls by base URL "
            "carry their API keys unencrypted over the network. Let a firewall decide who that is."
        )
        lines.append([text])
    return [*lines, ["stop with Ctrl-C"]]
