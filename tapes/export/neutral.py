"""Neutral values as JSON: messages of a conversation, whoever's protocol they came in.

Fields that a dialect has no word for stand in `extra`, what it could not read in `raw`. Pictures are named, not held;
the message that brought one has its own wire form beside it (`wire`), which holds it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tapes.session.transcript import Conversation, Said
from tapes.wire.turns import Block, Media, Text, Thinking, ToolCall, ToolResult


def lined(value: Any, depth: int) -> Iterator[str]:
    """JSON with the items of the outer `depth` levels on lines of their own: to be read by people too, and written in a
    tenth of the time that `indent` takes. ASCII."""
    if depth == 0 or not value or not isinstance(value, dict | list):
        yield json.dumps(value)
        return
    keys = [f"{json.dumps(key)}: " for key in value] if isinstance(value, dict) else [""] * len(value)
    yield "{" if isinstance(value, dict) else "["
    for n, (key, inner) in enumerate(zip(keys, value.values() if isinstance(value, dict) else value, strict=True), 1):
        lines = list(lined(inner, depth - 1))
        lines[0] = key + lines[0]
        lines[-1] += "," if n < len(value) else ""
        yield from lines
    yield "}" if isinstance(value, dict) else "]"


def conversation(said: Conversation) -> dict[str, Any]:
    """All of it: dialect, model, system, tools, params, messages, open_calls, doubts."""
    return {
        "dialect": said.dialect,
        "model": said.model,
        "system": [block(one) for one in said.system],
        "tools": [{"name": tool.name, "raw": tool.raw} for tool in said.tools],
        "params": dict(said.params or {}),
        "messages": [_message(one) for one in said.messages],
        "open_calls": list(said.open_calls),
        "doubts": list(said.doubts),
    }


def _message(said: Said) -> dict[str, Any]:
    made: dict[str, Any] = {
        "role": said.message.role,
        "blocks": [block(one) for one in said.message.blocks],
        "exchange": said.exchange.hex(),
        "source": said.source,
    }
    if said.message.extra:
        made["extra"] = dict(said.message.extra)
    if any(_has_media(one) for one in said.message.blocks):
        made["wire"] = list(said.raw)
    return made


def _has_media(one: Block) -> bool:
    return isinstance(one, Media) or (isinstance(one, ToolResult) and any(_has_media(part) for part in one.content))


def block(one: Block) -> dict[str, Any]:
    """`type` is text, thinking, tool_call, tool_result, media or unknown."""
    match one:
        case Text():
            return {"type": "text", "text": one.text} | _extra(one.extra)
        case Thinking():
            made = {"type": "thinking", "text": one.text, "signature": one.signature, "redacted": one.redacted}
            return made | _extra(one.extra)
        case ToolCall():
            made = {"type": "tool_call", "id": one.id, "name": one.name, "input": one.input, "kind": one.kind}
            made |= {"input_raw": one.input_raw, "error": one.error} if one.error is not None else {}
            return made | _extra(one.extra)
        case ToolResult():
            content = [block(part) for part in one.content]
            made = {"type": "tool_result", "id": one.id, "content": content, "is_error": one.is_error}
            return made | {"kind": one.kind} | _extra(one.extra)
        case Media():
            made = {"type": "media", "kind": one.kind, "media_type": one.media_type, "size": one.size}
            return made | {"where": one.where, "fingerprint": one.fingerprint} | _extra(one.extra)
        case _:
            return {"type": "unknown", "raw": one.raw}


def _extra(extra: Mapping[str, Any]) -> dict[str, Any]:
    return {"extra": dict(extra)} if extra else {}
