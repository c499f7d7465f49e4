"""Which words a text must have if a pattern is to be found in it: so that not every text need be looked through.

Only what is certain: of a piece of text that must stand there literally, those of its words that end within it, and the
beginning of the last one. Where nothing is certain, everything is looked through. Of pieces that are not ASCII nothing
is: what a mark before or behind them makes of their first and last word is not seen here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tapes.pattern import pattern
from tapes.search.query import Words

_WORD = pattern(r"[A-Za-z0-9]+")
SHORTEST = 3
"""Letters of a beginning that are worth asking for."""


def words_of(piece: str) -> Words | None:
    """What a text with this piece in it has, as one phrase."""
    if not piece.isascii():
        return None
    found = list(_WORD.finditer(piece))
    if found and found[0].start() == 0:
        found.pop(0)  # the end of some word
    if not found:
        return None
    last = found[-1]
    open_ended = last.end() == len(piece)
    if open_ended and len(found) == 1 and len(last[0]) < SHORTEST:
        return None
    return Words(" ".join(word[0] for word in found), open_ended)


def literals(pattern: re.Pattern[str]) -> Iterator[str]:
    """Pieces that stand in whatever the pattern fits."""
    if pattern.flags & re.IGNORECASE:
        return iter(())  # Python and SQLite do not agree on all letters
    from re import _parser  # type: ignore[attr-defined]

    return _pieces(_parser.parse(pattern.pattern, pattern.flags))


def _pieces(parsed: Any) -> Iterator[str]:
    piece = ""
    for operation, value in parsed:
        name = str(operation)
        if name == "LITERAL":
            piece += chr(value)
            continue
        if piece:
            yield piece
            piece = ""
        if name == "SUBPATTERN":
            _, added, _, inner = value
            if not added & re.IGNORECASE:
                yield from _pieces(inner)
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT") and value[0] > 0:
            yield from _pieces(value[2])
        elif name == "ATOMIC_GROUP":
            yield from _pieces(value)
    if piece:
        yield piece
