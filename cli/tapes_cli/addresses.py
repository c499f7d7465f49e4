"""Where a standing proxy listens, and what the path prefixes of its address stand for."""

from __future__ import annotations

from collections.abc import Mapping

from tapes.errors import UsageError
from tapes.wire.agents.bases import APIS
from tapes.wire.agents.codex import LOGIN_URL

DEFAULT_HOST, DEFAULT_PORT = "127.0.0.1", 7878
UPSTREAMS: Mapping[str, str] = {api.prefix: api.url for api in APIS if api.url} | {
    "chatgpt": LOGIN_URL,
    "code-assist": "https://cloudcode-pa.googleapis.com",
    "vertex": "https://aiplatform.googleapis.com",
    "opencode": "https://opencode.ai/zen/v1",
}
"""Base-URL route: what each path prefix of our address stands for, unless `--upstream` says otherwise."""


def address(listen: str) -> tuple[str, int]:
    """HOST:PORT, a HOST or a PORT. Raises UsageError."""
    host, colon, port = listen.rpartition(":")
    if not colon or listen.endswith("]"):
        host, port = (DEFAULT_HOST, listen) if listen.isdigit() else (listen, str(DEFAULT_PORT))
    host = host.strip("[]")
    if not host or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"--listen {listen!r} is not HOST:PORT", hint=f"for example {DEFAULT_HOST}:{DEFAULT_PORT}")
    return (DEFAULT_HOST if host == "localhost" else host), int(port)
