"""What the user's environment asks for: proxies, base URLs, certificates, ports; and the libraries we stand on."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

from tapes.errors import TapesError, UsageError
from tapes.wire import endpoints
from tapes.wire.agents.base import BUNDLE_VARIABLES, EXTRA_CA_VARIABLES
from tapes.wire.agents.bases import found_in
from tapes_addons import serve_state
from tapes_addons.routes import UpstreamProxy, bypasses, host_of, no_proxy_entries, shown
from tapes_addons.terminal import supervisor
from tapes_addons.worktree.watch import Watcher
from tapes_cli.addresses import DEFAULT_HOST, DEFAULT_PORT
from tapes_cli.checks.finding import Finding, bad, note, ok

LIBRARIES = ("mitmproxy", "lmdb", "blake3", "zstandard", "cbor2")
REACH_S = 2.0
_FEW_WATCHES = 8192
_MORE_WATCHES = "sudo sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512"


def libraries() -> Iterator[Finding]:
    """The capture side's, by their installed versions."""
    missing = []
    versions = []
    for name in LIBRARIES:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        yield bad("libraries", f"not installed: {', '.join(missing)}", "install tapes again: pip install agent-tapes")
    else:
        yield ok("libraries", ", ".join(versions))


def files() -> Iterator[Finding]:
    """Are snapshots of the working directory told by the kernel where to look?"""
    watches = _most_watches()
    try:
        Watcher().close()
    except OSError as error:
        text = f"nobody watches ({error.strerror}): each snapshot looks at every file"
        yield note("files", text, _MORE_WATCHES if watches else "")
        return
    if watches is not None and watches < _FEW_WATCHES:
        text = f"inotify watches {watches} directories at most: in bigger trees each snapshot looks at every file"
        yield note("files", text, _MORE_WATCHES)
    else:
        yield ok("files", f"watched by inotify{f' (up to {watches} directories)' if watches else ''}")


def _most_watches() -> int | None:
    try:
        return int(Path("/proc/sys/fs/inotify/max_user_watches").read_text())
    except (OSError, ValueError):
        return None


def witness() -> Iterator[Finding]:
    """Who witnesses commands, and how well."""
    level, why = supervisor.level()
    if level == "supervisor":
        yield ok("commands", f"witnessed with output, exit status and signal by {supervisor.PROGRAM}")
    else:
        yield note("commands", f"witnessed by a trap in the shell, without output: {why}", "install a C compiler")
    if not supervisor.orphans_are_reaped():
        yield note(
            "commands", "process 1 here waits for no orphans: each witnessed command leaves a zombie", "use --init"
        )


def ports() -> Iterator[Finding]:
    """Can a loopback port be had, and reached?"""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = server.getsockname()
            with socket.create_connection(address, REACH_S):
                yield ok("ports", "a loopback port can be opened and reached")
    except OSError as error:
        todo = "a firewall or sandbox is in the way of 127.0.0.1; allow it for this user"
        yield bad("ports", f"no loopback port: {error}", todo)


def serve(home: Path) -> Iterator[Finding]:
    """Standing proxies of this archive, and whether the usual port for one is free."""
    states = serve_state.running(home)
    for state in states:
        yield ok("serve", f"tapes serve (pid {state.pid}) listens on {state.authority}")
    if states:
        return
    try:
        socket.create_server((DEFAULT_HOST, DEFAULT_PORT)).close()
    except OSError as error:
        todo = f"give tapes serve another one: --listen {DEFAULT_HOST}:{DEFAULT_PORT + 1}"
        yield note("serve", f"its port {DEFAULT_PORT} is taken by another program ({error.strerror})", todo)
    else:
        yield ok("serve", f"none is running; its port {DEFAULT_PORT} is free")


def proxy(environ: Mapping[str, str]) -> Iterator[Finding]:
    """The user's own proxy is chained; one that can not be chained or reached is in the way."""
    try:
        found = UpstreamProxy.of(environ)
    except UsageError as error:
        todo = "write it as http://HOST:PORT (a password in it percent-encoded), or unset it for this run"
        yield bad("proxy", str(error), error.hint or todo)
        return
    if found is None:
        yield ok("proxy", "you use none")
    else:
        where = f"{found.host}:{found.port}"
        try:
            socket.create_connection((found.host, found.port), REACH_S).close()
        except OSError as error:
            yield bad("proxy", f"your own, {where}, can not be reached: {error}", "agents will not reach models either")
        else:
            yield ok("proxy", f"your own, {where}, is reached and chained")
    entries = no_proxy_entries(environ.get("no_proxy") or environ.get("NO_PROXY") or "")
    covering = [e for e in entries if any(bypasses(e, h.replace("*", "x"), 443) for h in endpoints.MODEL_HOSTS)]
    if covering:
        yield note("NO_PROXY", f"{', '.join(covering)} covers model hosts: left out for launched agents")


def variables(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Certificate variables must name files of certificates; base URLs make their hosts model hosts."""
    for name in (*BUNDLE_VARIABLES, *EXTRA_CA_VARIABLES):
        path = environ.get(name)
        if path and (reason := no_certificates(Path(path))):
            yield bad(name, f"{path} {reason}", f"unset {name}, or name a file of certificates in PEM")
        elif path:
            yield ok(name, f"{path} is merged with our certificate")
    for name, meant in sorted(found_in(environ).items()):
        # Ollama alone takes an address without a scheme.
        url = meant if name == "OLLAMA_HOST" else environ[name].strip()
        if host := host_of(url):
            yield ok(name, f"{host} is treated as a model host")
        else:
            yield bad(
                name, f"{shown(url)} is no http(s) URL", f"unset {name}, or write it as https://HOST[:PORT][/PATH]"
            )


def no_certificates(path: Path) -> str:
    """Why a program can not take its roots from there; empty when it can."""
    if not path.is_file():
        return "is no file"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        return "holds no certificates that can be read"
    except OSError as error:
        return f"can not be read: {error.strerror}"
    return ""


def configuration(home: Path) -> Iterator[Finding]:
    """The user's config file, if there is one."""
    from tapes_cli.config import load_config

    try:
        config = load_config(home)
    except TapesError as error:
        yield bad("configuration", str(error), error.hint or "mend it, or move it away")
        return
    if config.model_hosts or config.rows:
        yield ok("configuration", f"{len(config.model_hosts)} model hosts, {len(config.rows)} endpoints of your own")
    else:
        yield ok("configuration", "no model hosts or endpoints of your own")


def system() -> Iterator[Finding]:
    """What this system lets us see."""
    if Path("/proc/self/fd").is_dir():
        yield ok("system", "an agent that connects past us is noticed")
    else:
        yield note("system", "an agent that connects past us can not be told from one that makes no call")
