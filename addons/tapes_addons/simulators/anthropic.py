"""Anthropic Messages, as its clients see it: JSON and event stream, count_tokens, models, telemetry.

Sources: the public API reference (messages, streaming, errors) and what Claude Code sends. The model's
place in the script comes from the tool_use ids in the history, `toolu_<script>_T<turn>N<n>_…`; a
`[script:NAME]` in a user text starts another script, which is how a prompt (and so a subagent) chooses one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any

from tapes_addons.simulators.http1 import Headers, Request
from tapes_addons.simulators.reply import Reply, compact, salt
from tapes_addons.simulators.script import SCRIPT_HEADER, Stage, Turn

Json = dict[str, Any]
TOOL_ID = re.compile(r"toolu_([a-z0-9-]+)_T(\d+)N\d+_")
CHOICE = re.compile(r"\[script:([a-z0-9-]+)\]")
ALIASES = {
    "bash": ("Bash",),
    "read_file": ("Read",),
    "write_file": ("Write",),
    "edit_file": ("Edit",),
    "task": ("Task", "Agent"),
}
"""Our abstract tools in other agents' words; inputs already carry the field names those agents use."""
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
    try:
        request.content  # noqa: B018 (a body that cannot be decoded is refused here, once for every path)
    except ValueError as problem:
        return error(request, 400, str(problem))
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
        name, index = place(asked["messages"], request.header(SCRIPT_HEADER) or stage.script.default)
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        return error(request, 400, f"the request cannot be read: {problem}")
    turn = stage.script.turn(name, index)
    declared = {tool.get("name", "") for tool in asked.get("tools", ())}
    if turn.tools and not declared:  # a title or a probe beside the conversation: it may not use up a fault
        turn, faults = Turn(text="OK"), Turn().faults
    else:
        faults = stage.faults(name, index, _conversation(request, asked))
    known: dict[str, Any] = {"script": name, "turn": index, "faults": faults}
    if faults.error:
        status = faults.error.status
        return error(request, status, ERRORS.get(status, "error"), faults.error.retry_after, **known)
    message = _message(asked, _blocks(asked, turn, declared, f"{name}_T{index:03d}", salt(request)), salt(request))
    if not asked.get("stream"):
        return Reply((compact(message),), headers=_headers(request, "application/json"), **known)
    events = tuple(stream_events(message, stage.script.pace.chars))
    if faults.sse_error:
        events = (*events[: faults.sse_error.after], _sse("error", {"error": _OVERLOADED}))
    return Reply(events, headers=_headers(request, "text/event-stream; charset=utf-8"), stream=True, **known)


_OVERLOADED = {"type": "overloaded_error", "message": "Overloaded"}


def place(messages: list[Json], start: str) -> tuple[str, int]:
    """(script, turn) that a history asks for next. Raises KeyError, TypeError, AttributeError."""
    name, index = start, 0
    for message in messages:
        content = message["content"]
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if message["role"] == "assistant":
            tags = [TOOL_ID.match(block["id"]) for block in blocks if block["type"] == "tool_use"]
            name, index = next(((tag[1], int(tag[2]) + 1) for tag in tags if tag), (name, index + 1))
        elif message["role"] == "user":
            chosen = CHOICE.findall("\n".join(block["text"] for block in blocks if block["type"] == "text"))
            if chosen:
                name, index = chosen[-1], 0
    return name, index


def _conversation(request: Request, asked: Json) -> str:
    """What a retry repeats, even one that asks without `stream`: the messages and who asks."""
    who = [value for key, value in request.headers if "session" in key.lower() or "agent-id" in key.lower()]
    return hashlib.sha256(compact([asked["messages"], who])).hexdigest()


def _blocks(asked: Json, turn: Turn, declared: set[str], tag: str, unique: str) -> list[Json]:
    blocks: list[Json] = []
    if turn.thinking and asked.get("thinking", {}).get("type") in ("enabled", "adaptive"):
        signature = base64.b64encode(hashlib.sha512(turn.thinking.encode()).digest() * 4).decode()
        blocks.append({"type": "thinking", "thinking": turn.thinking, "signature": signature})
    if turn.text:
        blocks.append({"type": "text", "text": turn.text})
    for n, call in enumerate(turn.tools):
        name = next((known for known in ALIASES.get(call.tool, ()) if known in declared), call.tool)
        call_id = f"toolu_{tag}N{n}_{unique[:12]}"
        blocks.append({"type": "tool_use", "id": call_id, "name": name, "input": dict(call.input)})
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
            deltas = [{"type": "thinking_delta", "thinking": part} for part in _parts(block["thinking"], chars)]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
            return {"type": "thinking", "thinking": "", "signature": ""}, deltas
        case "tool_use":
            written = json.dumps(block["input"], ensure_ascii=False)
            parts = ["", *_parts(written, chars)]  # the real stream too begins with an empty piece
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": part} for part in parts]
        case _:
            deltas = [{"type": "text_delta", "text": part} for part in _parts(block["text"], chars)]
            return {"type": "text", "text": ""}, deltas


def _parts(text: str, size: int) -> Iterator[str]:
    return (text[at : at + size] for at in range(0, len(text), size))


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
