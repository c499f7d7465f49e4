"""Where vendor keys stand: one pass that looks only at long runs, and a few literal searches.

Sixty searches for sixty prefixes read a body sixty times. But every such key is a long run of token characters, and
text has few of them: the body is mapped to two classes once, long runs are hopped to, and only at the start of a run
a table lookup asks whether a known format could begin there. What has no such run is found by a literal (literals.py,
blocks.py).

Each function here and there gives the hits whose origin lies in `[lo, hi)`, and reads on beyond `hi`, and at most
`LOOKBACK` before `lo`: scanning in parts gives the same hits as scanning at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tapes.wire.redact.blocks import RULE as BLOCK
from tapes.wire.redact.blocks import private_keys
from tapes.wire.redact.literals import LITERAL_NAMES, literals, url_passwords
from tapes.wire.redact.rules import DOTTED, END, SHORTEST_RUN, START, VENDORS, by_first_three, by_three_before
from tapes.wire.redact.shapes import Hit

_TOKENS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
_CLASSES = bytes(0x78 if byte in _TOKENS else 0x20 for byte in range(256))
_NEEDLE = b"x" * SHORTEST_RUN
_FIRST = by_first_three()
_BEFORE = by_three_before()
_TELEGRAM = re.compile(START + rb"\d{8,10}:[\w-]{35}" + END)

# How many bytes of a run may belong to an escape, by the byte before the run.
_ESCAPED = {
    ord("\\"): (0, 1, 3, 5),
    ord("["): (0, 1, 2, 3, 4),
    ord(";"): (0, 2, 3, 4),
    ord("%"): (0, 2),
    ord("("): (0, 1),
}
_PLAIN = (0,)

RULES = frozenset({name for name, _, _ in (*VENDORS, *DOTTED)} | LITERAL_NAMES | {BLOCK, "telegram-token"})
"""The names of all rules that are not exact values."""


def vendor_keys(data: bytes, lo: int, hi: int) -> list[Hit]:
    """Keys of every known vendor format that begin in `[lo, hi)`."""
    hits = long_keys(data, lo, hi)
    for find in (private_keys, url_passwords, literals):
        hits += find(data, lo, hi)
    return hits


def long_keys(data: bytes, lo: int, hi: int) -> list[Hit]:
    """Those of them that their own beginning tells: the cheaper half."""
    return [hit for run in _runs(data, lo, hi) for hit in _at_run(data, run) if lo <= hit.origin < hi]


def _runs(data: bytes, lo: int, hi: int) -> Iterator[int]:
    """Starts of long runs; the first may be the middle of one, which START then refuses."""
    classes = data[lo : hi + 64 + SHORTEST_RUN].translate(_CLASSES)
    find = classes.find
    at = find(_NEEDLE)
    while at >= 0:
        yield lo + at
        end = find(b" ", at + SHORTEST_RUN)
        if end < 0:
            return
        at = find(_NEEDLE, end)


def _at_run(data: bytes, run: int) -> Iterator[Hit]:
    before = data[run - 1] if run else 0x20
    for skip in _ESCAPED.get(before, _PLAIN):
        at = run + skip
        for rule in _FIRST.get(data[at : at + 3], ()):
            found = rule.pattern.match(data, at)
            if found:
                yield Hit(at, at, found.end(), rule.name)
    for back, rule in _BEFORE.get(data[max(0, run - 3) : run], ()):
        found = rule.pattern.match(data, max(0, run - back))
        if found:
            yield Hit(found.start(), found.start(), found.end(), rule.name)
    if before == 0x3A and data[run - 2 : run - 1].isdigit():
        for back in (9, 10, 11):
            found = _TELEGRAM.match(data, max(0, run - back))
            if found:
                yield Hit(found.start(), found.start(), found.end(), "telegram-token")
