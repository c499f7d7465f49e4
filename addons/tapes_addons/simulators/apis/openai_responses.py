"""OpenAI Responses: one answer as output items, whole, as an event stream, or as WebSocket messages.

Sources: the public API reference and what Codex sends. A response id says where the script goes on,
`resp_<script>_T<next turn>N0_…`, so `previous_response_id` needs no memory of histories. In Codex's code mode
the only tool is a freeform one named `exec`: its input is JavaScript that calls the real tools.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tapes_addons.simulators.apis import openai
from tapes_addons.simulators.apis.cue import (
    CALL_ID,
    Cue,
    ModelSaid,
    ResultCame,
    Step,
    Tokens,
    UserSaid,
    cue,
    place,
    started,
    tokens,
    used,
)
from tapes_addons.simulators.apis.openai_chat import text_of
from tapes_addons.simulators.apis.openai_items import item_events
from tapes_addons.simulators.http1 import Request
from tapes_addons.simulators.reply import Json, Reply, compact, salt
from tapes_addons.simulators.script import NO_FAULTS, Call, Stage, Turn

Declared = Mapping[str, tuple[str, str]]
"""Tools by name: (type, namespace); `function` or `custom`, and "" for a tool that is in none."""
MODEL_ITEMS = ("reasoning", "function_call", "custom_tool_call")
NOT_FOUND = "previous_response_not_found"


class Refused(Exception):
    """The request cannot be answered: (status, code, message)."""

    def __init__(self, status: int, code: str | None, message: str) -> None:
        self.status, self.code, self.message = status, code, message


@dataclass(frozen=True, slots=True)
class Plan:
    """An answer: `whole`, and the `events` that stream it (or that lead to the error a fault wants)."""

    told: Cue
    declared: Declared
    whole: Json
    events: tuple[Json, ...]


def answer(request: Request, stage: Stage) -> Reply | None:
    if request.method != "POST" or not request.path.endswith("/responses"):
        return None
    try:
        asked = json.loads(request.content)
        planned = plan(request, asked, stage)
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        return openai.error(request, 400, f"the request cannot be read: {problem}")
    except Refused as refused:
        return openai.error(request, refused.status, refused.message)
    known = planned.told.known
    if fault := planned.told.faults.error:
        return openai.error(request, fault.status, "The model is overloaded.", fault.retry_after, **known)
    if not asked.get("stream"):
        return Reply((compact(planned.whole),), headers=openai.headers_of(request, "application/json"), **known)
    events = tuple(b"event: %s\ndata: %s\n\n" % (event["type"].encode(), compact(event)) for event in planned.events)
    headers = openai.headers_of(request, "text/event-stream; charset=utf-8")
    return Reply(events, headers=headers, stream=True, **known)


def plan(request: Request, asked: Json, stage: Stage, given: Mapping[str, Declared] | None = None) -> Plan:
    """What to answer. `given`: the tools of the responses that may be gone on from; None where all may be.

    Raises Refused, and what a malformed request raises: KeyError, TypeError, AttributeError.
    """
    items = _items(asked)
    script, index, declared = _previous(request, asked, stage, given or {}, given is None)
    declared = {**declared, **_declared(asked, items)}
    at = place(_steps(items), script, index)
    if asked.get("generate") is False:  # a warm-up: no turn, and its id goes on where nothing was said yet
        told, following = Cue(*at, Turn(), NO_FAULTS, salt(request)), at[1]
    else:
        # A retry may send the whole history where the first try sent what was new: only who asks is the same.
        told, following = cue(request, stage, at, declared, "", _schema(asked)), at[1] + 1
    output = list(_output(asked, told, declared))
    by_model = [n for n, item in enumerate(items) if item.get("type") in MODEL_ITEMS or item.get("role") == "assistant"]
    whole = _response(asked, told, following, output, tokens(asked, items, by_model, output))
    events = tuple(_events(whole, stage.script.pace.chars))
    if after := told.faults.sse_error:
        failed = {**whole, "status": "failed", "output": [], "usage": None}
        failed["error"] = {"code": "server_is_overloaded", "message": "Our servers are currently overloaded."}
        events = events[: after.after]
        events = (*events, {"type": "response.failed", "sequence_number": len(events), "response": failed})
    return Plan(told, declared, whole, events)


def _schema(asked: Json) -> Json | None:
    found: Json | None = ((asked.get("text") or {}).get("format") or {}).get("schema")
    return found


def _items(asked: Json) -> list[Json]:
    given = asked.get("input") or []
    return [{"type": "message", "role": "user", "content": given}] if isinstance(given, str) else given


def _previous(
    request: Request, asked: Json, stage: Stage, given: Mapping[str, Declared], anyone: bool
) -> tuple[str, int, Declared]:
    """(script, turn, tools) that the response gone on from leaves. Raises Refused."""
    name = asked.get("previous_response_id")
    if not name:
        return started(request, stage), 0, {}
    found = CALL_ID.match(name)
    if not found or not (anyone or name in given):
        raise Refused(400, NOT_FOUND, f"Previous response with id '{name}' not found.")
    return found[1], int(found[2]), given.get(name, {})


def _declared(asked: Json, items: list[Json]) -> Declared:
    added = [tool for item in items if item.get("type") == "additional_tools" for tool in item["tools"]]
    return dict(_tools([*(asked.get("tools") or ()), *added], ""))


def _tools(tools: list[Json], namespace: str) -> Iterator[tuple[str, tuple[str, str]]]:
    for tool in tools:
        if tool["type"] == "namespace":
            yield from _tools(tool["tools"], tool["name"])
        else:
            yield tool.get("name") or tool["type"], (tool["type"], namespace)


def _steps(items: list[Json]) -> Iterator[Step]:
    for item in items:
        match item.get("type", "message"), item.get("role"):
            case "message", "user":
                yield UserSaid(text_of(item["content"]))
            case ("message", "assistant") | ("reasoning", _):
                yield ModelSaid()
            case "function_call" | "custom_tool_call", _:
                yield ModelSaid((item["call_id"],))
            case "function_call_output" | "custom_tool_call_output", _:
                yield ResultCame()


def _output(asked: Json, told: Cue, declared: Declared) -> Iterator[Json]:
    if told.turn.thinking and asked.get("reasoning"):
        item: Json = {"id": f"rs_{told.unique}", "type": "reasoning"}
        item["summary"] = [{"type": "summary_text", "text": told.turn.thinking}]
        if "reasoning.encrypted_content" in asked.get("include", ()):
            sealed = hashlib.sha512(told.turn.thinking.encode()).digest() * 4
            item["encrypted_content"] = base64.b64encode(sealed).decode()
        yield item
    if told.turn.text:
        part = {"type": "output_text", "annotations": [], "text": told.turn.text}
        message = {"id": f"msg_{told.unique}", "type": "message", "status": "completed", "role": "assistant"}
        yield {**message, "content": [part]}
    for n, call in enumerate(told.turn.tools):
        yield _call(call, n, told, declared)


def _call(call: Call, n: int, told: Cue, declared: Declared) -> Json:
    if declared.get("exec", ("", ""))[0] == "custom":
        inner, given = used(call, ("exec_command",))
        name = "exec"
        said = {"input": f"const r = await tools.{inner}({json.dumps(given, ensure_ascii=False)}); text(r);"}
    else:
        name, given = used(call, declared)
        said = {"arguments": json.dumps(given, ensure_ascii=False)}
    kind, short = ("custom_tool_call", "ctc") if "input" in said else ("function_call", "fc")
    namespace = declared.get(name, ("", ""))[1]
    item = {"id": f"{short}_{n}{told.unique}", "type": kind, "status": "completed"}
    item |= {"call_id": told.call_id("call", n), "name": name}
    return {**item, **({"namespace": namespace} if namespace else {}), **said}


def _response(asked: Json, told: Cue, following: int, output: list[Json], count: Tokens) -> Json:
    return {
        "id": f"resp_{told.script}_T{following:03d}N0_{told.unique}",
        "object": "response",
        "created_at": openai.CREATED,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "model": asked.get("model"),
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": asked.get("previous_response_id"),
        "store": asked.get("store", True),
        "usage": {
            "input_tokens": count.given,
            "input_tokens_details": {"cached_tokens": count.cached},
            "output_tokens": count.made,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": count.total,
        },
    }


def _events(whole: Json, chars: int) -> Iterator[Json]:
    begun: Json = {**whole, "status": "in_progress", "output": [], "usage": None}
    told = [(f"response.{kind}", {"response": begun}) for kind in ("created", "in_progress")]
    for index, item in enumerate(whole["output"]):
        told += item_events(index, item, chars)
    told.append(("response.completed", {"response": whole}))
    for number, (kind, data) in enumerate(told):
        yield {"type": kind, "sequence_number": number, **data}
