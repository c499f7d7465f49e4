"""What capture needs to know about a kind of agent: how to recognise it, how to route it, whom a request belongs to.

One small file per agent. Everything here is a pure function of what it is given: argv, an environment, headers. An
agent that nobody knows is `generic`: it gets the proxy variables and the CA bundle, which most programs honour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Literal, Protocol

from tapes.errors import UsageError

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
class Settings:
    """What a launched agent needs so that its model calls come through us."""

    environment: Mapping[str, str]
    """Variables to set; all others stay as the user has them."""
    upstream: str = ""
    """For the base-URL route: the real base URL that our address stands for."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a request says it belongs to; empty where the wire does not say."""

    session: str = ""
    thread: str = ""
    version: str = ""


class Agent(Protocol):
    """One kind of agent. MUST be stateless."""

    @property
    def name(self) -> str:
        """As `session.open` and `tapes log` give it."""
        ...

    @property
    def base_url_variables(self) -> tuple[str, ...]:
        """Variables by which a user points it at another provider."""
        ...

    def recognises(self, argv: Sequence[str]) -> bool:
        """Is this command line this agent?"""
        ...

    def settings(self, route: Route, own_url: str, trust: Trust, environ: Mapping[str, str]) -> Settings:
        """The environment for a launch, with `own_url` (http://127.0.0.1:PORT) as our address."""
        ...

    def identity(self, headers: Mapping[str, str]) -> Identity:
        """Read ids from request headers (names in lower case)."""
        ...


def program(argv: Sequence[str]) -> str:
    """The name of the program, without folder or extension; through an interpreter, that of its script."""
    if not argv:
        return ""
    name = PurePath(argv[0]).name.lower().removesuffix(".exe").removesuffix(".cmd")
    if name in {"node", "bun", "deno", "npx", "bunx", "uvx", "env"}:
        script = next((word for word in argv[1:] if not word.startswith("-") and "=" not in word), "")
        return PurePath(script).name.lower().removesuffix(".js").removesuffix(".mjs") if script else name
    return name


def proxy_settings(own_url: str, trust: Trust) -> dict[str, str]:
    """Proxy and CA variables that nearly every program honours."""
    settings = dict.fromkeys(PROXY_VARIABLES, own_url)
    settings |= dict.fromkeys(BUNDLE_VARIABLES, trust.bundle)
    settings |= dict.fromkeys(EXTRA_CA_VARIABLES, trust.extra)
    return settings


def anthropic_settings(route: Route, own_url: str, trust: Trust, environ: Mapping[str, str]) -> Settings:
    """For agents that take ANTHROPIC_BASE_URL; one that the user has set is the upstream."""
    if route == "base-url":
        upstream = environ.get("ANTHROPIC_BASE_URL") or "https://api.anthropic.com"
        return Settings({"ANTHROPIC_BASE_URL": own_url}, upstream=upstream)
    return Settings(proxy_settings(own_url, trust))


@dataclass(frozen=True, slots=True)
class Generic:
    """Any program: proxy variables and the CA bundle; whatever base URL it has been given is a model host."""

    name: str = "generic"
    base_url_variables: tuple[str, ...] = field(
        default=(
            "ANTHROPIC_BASE_URL",
            "ANTHROPIC_API_BASE",
            "OPENAI_BASE_URL",
            "OPENAI_API_BASE",
            "GOOGLE_GEMINI_BASE_URL",
            "OLLAMA_HOST",
        )
    )

    def recognises(self, argv: Sequence[str]) -> bool:
        return True

    def settings(self, route: Route, own_url: str, trust: Trust, environ: Mapping[str, str]) -> Settings:
        if route == "base-url":
            raise UsageError(
                "the base-URL route needs to know the agent's provider",
                hint="leave --route out: the proxy route works for any program",
            )
        return Settings(proxy_settings(own_url, trust))

    def identity(self, headers: Mapping[str, str]) -> Identity:
        return Identity(version=headers.get("user-agent", "").split(" ")[0])
