"""Gemini's parts, in requests and responses alike, into neutral blocks.

Fields are read in camelCase and in snake_case: the service accepts both. A part that is not what its field promises (a
call without a name) is `Unknown`, whole. Unknown fields of a part stand in the block's `extra`; those of the object
inside it under that object's name in there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from tapes.wire.dialects.json_body import compact, count, rest
from tapes.wire.dialects.media import encoded
from tapes.wire.turns import (
    Block,
    Json,
    Media,
    Message,
    ProviderError,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Unknown,
    Usage,
)

EXECUTION = "codeExecution"
"""The provider's own tool, by the name it is declared under."""
IN_PIECES = "the arguments came in pieces, which are not put together"
"""Vertex AI's `partialArgs`: asked for by no agent met so far."""

_OUTPUTS = ("output", "result", "error")
_COUNTS = {
    "input": "promptTokenCount",
    "output": "candidatesTokenCount",
    "reasoning": "thoughtsTokenCount",
    "cache_read": "cachedContentTokenCount",
}


def named(raw: dict[str, Json], name: str) -> str:
    """The key under which `raw` has the field `name`: as it is, or in snake_case."""
    return name if name in raw or _snake(name) not in raw else _snake(name)


def as_list(raw: Json) -> list[Json]:
    """A repeated field; a single value is short for a list of it."""
    return raw if isinstance(raw, list) else [] if raw is None else [raw]


def role_of(raw: Json) -> str:
    """Whose content it is; where it does not say, its parts may."""
    if not isinstance(raw, dict):
        return ""
    role = raw.get("role")
    if isinstance(role, str) and role:
        return role
    parts = [part for part in as_list(raw.get("parts")) if isinstance(part, dict)]
    if any(named(part, name) in part for part in parts for name in ("functionCall", "executableCode")):
        return "assistant"
    return "tool" if any(named(part, "functionResponse") in part for part in parts) else ""


def read_content(raw: Json) -> Message | None:
    """A content of a request's history; None where it is none."""
    if not isinstance(raw, dict) or not raw.keys() & {"role", "parts"}:
        return None
    known = ("role", "parts") if isinstance(raw.get("role", ""), str) else ("parts",)
    return Message(role_of(raw), read_parts(raw.get("parts")), rest(raw, *known))


def read_parts(raw: Json) -> tuple[Block, ...]:
    """The parts of a content."""
    return tuple(read_part(part) for part in as_list(raw))


def read_part(raw: Json) -> Block:
    """One part as it stands in a body."""
    if not isinstance(raw, dict):
        return Unknown(raw)
    for name, read in _READERS.items():
        key = named(raw, name)
        inner = raw.get(key)
        if isinstance(inner, dict):
            return read(key, inner, rest(raw, key)) or Unknown(raw)
    text, signature_key = raw.get("text", ""), named(raw, "thoughtSignature")
    signature = raw.get(signature_key, "")
    if not isinstance(text, str):
        return Unknown(raw)
    if raw.get("thought") is True and isinstance(signature, str):
        return Thinking(text, signature, extra=rest(raw, "text", "thought", signature_key))
    return Text(text, rest(raw, "text")) if "text" in raw else Unknown(raw)


def read_usage(raw: dict[str, Json]) -> Usage:
    """Token counts of a response, or of countTokens."""
    counts = {name: count(raw.get(key)) for name, key in _COUNTS.items()}
    if counts["input"] is None:
        counts["input"] = count(raw.get("totalTokens"))
    return Usage(**counts, raw=raw)


def read_error(raw: Json) -> ProviderError:
    """The `error` object of a body or a chunk (google.rpc.Status)."""
    if not isinstance(raw, dict):
        return ProviderError("error", str(raw), raw)
    return ProviderError(str(raw.get("status") or raw.get("code") or "error"), str(raw.get("message") or ""), raw)


type _Fields = dict[str, Json]


def _call(kind: str, raw: _Fields, extra: _Fields) -> Block | None:
    name, id_, args = raw.get("name"), raw.get("id"), raw.get("args", {})
    if not isinstance(name, str):
        return None
    error = IN_PIECES if raw.get(named(raw, "willContinue")) is True else None
    left = rest(raw, "name", "args", *_strings(raw, "id"))
    return ToolCall(_string(id_), name, args, compact(args), error, kind, _within(extra, kind, left))


def _result(kind: str, raw: _Fields, extra: _Fields) -> Block:
    response, parts = raw.get("response"), raw.get("parts")
    left = rest(raw, "response", *_strings(raw, "id", "name"), *(("parts",) if isinstance(parts, list) else ()))
    failed = False
    if isinstance(response, dict):
        failed = response.get("error") is not None
        key = next((key for key in _OUTPUTS if isinstance(response.get(key), str)), None)
        if key is not None:
            left |= {"response": others} if (others := rest(response, key)) else {}
            response = response[key]
    words = () if response is None else (Text(response if isinstance(response, str) else compact(response)),)
    content = (*words, *(read_parts(parts) if isinstance(parts, list) else ()))
    extra |= {"name": raw["name"]} if isinstance(raw.get("name"), str) else {}
    return ToolResult(_string(raw.get("id")), content, failed, kind, _within(extra, kind, left))


def _inline(kind: str, raw: _Fields, extra: _Fields) -> Block | None:
    data, type_key = raw.get("data"), named(raw, "mimeType")
    if not isinstance(data, str):
        return None
    left = rest(raw, "data", *_strings(raw, type_key))
    return encoded(kind, _string(raw.get(type_key)), data, _within(extra, kind, left))


def _file(kind: str, raw: _Fields, extra: _Fields) -> Block | None:
    where_key, type_key = named(raw, "fileUri"), named(raw, "mimeType")
    where = raw.get(where_key)
    if not isinstance(where, str):
        return None
    left = rest(raw, where_key, *_strings(raw, type_key))
    return Media(kind, _string(raw.get(type_key)), 0, where, extra=_within(extra, kind, left))


def _code(kind: str, raw: _Fields, extra: _Fields) -> Block | None:
    code = raw.get("code")
    if not isinstance(code, str):
        return None
    left = rest(raw, "code", *_strings(raw, "id"))
    return ToolCall(_string(raw.get("id")), EXECUTION, code, code, None, kind, _within(extra, kind, left))


def _executed(kind: str, raw: _Fields, extra: _Fields) -> Block:
    output, outcome = raw.get("output"), raw.get("outcome")
    content = (Text(output),) if isinstance(output, str) else ()
    left = rest(raw, *_strings(raw, "id", "output"))
    # The name is ours: the wire needs none, for such a result follows its code in the same content.
    extra |= {"name": EXECUTION}
    failed = isinstance(outcome, str) and outcome != "OUTCOME_OK"
    return ToolResult(_string(raw.get("id")), content, failed, kind, _within(extra, kind, left))


_READERS: dict[str, Callable[[str, _Fields, _Fields], Block | None]] = {
    "functionCall": _call,
    "functionResponse": _result,
    "inlineData": _inline,
    "fileData": _file,
    "executableCode": _code,
    "codeExecutionResult": _executed,
}


def _within(extra: _Fields, kind: str, left: _Fields) -> _Fields:
    return extra | {kind: left} if left else extra


def _strings(raw: _Fields, *names: str) -> tuple[str, ...]:
    """Those of the fields that are what they should be; the others are unknown."""
    return tuple(name for name in names if isinstance(raw.get(name), str))


def _string(value: Json) -> str:
    return value if isinstance(value, str) else ""


@cache
def _snake(name: str) -> str:
    return re.sub("[A-Z]", lambda found: "_" + found[0].lower(), name)
