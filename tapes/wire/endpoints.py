"""Which hosts are model hosts, and which of their paths are model calls. Tables, so that capture need not
interpret.

Only model hosts are decrypted at all. On them a path is a model call, a token count, a model list, another
call worth keeping, or nothing of the kind: settings, telemetry, sign-in, which are counted and not stored.
Paths are matched at their end, for gateways put prefixes before them (`/anthropic/v1/messages`). A host that
is not listed here was named by the user, or stands behind a base URL: it may speak any protocol, and its
paths tell which. Rows of the user's own come before these tables and hold on their hosts alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache

from tapes.values import dataclass

MODEL_HOSTS: tuple[str, ...] = (
    "api.anthropic.com",
    "api.openai.com",
    "eu.api.openai.com",
    "us.api.openai.com",
    "chatgpt.com",
    "generativelanguage.googleapis.com",
    "cloudcode-pa.googleapis.com",
    "aiplatform.googleapis.com",
    "*-aiplatform.googleapis.com",
    "bedrock-runtime.*.amazonaws.com",
    "bedrock-runtime-fips.*.amazonaws.com",
    "*.openai.azure.com",
    "*.services.ai.azure.com",
    "*.cognitiveservices.azure.com",
    "models.inference.ai.azure.com",
    "models.github.ai",
    "api.githubcopilot.com",
    "api.*.githubcopilot.com",
    "openrouter.ai",
    "gateway.ai.cloudflare.com",
    "ai-gateway.vercel.sh",
    "router.huggingface.co",
    "opencode.ai",
    "api.mistral.ai",
    "codestral.mistral.ai",
    "api.groq.com",
    "api.deepseek.com",
    "api.x.ai",
    "api.together.xyz",
    "api.together.ai",
    "api.fireworks.ai",
    "api.cohere.com",
    "api.cohere.ai",
    "api.perplexity.ai",
    "api.cerebras.ai",
    "api.sambanova.ai",
    "api.deepinfra.com",
    "api.moonshot.ai",
    "api.moonshot.cn",
    "api.kimi.com",
    "api.minimax.io",
    "api.z.ai",
    "open.bigmodel.cn",
    "dashscope.aliyuncs.com",
    "dashscope-intl.aliyuncs.com",
    "integrate.api.nvidia.com",
    "ollama.com",
)
"""Host names; `*` stands for any labels or part of one. Every port of them."""

LOCAL_MODEL_HOSTS: tuple[str, ...] = ("localhost:11434", "127.0.0.1:11434", "[::1]:11434")
"""Ollama's own port."""


@dataclass(frozen=True, slots=True)
class Row:
    """Paths of one kind."""

    hosts: str
    """Where it holds, like MODEL_HOSTS. In the table below it limits the row on listed hosts only (see above)."""
    method: str
    path: str
    """A regular expression that matches at the path's end, from a slash on; with a slash at its own beginning it is
    the whole path. There is no query in it, and no slash at its end."""
    provider: str
    cls: str | None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a request asks for. `provider` is the name of the protocol (and of its dialect, once there is one)."""

    provider: str
    cls: str | None
    """One of record.kinds.CLASSES; None: no model call, to be counted and not stored."""


ROWS: tuple[Row, ...] = (
    Row("*", "*", r"(otlp|event_logging|telemetry|analytics|oauth2?|auth)(/.*)?", "raw", None),
    # Anthropic Messages; also behind Vertex AI and Bedrock, where the model stands in the path
    Row("*", "POST", r"v1/messages/count_tokens", "anthropic", "count_tokens"),
    Row("*", "POST", r"v1/messages", "anthropic", "model"),
    Row("*", "*", r"v1/messages/batches(/.*)?", "anthropic", "other"),
    Row("*", "POST", r"v1/complete", "raw", "model"),
    Row("*", "POST", r"publishers/anthropic/models/count-tokens[^/]*:rawPredict", "anthropic", "count_tokens"),
    Row("*", "POST", r"publishers/anthropic/models/[^/]+:(streamRaw|raw)Predict", "anthropic", "model"),
    Row("*", "POST", r"model/[^/]*anthropic[^/]*/invoke", "anthropic", "model"),
    Row(
        "*",
        "POST",
        r"model/[^/]+/(invoke|invoke-with-response-stream|converse|converse-stream)",
        "raw",
        "model",
    ),
    Row("*", "POST", r"model/[^/]+/count-tokens", "raw", "count_tokens"),
    Row("api.anthropic.com", "GET", r"v1/models(/[^/]+)?", "anthropic", "models"),
    # OpenAI, and everybody who speaks like it
    Row("*", "POST", r"responses/input_tokens", "openai-responses", "count_tokens"),
    Row("*", "POST", r"responses(/compact)?", "openai-responses", "model"),
    Row("*", "GET", r"responses", "openai-responses", "other"),  # a WebSocket's handshake: its turns are the calls
    Row("*", "GET", r"realtime", "raw", "other"),  # likewise, of sound mostly
    Row("*", "POST", r"chat/completions", "openai-chat", "model"),
    Row("*", "POST", r"(fim/|engines/[^/]+/)?completions", "raw", "model"),
    # Gemini; `v1internal` is the Code Assist service, which wraps the same bodies
    Row("*", "POST", r"[^/]+:(streamGenerate|generate)Content", "gemini", "model"),
    Row("*", "POST", r"[^/]+:countTokens", "gemini", "count_tokens"),
    Row("*", "GET", r"ws/[\w.]+\.BidiGenerateContent", "raw", "other"),
    Row("*", "POST", r"models/[^/]+:(streamRaw|raw)?[pP]redict", "raw", "model"),
    Row("api.cohere.*", "POST", r"v[12]/(chat|generate)", "raw", "model"),
    Row("ollama.com", "POST", r"api/(chat|generate)", "ollama", "model"),
    Row("ollama.com", "*", r"api/(tags|show|ps|version)", "ollama", "models"),
    Row("*", "GET", r"(v\d\w*|openai|codex|inference)/models(/.+)?", "raw", "models"),
    Row("*", "GET", r"models", "raw", "models"),
)
"""The first that fits decides."""

_VERSIONED = re.compile(r"(/[a-z]+)?/v\d[a-z0-9]*/", re.ASCII)
"""An API's own paths: what is under one and in no row is kept as `other` (files, embeddings, batches)."""


def is_model_host(host: str, port: int, extra_hosts: Sequence[str] = ()) -> bool:
    """Whether traffic to `host` is to be decrypted. `extra_hosts`: `name`, `name:port`, `*.name`, `[::1]:port`."""
    name = f"{_plain(host)}:{port}"
    return any(re.fullmatch(pattern, name) for pattern in _host_patterns(tuple(extra_hosts)))


def allow_host_patterns(extra_hosts: Sequence[str] = ()) -> list[str]:
    """Anchored regular expressions on `host:port` (lower case), for mitmproxy's `allow_hosts`."""
    return [f"^{pattern}$" for pattern in _host_patterns(tuple(extra_hosts))]


def classify(
    method: str, host: str, path: str, extra_hosts: Sequence[str] = (), user_rows: Sequence[Row] = ()
) -> Endpoint:
    """What a request to a model host asks for. `extra_hosts` that are also listed count as the user's own.

    `user_rows` are looked at first. The first that fits decides here, too.
    """
    path = re.sub("/+", "/", "/" + path.partition("?")[0]).rstrip("/")
    name = _plain(host)
    listed = any(re.fullmatch(_glob(pattern), name) for pattern in MODEL_HOSTS)
    if listed and any(split_host(extra)[0] == name for extra in extra_hosts):
        listed = False
    for rows, limited in ((tuple(user_rows), True), (ROWS, listed)):
        for row, pattern, hosts in _compiled(rows):
            if row.method in ("*", method.upper()) and pattern.search(path) and (not limited or hosts(name)):
                return Endpoint(row.provider, row.cls)
    provider = "anthropic" if name == "api.anthropic.com" else "raw"
    stored = method.upper() in ("GET", "POST", "PUT", "PATCH", "DELETE") and _VERSIONED.match(path + "/")
    return Endpoint(provider, "other" if stored else None)


def split_host(host: str) -> tuple[str, str]:
    """`name`, `name:port`, `[v6]:port` or a bare v6 address, as (name, port or empty)."""
    name, colon, port = host.strip().rpartition(":")
    if colon and port.isascii() and port.isdigit() and (":" not in name or name.endswith("]")):
        return _plain(name), port
    return _plain(host), ""


def path_pattern(path: str) -> re.Pattern[str]:
    """What a row's path matches. Raises re.error."""
    re.compile(path)  # `a)|(b` is an expression only once it is put between brackets
    return re.compile(f"(?:^|/)(?:{path})$")


@cache
def _compiled(rows: tuple[Row, ...]) -> tuple[tuple[Row, re.Pattern[str], Callable[[str], object]], ...]:
    return tuple((row, path_pattern(row.path), _on(row.hosts)) for row in rows)


def _on(hosts: str) -> Callable[[str], object]:
    """Whether a host is one of them; `*` alone is any, IPv6 addresses too."""
    return re.compile(".*" if hosts == "*" else _glob(hosts)).fullmatch


@cache
def _host_patterns(extra_hosts: tuple[str, ...]) -> tuple[str, ...]:
    pairs = [split_host(host) for host in (*MODEL_HOSTS, *LOCAL_MODEL_HOSTS, *extra_hosts)]
    return tuple(dict.fromkeys(f"{_glob(name)}:{port or '[0-9]+'}" for name, port in pairs if name))


def _glob(pattern: str) -> str:
    return "[a-z0-9._-]+".join(re.escape(part) for part in pattern.split("*"))


def _plain(host: str) -> str:
    return host.strip().strip("[]").rstrip(".").lower()
