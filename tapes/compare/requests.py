"""Two requests held against each other: what else they say beside the conversation, and what a cache could keep.

A provider's prompt cache holds beginnings, byte for byte, in an order of its own: tools, then the system text, then the
messages. So the first segment that differs says why the rest was read anew; ids and dates count here as anything else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from tapes.compare.masks import Masks
from tapes.session.transcript import Conversation
from tapes.values import dataclass
from tapes.wire.dialects.json_body import load
from tapes.wire.turns import Block, Json, Text, ToolDecl

type Part = Literal["model", "system", "tools", "parameters"]

NEVER_ALIKE = frozenset(
    {
        "metadata",
        "client_metadata",
        "prompt_cache_key",
        "previous_response_id",
        "safety_identifier",
        "user",
        "cachedContent",
    }
)
"""Parameters that name a session or a request, and say nothing to the model."""
_CACHED = ("model", "tools", "system", "instructions", "systemInstruction", "messages", "input", "contents")
"""In the order in which caches hold them."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing of the context that is not the same in both."""

    part: Part
    name: str
    """Of a tool or parameter; of a system text which block."""
    a: str | None
    """None: it is not there."""
    b: str | None
    masked: bool = False
    """They differ in nothing but what is masked: directories, dates, ids."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a request as a cache sees it."""

    name: str
    """`tools[3] Bash`, `system[0]`, `messages[12] user`."""
    text: str


@dataclass(frozen=True, slots=True)
class Parting:
    """Where two requests stop being the same bytes to a cache."""

    segment: str
    """Empty: one is the beginning of the other, or they are the same."""
    character: int
    """In the segment, from 0."""
    a: str
    b: str
    """What stands there, and some way on."""
    same: int
    """Characters before it, of all segments."""
    of: tuple[int, int]
    """All characters of either."""
    whole: bool = False
    """The shorter is a beginning of the longer: all of it could be kept."""


def differences(a: Conversation, b: Conversation, masks: Masks) -> Iterator[Difference]:
    """What the model was given beside the messages."""
    if a.model != b.model:
        yield Difference("model", "", a.model or None, b.model or None)
    yield from _systems(a.system, b.system, masks)
    yield from _tools(a.tools, b.tools, masks)
    ours, theirs = a.params or {}, b.params or {}
    for name in sorted((ours.keys() | theirs.keys()) - NEVER_ALIKE):
        yield from _of("parameters", name, pretty(ours.get(name)), pretty(theirs.get(name)), masks)


def _systems(a: Sequence[Block], b: Sequence[Block], masks: Masks) -> Iterator[Difference]:
    ours, theirs = ([block.text for block in blocks if isinstance(block, Text)] for blocks in (a, b))
    if len(ours) != len(theirs):
        ours, theirs = ["\n".join(ours)], ["\n".join(theirs)]
    for n, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        yield from _of("system", f"block {n}" if len(ours) > 1 else "", one or None, other or None, masks)


def _tools(a: Sequence[ToolDecl], b: Sequence[ToolDecl], masks: Masks) -> Iterator[Difference]:
    ours, theirs = ({tool.name: pretty(_declared(tool.raw)) for tool in tools} for tools in (a, b))
    for name in dict.fromkeys([*ours, *theirs]):
        yield from _of("tools", name, ours.get(name), theirs.get(name), masks)


def _of(part: Part, name: str, a: str | None, b: str | None, masks: Masks) -> Iterator[Difference]:
    if a == b:
        return
    masked = a is not None and b is not None and masks.output(a).split() == masks.output(b).split()
    yield Difference(part, name, a, b, masked)


def _declared(raw: Json) -> Json:
    return {key: value for key, value in raw.items() if key != "cache_control"} if isinstance(raw, dict) else raw


def pretty(value: Json) -> str | None:
    """A value as text whose lines can be compared."""
    if value is None:
        return None
    return value if isinstance(value, str) else json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)


# -- what a cache sees


def segments(body: bytes) -> list[Segment]:
    """A request's parts in the order in which a provider caches them; cache marks themselves are no part."""
    raw = load(body).value
    if not isinstance(raw, dict):
        return [Segment("body", body.decode("utf-8", "replace"))]
    found: list[Segment] = []
    for key in _CACHED:
        value = raw.get(key)
        if value is None:
            continue
        if isinstance(value, list):
            found += [Segment(f"{key}[{n}]{_called(one)}", _plain(one)) for n, one in enumerate(value)]
        else:
            found.append(Segment(key, _plain(value)))
    return found


def part(a: Sequence[Segment], b: Sequence[Segment]) -> Parting:
    """The first segment that differs, and where in it."""
    total = (sum(len(one.text) for one in a), sum(len(one.text) for one in b))
    same = 0
    for one, other in zip(a, b, strict=False):
        if one == other:
            same += len(one.text)
            continue
        n = common(one.text, other.text)
        begin = max(0, n - 20)
        name = one.name if one.name == other.name else f"{one.name} / {other.name}"
        return Parting(name, n, one.text[begin : n + 100], other.text[begin : n + 100], same + n, total)
    return Parting("", 0, "", "", same, total, whole=True)


def common(one: str, other: str) -> int:
    """How many characters two texts begin alike with."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[:middle] == other[:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _plain(value: Json) -> str:
    return json.dumps(_unmarked(value), ensure_ascii=False, separators=(",", ":"))


def _unmarked(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _unmarked(inner) for key, inner in value.items() if key != "cache_control"}
    return [_unmarked(inner) for inner in value] if isinstance(value, list) else value


def _called(value: Json) -> str:
    if not isinstance(value, Mapping):
        return ""
    function = value.get("function")
    name = value.get("name") or (function.get("name") if isinstance(function, Mapping) else None)
    return f" {name or value.get('role') or value.get('type') or ''}".rstrip()
