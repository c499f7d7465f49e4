"""Base URLs: the variables by which programs take them, what users have set, and which prefix of ours stands for each.

On the base-URL route our own address has one path prefix per upstream: `http://127.0.0.1:PORT/openai` stands for
`https://api.openai.com/v1`, or for whatever the user's own settings say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from tapes.pattern import pattern
from tapes.values import dataclass, field
from tapes.wire.agents.base import Launch, Settings, proxy_environment


@dataclass(frozen=True, slots=True)
class Api:
    """One API as programs are pointed at it. `url` is what they use when nothing is set; empty: there is none."""

    prefix: str
    url: str
    variables: tuple[str, ...]


ANTHROPIC = Api("anthropic", "https://api.anthropic.com", ("ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE"))
OPENAI = Api("openai", "https://api.openai.com/v1", ("OPENAI_BASE_URL", "OPENAI_API_BASE"))
GEMINI = Api("gemini", "https://generativelanguage.googleapis.com", ("GOOGLE_GEMINI_BASE_URL",))
APIS: tuple[Api, ...] = (
    ANTHROPIC,
    OPENAI,
    GEMINI,
    # litellm's: each replaces the address that it has built in
    Api("openrouter", "https://openrouter.ai/api/v1", ("OPENROUTER_API_BASE",)),
    Api("groq", "https://api.groq.com/openai/v1", ("GROQ_API_BASE",)),
    Api("mistral", "https://api.mistral.ai/v1", ("MISTRAL_API_BASE",)),
    Api("xai", "https://api.x.ai/v1", ("XAI_API_BASE",)),
    Api("deepseek", "https://api.deepseek.com/beta", ("DEEPSEEK_API_BASE",)),
    *(
        Api(variable.lower().replace("_", "-"), "", (variable,))
        for variable in (
            "GEMINI_API_BASE",
            "GOOGLE_VERTEX_BASE_URL",
            "AZURE_OPENAI_ENDPOINT",
            "AZURE_API_BASE",
            "AZURE_AI_API_BASE",
            "LITELLM_PROXY_API_BASE",
            "HOSTED_VLLM_API_BASE",
            "OLLAMA_API_BASE",
            "OLLAMA_HOST",
            "ANTHROPIC_BEDROCK_BASE_URL",
            "ANTHROPIC_VERTEX_BASE_URL",
            "ANTHROPIC_FOUNDRY_BASE_URL",
        )
    ),
)
"""OLLAMA_HOST has no default here though the program has one: to `ollama serve` it is the address to listen on."""


@dataclass(slots=True)
class Bases:
    """Gives each upstream a prefix of our own address. Lives while one launch is being prepared."""

    own_url: str
    upstreams: dict[str, str] = field(default_factory=dict)

    def ours(self, prefix: str, url: str) -> str:
        """Our address for `url`; another URL that wants the same prefix gets a number behind it."""
        url, chosen, number = url.rstrip("/"), prefix, 1
        while self.upstreams.setdefault(chosen, url) != url:
            number += 1
            chosen = f"{prefix}-{number}"
        return f"{self.own_url}/{chosen}"


def found_in(values: Mapping[str, str], apis: Iterable[Api] = APIS) -> dict[str, str]:
    """The base URLs that variables give, by variable. A host without a scheme (OLLAMA_HOST) is an http one."""
    found = {name: values[name].strip() for api in apis for name in api.variables if values.get(name, "").strip()}
    return {name: url if "://" in url else f"http://{url}" for name, url in found.items()}


def variables_to_us(bases: Bases, values: Mapping[str, str], apis: Iterable[Api] = APIS) -> dict[str, str]:
    """Every variable of these APIs that has a value or a default, led to us. A variable outranks its siblings' value,
    and a sibling that is not set says the same as the one that is."""
    settings: dict[str, str] = {}
    for api in apis:
        user = found_in(values, [api])
        shared = next(iter(user.values()), api.url)
        for name in api.variables:
            if url := user.get(name, shared):
                settings[name] = bases.ours(api.prefix, url)
    return settings


def by_variables(launch: Launch, values: Mapping[str, str], apis: Sequence[Api] = APIS) -> Settings:
    """Settings of a program that is moved by variables alone. `values`: the variables as the program will see them."""
    found = found_in(values, apis)
    if launch.route == "proxy":
        return Settings(proxy_environment(launch), model_hosts=found)
    bases = Bases(launch.own_url)
    return Settings(variables_to_us(bases, values, apis), (), bases.upstreams, found)


def values_of(launch: Launch, *files: str) -> dict[str, str]:
    """The environment, with what .env files add to it: the first file that has a name wins, and the environment over
    all."""
    values: dict[str, str] = {}
    for file in files:
        values = dotenv(launch.read(file)) | values
    return values | dict(launch.environ)


_ASSIGNMENT = pattern(
    r"^[ \t]*(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=[ \t]*(\"[^\"\n]*\"|'[^'\n]*'|[^#\n]*?)[ \t]*(?:#.*)?$", re.MULTILINE
)


def dotenv(text: str) -> dict[str, str]:
    """NAME=VALUE lines of a .env file, quotes taken off; nothing is expanded."""
    return {name: value.strip("\"'") for name, value in _ASSIGNMENT.findall(text)}


def parents(folder: str) -> list[str]:
    """`folder` and all above it, innermost first; POSIX paths."""
    if not folder.startswith("/"):
        return []
    parts = folder.rstrip("/").split("/")
    return ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]
