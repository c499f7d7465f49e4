"""What steps say, sought in bodies and records in every form in which text carries it.

A later request repeats the history, an answer comes in pieces and is said again as JSON, a file that was written is
read back. So the words themselves are sought, raw, escaped and encoded (tapes.wire.redact.values), not the place where
they stood first. A long text counts as said where a stretch of it stands: agents cut results short. Of a tool call its
id counts too, since the history is full of calls that are otherwise three letters.

A whole session says thousands of things. In others they are sought as whole JSON strings, all at once.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from tapes.archive.base import Archive, Link
from tapes.pattern import pattern
from tapes.record.kinds import BodyRef
from tapes.session.view import Step
from tapes.values import dataclass, field
from tapes.wire.redact.values import Exact, exact_values

SHORTEST = 16
"""Bytes of a text that is sought wherever it stands; a shorter one only as a whole JSON string."""
OBJECT_MIN = 10
"""A tool's input, which is no common word, from this length on."""
ELSEWHERE = 64
"""The same for other sessions: what is shorter, everybody says."""
ID_MIN = 12
STRETCH = 256
STRETCHES = 16
"""Of a long text so many stretches are sought, evenly taken."""
INNER = 64
"""String values of a tool's input from this length on are sought by themselves: of a file that was written, say."""
REACH = 16 * STRETCH
"""No spelling of a stretch is longer than this."""
REMEMBERED = 8
_TOKEN = pattern(rb'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_SIZE = pattern(r"\((\d+) bytes\)$")


@dataclass(slots=True)
class Probes:
    """What is sought. Empty ones find nothing."""

    exact: list[Exact] = field(default_factory=list)
    literal: list[bytes] = field(default_factory=list)
    tokens: set[bytes] = field(default_factory=set)
    """Sought as whole JSON strings only: as many as there are, they cost no more than one."""
    reach: int = REACH
    """Whatever is found is no longer than this."""

    def find(self, data: bytes) -> int:
        """Where the first thing found ends, in the order sought; -1 when nothing is."""
        for text in self.literal:
            at = data.find(text)
            if at >= 0:
                return at + len(text)
        for exact in self.exact:
            for hit in exact.hits(data, 0, len(data)):
                return hit.end
        return self._token(data) if self.tokens else -1

    def _token(self, data: bytes) -> int:
        # Where the data begins inside of a string, the quotes are the other way round.
        for start in (0, data.find(b'"') + 1):
            for token in _TOKEN.finditer(data, start):
                if token.end() - token.start() > ELSEWHERE and token[1] in self.tokens:
                    return token.end()
        return -1

    def add_token(self, text: str) -> None:
        raw = text.encode("utf-8", "surrogatepass")
        if len(raw) >= ELSEWHERE:
            forms = {json.dumps(text, ensure_ascii=plain).encode("utf-8", "replace")[1:-1] for plain in (True, False)}
            self.tokens |= forms
            self.reach = max(self.reach, *(len(form) + 2 for form in forms))

    def add(self, text: str, shortest: int = SHORTEST) -> None:
        raw = text.strip().encode("utf-8", "surrogatepass")
        if len(raw) >= shortest:
            for stretch in _stretches(raw):
                self.exact += exact_values("forget", stretch)
        elif raw and shortest <= SHORTEST:
            self.literal += {json.dumps(text, ensure_ascii=plain).encode() for plain in (True, False)}


def probes_of(steps: Iterable[Step], media: Iterable[str] = (), shortest: int = SHORTEST) -> Probes:
    """What these steps say; `media`: the encoded data of pictures among them."""
    found = Probes()
    for step in steps:
        for text in texts_of(step):
            object_ = step.type == "tool.use" and text.startswith("{") and shortest == SHORTEST
            found.add(text, OBJECT_MIN if object_ else shortest)
        identifier = str(step.facts.get("id") or "").encode("utf-8", "replace")
        if len(identifier) >= ID_MIN:
            found.literal.append(identifier)
    for data in media:
        found.add(data, shortest)
    return found


def tokens_of(steps: Iterable[Step]) -> Probes:
    """What a whole session says, to be sought in others: each text where it is a string by itself."""
    found = Probes()
    for step in steps:
        for text in texts_of(step):
            found.add_token(text)
    return found


def texts_of(step: Step) -> Iterator[str]:
    if step.type == "error" and "outcome" in step.facts:
        yield step.text.partition(": ")[2]  # before it stand our own words
        return
    if step.type in ("media", "gap", "seam"):
        return
    yield step.text
    if step.type == "tool.use":
        try:
            value = json.loads(step.text)
        except ValueError:
            return  # a freeform input, which is one text
        for separators in ((",", ":"), (", ", ": ")):  # an agent parses it, and writes it its own way
            yield from (json.dumps(value, ensure_ascii=plain, separators=separators) for plain in (True, False))
        yield from (text for text in _strings(value) if len(text) >= INNER)


def media_in(step: Step, body: bytes) -> Iterator[str]:
    """The strings of a request that can be the picture of a step: it tells its size alone."""
    size = _SIZE.search(step.text)
    if step.type != "media" or size is None:
        return
    try:
        values = _strings(json.loads(body))
    except ValueError:
        return  # then no dialect found a picture in it either
    for text in values:
        data = text.rpartition(",")[2] if text.startswith("data:") else text
        if len(data) >= SHORTEST and len(data) * 3 // 4 - data[-2:].count("=") == int(size[1]):
            yield data


def _strings(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                yield text
            case dict() as items:
                waiting += items.values()
            case list() as items:
                waiting += items


def _stretches(raw: bytes) -> list[bytes]:
    if len(raw) <= STRETCH:
        return [raw]
    last = len(raw) - STRETCH
    count = min(STRETCHES, -(-len(raw) // STRETCH))
    starts = [last * n // (count - 1) for n in range(count)]
    return [_whole_characters(raw[start : start + STRETCH]) for start in starts]


def _whole_characters(raw: bytes) -> bytes:
    return raw.decode("utf-8", "ignore").encode()


@dataclass(frozen=True, slots=True, eq=False)
class _Walk:
    leaves: list[Link]
    hit: int | None
    """The leaf by whose end something was found."""

    def common(self, leaves: list[Link]) -> int:
        pairs = zip(self.leaves, leaves, strict=False)
        return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(self.leaves), len(leaves)))


class Scanner:
    """Seeks in the bodies of an archive. A body mostly begins as one before it did: only what differs is read again."""

    def __init__(self, archive: Archive, probes: Probes) -> None:
        self._archive, self._probes = archive, probes
        self._walks: deque[_Walk] = deque(maxlen=REMEMBERED)
        self._known: dict[BodyRef, bool] = {}

    def says(self, ref: BodyRef) -> bool:
        """Raises Withheld, Damaged and NotFound as the archive does."""
        if ref not in self._known:
            self._known[ref] = self._look(ref)
        return self._known[ref]

    def _look(self, ref: BodyRef) -> bool:
        leaves = list(self._archive.leaves(ref))
        best = max(self._walks, key=lambda walk: walk.common(leaves), default=_Walk([], None))
        start = best.common(leaves)
        if best.hit is not None and best.hit < start:
            hit: int | None = best.hit
        else:
            behind = 0
            while start and behind < self._probes.reach:
                start -= 1
                behind += leaves[start].length
            hit = self._hit(leaves, start)
        if best in self._walks and best.common(leaves) == len(best.leaves):
            self._walks.remove(best)  # this body goes on where that one left off
        self._walks.append(_Walk(leaves, hit))
        return hit is not None

    def _hit(self, leaves: list[Link], start: int) -> int | None:
        end = self._probes.find(b"".join(map(self._archive.leaf, leaves[start:])))
        if end < 0:
            return None
        for index in range(start, len(leaves)):
            end -= leaves[index].length
            if end <= 0:
                return index
        return len(leaves) - 1
