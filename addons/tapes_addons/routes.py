"""Where a request really goes: host maps, the base-URL route, and the user's own upstream proxy. Pure.

The agent speaks to real host names; `--map-host HOST=URL` sends one of them elsewhere (a company gateway, a test
server). On the base-URL route the agent speaks to our own address, of which each path prefix stands for one upstream
URL (`choose_base`, which stands in plan.py because the tunnel needs it too).
"""

from __future__ import annotations

import base64
import fnmatch
import ipaddress
import re
from collections.abc import Iterable, Mapping
from urllib.parse import SplitResult, unquote, urlsplit

from tapes.errors import UsageError
from tapes.values import dataclass
from tapes_addons.plan import choose_base as choose_base

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """An origin and a path prefix (no trailing slash)."""

    scheme: str
    host: str
    port: int
    prefix: str = ""

    @property
    def authority(self) -> str:
        """host[:port] as a Host header gives it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @staticmethod
    def parse(url: str, what: str) -> Target:
        """`what` names the option or variable in the error. Raises UsageError."""
        parts = _split(url, what)
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
            raise UsageError(f"{what}: {shown(url)} is no http(s) URL", hint="write it as https://HOST[:PORT][/PATH]")
        if parts.username or parts.query or parts.fragment:
            raise UsageError(
                f"{what}: {shown(url)} carries a user, a query or a fragment, which would be lost",
                hint="write it as https://HOST[:PORT][/PATH]; credentials belong into the agent's own settings",
            )
        port = parts.port or DEFAULT_PORTS[parts.scheme]
        return Target(parts.scheme, parts.hostname, port, parts.path.rstrip("/"))


def host_of(url: str) -> str:
    """`host:port` of an http(s) URL, whatever else it carries; "" for anything else."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{port or DEFAULT_PORTS[parts.scheme]}"


@dataclass(frozen=True, slots=True)
class HostMap:
    """`HOST=URL` pairs; HOST may carry a port, and `*` is every model host that is not named."""

    targets: Mapping[str, Target]

    @staticmethod
    def parse(pairs: Iterable[str]) -> HostMap:
        """Raises UsageError on anything but HOST=URL, or on a host mapped twice."""
        targets: dict[str, Target] = {}
        for pair in pairs:
            host, equals, url = pair.partition("=")
            host = host.rstrip(".")
            if not equals or not host or "/" in host:
                raise UsageError(
                    f"--map-host {shown(pair)} is not HOST=URL",
                    hint="for example --map-host api.anthropic.com=https://gateway.example/anthropic",
                )
            if host.lower() in targets:
                raise UsageError(f"--map-host names {host} twice")
            targets[host.lower()] = Target.parse(url, f"--map-host {host}")
        return HostMap(targets)

    def find(self, host: str, port: int) -> Target | None:
        """The target for a model host, by host:port first."""
        name = host.lower().rstrip(".")
        return self.targets.get(f"{name}:{port}") or self.targets.get(name) or self.targets.get("*")


@dataclass(frozen=True, slots=True)
class UpstreamProxy:
    """The proxy that the user's own environment asks for, and who bypasses it."""

    scheme: str
    host: str
    port: int
    authorization: str = ""
    """A Proxy-Authorization value; empty when the URL carries no user."""
    bypass: tuple[str, ...] = ()

    @staticmethod
    def of(environ: Mapping[str, str]) -> UpstreamProxy | None:
        """From HTTPS_PROXY (or ALL_PROXY) and NO_PROXY, lower case first as curl does. Raises UsageError."""
        names = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
        name = next((name for name in names if environ.get(name)), None)
        if name is None:
            return None
        value = environ[name]
        parts = _split(value if "://" in value else f"http://{value}", name)
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
            raise UsageError(
                f"{name}: a proxy of kind {parts.scheme!r} can not be chained",
                hint="tapes chains http and https proxies; unset it for this run, or use --route base-url",
            )
        authorization = ""
        if parts.username:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            authorization = "Basic " + base64.b64encode(pair.encode()).decode()
        bypass = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
        return UpstreamProxy(
            parts.scheme,
            parts.hostname,
            parts.port or DEFAULT_PORTS[parts.scheme],
            authorization,
            no_proxy_entries(bypass),
        )

    def serves(self, host: str, port: int) -> bool:
        """Does traffic to this host go through the proxy? Loopback never does."""
        return not is_loopback(host) and not any(bypasses(entry, host, port) for entry in self.bypass)


def no_proxy_entries(value: str) -> tuple[str, ...]:
    return tuple(entry.strip() for entry in value.replace(" ", ",").split(",") if entry.strip())


def bypasses(entry: str, host: str, port: int) -> bool:
    """Does a NO_PROXY entry cover a host? Names cover their subdomains; `*`, host:port, CIDR and globs are known."""
    entry, host = entry.lower(), host.lower().strip("[]")
    if entry == "*":
        return True
    if "/" in entry:
        try:
            return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    name, colon, entry_port = entry.rpartition(":")
    if colon and entry_port.isdigit() and ":" not in name:
        if int(entry_port) != port:
            return False
        entry = name
    entry = entry.removeprefix("*").removeprefix(".")
    return host == entry or host.endswith("." + entry) or ("*" in entry and fnmatch.fnmatch(host, entry))


def is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def shown(url: str) -> str:
    """A URL for an error message: what stands before the host may be a password, and messages end up in logs."""
    return repr(re.sub(r"[^/=]*@", "…@", url))


def _split(url: str, what: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises on a port that is no number
    except ValueError as error:
        raise UsageError(f"{what}: {shown(url)} is no URL ({error})") from None
    return parts
