"""Ollama's messages, and its answers: an answer in one piece, or lines that add up to one.

Calls come whole, with their arguments as a value. `done` says that an answer has ended; an error may come in its place.
"""

from __future__ import annotations

from dataclasses import replace

from tapes.wire.dialects.base import strange_answer
from tapes.wire.dialects.json_body import count, joined, load, mend_value, rest
from tapes.wire.dialects.json_stream import Fields, JsonStream
from tapes.wire.dialects.media import encoded
from tapes.wire.dialects.openai_chat_blocks import read_call, read_error
from tapes.wire.lines import LineDecoder
from tapes.wire.turns import (
    Block,
    Json,
    Message,
    ProviderError,
    ResponseReading,
    Text,
    Thinking,
    ToolResult,
    Unknown,
    Usage,
)

_COUNTS = ("prompt_eval_count", "eval_count")
_DURATIONS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")
_RESULT = {"tool_call_id", "tool_name", "name"}


def read_message(raw: Json) -> Message | None:
    """A message, of a history or of an answer; None where it is none."""
    if not isinstance(raw, dict) or not isinstance(raw.get("role"), str):
        return None
    role, known = str(raw["role"]), {"role", "content"}
    content, thinking = raw.get("content"), raw.get("thinking", "")
    said: list[Block] = [Text(content) if isinstance(content, str) else Unknown(content)]
    if content in (None, ""):
        said = []
    blocks: list[Block] = [Thinking(thinking)] if isinstance(thinking, str) and thinking else []
    known |= {"thinking"} if thinking is None or isinstance(thinking, str) else set()
    if role == "tool":
        strings = {name: value for name in _RESULT if isinstance(value := raw.get(name), str)}
        known |= strings.keys()
        id_ = strings.pop("tool_call_id", "")
        said = [ToolResult(id_, tuple(said), kind=role, extra=dict(sorted(strings.items())))]
    blocks += said
    for name, read in (("images", _image), ("tool_calls", read_call)):
        items = raw.get(name)
        if items is None or isinstance(items, list):
            known.add(name)
            blocks += [read(item) for item in items or []]
    return Message(role, tuple(blocks), rest(raw, *known))


def read_whole(body: bytes, status: int) -> ResponseReading:
    """A body that is no stream: an answer, an error, or a gateway's page."""
    if not body.strip():
        return ResponseReading()
    loaded = load(body)
    raw = loaded.value
    if isinstance(raw, dict) and raw.get("error"):
        return ResponseReading(
            error=read_error(raw["error"]), complete=True, problems=loaded.problems, extra=rest(raw, "error")
        )
    if isinstance(raw, dict) and (isinstance(raw.get("message"), dict) or isinstance(raw.get("response"), str)):
        return replace(read_answer(raw), problems=loaded.problems)
    return strange_answer(body, status, loaded, "an answer")


def read_answer(raw: dict[str, Json]) -> ResponseReading:
    """An answer as one object: `message` of a chat, `response` and `thinking` of a generation, or neither yet."""
    model, stop, done = raw.get("model"), raw.get("done_reason"), raw.get("done")
    known = {"model"} if isinstance(model, str) else set()
    known |= {"done_reason"} if isinstance(stop, str) else set()
    known |= {"done"} if isinstance(done, bool) else set()
    told = raw.get("message")
    if not isinstance(told, dict) and isinstance(raw.get("response"), str):
        told = {"content": raw["response"], "thinking": raw.get("thinking")}
        known |= {"response", "thinking"}
    elif isinstance(told, dict):
        known |= {"message"}
    counted = {name: raw[name] for name in (*_COUNTS, *_DURATIONS) if name in raw}
    return ResponseReading(
        model=model if isinstance(model, str) else "",
        message=_answer(told) if isinstance(told, dict) else None,
        stop_reason=stop if isinstance(stop, str) else None,
        usage=_usage(counted) if counted else None,
        complete=done is True,
        extra=rest(raw, *known, *counted),
    )


class AnswerStream(JsonStream):
    """A ResponseReader for `application/x-ndjson`."""

    def __init__(self) -> None:
        super().__init__(LineDecoder())
        self._fields, self._message = Fields(), Fields()
        self._texts: dict[str, list[str]] = {}
        self._calls: list[Json] = []
        self._chat = self._done = False
        self._error: ProviderError | None = None

    def take(self, kind: str, value: dict[str, Json]) -> None:
        if self._done:
            self.problem("lines after the end")
        error, message = value.get("error"), value.get("message")
        if error and self._error is not None:
            self.keep("unknown_events", value)
            return
        known = ["error"] if error else []
        if error:
            self._error = read_error(mend_value(error))
        if isinstance(message, dict):
            self._chat = True
            known.append("message")
            self._add(message, self._message)
        if value.get("done") is True:
            self._done = True
        known += ["done"] if isinstance(value.get("done"), bool) else []
        # Each line has its own time: the first one tells enough.
        known += ["created_at"] if "created_at" in self._fields.kept else []
        self._add(rest(value, *known), self._fields)

    def read(self) -> ResponseReading:
        texts: dict[str, Json] = {name: joined(pieces) for name, pieces in self._texts.items()}
        raw: dict[str, Json] = self._fields.all() | {"done": self._done} | self.aside()
        if self._chat:
            raw["message"] = {**self._message.all(), **texts, "tool_calls": self._calls}
        else:
            raw |= {"response" if name == "content" else name: text for name, text in texts.items()}
        reading = read_answer(self.mended(raw))
        return replace(reading, error=self._error, problems=tuple(self._problems))

    def _add(self, fields: dict[str, Json], to: Fields) -> None:
        for name, value in fields.items():
            match name, value:
                case (("content" | "thinking" | "response"), str(piece)):
                    self._texts.setdefault("content" if name == "response" else name, []).append(piece)
                case "tool_calls", list(calls):
                    self._calls += calls
                case (("content" | "thinking" | "response" | "tool_calls" | "message"), _) if value is not None:
                    self.keep("unknown_deltas", {name: value})
                case _:
                    to.add({name: value})


def _usage(counted: dict[str, Json]) -> Usage:
    asked, made = (count(counted.get(name)) for name in _COUNTS)
    return Usage(input=asked, output=made, raw=counted)


def _answer(raw: dict[str, Json]) -> Message:
    return read_message({"role": "assistant", **raw}) or Message("", (Unknown(raw),))


def _image(raw: Json) -> Block:
    return encoded("image", "", raw, {}) if isinstance(raw, str) else Unknown(raw)
