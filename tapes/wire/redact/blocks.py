"""Private-key blocks, as text really shows them.

A block is read line by line, because between its lines there may be raw or escaped line ends (one level or more),
line numbers of a file viewer, a diff's plus signs, colours, or the quotes of a list of strings. A mention of
`-----BEGIN PRIVATE KEY-----` in prose or code is not a block: something key-like has to follow. A block cut off
before its END reaches as far as its lines do.
"""

from __future__ import annotations

import re

from tapes.wire.redact.shapes import Hit

RULE = "private-key"
_BEGIN = re.compile(rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_END = re.compile(rb"-----END [A-Z0-9 ]{0,60}-----")
_GAP = re.compile(
    rb"(?:[\s,|:>#*;'\"]"
    rb"|\\+(?:[nrt\"'/]|u001b\[[0-9;]*[mK]|x1b\[[0-9;]*[mK]|033\[[0-9;]*[mK]|u[0-9a-fA-F]{4})?"
    rb"|\x1b\[[0-9;]*[mK]|%0[aAdD]|\xe2\x86\x92|[+-](?=[A-Za-z0-9+/]{16})"
    rb"|[0-9]{1,6}(?=\xe2\x86\x92|\\+[tu]|[\t:|]))*+"
)
_FIELD = re.compile(rb"(?:Proc-Type|DEK-Info|Version|Comment|Hash|Charset|MessageID): ?[^\n\r\\\"]{0,120}")
_LINE = re.compile(rb"=?[A-Za-z0-9+/]+={0,2}")
_RAW_QUOTE = re.compile(rb'(?<!\\)"')
_CUT_BEGIN = re.compile(rb"-----(?:B(?:E(?:G(?:I(?:N(?: [A-Z0-9 ]{0,60}-{0,5})?)?)?)?)?)?\Z")
_LONG = 16
_CUT_END = 80
"""An END line that is still arriving is shorter than this."""


def private_keys(data: bytes, lo: int, hi: int) -> list[Hit]:
    """Hits of every block that begins in `[lo, hi)`."""
    hits: list[Hit] = []
    at = data.find(b"-----BEGIN", lo, hi + 9)
    while at >= 0:
        begin = _BEGIN.match(data, at)
        if begin:
            parts, _ = _read(data, at, begin.end())
            hits += [Hit(at, start, end, RULE) for start, end in parts]
        at = data.find(b"-----BEGIN", at + 10, hi + 9)
    return hits


def open_block(data: bytes, lo: int, end: int) -> int | None:
    """Where a block begins at or after `lo` that bytes after `end` could still be part of."""
    tail = max(lo, end - _CUT_END)
    cut = _CUT_BEGIN.search(data, tail, end)
    at = data.rfind(b"-----BEGIN", lo, end)
    begin = _BEGIN.match(data, at, end) if at >= 0 else None
    if begin:
        _, looked = _read(data, at, begin.end(), end)
        if looked >= tail:
            return at
    return cut.start() if cut else None


def _read(data: bytes, begin: int, pos: int, stop: int | None = None) -> tuple[list[tuple[int, int]], int]:
    """The secret stretches of the block whose BEGIN line ends at `pos`, and how far the text was looked at."""
    stop = len(data) if stop is None else stop
    lines: list[tuple[int, int]] = []
    short = 0  # lines at the end that are too short to be surely the key's
    while True:
        gap = _GAP.match(data, pos, stop)
        pos = gap.end() if gap else pos
        closed = _END.match(data, pos, stop)
        if closed:
            return (_stretches(data, begin, [*lines, closed.span()]) if lines else []), closed.end()
        field = None if lines else _FIELD.match(data, pos, stop)
        if field:
            pos = field.end()
            continue
        line = _LINE.match(data, pos, stop)
        short = 0 if line and line.end() - line.start() >= _LONG else short + 1
        if line is None or short > 3:
            break
        lines.append(line.span())
        pos = line.end()
    kept = len(lines) if pos >= stop else _last_long(lines)
    if not any(end - start >= _LONG for start, end in lines[:kept]):
        return [], pos
    return _stretches(data, begin, lines[:kept]), pos


def _last_long(lines: list[tuple[int, int]]) -> int:
    count = len(lines)
    while count and lines[count - 1][1] - lines[count - 1][0] < _LONG:
        count -= 1
    return count


def _stretches(data: bytes, begin: int, lines: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Lines joined over what lies between them, except over a bare quote: there one JSON string ends."""
    joined = [(begin, begin)]
    for start, end in lines:
        first, last = joined[-1]
        if _RAW_QUOTE.search(data, last, start):
            joined.append((start, end))
        else:
            joined[-1] = (first, end)
    return [(start, end) for start, end in joined if end > start]
