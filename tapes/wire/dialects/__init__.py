"""The dialects, and which of them reads what. A new one is a file, a line here, its rows in endpoints.py."""

from __future__ import annotations

import re
from urllib.parse import unquote

from tapes.wire.dialects.anthropic import Anthropic
from tapes.wire.dialects.base import Dialect
from tapes.wire.dialects.gemini import Gemini
from tapes.wire.dialects.ollama import Ollama
from tapes.wire.dialects.openai_chat import OpenAIChat
from tapes.wire.dialects.openai_responses import OpenAIResponses
from tapes.wire.dialects.raw import Raw

_MODEL = re.compile(r"/(?:model|models|tunedModels|endpoints)/([^/:]+)(?::\w+|/[\w-]+)$")

DIALECTS: tuple[Dialect, ...] = (Anthropic(), OpenAIChat(), OpenAIResponses(), Ollama(), Gemini(), Raw())


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
    return next((d for d in DIALECTS if d.name == provider != "raw"), None) or choose_url(method, url, content_type)


def model_in(url: str) -> str:
    """The model, for providers that name it in the path (Gemini, Vertex AI, Bedrock); else empty."""
    found = _MODEL.search(url.partition("?")[0])
    return unquote(found[1]) if found else ""


def by_name(name: str) -> Dialect:
    """A dialect by its name. KeyError for one that is not here."""
    return {dialect.name: dialect for dialect in DIALECTS}[name]
