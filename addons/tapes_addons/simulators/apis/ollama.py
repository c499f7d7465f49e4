"""Ollama's own API: `/api/chat` as JSON lines (its default) or as one JSON object, and its model list.

Source: the project's API document. Calls have no ids; a call is never streamed in pieces, and a result
names the tool only. An error is one string, in a line of its own where the stream has begun.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tapes_addons.simulators.apis.cue import (
    Cue,
    ModelSaid,
    ResultCame,
    Step,
    UserSaid,
    cue,
    pieces,
    place,
    started,
    tokens,
    used,
)
from tapes_addons.simulators.http1 import Headers, Request
from tapes_addons.simulators.reply import Json, Reply, compact
from tapes_addons.simulators.script import Stage

CREATED = "2026-01-01T00:00:00.000000Z"
MODELS = ("demo:1b", "demo-mini:1b")
JSON: Headers = (("content-type", "application/json; charset=utf-8"),)
LINES: Headers = (("content-type", "application/x-ndjson"),)


def answer(request: Request, stage: Stage) -> Reply | None:
    match request.method, request.path:
        case "POST", path if path.endswith("/api/chat"):
            return _chat(request, stage)
        case "GET", path if path.endswith("/api/tags"):
            return Reply((compact({"models": [{"name": name, "model": name} for name in MODELS]}),), headers=JSON)
        case "GET", path if path.endswith("/api/version"):
            return Reply((compact({"version": "0.0.0-demo"}),), headers=JSON)
        case _:
            return None


def _chat(request: Request, stage: Stage) -> Reply:
    try:
        asked = json.loads(request.content)
        history = asked["messages"]
        at = place(_steps(history), started(request, stage))
        declared = {tool["function"]["name"] for tool in asked.get("tools") or ()}
        by_model = [n for n, message in enumerate(history) if message["role"] == "assistant"]
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        return _error(400, f"the request cannot be read: {problem}")
    schema = asked.get("format") if isinstance(asked.get("format"), dict) else None
    told = cue(request, stage, at, declared, history, schema)
    if fault := told.faults.error:
        return _error(fault.status, "the model is overloaded", fault.retry_after, **told.known)
    message = _message(asked, told, declared)
    count = tokens(asked, history, by_model, message)
    base = {"model": asked.get("model"), "created_at": CREATED}
    end = {
        "done": True,
        "done_reason": "stop",
        "total_duration": 5_000_000,
        "load_duration": 1_000_000,
        "prompt_eval_count": count.given,
        "prompt_eval_duration": 1_000_000,
        "eval_count": count.made,
        "eval_duration": 3_000_000,
    }
    if asked.get("stream") is False:
        return Reply((compact({**base, "message": message, **end}),), headers=JSON, **told.known)
    lines = [{**base, "message": part, "done": False} for part in _parts(message, stage.script.pace.chars)]
    lines.append({**base, "message": {"role": "assistant", "content": ""}, **end})
    if after := told.faults.sse_error:
        lines = [*lines[: after.after], {"error": "the model is overloaded"}]
    return Reply(tuple(compact(line) + b"\n" for line in lines), headers=LINES, stream=True, **told.known)


def _steps(messages: list[Json]) -> Iterator[Step]:
    for message in messages:
        match message["role"]:
            case "user":
                yield UserSaid(message["content"])
            case "assistant":
                yield ModelSaid()
            case "tool":
                yield ResultCame()


def _message(asked: Json, told: Cue, declared: set[str]) -> Json:
    message: Json = {"role": "assistant", "content": told.turn.text}
    if told.turn.thinking and asked.get("think"):
        message["thinking"] = told.turn.thinking
    if told.turn.tools:
        message["tool_calls"] = [
            {"function": {"name": name, "arguments": given}}
            for name, given in (used(call, declared) for call in told.turn.tools)
        ]
    return message


def _parts(message: Json, chars: int) -> Iterator[Json]:
    """A whole message as the ones that stream it: text in pieces, each call whole."""
    empty = {"role": "assistant", "content": ""}
    for part in pieces(message.get("thinking", ""), chars):
        yield {**empty, "thinking": part}
    for part in pieces(message["content"], chars):
        yield {**empty, "content": part}
    for call in message.get("tool_calls", ()):
        yield {**empty, "tool_calls": [call]}


def _error(status: int, message: str, retry_after: int | None = None, **known: Any) -> Reply:
    headers = JSON if retry_after is None else (*JSON, ("retry-after", str(retry_after)))
    return Reply((compact({"error": message}),), status, headers, **known)
