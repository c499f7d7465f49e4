"""What capture needs to know about a kind of agent: how to recognise it, how to route it, whom a request belongs to.

One small file per agent. Everything here is a pure function of what it is given: a command line, an environment, the
text of configuration files, request headers. Nothing of the user's is edited or shadowed: an agent is led to us by
variables, and where those do not do by words of its own command line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

from tapes.values import dataclass, field

Route = Literal["proxy", "base-url"]

PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")
BUNDLE_VARIABLES = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "CODEX_CA_CERTIFICATE",
)
"""Each of these *replaces* a program's roots, so it gets system roots + the user's own + ours."""
EXTRA_CA_VARIABLES = ("NODE_EXTRA_CA_CERTS",)
"""These *add* to a program's roots: only what is not a system root, so that Node starts as fast as ever."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Certificate files of one run."""

    bundle: str
    extra: str


@dataclass(frozen=True, slots=True)
class Launch:
    """A command line about to be started, and what an agent's file may look at."""

    argv: Sequence[str]
    environ: Mapping[str, str]
    route: Route
    own_url: str
    """Our own address, or what stands for it until the port is known."""
    trust: Trust
    home: str
    """The user's home directory."""
    cwd: str
    """Where the agent will start; empty when that has been deleted."""
    read: Callable[[str], str]
    """The text of a file; "" when it is not there or can not be read."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a launched agent needs so that its model calls come through us."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables to set; all others stay as the user has them."""
    arguments: tuple[str, ...] = ()
    """Words to put right behind the program's own word (see `words.program_at`)."""
    upstreams: Mapping[str, str] = field(default_factory=dict)
    """Base-URL route: the base URL that each path prefix of our address stands for; "" is the whole address."""
    model_hosts: Mapping[str, str] = field(default_factory=dict)
    """Base URLs of the user's own, by where each was found (a variable's or a file's name, for messages)."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a request says it belongs to; empty where the wire does not say."""

    session: str = ""
    thread: str = ""
    """Empty for the session's main thread."""
    parent: str = ""
    """The thread that started this one; empty for the main thread, and where the wire does not say."""
    version: str = ""
    path: str = ""
    """The agent's own name for the thread, as a path from the main one (`/root/sub_task`)."""


class Agent(Protocol):
    """One kind of agent. MUST be stateless."""

    @property
    def name(self) -> str:
        """As `session.open` and `tapes log` give it."""
        ...

    @property
    def version_words(self) -> tuple[str, ...]:
        """Arguments with which it says its version, without a model call, and exits with 0."""
        ...

    def recognises(self, argv: Sequence[str]) -> bool:
        """Is this command line this agent?"""
        ...

    def speaks(self, headers: Mapping[str, str]) -> bool:
        """Is this request (names in lower case) this agent's? False for agents that leave no mark."""
        ...

    def settings(self, launch: Launch) -> Settings:
        """How to launch it. Raises UsageError when the route can not serve what the command line asks for."""
        ...

    def identity(self, headers: Mapping[str, str]) -> Identity:
        """Read ids from request headers (names in lower case)."""
        ...


def proxy_environment(launch: Launch) -> dict[str, str]:
    """Proxy and CA variables that nearly every program honours."""
    settings = dict.fromkeys(PROXY_VARIABLES, launch.own_url)
    settings |= dict.fromkeys(BUNDLE_VARIABLES, launch.trust.bundle)
    settings |= dict.fromkeys(EXTRA_CA_VARIABLES, launch.trust.extra)
    return settings
