"""Ollama's own API: `/api/chat` and `/api/generate`, answered in lines of JSON or in one piece.

Its calls mostly have no ids; a result names its tool (`tool_name`). What it serves under `/v1` is OpenAI's.
"""

from __future__ import annotations

import re

from tapes.pattern import pattern
from tapes.wire.dialects.base import Headers, ResponseReader, unread_request, unread_turn
from tapes.wire.dialects.history import messages_of, read_messages, turn_of
from tapes.wire.dialects.json_body import load, rest
from tapes.wire.dialects.local_ids import give_local_ids
from tapes.wire.dialects.ollama_answers import AnswerStream, read_message, read_whole
from tapes.wire.dialects.sniff import SniffingReader
from tapes.wire.turns import Json, RequestReading, Text, ToolDecl, TurnReading

_PATH = pattern(r"/api/(chat|generate)$")


class Ollama:
    """The dialect of `/api/chat` and `/api/generate`."""

    name: str = "ollama"
    version: int = 1

    def priority(self, host: str, path: str, content_type: str) -> int:
        if not _PATH.search(path):
            return 0
        return 100 if host == "ollama.com" or host.endswith(":11434") else 80

    def read_request(self, body: bytes, headers: Headers = ()) -> RequestReading:
        loaded = load(body)
        raw = loaded.value
        if not isinstance(raw, dict):
            return unread_request(body, loaded)
        errors: list[str] = []
        model, stream, tools = raw.get("model"), raw.get("stream"), raw.get("tools")
        history, known = _history(raw, errors)
        known += ["model"] if isinstance(model, str) else []
        known += ["stream"] if isinstance(stream, bool) else []
        known += ["tools"] if isinstance(tools, list) else []
        system = raw.get("system")
        known += ["system"] if isinstance(system, str) else []
        return RequestReading(
            model=model if isinstance(model, str) else "",
            stream=stream is not False,  # unless told otherwise it streams
            system=(Text(system),) if isinstance(system, str) and system else (),
            messages=tuple(give_local_ids(read_messages(history, 0, read_message, errors))),
            tools=tuple(_tool(item) for item in tools) if isinstance(tools, list) else (),
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
        history, _ = _history(raw, errors)
        return turn_of(raw, history, read_message, errors)

    def response_reader(self, status: int, content_type: str) -> ResponseReader:
        # An answer in one piece is one line, and reads like a stream of one; a page or pretty JSON does not.
        return SniffingReader(
            AnswerStream,
            lambda body: read_whole(body, status),
            lambda start: status < 400 and re.match(rb'\{[ \t]*"', start) is not None,
        )


def _history(raw: dict[str, Json], errors: list[str]) -> tuple[list[Json], list[str]]:
    """The messages, as the wire has them, and the fields they stand in; a prompt becomes a message without a role."""
    if raw.get("messages") is not None:
        return messages_of(raw, errors), ["messages"]
    prompt = raw.get("prompt")
    if isinstance(prompt, str):
        return [{"role": "", "content": prompt, "images": raw.get("images")}], ["messages", "prompt", "images"]
    return [], ["messages"]  # nothing is asked: the model is to be loaded


def _tool(raw: Json) -> ToolDecl:
    inner = raw.get("function") if isinstance(raw, dict) else None
    name = inner.get("name") if isinstance(inner, dict) else None
    return ToolDecl(name if isinstance(name, str) else "", raw)
