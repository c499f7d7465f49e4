"""The dialects, and which of them reads what. A new one is a file, a line here, its rows in endpoints.py."""

from __future__ import annotations

from tapes.pattern import pattern
from tapes.wire.dialects.base import Dialect
from tapes.wire.family import Family

_MODEL = pattern(r"/(?:model|models|tunedModels|endpoints)/([^/:]+)(?::\w+|/[\w-]+)$")

DIALECTS: Family[Dialect] = Family(
    __name__,
    {
        "anthropic": "Anthropic",
        "openai-chat": "OpenAIChat",
        "openai-responses": "OpenAIResponses",
        "ollama": "Ollama",
        "gemini": "Gemini",
        "raw": "Raw",
    },
)


def choose(method: str, host: str, path: str, content_type: str = "") -> Dialect:
    """The dialect that is surest of such a request; raw when none is. `content_type` is the request's."""
    path = path.partition("?")[0].rstrip("/")
    name = host.rpartition("@")[2].lower()
    if method.upper() not in ("POST", "GET"):
        return by_name("raw")
    return max(DIALECTS, key=lambda dialect: dialect.priority(name, path, content_type))


def choose_url(method: str, url: str, content_type: str = "") -> Dialect:
    """The same, for a whole URL."""
    host, _, path = url.partition("://")[2].partition("/")
    return choose(method, host, "/" + path, content_type)


def choose_for(provider: str, method: str, url: str, content_type: str = "") -> Dialect:
    """The dialect of the protocol an exchange is recorded under; where that is unknown, by its URL."""
    known = provider in DIALECTS and provider != "raw"
    return by_name(provider) if known else choose_url(method, url, content_type)


def model_in(url: str) -> str:
    """The model, for providers that name it in the path (Gemini, Vertex AI, Bedrock); else empty."""
    found = _MODEL.search(url.partition("?")[0])
    if not found:
        return ""
    from urllib.parse import unquote  # slow to import, and most requests name their model themselves

    return unquote(found[1])


def by_name(name: str) -> Dialect:
    """A dialect by its name. KeyError for one that is not here."""
    return DIALECTS[name]
