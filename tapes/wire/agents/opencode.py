"""OpenCode (seen with 1.18.33). The root's id is the session; a sub-agent names itself and the one that started it.

Its configuration is merged from many files; what OPENCODE_CONFIG_CONTENT holds is merged above all the user's own, so
the base-URL route puts base URLs there, beside what the user has there already. Only providers that are in use get
one: a provider that the configuration names counts as available, and with it its models.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tapes.pattern import pattern
from tapes.values import dataclass
from tapes.wire.agents.base import Identity, Launch, Settings, proxy_environment
from tapes.wire.agents.bases import Bases, parents
from tapes.wire.agents.jsonc import merged, table
from tapes.wire.agents.words import program

CONTENT = "OPENCODE_CONFIG_CONTENT"
_VERSION = pattern(r"opencode/([^\s(]+)")
_VARIABLE = pattern(r"\{env:([^}]+)\}")


@dataclass(frozen=True, slots=True)
class _Provider:
    """A provider that OpenCode has built in, where it is, which keys make it available, what moves it."""

    url: str
    keys: tuple[str, ...]
    variable: str = ""


_BUILT_IN: Mapping[str, _Provider] = {
    "anthropic": _Provider("https://api.anthropic.com/v1", ("ANTHROPIC_API_KEY",), "ANTHROPIC_BASE_URL"),
    "openai": _Provider("https://api.openai.com/v1", ("OPENAI_API_KEY",), "OPENAI_BASE_URL"),
    "google": _Provider(
        "https://generativelanguage.googleapis.com/v1beta",
        ("GOOGLE_GENERATIVE_AI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"),
    ),
    "openrouter": _Provider("https://openrouter.ai/api/v1", ("OPENROUTER_API_KEY",)),
    "groq": _Provider("https://api.groq.com/openai/v1", ("GROQ_API_KEY",)),
    "mistral": _Provider("https://api.mistral.ai/v1", ("MISTRAL_API_KEY",)),
    "xai": _Provider("https://api.x.ai/v1", ("XAI_API_KEY",)),
    "opencode": _Provider("https://opencode.ai/zen/v1", ("OPENCODE_API_KEY",)),
}


class OpenCode:
    name: str = "opencode"
    version_words: tuple[str, ...] = ("--version",)

    def recognises(self, argv: Sequence[str]) -> bool:
        return program(argv) in {"opencode", "opencode-ai"}

    def speaks(self, headers: Mapping[str, str]) -> bool:
        return "x-opencode-session" in headers or headers.get("user-agent", "").startswith("opencode/")

    def settings(self, launch: Launch) -> Settings:
        providers = _providers(launch)
        urls = dict(_own_urls(providers, launch.environ))
        found = {f"provider.{name} in opencode's configuration": url for name, url in urls.items()}
        moved = {p.variable: launch.environ[p.variable] for p in _BUILT_IN.values() if launch.environ.get(p.variable)}
        if launch.route == "proxy":
            return Settings(proxy_environment(launch), model_hosts=found | moved)
        bases = Bases(launch.own_url)
        for name in _available(launch, providers) - urls.keys():
            urls[name] = moved.get(_BUILT_IN[name].variable) or _BUILT_IN[name].url
        ours = {name: {"options": {"baseURL": bases.ours(name, url)}} for name, url in sorted(urls.items())}
        content = merged(table(launch.environ.get(CONTENT, "")), {"provider": ours})
        return Settings({CONTENT: json.dumps(content)}, (), bases.upstreams, found | moved)

    def identity(self, headers: Mapping[str, str]) -> Identity:
        own = headers.get("x-session-id") or headers.get("x-opencode-session", "")
        root = headers.get("x-parent-session-id", "")
        version = _VERSION.search(headers.get("user-agent", ""))
        return Identity(root or own, own if root else "", "", version.group(1) if version else "")


def _providers(launch: Launch) -> dict[str, Any]:
    """The `provider` table of all the user's layers, merged as OpenCode merges them, weakest first."""
    environ, config = launch.environ, launch.environ.get("XDG_CONFIG_HOME") or f"{launch.home}/.config"
    files = [f"{config}/opencode/{name}" for name in ("config.json", "opencode.json", "opencode.jsonc")]
    files += [environ["OPENCODE_CONFIG"]] if environ.get("OPENCODE_CONFIG") else []
    folders = [*reversed(parents(launch.cwd))]
    places = [*folders, *(f"{folder}/.opencode" for folder in folders), f"{launch.home}/.opencode"]
    places += [environ["OPENCODE_CONFIG_DIR"]] if environ.get("OPENCODE_CONFIG_DIR") else []
    files += [f"{place}/{name}" for place in places for name in ("opencode.json", "opencode.jsonc")]
    providers: dict[str, Any] = {}
    for text in [*map(launch.read, files), environ.get(CONTENT, "")]:
        layer = table(text).get("provider")
        providers = merged(providers, layer if isinstance(layer, dict) else {})
    return providers


def _own_urls(providers: Mapping[str, Any], environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Providers that the user's configuration gives a base URL."""
    for name, provider in providers.items():
        if not isinstance(provider, dict):
            continue
        options = provider.get("options")
        url = options.get("baseURL") if isinstance(options, dict) else None
        url = url or provider.get("api")
        if isinstance(url, str) and url:
            yield name, _VARIABLE.sub(lambda match: environ.get(match[1], ""), url)


def _available(launch: Launch, providers: Mapping[str, Any]) -> set[str]:
    """Built-in providers that the user has configured or has a key for; not those with a login of their own, which goes
    where it will."""
    data = launch.environ.get("XDG_DATA_HOME") or f"{launch.home}/.local/share"
    stored = table(launch.environ.get("OPENCODE_AUTH_CONTENT") or launch.read(f"{data}/opencode/auth.json"))
    keyed = {name for name, entry in stored.items() if isinstance(entry, dict) and entry.get("type") == "api"}
    keyed |= {name for name, provider in _BUILT_IN.items() if any(launch.environ.get(key) for key in provider.keys)}
    return (keyed | providers.keys()) & _BUILT_IN.keys()
