"""An answer with other words in it: the ids and directories of today in place of the recording's.

A model says a path in pieces: `{"partial_json":"…/home/a"}`, then `"nn/proj"` in the next event. So, as redaction does
(tapes.wire.redact.fragments), the values of one field at one place of a stream are read as one text; what is found
across several of them is put into the first, and taken out of the others. All else stays byte for byte, and each piece
of the answer still comes when it came.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import NamedTuple

from tapes.playback.places import whole
from tapes.playback.recorded import Answer, Piece
from tapes.wire.redact.fragments import FIELD, PLACE

_EVENT = re.compile(rb"(?s).+?(?:\r?\n\r?\n|\Z)")
_ENDS = re.compile(rb'"type"\s*:\s*"[a-z_.]*(?:_stop|\.done|\.completed)"')


class _Edit(NamedTuple):
    start: int
    end: int
    text: bytes


def rewritten(answer: Answer, changes: Mapping[str, str], *, messages: bool = False) -> Answer:
    """`changes`: old words and new ones; whole words only, as JSON has them. With `messages` each piece is an event of
    its own (a WebSocket), else events end at blank lines."""
    sought = _sought(changes)
    if not sought or not answer.pieces:
        return answer
    pattern = re.compile(b"|".join(map(_whole, sorted(sought, key=len, reverse=True))))
    body = answer.body
    ends = list(accumulate(len(piece.data) for piece in answer.pieces))
    spans = list(zip([0, *ends], ends, strict=False)) if messages else [m.span() for m in _EVENT.finditer(body)]
    edits = list(_edits(body, spans, pattern, sought))
    return replace(answer, pieces=tuple(_cut(answer.pieces, ends, body, edits))) if edits else answer


def _whole(word: bytes) -> bytes:
    # As latin-1 each byte is a character, so that a pattern for the text is one for its bytes.
    return whole(word.decode("latin-1")).encode("latin-1")


def _sought(changes: Mapping[str, str]) -> dict[bytes, bytes]:
    """The words in the spellings that JSON has for them; within a string that is in a string, backslashes double."""
    found: dict[bytes, bytes] = {}
    for old, new in changes.items():
        for ascii_ in (False, True):
            then, now = old, new
            for _ in range(2):
                then, now = (json.dumps(text, ensure_ascii=ascii_)[1:-1] for text in (then, now))
                found.setdefault(then.encode("utf-8", "surrogatepass"), now.encode("utf-8", "surrogatepass"))
    return found


def _edits(
    body: bytes, spans: Sequence[tuple[int, int]], pattern: re.Pattern[bytes], sought: Mapping[bytes, bytes]
) -> Iterator[_Edit]:
    """Ascending, and apart from each other."""
    edits: list[_Edit] = []
    spoken: list[tuple[int, int]] = []
    for channel in _channels(body, spans):
        if len(channel.fragments) > 1:
            edits += channel.edits(body, pattern, sought)
            spoken += channel.fragments
    spoken.sort()
    starts = [start for start, _ in spoken]
    for found in pattern.finditer(body):
        n = bisect_right(starts, found.start()) - 1
        if n < 0 or spoken[n][1] <= found.start():  # else only the whole channel tells whether the word ends there
            edits.append(_Edit(*found.span(), sought[found[0]]))
    reached = 0
    for edit in sorted(edits):
        if edit.start >= reached:
            yield edit
            reached = edit.end


class _Channel:
    """The values of one field at one place."""

    def __init__(self) -> None:
        self.fragments: list[tuple[int, int]] = []

    def edits(self, body: bytes, pattern: re.Pattern[bytes], sought: Mapping[bytes, bytes]) -> Iterator[_Edit]:
        text = b"".join(body[start:end] for start, end in self.fragments)
        starts = [0, *accumulate(end - start for start, end in self.fragments)]
        for found in pattern.finditer(text):
            first = bisect_right(starts, found.start()) - 1
            new = sought[found[0]]
            for n in range(first, len(self.fragments)):
                if starts[n] >= found.end():
                    break
                shift = self.fragments[n][0] - starts[n]
                lo, hi = max(starts[n], found.start()), min(starts[n + 1], found.end())
                yield _Edit(lo + shift, hi + shift, new)
                new = b""


def _channels(body: bytes, spans: Sequence[tuple[int, int]]) -> list[_Channel]:
    """A channel ends where an event says that its place does."""
    done: list[_Channel] = []
    open_: dict[tuple[bytes, ...], _Channel] = {}
    for start, end in spans:
        event = body[start:end]
        at = tuple(number for found in PLACE.finditer(event) for number in found.groups())
        for found in FIELD.finditer(event):
            if found[2]:
                channel = open_.setdefault((found[1], *at), _Channel())
                channel.fragments.append((start + found.start(2), start + found.end(2)))
        if _ENDS.search(event):
            done += [open_.pop(key) for key in list(open_) if key[1:] == at]
    return [*done, *open_.values()]


def _cut(pieces: Sequence[Piece], ends: Sequence[int], body: bytes, edits: Sequence[_Edit]) -> Iterator[Piece]:
    """The edited body in pieces again. What stands across a border goes with the earlier piece."""
    at, n = 0, 0
    for piece, end in zip(pieces, ends, strict=True):
        parts: list[bytes] = []
        while n < len(edits) and edits[n].start < end:
            parts += (body[at : edits[n].start], edits[n].text)
            at = edits[n].end
            n += 1
        parts.append(body[at:end])
        at = max(at, end)
        yield replace(piece, data=b"".join(parts))
