"""Anthropic's content blocks, in requests and responses alike, into neutral ones.

A block that is not what its type promises (a tool call without an id, a text that is a number) is `Unknown`,
whole: half of it under a known name would lose the other half.
"""

from __future__ import annotations

from tapes.wire.dialects.json_body import compact, count, load, mend, rest
from tapes.wire.dialects.media import encoded
from tapes.wire.turns import Block, Json, Media, Message, Text, Thinking, ToolCall, ToolResult, Unknown, Usage

CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
CUT = "the stream ended inside this call"

_COUNTS = {
    "input": "input_tokens",
    "output": "output_tokens",
    "cache_read": "cache_read_input_tokens",
    "cache_write": "cache_creation_input_tokens",
}
_WRITES = {
    "cache_write_5m": "ephemeral_5m_input_tokens",
    "cache_write_1h": "ephemeral_1h_input_tokens",
}


def read_message(raw: Json) -> Message | None:
    """A message of a request's history; None where it is none."""
    if not isinstance(raw, dict) or not isinstance(raw.get("role"), str):
        return None
    return Message(str(raw["role"]), read_content(raw.get("content")), rest(raw, "role", "content"))


def read_content(raw: Json) -> tuple[Block, ...]:
    """Content is a list of blocks; a string is short for one text block."""
    if raw is None:
        return ()
    if isinstance(raw, list):
        return tuple(read_block(item) for item in raw)
    return (read_block(raw),)


def read_block(raw: Json) -> Block:
    """One block as it stands in a body."""
    if isinstance(raw, str):
        return Text(raw)
    if not isinstance(raw, dict):
        return Unknown(raw)
    match raw:
        case {"type": "text", "text": str(text)}:
            return Text(text, rest(raw, "type", "text"))
        case {"type": "thinking", "thinking": str(text)} if isinstance(raw.get("signature", ""), str):
            signature = str(raw.get("signature", ""))
            return Thinking(text, signature, extra=rest(raw, "type", "thinking", "signature"))
        case {"type": "redacted_thinking", "data": str(data)}:
            return Thinking("", data, redacted=True, extra=rest(raw, "type", "data"))
        case {"type": str(kind), "id": str(), "name": str()} if kind in CALLS:
            return read_call(raw, None, closed=True)
        case {"type": str(kind), "tool_use_id": str(id_)} if kind.endswith("tool_result"):
            return _result(raw, kind, id_)
        case {"type": ("image" | "document") as kind, "source": dict(source)}:
            return _media(raw, str(kind), source)
        case _:
            return Unknown(raw)


def read_call(raw: dict[str, Json], streamed: str | None, *, closed: bool) -> ToolCall:
    """A tool call. `streamed` is its input's text where that came in pieces, `closed` whether all of them came."""
    value, text, error = raw.get("input"), "", None
    extra = rest(raw, "type", "id", "name", "input")
    if streamed is None or (closed and not streamed):
        text = compact(value)
    else:
        loaded = load(streamed)
        if value:  # an empty object in all streams met so far
            extra["initial_input"] = value
        value, text, error = loaded.value, mend(streamed), loaded.error if closed else CUT
    return ToolCall(
        id=str(raw["id"]),
        name=str(raw["name"]),
        input=value,
        input_raw=text,
        error=error,
        kind=str(raw["type"]),
        extra=extra,
    )


def read_usage(raw: Json) -> Usage | None:
    """Token counts of a response, a stream's event or count_tokens; None where there are none."""
    if not isinstance(raw, dict):
        return None
    counts = {name: count(raw.get(key)) for name, key in _COUNTS.items()}
    written = raw.get("cache_creation")
    if isinstance(written, dict):
        counts |= {name: count(written.get(key)) for name, key in _WRITES.items()}
    details = raw.get("output_tokens_details")
    if isinstance(details, dict):
        counts["reasoning"] = count(details.get("thinking_tokens"))
    return Usage(**counts, raw=raw)


def _result(raw: dict[str, Json], kind: str, id_: str) -> ToolResult:
    content = raw.get("content")
    error = raw.get("is_error")
    known = ["type", "tool_use_id", "content"]
    if isinstance(error, bool):
        known.append("is_error")
    elif isinstance(content, dict):  # a provider's own tool says it by the type of its content
        error = str(content.get("type")).endswith("_error")
    return ToolResult(id_, read_content(content), error is True, kind, rest(raw, *known))


def _media(raw: dict[str, Json], kind: str, source: dict[str, Json]) -> Media:
    media_type = source.get("media_type")
    extra = rest(raw, "type", "source")
    match source:
        case {"type": "base64", "data": str(data)}:
            left = rest(source, "type", "media_type", "data")
            return encoded(kind, str(media_type or ""), data, extra | ({"source": left} if left else {}))
        case {"url": str(where)} | {"file_id": str(where)}:
            return Media(kind, str(media_type or ""), 0, where, extra=extra | {"source": source})
        case {"type": "text", "data": str(data)}:  # it stays readable
            size = len(data.encode())
            return Media(kind, str(media_type or ""), size, extra=extra | {"source": source})
        case _:
            return Media(kind, str(media_type or ""), len(compact(source)), extra=extra | {"source": source})
