"""Anthropic's event stream, put together again into the message it is a telling of.

Events add to blocks by index; what has been added is then read like a message that came whole, so that both
ways give the same values. A stream that breaks off leaves the blocks so far, the open one as far as it came.
An event or a delta of an unknown kind is kept beside the message (`unknown_events`, `unknown_deltas`), as is
one that is no JSON.
"""

from __future__ import annotations

from tapes.values import dataclass, field
from tapes.wire.dialects.anthropic_blocks import read_block, read_call, read_usage
from tapes.wire.dialects.json_body import joined, mend, mend_value, rest
from tapes.wire.dialects.json_stream import JsonStream
from tapes.wire.events import EventDecoder
from tapes.wire.turns import Block, Json, Message, ProviderError, ResponseReading, ToolCall

_READ = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "input_json_delta": "partial_json",
    "signature_delta": "signature",
    "citations_delta": "citation",
}
"""By kind of delta, its field: one more piece of text, the whole signature, one more citation."""
_FIELDS = {
    "message_start": {"type", "message"},
    "content_block_start": {"type", "index", "content_block"},
    "content_block_delta": {"type", "index", "delta"},
    "content_block_stop": {"type", "index"},
    "message_delta": {"type", "delta", "usage"},
    "error": {"type", "error", "request_id"},
}
_NONE = {"type"}
"""By event, what is read of it; all else is unknown and kept."""
_OWN = ("type", "id", "model", "role", "content", "stop_reason", "usage")
"""Fields of the message that have a place of their own in a reading."""


@dataclass(slots=True)
class _Open:
    """A block that events still add to."""

    raw: dict[str, Json]
    pieces: dict[str, list[str]] = field(default_factory=dict)
    citations: list[Json] = field(default_factory=list)
    unknown: list[Json] = field(default_factory=list)
    closed: bool = False


class StreamReader(JsonStream):
    """A ResponseReader for `text/event-stream`."""

    def __init__(self) -> None:
        super().__init__(EventDecoder())
        self._message: dict[str, Json] = {}
        self._begun = self._stopped = False
        self._usage: dict[str, Json] = {}
        self._blocks: list[_Open] = []
        self._by_index: dict[int, _Open] = {}
        self._error: ProviderError | None = None
        self._request_id = ""
        self._extra: dict[str, Json] = {}

    def read(self) -> ResponseReading:
        open_blocks = [n for n, block in enumerate(self._blocks) if not block.closed]
        if open_blocks and not self._stopped:
            self.problem(f"the stream ended inside block {open_blocks[-1]}")
        content = tuple(self._block(block) for block in self._blocks)
        extra = self.mended(rest(self._message, *_OWN) | self._extra | self.aside())
        stop = self._message.get("stop_reason")
        return ResponseReading(
            model=self._word("model"),
            id=self._word("id"),
            message=Message(self._word("role") or "assistant", content) if self._begun or content else None,
            stop_reason=mend(stop) if isinstance(stop, str) else None,
            usage=read_usage(self.mended(self._usage)) if self._usage else None,
            error=self._error,
            complete=self._stopped,
            request_id=self._request_id,
            problems=tuple(self._problems),
            extra=extra,
        )

    def take(self, kind: str, value: dict[str, Json]) -> None:
        if self._stopped:
            self.problem("events after the end")
        if not self._known(str(value.get("type", kind)), value):
            self.keep("unknown_events", value)

    def _known(self, kind: str, value: dict[str, Json]) -> bool:
        match kind:
            case "message_start" if isinstance(message := value.get("message"), dict):
                self._start(message)
            case "content_block_start" if isinstance(block := value.get("content_block"), dict):
                self._open(value.get("index"), block)
            case "content_block_delta" if isinstance(delta := value.get("delta"), dict):
                if not self._delta(value.get("index"), delta):
                    return False
            case "content_block_stop" if (stopped := self._at(value.get("index"))) is not None:
                stopped.closed = True
            case "message_delta" if isinstance(delta := value.get("delta"), dict):
                self._message |= delta
                self._merge_usage(value.get("usage"))
            case "message_stop":
                self._stopped = True
            case "error":
                self._error = read_error(mend_value(value.get("error")))
                self._request_id = mend(str(value.get("request_id") or self._request_id))
            case "ping":
                pass
            case _:
                return False
        if value.keys() <= _FIELDS.get(kind, _NONE):
            return True
        left = rest(value, *_FIELDS.get(kind, _NONE))
        if any(self._extra.get(name, field) != field for name, field in left.items()):
            self.keep("unknown_events", value)
        self._extra |= left
        return True

    def _start(self, message: dict[str, Json]) -> None:
        if self._begun:
            self.problem("a second message_start")
        self._begun = True
        self._message |= message
        self._merge_usage(message.get("usage"))
        content = message.get("content")
        for block in content if isinstance(content, list) else []:
            self._blocks.append(_Open(block if isinstance(block, dict) else {"value": block}, closed=True))

    def _open(self, index: Json, raw: dict[str, Json]) -> None:
        block = _Open(raw)
        self._blocks.append(block)
        if isinstance(index, int):
            if index in self._by_index:
                self.problem(f"block {index} begins twice")
            self._by_index[index] = block

    def _delta(self, index: Json, delta: dict[str, Json]) -> bool:
        block = self._at(index)
        if block is None:
            self.problem("a delta for a block that has not begun")
            return False
        kind = str(delta.get("type"))
        name = _READ.get(kind, "")
        piece = delta.get(name)
        if name == "citation" and piece is not None:
            block.citations.append(piece)
        elif name == "signature" and isinstance(piece, str):
            block.raw = block.raw | {"signature": piece}
        elif name and isinstance(piece, str):
            block.pieces.setdefault(name, []).append(piece)
            if len(delta) == 2 and "type" in delta:
                return True
        else:
            name = ""
        left = rest(delta, "type", name)
        if left or not name:
            block.unknown.append({"type": kind, **left})
        return True

    def _block(self, block: _Open) -> Block:
        raw = dict(block.raw)
        streamed = joined(block.pieces.pop("partial_json", []))
        for name, pieces in block.pieces.items():
            raw[name] = joined([str(raw.get(name) or ""), *pieces])
        if block.citations:
            listed = raw.get("citations")
            raw["citations"] = [*(listed if isinstance(listed, list) else []), *block.citations]
        if block.unknown:
            raw["unknown_deltas"] = block.unknown
        raw = self.mended(raw)
        if isinstance(read_block(raw), ToolCall):
            return read_call(raw, streamed, closed=block.closed)
        return read_block(raw | {"partial_json": mend(streamed)} if streamed else raw)

    def _at(self, index: Json) -> _Open | None:
        return self._by_index.get(index) if isinstance(index, int) else None

    def _merge_usage(self, usage: Json) -> None:
        """Counts are running totals; null says that there is nothing new to say."""
        if isinstance(usage, dict):
            self._usage |= {key: value for key, value in usage.items() if value is not None}

    def _word(self, name: str) -> str:
        value = self._message.get(name)
        return mend(value) if isinstance(value, str) else ""


def read_error(raw: Json) -> ProviderError:
    """The `error` object of an error event or an error body."""
    if not isinstance(raw, dict):
        return ProviderError("error", "" if raw is None else str(raw), raw)
    return ProviderError(str(raw.get("type") or "error"), str(raw.get("message") or ""), raw)
