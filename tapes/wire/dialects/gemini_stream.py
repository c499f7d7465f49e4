"""Gemini's chunks, put together again into the answer they are pieces of.

A stream is a row of whole responses, each with the next parts; an answer that is not streamed is one of them. So both
are read by the same steps, and give the same values: text or thoughts that follow each other are one block. What a
later chunk says anew counts; what the earlier one said stays beside it (`earlier`) unless it was a running count.
Code Assist wraps each chunk as `{"response": …}`: the wrapper's fields stand with the chunk's own.
"""

from __future__ import annotations

from tapes.values import dataclass
from tapes.wire.arrays import ArrayDecoder
from tapes.wire.dialects.gemini_parts import as_list, read_error, read_part, read_parts, read_usage
from tapes.wire.dialects.json_body import count, joined, rest
from tapes.wire.dialects.json_stream import JsonStream
from tapes.wire.events import EventDecoder
from tapes.wire.turns import Json, Message, ResponseReading, Text, Thinking

_TELLING = frozenset({"candidates", "usageMetadata", "promptFeedback", "modelVersion", "responseId", "error"})
"""One of these makes an object a chunk."""


class _Fields:
    """What several chunks say of the same fields."""

    def __init__(self) -> None:
        self._last: dict[str, Json] = {}
        self._earlier: dict[str, list[Json]] = {}

    def take(self, raw: dict[str, Json]) -> None:
        for key, value in raw.items():
            before = self._last.get(key)
            if value is None and before is not None:
                continue
            if before not in (None, value) and (count(before) is None or count(value) is None):
                self._earlier.setdefault(key, []).append(before)
            self._last[key] = value

    def all(self) -> dict[str, Json]:
        earlier: dict[str, Json] = {key: list(values) for key, values in self._earlier.items()}
        return self._last | ({"earlier": earlier} if earlier else {})


@dataclass(slots=True)
class _Part:
    """A part; of words the pieces so far, and then `raw` is the fields beside them."""

    raw: Json
    pieces: list[str] | None = None

    def grow(self, piece: str, beside: dict[str, Json]) -> bool:
        """Add more of the same words; False where they are others: said aloud after thoughts, or signed anew."""
        if self.pieces is None or not isinstance(self.raw, dict):
            return False
        if (self.raw.get("thought") is True) != (beside.get("thought") is True):
            return False
        if any(self.raw.get(key, value) != value for key, value in beside.items()):
            return False
        self.raw = self.raw | beside
        self.pieces.append(piece)
        return True

    def whole(self) -> Json:
        if self.pieces is None or not isinstance(self.raw, dict):
            return self.raw
        return {**self.raw, "text": joined(self.pieces)}


class Answer:
    """Chunks in, at the end their sum."""

    def __init__(self) -> None:
        self._top, self._candidate, self._usage = _Fields(), _Fields(), _Fields()
        self._parts: list[_Part] = []
        self._others: list[Json] = []
        self._role = ""
        self._begun = False
        self._error: Json = None

    def take(self, chunk: dict[str, Json]) -> bool:
        """One more chunk; False for an object that is none."""
        inner = chunk.get("response")
        if isinstance(inner, dict) and inner.keys() & _TELLING:
            self._top.take(rest(chunk, "response"))
            chunk = inner
        elif not chunk.keys() & _TELLING:
            return False
        known = []
        candidates, usage, error = chunk.get("candidates"), chunk.get("usageMetadata"), chunk.get("error")
        if isinstance(candidates, list):
            known.append("candidates")
            for position, candidate in enumerate(candidates):
                self._take_candidate(candidate, position)
        if isinstance(usage, dict):
            known.append("usageMetadata")
            self._usage.take(usage)
        if error is not None and self._error is None:
            known.append("error")
            self._error = error
        self._top.take(rest(chunk, *known))
        return True

    def raw(self) -> dict[str, Json]:
        """All that was taken, with pieces joined but not mended: what `read_answer` reads."""
        parts: Json = [part.whole() for part in self._parts]
        return {
            "top": self._top.all(),
            "candidate": self._candidate.all(),
            "content": {"role": self._role or "assistant", "parts": parts} if self._begun else None,
            "others": self._others,
            "usage": self._usage.all(),
            "error": self._error,
        }

    def _take_candidate(self, raw: Json, position: int) -> None:
        index = count(raw.get("index")) if isinstance(raw, dict) else None
        if not isinstance(raw, dict) or (position if index is None else index) != 0:
            self._others.append(raw)
            return
        content = raw.get("content")
        known = ["index"] if index is not None else []
        if isinstance(content, dict):
            known.append("content")
            self._take_content(content)
        self._candidate.take(rest(raw, *known))

    def _take_content(self, raw: dict[str, Json]) -> None:
        self._begun = True
        role = raw.get("role")
        known = ["parts"]
        if isinstance(role, str):
            known.append("role")
            self._role = role
        for part in as_list(raw.get("parts")):
            self._take_part(part)
        left = rest(raw, *known)
        if left:
            self._candidate.take({"content": left})

    def _take_part(self, raw: Json) -> None:
        if not isinstance(raw, dict) or not isinstance(read_part(raw), Text | Thinking):
            self._parts.append(_Part(raw))
            return
        piece, beside = str(raw.get("text", "")), rest(raw, "text")
        if not self._parts or not self._parts[-1].grow(piece, beside):
            self._parts.append(_Part(beside, [piece]))


class StreamReader(JsonStream):
    """A ResponseReader for `alt=sse`, and for the JSON array that is streamed otherwise."""

    def __init__(self, decoder: EventDecoder | ArrayDecoder) -> None:
        super().__init__(decoder)
        self._array = decoder if isinstance(decoder, ArrayDecoder) else None
        self._answer = Answer()

    def take(self, kind: str, value: dict[str, Json]) -> None:
        if not self._answer.take(value):
            self.keep("unknown_events", value)

    def read(self) -> ResponseReading:
        raw = self.mended(self._answer.raw() | {"aside": self.aside()})
        ended = self._array is not None and self._array.closed
        return read_answer(raw, ended=ended, problems=tuple(self._problems))


def read_answer(raw: dict[str, Json], *, ended: bool, problems: tuple[str, ...]) -> ResponseReading:
    """The reading of an answer's sum (Answer.raw, mended). `ended`: the body's own end was seen."""
    top, candidate, content, usage = (_object(raw.get(name)) for name in ("top", "candidate", "content", "usage"))
    words = {name: value for name in ("modelVersion", "responseId") if isinstance(value := top.get(name), str)}
    stop, blocked = candidate.get("finishReason"), _object(top.get("promptFeedback")).get("blockReason")
    reason = next((word for word in (stop, blocked) if isinstance(word, str) and word), None)
    extra = rest(top, *words) | _object(raw.get("aside"))
    if left := rest(candidate, *(("finishReason",) if reason == stop else ())):
        extra["candidate"] = left
    if others := raw.get("others"):
        extra["candidates"] = others
    return ResponseReading(
        model=words.get("modelVersion", ""),
        id=words.get("responseId", ""),
        message=Message(str(content["role"]), read_parts(content["parts"])) if content else None,
        stop_reason=reason,
        usage=read_usage(usage) if usage else None,
        error=read_error(raw["error"]) if raw.get("error") is not None else None,
        complete=ended or reason is not None,
        problems=problems,
        extra=extra,
    )


def _object(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}
