"""Gemini: `models/M:generateContent`, and the same streamed as events (`alt=sse`) or as one JSON array.

Sources: the public API reference and what Gemini CLI sends. Calls have no ids here, so the place in the
script is the number of the model's turns since a prompt chose it. Every chunk has the shape of a whole
answer; events end in CR LF, as the real ones do.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tapes_addons.simulators.apis.cue import (
    Cue,
    ModelSaid,
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
from tapes_addons.simulators.http1 import Headers, Request
from tapes_addons.simulators.reply import Json, Reply, compact
from tapes_addons.simulators.script import Stage

PATH = re.compile(r".*/models(?:/([^/:]+)(?::(\w+))?)?\Z")
STATUSES = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}
MODELS = ("gemini-demo-1", "gemini-demo-mini-1")
JSON: Headers = (("content-type", "application/json; charset=UTF-8"),)
SSE: Headers = (("content-type", "text/event-stream"),)


def answer(request: Request, stage: Stage) -> Reply | None:
    if not (found := PATH.match(request.path)):
        return None
    model, verb = found.groups()
    match request.method, verb:
        case "POST", "generateContent" | "streamGenerateContent":
            return _generate(request, stage, model, verb)
        case "POST", "countTokens":
            return _json({"totalTokens": max(1, len(request.content) // 4)})
        case "GET", None if "v1beta" in request.path and not model:
            return _json({"models": [{"name": f"models/{name}", "displayName": name} for name in MODELS]})
        case _:
            return None


def _generate(request: Request, stage: Stage, model: str, verb: str) -> Reply:
    framing = _framing(request, verb)
    try:
        asked = json.loads(request.content)
        history = asked["contents"]
        at = place(_steps(history), started(request, stage))
        declared = {made["name"] for tool in asked.get("tools") or () for made in tool.get("functionDeclarations", ())}
        by_model = [n for n, content in enumerate(history) if content.get("role") == "model"]
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        return _error(framing, 400, f"the request cannot be read: {problem}")
    wanted = asked.get("generationConfig") or {}
    schema = wanted.get("responseJsonSchema") or wanted.get("responseSchema")
    told = cue(request, stage, at, declared, history, schema)
    if fault := told.faults.error:
        return _error(framing, fault.status, "The model is overloaded.", **told.known)
    parts = _parts(asked, told, declared)
    count = tokens(asked, history, by_model, parts)
    if framing == "json":
        return _json(_chunk(parts, "STOP", model, told, count), **told.known)
    chunks = list(_stream(parts, stage.script.pace.chars, model, told, count))
    if after := told.faults.sse_error:
        chunks = [*chunks[: after.after], {"error": _error_object(503, "The model is overloaded.")}]
    return _streamed(framing, chunks, **told.known)


def _framing(request: Request, verb: str) -> str:
    """json, sse or array."""
    if verb == "generateContent":
        return "json"
    return "sse" if parse_qs(urlsplit(request.target).query).get("alt") == ["sse"] else "array"


def _steps(contents: list[Json]) -> Iterator[Step]:
    for content in contents:
        if content.get("role") == "model":
            yield ModelSaid()
        else:
            yield UserSaid("\n".join(part.get("text", "") for part in content["parts"]))


def _parts(asked: Json, told: Cue, declared: set[str]) -> list[Json]:
    parts: list[Json] = []
    thinking = (asked.get("generationConfig") or {}).get("thinkingConfig") or {}
    if told.turn.thinking and thinking.get("includeThoughts"):
        parts.append({"text": told.turn.thinking, "thought": True})
    if told.turn.text:
        parts.append({"text": told.turn.text})
    signature = base64.b64encode(hashlib.sha512(told.unique.encode()).digest()).decode()
    for n, call in enumerate(told.turn.tools):
        name, given = used(call, declared)
        part: Json = {"functionCall": {"name": name, "args": given}}
        parts.append(part if n else {**part, "thoughtSignature": signature})  # of several calls the first has one
    return parts


def _stream(parts: list[Json], chars: int, model: str, told: Cue, count: Tokens) -> Iterator[Json]:
    for part in parts:
        texts = pieces(part["text"], chars) if "text" in part else (None,)
        for text in texts:
            yield _chunk([part if text is None else {**part, "text": text}], None, model, told, count)
    yield _chunk([{"text": ""}], "STOP", model, told, count)


def _chunk(parts: list[Json], reason: str | None, model: str, told: Cue, count: Tokens) -> Json:
    candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    usage = {
        "promptTokenCount": count.given,
        "candidatesTokenCount": count.made,
        "totalTokenCount": count.total,
        "cachedContentTokenCount": count.cached,
    }
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": model, "responseId": told.unique[:22]}


def _streamed(framing: str, chunks: list[Json], **known: Any) -> Reply:
    if framing == "sse":
        events = tuple(b"data: %s\r\n\r\n" % compact(chunk) for chunk in chunks)
        return Reply(events, headers=SSE, stream=True, **known)
    written = [json.dumps(chunk, indent=2, ensure_ascii=False).encode() for chunk in chunks]
    opened = (b"[" + written[0], *(b",\r\n" + chunk for chunk in written[1:]), b"]\n")
    return Reply(opened, headers=JSON, stream=True, **known)


def _error(framing: str, status: int, message: str, **known: Any) -> Reply:
    """Where an array was asked for, even an error is the element of one."""
    body: Json = {"error": _error_object(status, message)}
    return Reply((compact([body] if framing == "array" else body),), status, JSON, **known)


def _error_object(status: int, message: str) -> Json:
    return {"code": status, "message": message, "status": STATUSES.get(status, "INTERNAL")}


def _json(value: Json, **known: Any) -> Reply:
    return Reply((compact(value),), headers=JSON, **known)
