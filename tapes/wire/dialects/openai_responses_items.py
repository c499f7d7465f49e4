"""Items of the Responses API, in requests and responses alike, into neutral messages: one item, one message.

There are more kinds of item than can be listed, and new ones with every tool OpenAI adds; so `…_call` is a call and
`…_output` the result of one, whatever stands before. An item that is neither, and one that is not what its type
promises, is `Unknown`, whole.
"""

from __future__ import annotations

from tapes.wire.dialects.json_body import compact, load, mend, rest
from tapes.wire.dialects.media import encoded, linked
from tapes.wire.turns import Block, Json, Media, Message, Text, Thinking, ToolCall, ToolResult, Unknown

CUT = "the stream ended inside this call"
INPUTS = ("arguments", "input", "code", "action", "actions", "operation", "queries")
"""Where the input of a call stands, by kind of call."""
FREEFORM = ("input", "code")
"""Text that is no JSON: the tool's own language."""
TOOLS = ("additional_tools", "tool_search_output")
"""Items that offer tools to the model."""

_NAMED = ("function_call", "custom_tool_call", "mcp_call")
_BY_MODEL = ("reasoning", "compaction", "mcp_approval_request")
_WORDS = ("input_text", "output_text", "text", "summary_text", "reasoning_text")
_LINKS = ("image_url", "file_url", "file_data")


def role_of(raw: Json) -> str:
    """The role of an item, by the wire's word or by who alone can have made such an item."""
    if not isinstance(raw, dict):
        return ""
    role, kind = raw.get("role"), raw.get("type")
    if isinstance(role, str):
        return role
    if not isinstance(kind, str):
        return ""
    if kind in _BY_MODEL or kind.endswith("_call"):
        return "assistant"
    return "tool" if kind.endswith("_output") else ""


def read_item(raw: Json, *, closed: bool = True) -> Message:
    """One item. `closed` is false for one that the end of a stream broke off."""
    role = role_of(raw)
    if isinstance(raw, dict) and raw.get("type", "message") == "message" and isinstance(raw.get("role"), str):
        return Message(role, read_content(raw.get("content")), rest(raw, "type", "role", "content"))
    return Message(role, (_block(raw, closed),))


def read_content(raw: Json) -> tuple[Block, ...]:
    """Content is a list of parts; a string is short for one of text."""
    if raw is None:
        return ()
    if isinstance(raw, list):
        return tuple(_part(part) for part in raw)
    return (_part(raw),)


def _block(raw: Json, closed: bool) -> Block:
    if not isinstance(raw, dict):
        return Unknown(raw)
    match raw:
        case {"type": "reasoning"}:
            return _thinking(raw)
        case {"type": str(kind)} if kind.endswith("_call"):
            return _call(raw, kind, closed)
        case {"type": str(kind)} if kind.endswith("_output"):
            return _result(raw, kind)
        case _:
            return Unknown(raw)


def _thinking(raw: dict[str, Json]) -> Block:
    said, told, sealed = _reasons(raw.get("content")), _reasons(raw.get("summary")), raw.get("encrypted_content")
    if said is None or told is None or not isinstance(sealed, str | None):
        return Unknown(raw)
    known = ["type", "encrypted_content"]
    # One of the two is shown; of the other, and of fields inside of either, the list keeps all.
    known += ["content"] if said[1] else []
    known += ["summary"] if told[1] and not (said[0] and told[0]) else []
    text = said[0] or told[0]
    return Thinking(text, sealed or "", redacted=bool(sealed) and not text, extra=rest(raw, *known))


def _reasons(parts: Json) -> tuple[str, bool] | None:
    """The text of a list of parts, and whether that is all there is in it; None where it is no such list."""
    if parts is None:
        return "", True
    words: list[str] = []
    plain = True
    for part in parts if isinstance(parts, list) else [parts]:
        text = part.get("text") if isinstance(part, dict) else None
        if not isinstance(part, dict) or not isinstance(text, str):
            return None
        words.append(text)
        plain = plain and part.keys() <= {"type", "text"}
    return "\n\n".join(words), plain


def _call(raw: dict[str, Json], kind: str, closed: bool) -> Block:
    name, call_id, own_id = raw.get("name"), raw.get("call_id"), raw.get("id")
    if not isinstance(name, str) and (kind in _NAMED or name is not None):
        return Unknown(raw)
    if not isinstance(call_id, str | None) or not isinstance(own_id, str | None):
        return Unknown(raw)
    given = next((field for field in INPUTS if raw.get(field) is not None), "")
    value, text, error = _input(given, raw.get(given))
    return ToolCall(
        id=call_id or own_id or "",
        name=name if isinstance(name, str) else kind.removesuffix("_call"),
        input=value,
        input_raw=text,
        error=error if closed else CUT,
        kind=kind,
        extra=rest(raw, "type", "name", "call_id", given, *([] if call_id else ["id"])),
    )


def _input(given: str, value: Json) -> tuple[Json, str, str | None]:
    if not given or (given in FREEFORM and isinstance(value, str)):
        return value, str(value or ""), None
    if isinstance(value, str):
        loaded = load(value)
        return loaded.value, mend(value), loaded.error
    return value, compact(value), None


def _result(raw: dict[str, Json], kind: str) -> Block:
    # What the local shell puts out is named by the `id` of the call; a search the provider made itself by nothing.
    named = "id" if kind == "local_shell_call_output" and "call_id" not in raw else "call_id"
    call_id, output = raw.get(named), raw.get("output")
    if not isinstance(call_id, str | None):
        return Unknown(raw)
    known, error = ["type", named, "output"], raw.get("status") in ("failed", "incomplete")
    extra: dict[str, Json] = {}
    if isinstance(output, dict) and isinstance(output.get("success"), bool):  # Codex, before outputs became lists
        error = error or not output["success"]
        content = read_content(output.get("content"))
        extra = {"output": left} if (left := rest(output, "content", "success")) else {}
    elif "output" not in raw and isinstance(raw.get("tools"), list):
        known.append("tools")
        content = read_content(raw["tools"])
    else:
        content = read_content(output)
    return ToolResult(call_id or "", content, error, kind, rest(raw, *known) | extra)


def _part(raw: Json) -> Block:
    if isinstance(raw, str):
        return Text(raw)
    if not isinstance(raw, dict):
        return Unknown(raw)
    match raw:
        case {"type": str(kind), "text": str(text)} if kind in _WORDS:
            return Text(text, rest(raw, "type", "text"))
        case {"type": "refusal", "refusal": str(text)}:
            return Text(text, rest(raw, "refusal"))
        case {"type": ("input_image" | "input_file" | "input_audio" | "computer_screenshot") as kind}:
            return _media(raw, str(kind)) or Unknown(raw)
        case {"stdout": str(out), "stderr": str(err)} if "type" not in raw:  # one command of the shell tool
            return Text("\n".join(filter(None, (out, err))), rest(raw, "stdout"))
        case _:
            return Unknown(raw)


def _media(raw: dict[str, Json], kind: str) -> Media | None:
    for name in _LINKS:
        where = raw.get(name)
        if isinstance(where, str):
            if name == "file_data" and not where.startswith("data:"):
                return encoded(kind, "", where, rest(raw, "type", name))
            return linked(kind, where, rest(raw, "type", name))
    match raw:
        case {"file_id": str(where)}:
            return Media(kind, "", 0, where, extra=rest(raw, "type", "file_id"))
        case {"input_audio": dict(inner)} if isinstance(inner.get("data"), str):
            left = rest(inner, "data", "format")
            about = rest(raw, "type", "input_audio") | ({"input_audio": left} if left else {})
            return encoded(kind, f"audio/{inner.get('format')}", str(inner["data"]), about)
        case _:
            return None
