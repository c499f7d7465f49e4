"""Anthropic Messages, as its clients see it: JSON and event stream, count_tokens, models, telemetry.

Sources: the public API reference (messages, streaming, errors) and what Claude Code sends.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any

from tapes_addons.simulators.apis.cue import Cue, ModelSaid, Step, UserSaid, cue, pieces, place, started, used
from tapes_addons.simulators.http1 import Headers, Request
from tapes_addons.simulators.reply import Json, Reply, compact, salt
from tapes_addons.simulators.script import Stage

ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}
MODELS = ("claude-demo-1", "claude-demo-mini-1")


def answer(request: Request, stage: Stage) -> Reply | None:
    match request.method, request.path.rstrip("/"):
        case "POST", "/v1/messages":
            return _messages(request, stage)
        case "POST", "/v1/messages/count_tokens":
            return _json(request, {"input_tokens": max(1, len(request.content) // 4)})
        case "GET", "/v1/models":
            models = [_model(name) for name in MODELS]
            return _json(request, {"data": models, "has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]})
        case "GET", path if path.startswith("/v1/models/"):
            name = path.removeprefix("/v1/models/")
            return _json(request, _model(name)) if name in MODELS else error(request, 404, f"model: {name}")
        case "HEAD", "":
            return Reply((b"",), headers=_headers(request, "text/plain"))
        case "POST", "/api/event_logging/v2/batch":
            return _json(request, {"accepted_count": 1, "rejected_count": 0})
        case _:
            return None


def error(request: Request, status: int, message: str, retry_after: int | None = None, **known: Any) -> Reply:
    body = {"type": "error", "error": {"type": ERRORS.get(status, "api_error"), "message": message}}
    headers = _headers(request, "application/json")
    if retry_after is not None:
        headers += (("retry-after", str(retry_after)),)
    return Reply((compact({**body, "request_id": f"req_{salt(request)}"}),), status, headers, **known)


def _messages(request: Request, stage: Stage) -> Reply:
    try:
        asked = json.loads(request.content)
        at = place(_steps(asked["messages"]), started(request, stage))
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        return error(request, 400, f"the request cannot be read: {problem}")
    declared = {tool.get("name", "") for tool in asked.get("tools", ())}
    schema = ((asked.get("output_config") or {}).get("format") or {}).get("schema")
    told = cue(request, stage, at, declared, asked["messages"], schema)  # a retry may ask without `stream`
    if fault := told.faults.error:
        return error(request, fault.status, ERRORS.get(fault.status, "error"), fault.retry_after, **told.known)
    message = _message(asked, _blocks(asked, told, declared), salt(request))
    if not asked.get("stream"):
        return Reply((compact(message),), headers=_headers(request, "application/json"), **told.known)
    events = tuple(stream_events(message, stage.script.pace.chars))
    if told.faults.sse_error:
        events = (*events[: told.faults.sse_error.after], _sse("error", {"error": _OVERLOADED}))
    return Reply(events, headers=_headers(request, "text/event-stream; charset=utf-8"), stream=True, **told.known)


_OVERLOADED = {"type": "overloaded_error", "message": "Overloaded"}


def _steps(messages: list[Json]) -> Iterator[Step]:
    """Raises KeyError, TypeError, AttributeError."""
    for message in messages:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if message["role"] == "assistant":
            yield ModelSaid(tuple(block["id"] for block in blocks if block["type"] == "tool_use"))
        elif message["role"] == "user":
            yield UserSaid("\n".join(block["text"] for block in blocks if block["type"] == "text"))


def _blocks(asked: Json, told: Cue, declared: set[str]) -> list[Json]:
    turn, blocks = told.turn, list[Json]()
    if turn.thinking and asked.get("thinking", {}).get("type") in ("enabled", "adaptive"):
        signature = base64.b64encode(hashlib.sha512(turn.thinking.encode()).digest() * 4).decode()
        blocks.append({"type": "thinking", "thinking": turn.thinking, "signature": signature})
    if turn.text:
        blocks.append({"type": "text", "text": turn.text})
    for n, call in enumerate(turn.tools):
        name, given = used(call, declared)
        blocks.append({"type": "tool_use", "id": told.call_id("toolu", n), "name": name, "input": given})
    return blocks


def _message(asked: Json, blocks: list[Json], unique: str) -> Json:
    used = any(block["type"] == "tool_use" for block in blocks)
    return {
        "model": asked.get("model"),
        "id": f"msg_01{unique}",
        "type": "message",
        "role": "assistant",
        "content": blocks,
        "stop_reason": "tool_use" if used else "end_turn",
        "stop_sequence": None,
        "usage": usage(asked, blocks),
    }


def usage(asked: Json, blocks: list[Json]) -> Json:
    """Tokens of four bytes: what follows the model's last word goes into the cache, the rest is read."""
    messages = asked["messages"]
    last = max((i for i, message in enumerate(messages) if message["role"] == "assistant"), default=-1)
    total = len(compact(asked)) // 4
    new = len(compact(messages[last + 1 :])) // 4 if last >= 0 else total
    cached = b'"cache_control"' in compact(asked)
    written = max(0, new - 4) if cached else 0
    read = total - new if cached else 0
    return {
        "input_tokens": total - written - read,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": max(1, len(compact(blocks)) // 4),
        "service_tier": "standard",
    }


def stream_events(message: Json, chars: int) -> Iterator[bytes]:
    """A whole message as the events that stream it, deltas of `chars` characters."""
    counts = message["usage"]
    start = {**message, "content": [], "stop_reason": None, "usage": {**counts, "output_tokens": 1}}
    yield _sse("message_start", {"message": start})
    for index, block in enumerate(message["content"]):
        empty, deltas = _deltas(block, chars)
        yield _sse("content_block_start", {"index": index, "content_block": empty})
        if index == 0:
            yield _sse("ping", {})
        for delta in deltas:
            yield _sse("content_block_delta", {"index": index, "delta": delta})
        yield _sse("content_block_stop", {"index": index})
    end = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    told = {key: counts[key] for key in counts if key.endswith("_tokens")}
    yield _sse("message_delta", {"delta": end, "usage": told})
    yield _sse("message_stop", {})


def _deltas(block: Json, chars: int) -> tuple[Json, list[Json]]:
    """A block as its start announces it, and the deltas that fill it."""
    match block["type"]:
        case "thinking":
            deltas = [{"type": "thinking_delta", "thinking": part} for part in pieces(block["thinking"], chars)]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
            return {"type": "thinking", "thinking": "", "signature": ""}, deltas
        case "tool_use":
            written = json.dumps(block["input"], ensure_ascii=False)
            parts = ["", *pieces(written, chars)]  # the real stream too begins with an empty piece
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": part} for part in parts]
        case _:
            deltas = [{"type": "text_delta", "text": part} for part in pieces(block["text"], chars)]
            return {"type": "text", "text": ""}, deltas


def _sse(event: str, data: Json) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (event.encode(), compact({"type": event, **data}))


def _json(request: Request, value: Json) -> Reply:
    return Reply((compact(value),), headers=_headers(request, "application/json"))


def _headers(request: Request, kind: str) -> Headers:
    return (
        ("content-type", kind),
        ("request-id", f"req_{salt(request)}"),
        ("anthropic-ratelimit-requests-limit", "4000"),
        ("anthropic-ratelimit-requests-remaining", "3999"),
    )


def _model(name: str) -> Json:
    return {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"}
