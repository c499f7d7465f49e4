"""The other way round: an answer, as neutral blocks, into the entries that a later request would repeat it by.

For requests that were never sent and that somebody may want to send. A request that was sent is never written anew: its
bytes are in the record. What a block's dialect kept in `extra` goes back to where it was; what a provider has sealed
(signatures, encrypted reasoning) goes back as it came. New entries are spliced in behind the last one, so that all
before them stays the bytes it was, and what a provider has cached of it stays cached.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from tapes.wire.dialects.json_body import compact, load, rest
from tapes.wire.places import HISTORIES, places
from tapes.wire.turns import Block, Json, Message, Text, Thinking, ToolCall, ToolResult, Unknown

_WRAPPERS = ("request", "generateContentRequest", "response")
"""Fields that some forms of a request stand in: Code Assist's, a token count's, a WebSocket's `response.create`."""


def items_of(body: bytes) -> list[Json] | None:
    """The entries of a request's history as they stand in it; None where it has no list of them."""
    value = load(body).value
    holder = holder_of(value) if isinstance(value, dict) else None
    if holder is None:
        return None
    key = next(key for key in HISTORIES if isinstance(holder.get(key), list))
    found = holder[key]
    return found if isinstance(found, list) else None


def holder_of(raw: dict[str, Json]) -> dict[str, Json] | None:
    """The object in a request that has the list of its history."""
    for value in (raw, *(raw.get(name) for name in _WRAPPERS)):
        if isinstance(value, dict) and any(isinstance(value.get(key), list) for key in HISTORIES):
            return value
    return None


def as_history(dialect: str, message: Message) -> list[Json] | None:
    """The entries by which a request of that dialect repeats an answer; None for a dialect that has no such form."""
    write = _WRITERS.get(dialect)
    return write(message) if write else None


def with_more(body: bytes, items: Sequence[Json]) -> bytes | None:
    """The request with more entries at the end of its history; None where it has no list of them."""
    if not items:
        return body
    found = places(body)
    if found is not None and found.ends:
        at = found.ends[-1]
        return body[:at] + b"".join(b"," + compact(item).encode() for item in items) + body[at:]
    raw = load(body).value
    holder = holder_of(raw) if isinstance(raw, dict) else None
    if holder is None:
        return None
    key = next(key for key in HISTORIES if isinstance(holder.get(key), list))
    listed = holder[key]
    holder[key] = [*(listed if isinstance(listed, list) else ()), *items]
    return compact(raw).encode()


def _anthropic(message: Message) -> list[Json]:
    content: list[Json] = [item for block in message.blocks if (item := _anthropic_block(block)) is not None]
    return [{"role": message.role or "assistant", "content": content}] if content else []


def _anthropic_block(block: Block) -> Json:
    match block:
        case Text(text, extra):
            return {"type": "text", "text": text, **extra}
        case Thinking(redacted=True):
            return {"type": "redacted_thinking", "data": block.signature, **block.extra}
        case Thinking():
            return {"type": "thinking", "thinking": block.text, "signature": block.signature, **block.extra}
        case ToolCall():
            given: Json = {} if block.input is None and block.error is None else block.input
            extra = rest(dict(block.extra), "initial_input")
            return {"type": block.kind, "id": block.id, "name": block.name, "input": given, **extra}
        case Unknown(raw):
            return raw
        case _:
            return None


def _chat(message: Message) -> list[Json]:
    words = "".join(block.text for block in message.blocks if isinstance(block, Text))
    calls: list[Json] = [_chat_call(block) for block in message.blocks if isinstance(block, ToolCall)]
    made: dict[str, Json] = {"role": message.role or "assistant", "content": words or None, **message.extra}
    for block in message.blocks:
        if isinstance(block, Thinking):
            made |= block.extra or {"reasoning_content": block.text}
    legacy = [block for block in message.blocks if isinstance(block, ToolCall) and block.kind == "function_call"]
    if legacy:
        return [made | {"function_call": {"name": legacy[0].name, "arguments": legacy[0].input_raw}}]
    return [made | {"tool_calls": calls} if calls else made]


def _chat_call(call: ToolCall) -> Json:
    inner = call.extra.get(call.kind)
    beside = inner if isinstance(inner, dict) else {}
    where = "input" if call.kind == "custom" else "arguments"
    known = rest(dict(call.extra), call.kind)
    return {"id": call.id, "type": call.kind, call.kind: {"name": call.name, where: call.input_raw, **beside}, **known}


def _responses(message: Message) -> list[Json]:
    items: list[Json] = []
    for block in message.blocks:
        match block:
            case Text(text, extra):
                about = extra.get("item")
                beside = about if isinstance(about, dict) else {}
                part: Json = {"type": "output_text", "text": text, **rest(dict(extra), "item")}
                items.append({"type": "message", "role": "assistant", "content": [part], **beside})
            case Thinking():
                made: dict[str, Json] = {"type": "reasoning", "summary": [], **block.extra}
                if block.text and "content" not in block.extra and not made["summary"]:
                    made["summary"] = [{"type": "summary_text", "text": block.text}]
                items.append(made | ({"encrypted_content": block.signature} if block.signature else {}))
            case ToolCall():
                field = {"custom_tool_call": "input", "function_call": "arguments", "mcp_call": "arguments"}
                given = field.get(block.kind, "action")
                value: Json = block.input_raw if block.kind in field else block.input
                named: dict[str, Json] = {"name": block.name} if block.kind in field else {}
                items.append({"type": block.kind, **named, given: value, "call_id": block.id, **block.extra})
            case Unknown(raw):
                items.append(raw)
            case _:
                pass
    return items


def _gemini(message: Message) -> list[Json]:
    parts: list[Json] = []
    for block in message.blocks:
        match block:
            case Text(text, extra):
                parts.append({"text": text, **extra})
            case ToolCall(kind="functionCall"):
                inner = block.extra.get("functionCall")
                held: dict[str, Json] = {"name": block.name, "args": block.input}
                held |= {"id": block.id} if block.id else {}
                beside = rest(dict(block.extra), "functionCall")
                parts.append({"functionCall": held | (inner if isinstance(inner, dict) else {}), **beside})
            case Unknown(raw):
                parts.append(raw)
            case _:
                pass  # thoughts are not sent back
    return [{"role": "model", "parts": parts}] if parts else []


def _ollama(message: Message) -> list[Json]:
    words = "".join(block.text for block in message.blocks if isinstance(block, Text))
    thought = "".join(block.text for block in message.blocks if isinstance(block, Thinking))
    calls: list[Json] = [
        {"function": {"name": block.name, "arguments": block.input}}
        for block in message.blocks
        if isinstance(block, ToolCall)
    ]
    made: dict[str, Json] = {"role": message.role or "assistant", "content": words}
    made |= {"thinking": thought} if thought else {}
    return [made | ({"tool_calls": calls} if calls else {})]


_WRITERS: Mapping[str, Callable[[Message], list[Json]]] = {
    "anthropic": _anthropic,
    "openai-chat": _chat,
    "openai-responses": _responses,
    "gemini": _gemini,
    "ollama": _ollama,
}


_PROVIDERS = ("server_", "mcp_", "web_search", "file_search", "code_interpreter", "image_generation", "executableCode")
"""How kinds of calls begin that the provider runs itself."""


def calls_in(message: Message) -> list[str]:
    """Ids of the calls in a message that wait for an answer of the agent's; not those that the provider runs."""
    return [b.id for b in message.blocks if isinstance(b, ToolCall) and not b.kind.startswith(_PROVIDERS)]


def results_in(message: Message) -> list[str]:
    """Ids of the calls that a message answers."""
    return [block.id for block in message.blocks if isinstance(block, ToolResult)]
