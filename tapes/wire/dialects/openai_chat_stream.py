"""A stream of completion chunks, put together again into the completion it is a telling of.

Deltas add to choices; what has been added is then read like a completion that came whole, so that both ways give the
same values. Text comes in pieces; of any other field the first value that says something counts, and later ones that
differ are kept beside it (`changed_fields`).
"""

from __future__ import annotations

from dataclasses import replace

from tapes.values import dataclass, field
from tapes.wire.dialects.json_body import joined, mend_value, rest
from tapes.wire.dialects.json_stream import Fields, JsonStream, said
from tapes.wire.dialects.openai_chat_blocks import (
    REASONING,
    read_error,
    read_message,
    read_thinking_part,
    read_usage,
)
from tapes.wire.dialects.openai_chat_calls import Calls, Details
from tapes.wire.events import EventDecoder
from tapes.wire.turns import Json, Message, ProviderError, ResponseReading, ToolCall, Unknown

CUT = "the stream ended inside this call"

_OBJECTS = ("chat.completion", "chat.completion.chunk", "")
_TEXTS = (*REASONING, "refusal")
_PADDING = "obfuscation"
"""Random text that OpenAI puts into chunks so that their length tells nothing: it says nothing."""


def read_completion(raw: dict[str, Json], problems: tuple[str, ...] = ()) -> ResponseReading:
    """A whole completion. The choice with index 0 is the answer, others are kept (`choices`)."""
    choices = raw["choices"]
    assert isinstance(choices, list)
    # Only a choice without a number may stand in for the first: in a stream that one may be yet to come.
    at = next((n for n, choice in enumerate(choices) if not isinstance(choice, dict) or not choice.get("index")), None)
    first = None if at is None else choices[at]
    others = [choice for n, choice in enumerate(choices) if n != at]
    choice = first if isinstance(first, dict) else {}
    holder = raw if raw.get("error") else choice
    stop, error = choice.get("finish_reason"), holder.get("error")
    read = {name: value for name in ("model", "id") if isinstance(value := raw.get(name), str)}
    known = {"choices", *read}
    known |= {"object"} if raw.get("object", "") in _OBJECTS else set()
    known |= {"usage"} if isinstance(raw.get("usage"), dict | None) else set()
    known |= {"error"} if holder is raw or not raw.get("error") else set()
    left = said(rest(choice, "message", *_read_of(choice), *(["error"] if holder is choice else [])))
    extra = rest(raw, *known)
    return ResponseReading(
        model=read.get("model", ""),
        id=read.get("id", ""),
        message=None if at is None else _message(first),
        stop_reason=stop if isinstance(stop, str) else None,
        usage=read_usage(_usage(raw, choice)),
        error=read_error(error) if error else None,
        complete=True,
        problems=problems,
        extra=extra | ({"choice": left} if left else {}) | ({"choices": others} if others else {}),
    )


class ChatStream(JsonStream):
    """A ResponseReader for `text/event-stream`."""

    def __init__(self) -> None:
        super().__init__(EventDecoder())
        self._done = False
        self._fields = Fields()
        self._choices: dict[int, _Choice] = {}
        self._usage: dict[str, Json] = {}
        self._error: ProviderError | None = None

    def take_text(self, text: str) -> bool:
        if text.strip() != "[DONE]":
            return False
        self._done = True
        return True

    def take(self, kind: str, value: dict[str, Json]) -> None:
        if self._done:
            self.problem("events after the end")
        if kind == "error" and not value.get("error"):
            value = {"error": value}
        known: list[str] = [_PADDING]
        choices, usage, error = value.get("choices"), value.get("usage"), value.get("error")
        if isinstance(choices, list):
            known.append("choices")
            for choice in choices:
                self._choice(choice)
        if isinstance(usage, dict):  # running totals; null says that there is nothing new to say
            known.append("usage")
            self._usage |= {name: number for name, number in usage.items() if number is not None}
        if error and self._error is None:
            known.append("error")
            self._error = read_error(mend_value(error))
            error = None
        if error or len(known) == 1:
            self.keep("unknown_events", value)
        else:
            self._fields.add(rest(value, *known))

    def read(self) -> ResponseReading:
        choices: list[Json] = [choice.whole(index) for index, choice in self._choices.items()]
        raw: dict[str, Json] = self.mended(self._fields.all() | {"choices": choices} | self.aside())
        if self._usage:
            raw = raw | {"usage": self.mended(self._usage)}
        reading = read_completion(raw)
        complete = self._done or reading.stop_reason is not None
        message = reading.message if complete else self._cut(reading.message)
        return replace(
            reading,
            message=message,
            error=self._error or reading.error,
            complete=complete,
            problems=tuple(self._problems),
        )

    def _choice(self, raw: Json) -> None:
        if not isinstance(raw, dict):
            self.keep("unknown_choices", raw)
            return
        index = raw.get("index")
        choice = self._choices.setdefault(index if isinstance(index, int) else 0, _Choice())
        delta, known = raw.get("delta"), ["index", "delta"]
        if not delta and isinstance(raw.get("message"), dict):  # the whole message in one chunk
            delta, known = raw["message"], ["index", "message"]
        for left in choice.add(delta) if isinstance(delta, dict) else [delta] if delta is not None else []:
            self.keep("unknown_deltas", left)
        stop = raw.get("finish_reason")
        if stop is None or isinstance(stop, str):
            known.append("finish_reason")
            choice.stop = stop or choice.stop
        left = rest(raw, *known)
        if "message" in left:  # Perplexity tells all so far with every chunk
            left["whole_message"] = left.pop("message")
        choice.fields.add(left)

    def _cut(self, message: Message | None) -> Message | None:
        """A call that the stream ended in is named: nobody has said that its arguments are all there."""
        last = message.blocks[-1] if message and message.blocks else None
        if message is None or not isinstance(last, ToolCall):
            return message
        self.problem(f"the stream ended inside block {len(message.blocks) - 1}")
        last = replace(last, input=last.input if last.input_raw else None, error=CUT)
        return replace(message, blocks=(*message.blocks[:-1], last))


@dataclass(slots=True)
class _Choice:
    """A choice that chunks still add to."""

    fields: Fields = field(default_factory=Fields)
    message: Fields = field(default_factory=Fields)
    texts: dict[str, list[str]] = field(default_factory=dict)
    content: list[list[str] | dict[str, Json]] = field(default_factory=list)
    """Runs of text pieces, and between them parts that came whole."""
    details: Details = field(default_factory=Details)
    calls: Calls = field(default_factory=Calls)
    legacy: Calls = field(default_factory=Calls)
    stop: Json = None

    def add(self, delta: dict[str, Json]) -> list[Json]:
        """Take a delta; what of it is not understood."""
        unknown: list[Json] = []
        for name, value in delta.items():
            if value is not None and not self._take(name, value):
                unknown.append({name: value})
        return unknown

    def whole(self, index: int) -> dict[str, Json]:
        """The choice as it would stand in a whole completion."""
        message: dict[str, Json] = {"role": "assistant", **self.message.all()}
        message |= {name: joined(pieces) for name, pieces in self.texts.items()}
        parts: list[Json] = [
            part if isinstance(part, dict) else {"type": "text", "text": joined(part)} for part in self.content
        ]
        if len(self.content) == 1 and isinstance(pieces := self.content[0], list):
            message["content"] = joined(pieces)
        elif parts:
            message["content"] = parts
        if self.details.entries:
            message["reasoning_details"] = self.details.whole()
        if calls := self.calls.whole():
            message["tool_calls"] = calls
        for call in self.legacy.whole():
            message["function_call"] = call["function"] if isinstance(call, dict) else call
        return self.fields.all() | {"index": index, "message": message, "finish_reason": self.stop}

    def _take(self, name: str, value: Json) -> bool:
        match name, value:
            case "content", str(piece):
                self._text(piece)
            case "content", list(parts):
                return not [part for part in parts if not self._part(part)]
            case _, str(piece) if name in _TEXTS:
                self.texts.setdefault(name, []).append(piece)
            case "reasoning_details", list(entries):
                self.details.add(entries)
            case "tool_calls", list(calls):
                return not [call for call in calls if not self.calls.add(call)]
            case "function_call", dict():
                return self.legacy.add({"index": 0, "function": value})
            case _ if name in ("content", "reasoning_details", "tool_calls", "function_call", *_TEXTS):
                return False
            case _:
                self.message.add({name: value})
        return True

    def _part(self, part: Json) -> bool:
        match part:
            case {"type": "text", "text": str(piece), **left} if not left:
                self._text(piece)
            case {"type": "thinking", "thinking": _, **left} if not left and isinstance(part, dict):
                thought = read_thinking_part(part)
                if thought is None:
                    self.content.append(part)
                else:
                    self.texts.setdefault(REASONING[0], []).append(thought)
            case dict():
                self.content.append(part)
            case _:
                return False
        return True

    def _text(self, piece: str) -> None:
        if not self.content or not isinstance(run := self.content[-1], list):
            self.content.append(run := [])
        run.append(piece)


def _message(choice: Json) -> Message:
    raw = choice.get("message") if isinstance(choice, dict) else None
    message = read_message({"role": "assistant", **raw}) if isinstance(raw, dict) else None
    return message or Message("", (Unknown(choice),))


def _read_of(choice: dict[str, Json]) -> list[str]:
    """The fields of a choice that are of the type they should be, and so have been read."""
    kinds: dict[str, type] = {"index": int, "finish_reason": str}
    return [name for name, kind in kinds.items() if isinstance(choice.get(name), kind)]


def _usage(raw: dict[str, Json], choice: dict[str, Json]) -> Json:
    """Where the counts stand: beside the choices, in one (Moonshot), or in a field of Groq's."""
    groq = raw.get("x_groq")
    return raw.get("usage") or choice.get("usage") or (groq.get("usage") if isinstance(groq, dict) else None)
