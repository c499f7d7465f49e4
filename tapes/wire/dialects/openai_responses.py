"""OpenAI's Responses API: requests, whole answers, event streams, compactions, errors, token counts.

A request is a body or, over a WebSocket, the client's message `response.create`; of a turn there, the response is the
server's messages, one a line. With `previous_response_id` the input holds only what is new, else all of the history.
"""

from __future__ import annotations

from tapes.pattern import pattern
from tapes.wire.dialects.base import Headers, ResponseReader, strange_answer, unread_request, unread_turn
from tapes.wire.dialects.json_body import Loaded, load, rest
from tapes.wire.dialects.openai_chat_blocks import read_error
from tapes.wire.dialects.openai_responses_answer import read_answer, read_usage
from tapes.wire.dialects.openai_responses_items import TOOLS, read_content, read_item, role_of
from tapes.wire.dialects.openai_responses_stream import ResponsesStream
from tapes.wire.dialects.sniff import SniffingReader
from tapes.wire.events import EventDecoder
from tapes.wire.lines import LineDecoder
from tapes.wire.turns import Json, Message, RequestReading, ResponseReading, ToolDecl, TurnReading, tail_start

_PATHS = pattern(r"/responses(/compact|/input_tokens)?$")
_OBJECTS = ("response", "response.compaction")


class OpenAIResponses:
    """The Responses dialect."""

    name: str = "openai-responses"
    version: int = 2

    def priority(self, host: str, path: str, content_type: str) -> int:
        if not _PATHS.search(path):
            return 0
        return 100 if host.partition(":")[0] in ("api.openai.com", "chatgpt.com") else 80

    def read_request(self, body: bytes, headers: Headers = ()) -> RequestReading:
        loaded = load(body)
        if not isinstance(loaded.value, dict):
            return unread_request(body, loaded)
        raw, around = _opened(loaded.value)
        errors: list[str] = []
        history = _history(raw, errors)
        model, stream, tools = raw.get("model"), raw.get("stream"), raw.get("tools")
        known = ["instructions", "input"]
        known += ["model"] if isinstance(model, str) else []
        known += ["stream"] if isinstance(stream, bool) else []
        known += ["tools"] if isinstance(tools, list) else []
        return RequestReading(
            model=model if isinstance(model, str) else "",
            stream=stream is True,
            system=read_content(raw.get("instructions")),
            messages=tuple(_message(item, index, errors) for index, item in enumerate(history)),
            tools=tuple(decl for tool in _offered(tools, history) for decl in _declared(tool)),
            params=rest(raw, *known) | around,
            session_id=_session_id(raw),
            errors=tuple(errors),
            problems=loaded.problems,
        )

    def read_turn(self, body: bytes) -> TurnReading:
        loaded = load(body)
        if not isinstance(loaded.value, dict):
            return unread_turn(body, loaded)
        raw, _ = _opened(loaded.value)
        errors: list[str] = []
        history = _history(raw, errors)
        # Also with previous_response_id: an increment holds no item of the model's, so that all of it is new; and
        # after a warm-up the whole history comes under such an id.
        start = tail_start([role_of(item) for item in history])
        messages = tuple((n, _message(item, n, errors)) for n, item in enumerate(history[start:], start))
        model = raw.get("model")
        return TurnReading(model if isinstance(model, str) else "", messages, "; ".join(errors))

    def response_reader(self, status: int, content_type: str) -> ResponseReader:
        if "ndjson" in content_type.lower():
            return SniffingReader(_lines, lambda body: read_whole(body, status), lambda start: start.startswith(b"{"))
        return SniffingReader(lambda: ResponsesStream(EventDecoder()), lambda body: read_whole(body, status))


def read_whole(body: bytes, status: int) -> ResponseReading:
    """An answer in one piece: a response, a compaction, an error, a token count; also lines under no type."""
    if not body.strip():
        return ResponseReading()
    loaded = load(body)
    raw = loaded.value
    if _is_lines(body, loaded):
        reader = _lines()
        reader.feed(body)
        return reader.finish()
    if not isinstance(raw, dict):
        return strange_answer(body, status, loaded, "a response")
    output, error = raw.get("output"), raw.get("error")
    if raw.get("object") in _OBJECTS and isinstance(output, list):
        return read_answer(raw, [(item, True) for item in output], loaded.problems)
    if error is not None:
        return ResponseReading(
            error=read_error(error), complete=True, problems=loaded.problems, extra=rest(raw, "error")
        )
    if isinstance(raw.get("input_tokens"), int):
        return ResponseReading(usage=read_usage(raw), complete=True, problems=loaded.problems)
    if status >= 400:
        return ResponseReading(error=read_error(raw), complete=True, problems=loaded.problems)
    return strange_answer(body, status, loaded, "a response")


def _lines() -> ResponsesStream:
    return ResponsesStream(LineDecoder())


def _is_lines(body: bytes, loaded: Loaded) -> bool:
    """Whether a body is a WebSocket's messages: its first line is one, and no other JSON begins so."""
    if isinstance(loaded.value, dict):
        return str(loaded.value.get("type")).startswith("response.")
    if loaded.error is None:
        return False
    first, _, others = body.strip().partition(b"\n")
    value = load(first).value if others and first.rstrip().endswith(b"}") else None
    return isinstance(value, dict) and str(value.get("type")).startswith(("response.", "error", "codex."))


def _opened(raw: dict[str, Json]) -> tuple[dict[str, Json], dict[str, Json]]:
    """The request, and what was around it: a WebSocket's `response.create` may hold it as `response`."""
    inner = raw.get("response")
    if raw.get("type") == "response.create" and isinstance(inner, dict):
        return inner, {"response.create": rest(raw, "response")}
    return raw, {}


def _history(raw: dict[str, Json], errors: list[str]) -> list[Json]:
    history = raw.get("input")
    if isinstance(history, str):
        return [{"role": "user", "content": history}]
    if isinstance(history, list):
        return history
    if history is None:  # it may all be on the other side, in a conversation or a prompt
        return []
    errors.append("input is no list")
    return [history]


def _message(raw: Json, index: int, errors: list[str]) -> Message:
    if not isinstance(raw, dict) or not isinstance(raw.get("type", raw.get("role")), str):
        errors.append(f"item {index} is none")
    return read_item(raw)


def _offered(tools: Json, history: list[Json]) -> list[Json]:
    """All tools of a request: its own, and those that items of its history bring."""
    offered = list(tools) if isinstance(tools, list) else []
    for item in history:
        if isinstance(item, dict) and item.get("type") in TOOLS:
            brought = item.get("tools")
            offered += brought if isinstance(brought, list) else []
    return offered


def _declared(raw: Json) -> list[ToolDecl]:
    """A tool; a namespace of tools as itself, then each of them by the name its calls have."""
    if not isinstance(raw, dict):
        return [ToolDecl("", raw)]
    name, inner = raw.get("name", raw.get("type")), raw.get("tools")
    word = name if isinstance(name, str) else ""
    if raw.get("type") != "namespace" or not isinstance(inner, list):
        return [ToolDecl(word, raw)]
    return [ToolDecl(word, rest(raw, "tools")), *(decl for tool in inner for decl in _declared(tool))]


def _session_id(raw: dict[str, Json]) -> str | None:
    """Codex's session, from what it says about the turn; OpenCode's, which is its key for the provider's cache."""
    metadata, key = raw.get("client_metadata"), raw.get("prompt_cache_key")
    if isinstance(metadata, dict):
        turn = metadata.get("x-codex-turn-metadata")
        told = load(turn).value if isinstance(turn, str) else None
        for source in (told, metadata):
            session = source.get("session_id") if isinstance(source, dict) else None
            if isinstance(session, str):
                return session
    return key if isinstance(key, str) and key.startswith("ses_") else None
