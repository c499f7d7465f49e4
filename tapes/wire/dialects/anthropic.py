"""Anthropic's Messages API: requests, whole answers, event streams, errors, token counts.

Also spoken behind Vertex AI and Bedrock, where the model stands in the path instead, and by gateways under
any prefix.
"""

from __future__ import annotations

from tapes.pattern import pattern
from tapes.wire.dialects.anthropic_blocks import read_content, read_message, read_usage
from tapes.wire.dialects.anthropic_stream import StreamReader, read_error
from tapes.wire.dialects.base import Headers, ResponseReader, strange_answer, unread_request, unread_turn
from tapes.wire.dialects.history import messages_of, read_messages, turn_of
from tapes.wire.dialects.json_body import load, rest
from tapes.wire.dialects.sniff import SniffingReader
from tapes.wire.turns import (
    Json,
    Message,
    RequestReading,
    ResponseReading,
    ToolDecl,
    TurnReading,
)

_PATHS = pattern(
    r"/v1/messages(/count_tokens)?$"
    r"|/publishers/anthropic/models/[^/]+:(streamRaw|raw)Predict$"
    r"|/model/[^/]*anthropic[^/]*/invoke$"
)
_READ = ("model", "stream", "system", "messages", "tools")


class Anthropic:
    """The Messages dialect."""

    name: str = "anthropic"
    version: int = 1

    def priority(self, host: str, path: str, content_type: str) -> int:
        if not _PATHS.search(path):
            return 0
        return 100 if host.partition(":")[0] == "api.anthropic.com" else 80

    def read_request(self, body: bytes, headers: Headers = ()) -> RequestReading:
        loaded = load(body)
        raw = loaded.value
        if not isinstance(raw, dict):
            return unread_request(body, loaded)
        errors: list[str] = []
        model, stream, tools = raw.get("model"), raw.get("stream"), raw.get("tools")
        known = set(_READ)
        known -= {"model"} if not isinstance(model, str) else set()
        known -= {"stream"} if not isinstance(stream, bool) else set()
        known -= {"tools"} if not isinstance(tools, list) else set()
        return RequestReading(
            model=model if isinstance(model, str) else "",
            stream=stream is True,
            system=read_content(raw.get("system")),
            messages=tuple(read_messages(messages_of(raw, errors), 0, read_message, errors)),
            tools=tuple(_tool(item) for item in tools) if isinstance(tools, list) else (),
            params=rest(raw, *known),
            session_id=_session_id(raw.get("metadata")),
            errors=tuple(errors),
            problems=loaded.problems,
        )

    def read_turn(self, body: bytes) -> TurnReading:
        loaded = load(body)
        raw = loaded.value
        if not isinstance(raw, dict):
            return unread_turn(body, loaded)
        errors: list[str] = []
        return turn_of(raw, messages_of(raw, errors), read_message, errors)

    def response_reader(self, status: int, content_type: str) -> ResponseReader:
        return SniffingReader(StreamReader, lambda body: read_whole(body, status))


def read_whole(body: bytes, status: int) -> ResponseReading:
    """An answer in one piece: a message, an error, a token count."""
    if not body.strip():
        return ResponseReading()
    loaded = load(body)
    match loaded.value:
        case {"type": "error", "error": error}:
            assert isinstance(loaded.value, dict)
            request_id = loaded.value.get("request_id")
            return ResponseReading(
                error=read_error(error),
                complete=True,
                request_id=request_id if isinstance(request_id, str) else "",
                problems=loaded.problems,
                extra=rest(loaded.value, "type", "error", "request_id"),
            )
        case {"type": "message", "role": str(), "content": list()} as raw:
            assert isinstance(raw, dict)
            return _whole_message(raw, loaded.problems)
        case {"input_tokens": int()} as raw:
            return ResponseReading(usage=read_usage(raw), complete=True, problems=loaded.problems)
        case _:
            return strange_answer(body, status, loaded, "a message")


def _whole_message(raw: dict[str, Json], problems: tuple[str, ...]) -> ResponseReading:
    words = {name: value for name in ("model", "id", "stop_reason") if isinstance(value := raw.get(name), str)}
    return ResponseReading(
        model=words.get("model", ""),
        id=words.get("id", ""),
        message=Message(str(raw["role"]), read_content(raw["content"])),
        stop_reason=words.get("stop_reason"),
        usage=read_usage(raw.get("usage")),
        complete=True,
        problems=problems,
        extra=rest(raw, "type", "role", "content", "usage", *(words.keys() | {"stop_reason"})),
    )


def _tool(raw: Json) -> ToolDecl:
    name = raw.get("name") if isinstance(raw, dict) else None
    return ToolDecl(name if isinstance(name, str) else "", raw)


def _session_id(metadata: Json) -> str | None:
    """Claude Code's own session, in `metadata.user_id`: JSON in a string, earlier `user_…_session_<id>`."""
    user = metadata.get("user_id") if isinstance(metadata, dict) else None
    if not isinstance(user, str):
        return None
    if user.startswith("{"):
        value = load(user).value
        session = value.get("session_id") if isinstance(value, dict) else None
        return session if isinstance(session, str) else None
    return user.rpartition("_session_")[2] if user.startswith("user_") and "_session_" in user else None
