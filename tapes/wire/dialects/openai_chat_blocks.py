"""The parts of Chat Completions, in requests and responses alike, into neutral ones.

What is not what its type promises (a call without a name, a text that is a number) is `Unknown`, whole. Servers that
speak "like OpenAI" add fields of their own; the ones with a meaning that many share are read here: reasoning as
`reasoning_content` (DeepSeek, vLLM, llama.cpp), `reasoning` and `reasoning_details` (OpenRouter, Groq, Ollama),
`reasoning_text` (Copilot) or as a part of the content (Mistral).
"""

from __future__ import annotations

from tapes.wire.dialects.json_body import compact, count, load, mend, rest
from tapes.wire.dialects.media import encoded, linked
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

REASONING = ("reasoning_content", "reasoning", "reasoning_text")
"""Fields that hold the model's reasoning as text; some servers send the same under two of them."""
RESULT_ROLES = frozenset({"tool", "function"})


def read_message(raw: Json) -> Message | None:
    """A message, of a history or of an answer; None where it is none."""
    if not isinstance(raw, dict) or not isinstance(raw.get("role"), str):
        return None
    role = str(raw["role"])
    if role in RESULT_ROLES:
        return _result(raw, role)
    blocks: list[Block] = []
    known = {"role", "content"}
    thinking = _thinking(raw, known)
    if thinking is not None:
        blocks.append(thinking)
    blocks += read_content(raw.get("content"))
    match raw.get("refusal", ""):
        case None | "":
            known.add("refusal")
        case str(refusal):
            known.add("refusal")
            blocks.append(Text(refusal, {"type": "refusal"}))
    calls = raw.get("tool_calls")
    if calls is None or isinstance(calls, list):
        known.add("tool_calls")
        blocks += [read_call(call) for call in calls or []]
    legacy = raw.get("function_call")
    known.add("function_call")
    if legacy is not None:
        blocks.append(read_call({"type": "function_call", "function_call": legacy}))
    return Message(role, tuple(blocks), rest(raw, *known))


def read_content(raw: Json) -> tuple[Block, ...]:
    """Content is a list of parts; a string is short for one text, an empty one for none."""
    if raw is None or raw == "":
        return ()
    if isinstance(raw, list):
        return tuple(_part(item) for item in raw)
    return (_part(raw),)


def read_call(raw: Json) -> Block:
    """A tool call. Its `type` (`function` where it has none) names the field with the name and the arguments."""
    if not isinstance(raw, dict):
        return Unknown(raw)
    kind, id_ = raw.get("type") or "function", raw.get("id") or ""
    inner = raw.get(kind) if isinstance(kind, str) else None
    if not (isinstance(kind, str) and isinstance(inner, dict) and isinstance(inner.get("name"), str)):
        return Unknown(raw)
    if not isinstance(id_, str):
        return Unknown(raw)
    given = input_field(kind)
    left = rest(inner, "name", given)
    extra = rest(raw, "id", "type", kind) | ({kind: left} if left else {})
    value, text, error = _input(inner.get(given), freeform=kind == "custom")
    return ToolCall(id_, str(inner["name"]), value, text, error, kind, extra)


def input_field(kind: str) -> str:
    """Where a call of that kind has its input."""
    return "input" if kind == "custom" else "arguments"


def read_thinking_part(raw: dict[str, Json]) -> str | None:
    """The words of a part of type `thinking`: a string, or a list of nothing but texts (Mistral)."""
    match raw.get("thinking"):
        case str(text):
            return text
        case list(parts):
            texts = [
                str(part["text"])
                for part in parts
                if isinstance(part, dict)
                and part.keys() == {"type", "text"}
                and part["type"] == "text"
                and isinstance(part["text"], str)
            ]
            return "".join(texts) if len(texts) == len(parts) else None
        case _:
            return None


def read_usage(raw: Json) -> Usage | None:
    """Token counts; `input` is as the provider counts it: with the cached ones in it. None where there are none."""
    if not isinstance(raw, dict):
        return None
    asked, made = raw.get("prompt_tokens_details"), raw.get("completion_tokens_details")
    asked = asked if isinstance(asked, dict) else {}
    made = made if isinstance(made, dict) else {}
    cached = count(asked.get("cached_tokens"))
    return Usage(
        input=count(raw.get("prompt_tokens")),
        output=count(raw.get("completion_tokens")),
        cache_read=count(raw.get("prompt_cache_hit_tokens")) if cached is None else cached,  # DeepSeek's name
        cache_write=count(asked.get("cache_write_tokens")),
        reasoning=count(made.get("reasoning_tokens")),
        raw=raw,
    )


def read_error(raw: Json) -> ProviderError:
    """An error in any of the forms that compatible servers give it: OpenAI's object, FastAPI's `detail`, a string."""
    if not isinstance(raw, dict):
        return ProviderError("error", _words(raw), raw)
    kind = next((raw[name] for name in ("type", "status", "code", "error_type") if raw.get(name)), "error")
    message = next((raw[name] for name in ("message", "detail", "msg", "errors") if raw.get(name)), None)
    return ProviderError(_words(kind), _words(message), raw)


def _result(raw: dict[str, Json], role: str) -> Message:
    known = ["role", "content"]
    id_, name = raw.get("tool_call_id"), raw.get("name")
    extra: dict[str, Json] = {}
    if id_ is None or isinstance(id_, str):
        known.append("tool_call_id")
    if isinstance(name, str):
        known.append("name")
        extra["name"] = name
    result = ToolResult(id_ if isinstance(id_, str) else "", read_content(raw.get("content")), kind=role, extra=extra)
    return Message(role, (result,), rest(raw, *known))


def _thinking(raw: dict[str, Json], known: set[str]) -> Thinking | None:
    """The reasoning beside a message's content. Puts what it took into `known`."""
    text = next((str(value) for name in REASONING if isinstance(value := raw.get(name), str) and value), "")
    known |= {name for name in REASONING if raw.get(name) in (None, "", text)}
    details = raw.get("reasoning_details")
    if not isinstance(details, list) or not details:
        known |= {"reasoning_details"} if not details else set()
        return Thinking(text) if text else None
    known.add("reasoning_details")
    entries = [entry for entry in details if isinstance(entry, dict)]
    told = "".join(str(entry.get(name) or "") for entry in entries for name in ("text", "summary"))
    sealed = next((str(e[name]) for e in entries for name in ("signature", "data") if e.get(name)), "")
    return Thinking(text or told, sealed, not (text or told), {"reasoning_details": details})


def _part(raw: Json) -> Block:
    if isinstance(raw, str):
        return Text(raw)
    if not isinstance(raw, dict):
        return Unknown(raw)
    match raw:
        case {"type": "text", "text": str(text)}:
            return Text(text, rest(raw, "type", "text"))
        case {"type": "refusal", "refusal": str(text)}:
            return Text(text, rest(raw, "refusal"))
        case {"type": "thinking"} if (thought := read_thinking_part(raw)) is not None:
            signature = raw.get("signature")
            known = ["type", "thinking", *(["signature"] if isinstance(signature, str) else [])]
            return Thinking(thought, signature if isinstance(signature, str) else "", extra=rest(raw, *known))
        case {"type": ("image_url" | "video_url" | "audio_url" | "input_audio" | "file") as kind}:
            return _media(raw, str(kind)) or Unknown(raw)
        case _:
            return Unknown(raw)


def _media(raw: dict[str, Json], kind: str) -> Media | None:
    inner = raw.get(kind)
    source: dict[str, Json] = inner if isinstance(inner, dict) else {"url": inner}

    def extra(*read: str) -> dict[str, Json]:
        left = rest(source, *read)
        return rest(raw, "type", kind) | ({kind: left} if left else {})

    match source:
        case {"url": str(url)}:
            return linked(kind, url, extra("url"))
        case {"data": str(data), "format": str(form)}:
            return encoded(kind, f"audio/{form}", data, extra("data", "format"))
        case {"file_data": str(data)} if data.startswith("data:"):
            return linked(kind, data, extra("file_data"))
        case {"file_data": str(data)}:
            return encoded(kind, "", data, extra("file_data"))
        case {"file_id": str(where)}:
            return Media(kind, "", 0, where, extra=extra("file_id"))
        case _:
            return None


def _input(given: Json, *, freeform: bool) -> tuple[Json, str, str | None]:
    if isinstance(given, str) and freeform:
        return given, given, None
    if isinstance(given, str) and given.strip():
        loaded = load(given)
        return loaded.value, mend(given), loaded.error
    if given is None or isinstance(given, str):
        return {}, given or "", None  # some servers leave the arguments of a call without any empty
    return given, compact(given), None  # and some give them as a value


def _words(value: Json) -> str:
    return value if isinstance(value, str) else "" if value is None else compact(value)
