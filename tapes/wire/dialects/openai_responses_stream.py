"""The Responses API's stream, put together again into the response it is a telling of.

Everything is said several times: a text in pieces, then whole, then inside its part, its item and the response. Each
telling is laid over those before it, the later one counts, and what only an earlier one has stays. So nothing doubles,
and a stream that breaks off leaves the items that were done whole and the open ones as far as their pieces came.
Over a WebSocket the same objects come as lines. Events of an unknown kind are kept beside the message
(`unknown_events`).
"""

from __future__ import annotations

from dataclasses import replace

from tapes.pattern import pattern
from tapes.values import dataclass, field
from tapes.wire.dialects.json_body import joined, rest
from tapes.wire.dialects.json_stream import Decoder, JsonStream
from tapes.wire.dialects.openai_chat_blocks import read_error
from tapes.wire.dialects.openai_responses_answer import read_answer
from tapes.wire.dialects.overlay import laid
from tapes.wire.turns import Json, ProviderError, ResponseReading

_SNAPSHOT = pattern(r"response\.(created|queued|in_progress|completed|incomplete|failed)")
_ENDS = ("response.completed", "response.incomplete", "response.failed")
_WORDS = {
    "response.output_text": ("content", "text", "output_text"),
    "response.refusal": ("content", "refusal", "refusal"),
    "response.reasoning_text": ("content", "text", "reasoning_text"),
    "response.reasoning_summary_text": ("summary", "text", "summary_text"),
    "response.function_call_arguments": ("", "arguments", ""),
    "response.mcp_call_arguments": ("", "arguments", ""),
    "response.custom_tool_call_input": ("", "input", ""),
    "response.code_interpreter_call_code": ("", "code", ""),
}
"""Text that comes as `delta`s and then whole: in which list of its item it stands (none: in the item), as which field
of what kind of part."""
_PARTS = {"response.content_part": "content", "response.reasoning_summary_part": "summary"}
_STATE = pattern(r"response\.\w+_call\.\w+")
"""`response.web_search_call.searching` and the like: the item says it again when it is done."""
_OWN = ("type", "sequence_number", "output_index", "item_id", "content_index", "summary_index", "obfuscation")
"""Where an event belongs; and padding, so that a listener on the line can not guess at words by their length."""

type _Place = tuple[str, int]
"""Of a part in its item: which list, which index."""


@dataclass(slots=True)
class _Item:
    """An item that events still add to."""

    raw: dict[str, Json] = field(default_factory=dict)
    """As it was when it began, and the fields of its own that came since."""
    parts: dict[_Place, dict[str, Json]] = field(default_factory=dict)
    pieces: dict[tuple[_Place, str], list[str]] = field(default_factory=dict)
    entries: dict[tuple[_Place, str], list[Json]] = field(default_factory=dict)
    """Annotations and log probabilities, which come one by one, and again with their part."""
    done: dict[str, Json] | None = None
    closed: bool = False

    def told_id(self) -> Json:
        return (self.done or self.raw).get("id")

    def alike(self, raw: dict[str, Json]) -> bool:
        """Whether `raw` may be another telling of this item."""
        return all(self.raw.get(name) == raw.get(name) for name in ("type", "call_id"))

    def value(self) -> dict[str, Json]:
        """The item as far as it is known."""
        raw, parts = dict(self.raw), {place: dict(part) for place, part in self.parts.items()}
        for (place, name), entries in self.entries.items():
            parts[place] = laid({name: entries}, parts[place])
        for (place, name), pieces in self.pieces.items():
            (parts[place] if place[0] else raw)[name] = joined(pieces)
        for name in ("content", "summary"):
            told: list[Json] = [part for place, part in sorted(parts.items()) if place[0] == name]
            if told:
                raw = laid(raw, {name: told})
        return laid(raw, self.done or {})


class ResponsesStream(JsonStream):
    """A ResponseReader for `text/event-stream`, or with a LineDecoder for a WebSocket's messages."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__(decoder)
        self._response: dict[str, Json] = {}
        self._items: dict[int, _Item] = {}
        self._by_id: dict[str, _Item] = {}
        self._next = 0
        """An index that no item has yet."""
        self._error: ProviderError | None = None
        self._ended = False
        self._extra: dict[str, Json] = {}

    def take_text(self, text: str) -> bool:
        return text == "[DONE]"  # some gateways end every stream so

    def take(self, kind: str, value: dict[str, Json]) -> None:
        named, ended = value.get("type", kind), self._ended
        read = self._read(named if isinstance(named, str) else "", value)
        if read is None:
            self.keep("unknown_events", value)
            return
        if ended:  # of an unknown kind it may well be: limits, keepalives
            self.problem("events after the end")
        left = rest(value, *_OWN, *read)
        if any(self._extra.get(name, said) != said for name, said in left.items()):
            self.keep("unknown_events", value)
        self._extra |= left

    def read(self) -> ResponseReading:
        items = sorted(self._items.items())
        still_open = [place for place, item in items if not item.closed]
        if still_open and not self._ended:
            self.problem(f"the stream ended inside item {still_open[-1]}")
        values = [(self.mended(item.value()), item.closed) for _, item in items]
        reading = read_answer(self.mended(self._response), values)
        return replace(
            reading,
            error=self._error or reading.error,
            complete=self._ended,
            problems=tuple(self._problems),
            extra=self.mended({**reading.extra, **self._extra, **self.aside()}),
        )

    def _read(self, kind: str, value: dict[str, Json]) -> tuple[str, ...] | None:
        """Take one event in; the names of its fields that were read, None where it is of an unknown kind."""
        response, item, error = value.get("response"), value.get("item"), value.get("error")
        if _SNAPSHOT.fullmatch(kind) and isinstance(response, dict):
            self._snapshot(response, last=kind in _ENDS)
            return ("response",)
        if kind in ("response.output_item.added", "response.output_item.done") and isinstance(item, dict):
            self._item_told(value, item, done=kind.endswith(".done"))
            return ("item",)
        if kind == "error" or (not kind and error):
            return self._failed(value)
        stem, _, last = kind.rpartition(".")
        if stem in _WORDS and last in ("delta", "done"):
            return self._words(value, *_WORDS[stem], done=last == "done")
        if stem in _PARTS and last in ("added", "done"):
            return self._part_told(value, _PARTS[stem], done=last == "done")
        if kind == "response.output_text.annotation.added":
            return self._annotation(value)
        if _STATE.fullmatch(kind) and self._at(value) and not rest(value, *_OWN):
            return ()
        return None

    def _snapshot(self, response: dict[str, Json], *, last: bool) -> None:
        self._ended = self._ended or last
        known, given = self._response.get("id"), response.get("id")
        if known is not None and given not in (None, known):
            self.problem("a second response")
        output = response.get("output")
        items = output if isinstance(output, list) else []
        self._response = laid(self._response, rest(response, "output") if isinstance(output, list) else response)
        for index, item in enumerate(items):
            raw: dict[str, Json] = item if isinstance(item, dict) else {"value": item}
            self._tell(self._find(index, raw), raw, done=last)

    def _item_told(self, value: dict[str, Json], raw: dict[str, Json], *, done: bool) -> None:
        index = _index(value.get("output_index"))
        self._tell(self._find(self._next, raw) if index is None else self._begun(index), raw, done=done)

    def _find(self, index: int, raw: dict[str, Json]) -> _Item:
        """The item that a response's list has at `index`: by where it stands or, where others before it were left out,
        by its id. Some gateways make up new ids with every event, others give all items the same.
        """
        there, named = self._items.get(index), self._by_id.get(_word(raw.get("id")))
        if there is not None and there.alike(raw) and (named is None or there.told_id() == raw.get("id")):
            return there
        if named is not None and named.alike(raw):
            return named
        return self._begun(index if there is None else self._next)

    def _begun(self, index: int) -> _Item:
        self._next = max(self._next, index + 1)
        return self._items.setdefault(index, _Item())

    def _tell(self, item: _Item, raw: dict[str, Json], *, done: bool) -> None:
        if done:
            item.done = laid(item.done or {}, raw)
            item.closed = True
        else:
            item.raw = laid(item.raw, raw)
        for name in ("type", "call_id"):  # of an item that was never said to begin too
            if name in raw:
                item.raw.setdefault(name, raw[name])
        if id_ := _word(raw.get("id")):
            self._by_id[id_] = item

    def _at(self, value: dict[str, Json]) -> _Item | None:
        index = _index(value.get("output_index"))
        if index is not None:
            return self._items.get(index)
        return self._by_id.get(_word(value.get("item_id")))

    def _words(self, value: dict[str, Json], list_: str, name: str, kind: str, *, done: bool) -> tuple[str, ...] | None:
        item, place, said = self._at(value), _place(value, list_), value.get(name if done else "delta")
        if item is None:
            self.problem("words for an item that has not begun")
        if item is None or place is None or not isinstance(said, str):
            return None
        if done:
            item.pieces[place, name] = [said]
            item.closed = item.closed or not list_
        else:
            item.pieces.setdefault((place, name), []).append(said)
        read = (name if done else "delta",)
        if not list_:
            return (*read, "name") if value.get("name") == item.raw.get("name") else read
        part = item.parts.setdefault(place, {"type": kind})
        chances = value.get("logprobs")
        if not isinstance(chances, list):
            return read
        if done:
            item.parts[place] = laid(part, {"logprobs": chances})
        else:
            item.entries.setdefault((place, "logprobs"), []).extend(chances)
        return (*read, "logprobs")

    def _part_told(self, value: dict[str, Json], list_: str, *, done: bool) -> tuple[str, ...] | None:
        item, place, part = self._at(value), _place(value, list_), value.get("part")
        if item is None or place is None or not isinstance(part, dict):
            return None
        item.parts[place] = laid(item.parts.get(place, {}), part)
        for name in ("text", "refusal"):
            said = part.get(name)
            if isinstance(said, str) and (said or done):
                item.pieces[place, name] = [said]
        return ("part",)

    def _annotation(self, value: dict[str, Json]) -> tuple[str, ...] | None:
        item, place = self._at(value), _place(value, "content")
        if item is None or place is None or "annotation" not in value:
            return None
        item.parts.setdefault(place, {"type": "output_text"})
        item.entries.setdefault((place, "annotations"), []).append(value["annotation"])
        return ("annotation", "annotation_index")

    def _failed(self, value: dict[str, Json]) -> tuple[str, ...]:
        """`{"type":"error","error":{…}}` over a WebSocket, `{"type":"error","code":…,"message":…}` in events."""
        nested = value.get("error") is not None
        raw = self.mended({"error": value["error"] if nested else rest(value, "type", "sequence_number")})
        self._error = read_error(raw["error"])
        return ("error",) if nested else tuple(value)


def _word(value: Json) -> str:
    return value if isinstance(value, str) else ""


def _index(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _place(value: dict[str, Json], list_: str) -> _Place | None:
    """Which part of an item an event speaks of; the item itself where there is no list of parts."""
    index = _index(value.get(f"{list_}_index")) if list_ else 0
    return None if index is None else (list_, index)
