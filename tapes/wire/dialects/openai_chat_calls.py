"""What chunks of a completion add to: tool calls, entries of reasoning.

Which call a piece belongs to is told in as many ways as there are servers. OpenAI numbers the calls, gives id and name
with the first piece and the arguments in pieces. Others leave the number out, give every call the number 0, repeat id
or name with every piece, make up a new id for every piece, or send the whole call at once.
"""

from __future__ import annotations

from tapes.values import dataclass, field
from tapes.wire.dialects.json_body import joined, rest
from tapes.wire.dialects.json_stream import Fields
from tapes.wire.dialects.openai_chat_blocks import input_field
from tapes.wire.turns import Json

_PIECES = ("text", "summary")
_LONGEST_NAME = 1024
"""Providers allow 64 characters. Pieces after these are kept beside the name."""


@dataclass(slots=True)
class _Call:
    """A call as far as it has come."""

    id: str = ""
    kind: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    value: Json = None
    """The input, where it came as a value and not as text."""
    fields: Fields = field(default_factory=Fields)
    inner: Fields = field(default_factory=Fields)

    def begun(self) -> bool:
        return any(self.pieces) or self.value is not None

    def is_other(self, id_: Json, inner: Json) -> bool:
        """Whether a piece with a name, under this call's number, begins another call."""
        if id_ and self.id:  # a new id without a name would be one made up for the piece
            return id_ != self.id
        piece = inner.get(input_field(self.kind)) if isinstance(inner, dict) else None
        ended = bool(self.pieces) and self.pieces[-1].rstrip().endswith("}")
        return ended and isinstance(piece, str) and piece.lstrip().startswith("{")

    def add(self, delta: dict[str, Json]) -> None:
        kind, id_ = delta.get("type"), delta.get("id")
        if not self.kind:
            self.kind = kind if isinstance(kind, str) and kind else "custom" if "custom" in delta else "function"
        known = ["index"] if isinstance(delta.get("index"), int | None) else []
        if isinstance(id_, str) and self.id in ("", id_):
            known.append("id")
            self.id = id_
        if kind == self.kind:
            known.append("type")
        inner = delta.get(self.kind)
        if isinstance(inner, dict):
            known.append(self.kind)
            self._add_inner(inner)
        self.fields.add({_aside(name): value for name, value in rest(delta, *known).items()})

    def whole(self) -> dict[str, Json]:
        """The call as it would stand in a whole message."""
        given = self.value if self.value is not None else joined(self.pieces)
        inner = self.inner.all() | {input_field(self.kind): given} | ({"name": self.name} if self.name else {})
        return self.fields.all() | {"id": self.id, "type": self.kind, self.kind: inner}

    def _add_inner(self, inner: dict[str, Json]) -> None:
        name, where = inner.get("name"), input_field(self.kind)
        known = [where]
        if isinstance(name, str) and len(self.name) < _LONGEST_NAME:
            known.append("name")
            # All of it again, all so far and more, or a piece of it. (Two equal pieces would count as one.)
            self.name = name if name.startswith(self.name) else self.name if name == "" else self.name + name
        match inner.get(where):
            case None:
                pass
            case str(piece) if self.value is None:
                self.pieces.append(piece)
            case value if self.value is None and not any(self.pieces):
                self.value = value
            case value:
                self.inner.add({f"more_{where}": value})
        self.inner.add({_aside(name): value for name, value in rest(inner, *known).items()})


@dataclass(slots=True)
class Calls:
    """The calls of one choice, in the order in which they began."""

    calls: list[_Call] = field(default_factory=list)
    by_index: dict[int, _Call] = field(default_factory=dict)
    by_id: dict[str, _Call] = field(default_factory=dict)

    def add(self, delta: Json) -> bool:
        """Take a piece of a call; False for what is none."""
        if not isinstance(delta, dict):
            return False
        index = delta.get("index")
        call = self._find(delta, index if isinstance(index, int) else None)
        if call is None:
            call = _Call()
            self.calls.append(call)
            if isinstance(index, int):
                self.by_index[index] = call
        call.add(delta)
        self.by_id.setdefault(call.id, call)
        return True

    def whole(self) -> list[Json]:
        return [call.whole() for call in self.calls]

    def _find(self, delta: dict[str, Json], index: int | None) -> _Call | None:
        """The call that a piece goes on with; None when it begins another."""
        id_ = delta.get("id")
        inner = delta.get("function") or delta.get("custom")
        named = isinstance(inner, dict) and bool(inner.get("name"))
        if index is not None:
            call = self.by_index.get(index)
            return None if call and named and call.is_other(id_, inner) else call
        if id_:
            return self.by_id.get(id_) if isinstance(id_, str) else None
        last = self.calls[-1] if self.calls else None
        return None if last is None or (named and last.begun()) else last


@dataclass(slots=True)
class Details:
    """OpenRouter's `reasoning_details`: an entry goes on with the last one if they differ in their pieces alone."""

    entries: list[Json] = field(default_factory=list)
    pieces: list[dict[str, list[str]]] = field(default_factory=list)

    def add(self, entries: list[Json]) -> None:
        for entry in entries:
            texts: dict[str, list[str]] = {}
            if isinstance(entry, dict):
                texts = {name: [str(value)] for name in _PIECES if isinstance(value := entry.get(name), str)}
                entry = rest(entry, *texts)
            last = self.entries[-1] if self.entries else None
            if isinstance(entry, dict) and isinstance(last, dict) and _agree(last, entry):
                last |= {name: value for name, value in entry.items() if value is not None}
                for name, pieces in texts.items():
                    self.pieces[-1].setdefault(name, []).extend(pieces)
            else:
                self.entries.append(entry)
                self.pieces.append(texts)

    def whole(self) -> list[Json]:
        return [
            entry | {name: joined(pieces) for name, pieces in texts.items()} if isinstance(entry, dict) else entry
            for entry, texts in zip(self.entries, self.pieces, strict=True)
        ]


def _agree(one: dict[str, Json], other: dict[str, Json]) -> bool:
    """Whether two entries say the same wherever both say something."""
    return all(one.get(name) in (None, value) or value is None for name, value in other.items())


def _aside(name: str) -> str:
    """The name under which a part of a call is kept that has another value already."""
    return f"other_{name}" if name in ("id", "type", "function", "custom", "name") else name
