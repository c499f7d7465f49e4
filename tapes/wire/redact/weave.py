"""Hits to output: what overlaps becomes one marker, and the text around stays what it was, JSON above all.

Three things would break JSON or leave a trace, and are settled here. A hit may begin in the middle of an escape (the
secret `n0t-secret` after a line feed reads `\\n0t-secret`): then the whole escape goes. A secret of digits may stand
as a bare number: then the marker gets the quotes a string needs. And a text redacted before holds markers, which are
never redacted again, nor do they make their neighbours look like keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tapes.wire.markers import MARKER, marker
from tapes.wire.redact.shapes import Hit, Span

_ESCAPE_LEFT = re.compile(rb"\\+(?:u[0-9a-fA-F]{0,3})?\Z")
_ESCAPE_LETTERS = b'"\\/bfnrtu'
_NUMBER = b"-+0123456789.eE"
_BEFORE_NUMBER = re.compile(rb"(?:(?P<slashes>\\*)\"\s{0,16}:|[\[,])\s{0,64}\Z")
_AFTER_NUMBER = re.compile(rb"\s*(?:[,}\]]|\Z)")
_QUOTE = re.compile(rb"\\.|[\"\n]", re.DOTALL)
_LONGEST_MARKER = 92


class Cut(NamedTuple):
    """Raw bytes `[start, end)` to be replaced by `text`: nothing where an earlier fragment holds the marker."""

    start: int
    end: int
    rule: str
    text: bytes


def cuts(data: bytes, hits: Iterable[Hit], rules: frozenset[str]) -> list[Cut]:
    """The replacements for `hits`, ascending and apart. `rules` are the names whose markers count as markers."""
    found = sorted((_whole_escapes(data, hit) for hit in hits if not _redacted_before(data, hit, rules)), key=_place)
    quoting = _Quoting(data)
    return [quoting.settle(cut) for cut in joined([Cut(s, e, rule, marker(rule)) for _, s, e, rule in found])]


def joined(pieces: list[Cut]) -> list[Cut]:
    """Ascending `pieces` with those that overlap made one, named after the longest."""
    merged: list[Cut] = []
    longest = 0
    for piece in pieces:
        size = piece.end - piece.start
        if not merged or piece.start >= merged[-1].end:
            merged.append(piece)
            longest = size
            continue
        last = merged[-1]
        better = piece if (size > longest and piece.text) or not last.text else last
        merged[-1] = Cut(last.start, max(last.end, piece.end), better.rule, better.text)
        longest = max(longest, size)
    return merged


def weave(data: bytes, lo: int, hi: int, pieces: list[Cut], offset: int) -> tuple[bytes, list[Span]]:
    """`data[lo:hi]` with `pieces` replaced; the spans count from `offset`, where this output will stand."""
    out: list[bytes] = []
    spans: list[Span] = []
    for piece in pieces:
        kept = data[lo : piece.start]
        offset += len(kept)
        spans.append(Span(offset, len(piece.text), piece.rule))
        out += (kept, piece.text)
        offset += len(piece.text)
        lo = piece.end
    out.append(data[lo:hi])
    return b"".join(out), spans


def _place(hit: Hit) -> tuple[int, int]:
    return hit.start, -hit.end


def _whole_escapes(data: bytes, hit: Hit) -> Hit:
    """The hit from where its first escape begins."""
    start = hit.start
    if data[max(0, start - 5) : start].find(b"\\") < 0:
        return hit
    left = _ESCAPE_LEFT.search(data, max(0, start - 4096), start)
    if left is None or (data[start - 1] == 0x5C and data[start] not in _ESCAPE_LETTERS):
        return hit
    return hit._replace(start=left.start())


def _redacted_before(data: bytes, hit: Hit, rules: frozenset[str]) -> bool:
    """Whether the hit is of a marker of ours, or looks like a key only because a marker is its neighbour."""
    lo, hi = max(0, hit.start - _LONGEST_MARKER), hit.end + _LONGEST_MARKER
    if data.find(b"[REDACTED:", lo, hi) < 0:
        return False
    marks = (mark for mark in MARKER.finditer(data, lo, hi) if mark[1].decode() in rules)
    near = 0 if ":" in hit.rule else 1  # an exact value is one whatever stands beside it
    return any(mark.start() < hit.end + near and hit.start < mark.end() + near for mark in marks)


class _Quoting:
    """Finds secrets that stand as bare JSON numbers. Goes through the data once, and only if there is one to judge."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._inside = False

    def settle(self, cut: Cut) -> Cut:
        data = self._data
        if any(byte not in _NUMBER for byte in data[cut.start : min(cut.end, cut.start + 64)]):
            return cut
        start, end = self._number(cut)
        before = _BEFORE_NUMBER.search(data, max(0, start - 96), start)
        if not (before or not data[: start + 1 if start > 64 else start].strip()) or not _AFTER_NUMBER.match(data, end):
            return cut
        slashes = (before["slashes"] if before else b"") or b""
        if not slashes and self._in_string(start):
            return cut
        quote = slashes + b'"'
        return Cut(start, end, cut.rule, quote + cut.text + quote)

    def _number(self, cut: Cut) -> tuple[int, int]:
        start, end = cut.start, cut.end
        while start and self._data[start - 1] in _NUMBER:
            start -= 1
        while end < len(self._data) and self._data[end] in _NUMBER:
            end += 1
        return start, end

    def _in_string(self, place: int) -> bool:
        """No JSON string goes over a line end, so that each line starts outside of one."""
        for found in _quotes_and_lines(self._data, self._at, place):
            self._inside = False if found == b"\n" else not self._inside
        self._at = place
        return self._inside


def _quotes_and_lines(data: bytes, lo: int, hi: int) -> Iterator[bytes]:
    return (found[0] for found in _QUOTE.finditer(data, lo, hi) if found[0] in (b'"', b"\n"))
