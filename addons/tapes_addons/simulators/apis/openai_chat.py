"""OpenAI Chat Completions, as its clients and everybody's gateways know it: JSON, and data-only events.

Sources: the public API reference (chat, streaming) and what OpenCode, aider and the SDK send. A call comes
in pieces: the first has its id and name, the others only its index and more of the arguments. Reasoning is
told as `reasoning_content`, the field that servers of open models use.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tapes_addons.simulators.apis import openai
from tapes_addons.simulators.apis.cue import (
    Cue,
    ModelSaid,
    ResultCame,
    Step,
    Tokens,
    UserSaid,
    cue,
    pieces,
    place,
    started,
    tokens,
    used,
)
from tapes_addons.simulators.http1 import Request
from tapes_addons.simulators.reply import Json, Reply, compact
from tapes_addons.simulators.script import Stage

DONE = b"data: [DONE]\n\n"


def answer(request: Request, stage: Stage) -> Reply | None:
    if request.method != "POST" or not request.path.endswith("/chat/completions"):
        return None
    try:
        asked = json.loads(request.content)
        history = asked["messages"]
        at = place(_steps(history), started(request, stage))
        declared = {tool["function"]["name"] for tool in asked.get("tools") or ()}
        by_model = [n for n, message in enumerate(history) if message["role"] == "assistant"]
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        return openai.error(request, 400, f"the request cannot be read: {problem}")
    schema = ((asked.get("response_format") or {}).get("json_schema") or {}).get("schema")
    told = cue(request, stage, at, declared, history, schema)
    if fault := told.faults.error:
        return openai.error(request, fault.status, "The model is overloaded.", fault.retry_after, **told.known)
    message = _message(asked, told, declared)
    whole = _completion(asked, told, message, tokens(asked, history, by_model, message))
    if not asked.get("stream"):
        return Reply((compact(whole),), headers=openai.headers_of(request, "application/json"), **told.known)
    usage = bool((asked.get("stream_options") or {}).get("include_usage"))
    events = tuple(stream_events(whole, stage.script.pace.chars, usage))
    if after := told.faults.sse_error:
        events = (*events[: after.after], _sse({"error": openai.error_object(503, "Overloaded")}))
    headers = openai.headers_of(request, "text/event-stream; charset=utf-8")
    return Reply(events, headers=headers, stream=True, **told.known)


def _steps(messages: list[Json]) -> Iterator[Step]:
    for message in messages:
        match message["role"]:
            case "user":
                yield UserSaid(text_of(message["content"]))
            case "assistant":
                yield ModelSaid(tuple(call["id"] for call in message.get("tool_calls") or ()))
            case "tool":
                yield ResultCame()


def text_of(content: Any) -> str:
    """Text that may be a string, null, or a list of parts of which some have `text`."""
    if isinstance(content, list):
        return "\n".join(part.get("text", "") for part in content)
    return content or ""


def _message(asked: Json, told: Cue, declared: set[str]) -> Json:
    message: Json = {"role": "assistant", "content": told.turn.text or None, "refusal": None}
    if told.turn.thinking and asked.get("reasoning_effort"):
        message["reasoning_content"] = told.turn.thinking
    if told.turn.tools:
        message["tool_calls"] = [
            {
                "id": told.call_id("call", n),
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(given, ensure_ascii=False)},
            }
            for n, (name, given) in enumerate(used(call, declared) for call in told.turn.tools)
        ]
    return message


def _completion(asked: Json, told: Cue, message: Json, count: Tokens) -> Json:
    reason = "tool_calls" if "tool_calls" in message else "stop"
    return {
        "id": f"chatcmpl-{told.unique}",
        "object": "chat.completion",
        "created": openai.CREATED,
        "model": asked.get("model"),
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reason}],
        "usage": {
            "prompt_tokens": count.given,
            "completion_tokens": count.made,
            "total_tokens": count.total,
            "prompt_tokens_details": {"cached_tokens": count.cached},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
        "service_tier": "default",
        "system_fingerprint": "fp_demo",
    }


def stream_events(whole: Json, chars: int, usage: bool) -> Iterator[bytes]:
    """A whole completion as the events that stream it; the counts come last, and only where they were asked for."""
    (choice,) = whole["choices"]
    base = {**whole, "object": "chat.completion.chunk", "usage": None}
    if not usage:
        del base["usage"]
    for delta in _deltas(choice["message"], chars):
        yield _sse({**base, "choices": [_choice(delta, None)]})
    yield _sse({**base, "choices": [_choice({}, choice["finish_reason"])]})
    if usage:
        yield _sse({**base, "choices": [], "usage": whole["usage"]})
    yield DONE


def _choice(delta: Json, reason: str | None) -> Json:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}


def _deltas(message: Json, chars: int) -> Iterator[Json]:
    yield {"role": "assistant", "content": "", "refusal": None}
    for part in pieces(message.get("reasoning_content", ""), chars):
        yield {"reasoning_content": part}
    for part in pieces(message["content"] or "", chars):
        yield {"content": part}
    for n, call in enumerate(message.get("tool_calls", ())):
        function = call["function"]
        yield {"tool_calls": [{**call, "index": n, "function": {"name": function["name"], "arguments": ""}}]}
        for part in pieces(function["arguments"], chars):
            yield {"tool_calls": [{"index": n, "function": {"arguments": part}}]}


def _sse(data: Json) -> bytes:
    return b"data: %s\n\n" % compact(data)
