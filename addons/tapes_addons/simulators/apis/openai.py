"""What the two OpenAI APIs have in common: headers, the error object, the model list."""

from __future__ import annotations

from typing import Any

from tapes_addons.simulators.http1 import Headers, Request
from tapes_addons.simulators.reply import Json, Reply, compact, salt

ERRORS = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "not_found"),
    426: ("invalid_request_error", "websocket_not_supported"),
    429: ("requests", "rate_limit_exceeded"),
    500: ("server_error", None),
    503: ("server_error", "server_is_overloaded"),
}
MODELS = ("gpt-demo-1", "gpt-demo-mini-1")
CREATED = 1767225600
"""The time of every answer: a clock would make the bytes of two runs differ."""


def error_object(status: int, message: str, code: str | None = None) -> Json:
    kind, usual = ERRORS.get(status, ERRORS[500])
    return {"message": message, "type": kind, "param": None, "code": code or usual}


def error(request: Request, status: int, message: str, retry_after: int | None = None, **known: Any) -> Reply:
    headers = headers_of(request, "application/json")
    if retry_after is not None:
        headers += (("retry-after", str(retry_after)),)
    return Reply((compact({"error": error_object(status, message)}),), status, headers, **known)


def headers_of(request: Request, kind: str) -> Headers:
    return (
        ("content-type", kind),
        ("x-request-id", f"req_{salt(request)}"),
        ("openai-version", "2020-10-01"),
        ("x-ratelimit-remaining-requests", "3999"),
    )


def models(request: Request) -> Reply:
    listed = [{"id": name, "object": "model", "created": CREATED, "owned_by": "demo"} for name in MODELS]
    return Reply((compact({"object": "list", "data": listed}),), headers=headers_of(request, "application/json"))
