"""What `--strict` answers instead of letting a call go unrecorded: status 503, in the shape its API gives errors."""

from __future__ import annotations

import json
from typing import Any

from mitmproxy import http

STATUS = 503


def response(provider: str, reason: str) -> http.Response:
    """The answer to an HTTP request."""
    return http.Response.make(STATUS, json.dumps(_body(provider, reason)), {"content-type": "application/json"})


def message(reason: str) -> bytes:
    """The answer to a message on a WebSocket of OpenAI's Responses API."""
    return json.dumps({"type": "error", "status": STATUS, **_body("openai-responses", reason)}).encode()


def _body(provider: str, reason: str) -> dict[str, Any]:
    text = f"tapes --strict: not recorded: {reason}"
    match provider:
        case "gemini":
            return {"error": {"code": STATUS, "message": text, "status": "UNAVAILABLE"}}
        case "ollama":
            return {"error": text}
        case "anthropic" | "raw":
            return {"type": "error", "error": {"type": "api_error", "message": text}}
        case _:
            return {"error": {"message": text, "type": "server_error", "param": None, "code": "not_recorded"}}
