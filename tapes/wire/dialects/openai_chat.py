"""OpenAI's Chat Completions API, and everybody who speaks like it: requests, whole answers, event streams, errors.

The wire has no field for a system prompt: `system` and `developer` messages stay where they stand in the history.
"""

from __future__ import annotations

from tapes.pattern import pattern
from tapes.wire.dialects.base import Headers, ResponseReader, strange_answer, unread_request, unread_turn
from tapes.wire.dialects.history import messages_of, read_messages, turn_of
from tapes.wire.dialects.json_body import load, rest
from tapes.wire.dialects.local_ids import give_local_ids
from tapes.wire.dialects.openai_chat_blocks import read_error, read_message
from tapes.wire.dialects.openai_chat_stream import ChatStream, read_completion
from tapes.wire.dialects.sniff import SniffingReader
from tapes.wire.turns import (
    Json,
    RequestReading,
    ResponseReading,
    ToolDecl,
    TurnReading,
)

_PATH = pattern(r"/chat/completions$")


class OpenAIChat:
    """The Chat Completions dialect."""

    name: str = "openai-chat"
    version: int = 1

    def priority(self, host: str, path: str, content_type: str) -> int:
        if not _PATH.search(path):
            return 0
        return 100 if host.partition(":")[0] == "api.openai.com" else 80

    def read_request(self, body: bytes, headers: Headers = ()) -> RequestReading:
        loaded = load(body)
        raw = loaded.value
        if not isinstance(raw, dict):
            return unread_request(body, loaded)
        errors: list[str] = []
        model, stream = raw.get("model"), raw.get("stream")
        offered = {name: tools for name in ("tools", "functions") if isinstance(tools := raw.get(name), list)}
        known = {"messages", *offered}
        known |= {"model"} if isinstance(model, str) else set()
        known |= {"stream"} if isinstance(stream, bool) else set()
        return RequestReading(
            model=model if isinstance(model, str) else "",
            stream=stream is True,
            messages=tuple(give_local_ids(read_messages(messages_of(raw, errors), 0, read_message, errors))),
            tools=tuple(_tool(tool) for tools in offered.values() for tool in tools),
            params=rest(raw, *known),
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
        return SniffingReader(ChatStream, lambda body: read_whole(body, status))


def read_whole(body: bytes, status: int) -> ResponseReading:
    """An answer in one piece: a completion or an error."""
    if not body.strip():
        return ResponseReading()
    loaded = load(body)
    raw = loaded.value
    if isinstance(raw, list) and len(raw) == 1:  # Google's compatible service wraps its errors so
        raw = raw[0]
    if not isinstance(raw, dict):
        return strange_answer(body, status, loaded, "a completion")
    if isinstance(raw.get("choices"), list):
        return read_completion(raw, loaded.problems)
    if raw.get("error"):
        return ResponseReading(
            error=read_error(raw["error"]), complete=True, problems=loaded.problems, extra=rest(raw, "error")
        )
    if status >= 400 or raw.get("object") == "error":
        return ResponseReading(error=read_error(raw), complete=True, problems=loaded.problems)
    return strange_answer(body, status, loaded, "a completion")


def _tool(raw: Json) -> ToolDecl:
    """`{"type": T, T: {"name": …}}`, or the bare inner part (`functions`, which `tools` replaced)."""
    inner = raw.get(str(raw.get("type"))) if isinstance(raw, dict) else None
    for holder in (inner, raw):
        if isinstance(holder, dict) and isinstance(name := holder.get("name"), str):
            return ToolDecl(name, raw)
    return ToolDecl("", raw)
