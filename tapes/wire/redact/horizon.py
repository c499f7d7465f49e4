"""How far a text may be judged while more of it is still to come, or while what follows has changed."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tapes.wire.redact.blocks import open_block
from tapes.wire.redact.rules import START, beginnings
from tapes.wire.redact.shapes import LONGEST
from tapes.wire.redact.values import Exact

_STOPS = (b" ", b"\n", b'"', b"\t", b"\r")
"""No key and no credential holds one of these; only blocks and some exact values do."""


def horizon(data: bytes, end: int, values: Iterable[Exact]) -> int:
    """The least place where a hit may begin that depends on bytes at or behind `end`; at most `LONGEST` before it.

    Every hit with its origin before the result is the same whatever stands behind `end`.
    """
    return min(_word(data, end), *(max(0, end - value.reach) for value in values if value.breaks), end)


def _word(data: bytes, end: int) -> int:
    """Where the word or private-key block that is open at `end` begins."""
    floor = max(0, end - LONGEST)
    block = open_block(data, floor, end)
    word = max(floor, *(data.rfind(stop, floor, end) + 1 for stop in _STOPS))
    return word if block is None else min(word, block)


def _cut_short(word: bytes) -> set[bytes]:
    return {word[:size] for size in range(1, len(word))}


def _maybe() -> re.Pattern[bytes]:
    whole = b"|".join(map(re.escape, beginnings()))
    parts = sorted(set().union(*map(_cut_short, beginnings())), key=len, reverse=True)
    cut = b"|".join(map(re.escape, parts))
    return re.compile(
        START + rb"(?:(?:" + whole + rb")|(?:" + cut + rb")\Z|\d{1,10}(?::[\w-]{0,40})?\Z)|:/?\Z|://|-{1,5}\Z|whsec_"
    )


_MAYBE = _maybe()
_CONTEXT = re.compile(
    rb"bearer|api-key|authorization|secret_?access_?key|session_?token|key=|passw|pwd|passphrase|secret|slack\.com",
    re.I,
)


def pending(data: bytes, values: Iterable[Exact]) -> int:
    """Like `horizon` at the end of `data`, but the end itself when nothing there looks like the start of a secret.

    For text that may stay unfinished long: the last word of an answer must not hold back everything after it.
    """
    end = len(data)
    word = _word(data, end)
    held = [max(0, end - value.reach) for value in values if value.breaks and value.may_begin(data, end - value.reach)]
    if (
        _MAYBE.search(data, word)
        or _CONTEXT.search(data, max(0, word - 96))
        or open_block(data, max(0, end - LONGEST), end) is not None
        or any(value.may_begin(data, word) for value in values if not value.breaks)
    ):
        held.append(word)
    return min(held, default=end)
