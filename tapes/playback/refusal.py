"""What is answered where the recording has no answer, in the shape that each API gives its errors.

The status is 400. Agents and SDKs try again, for minutes, on what may pass (408, 409, 429, 5xx), sign in anew on 401
and 403, and go to another model on 404; a request that is wrong stays wrong, and is told to whoever waits for it.
"""

from __future__ import annotations

import json

from tapes.wire.json_value import Json

STATUS = 400


def body(provider: str, text: str) -> bytes:
    """Of an HTTP response."""
    return json.dumps(_error(provider, text)).encode()


def message(text: str) -> bytes:
    """On a WebSocket of OpenAI's Responses API."""
    return json.dumps({"type": "error", "status": STATUS, **_error("openai-responses", text)}).encode()


def _error(provider: str, text: str) -> dict[str, Json]:
    match provider:
        case "gemini":
            return {"error": {"code": STATUS, "message": text, "status": "INVALID_ARGUMENT"}}
        case "ollama":
            return {"error": text}
        case "anthropic" | "raw":
            return {"type": "error", "error": {"type": "invalid_request_error", "message": text}}
        case _:
            error: dict[str, Json] = {"message": text, "type": "invalid_request_error", "param": None}
            return {"error": error | {"code": "not_in_the_recording"}}
