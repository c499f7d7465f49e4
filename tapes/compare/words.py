"""Two texts, word by word: what stays, what goes, what comes. Lines first, so that long texts take no longer than short
ones, and within lines that changed the words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from tapes.pattern import pattern
from tapes.session.linediff import Same, matches

type Sign = Literal[" ", "-", "+"]

_WORD = pattern(r"\w+|\s+|[^\w\s]")
_LINE = pattern(r"[^\n]*\n|[^\n]+\Z")


class Piece(NamedTuple):
    """A stretch of text: ` ` in both, `-` in the first only, `+` in the second only."""

    sign: Sign
    text: str


def words(old: str, new: str) -> list[Piece]:
    """The first text is what has ` ` and `-`, the second what has ` ` and `+`."""
    ours, theirs = _LINE.findall(old), _LINE.findall(new)
    found: list[Piece] = []
    x = y = 0
    for same in [*matches(ours, theirs), Same(len(ours), len(theirs), 0)]:
        found += _within("".join(ours[x : same.old]), "".join(theirs[y : same.new]))
        x, y = same.old + same.size, same.new + same.size
        found.append(Piece(" ", "".join(ours[same.old : x])))
    return list(_joined(found))


def _within(old: str, new: str) -> Iterator[Piece]:
    ours, theirs = _WORD.findall(old), _WORD.findall(new)
    x = y = 0
    for same in [*matches(ours, theirs), Same(len(ours), len(theirs), 0)]:
        yield Piece("-", "".join(ours[x : same.old]))
        yield Piece("+", "".join(theirs[y : same.new]))
        x, y = same.old + same.size, same.new + same.size
        yield Piece(" ", "".join(ours[same.old : x]))


def _joined(found: Iterable[Piece]) -> Iterator[Piece]:
    """A blank alone between two changes is a part of them."""
    gone, come, same = "", "", ""
    for sign, text in found:
        if sign == " ":
            same += text
            continue
        if not text:
            continue
        if same and same.isspace() and (gone or come) and "\n" not in same:
            gone, come = gone + same, come + same
        elif same:
            yield from _changes(gone, come)
            yield Piece(" ", same)
            gone = come = ""
        same = ""
        gone, come = (gone + text, come) if sign == "-" else (gone, come + text)
    yield from _changes(gone, come)
    if same:
        yield Piece(" ", same)


def _changes(gone: str, come: str) -> Iterator[Piece]:
    if gone:
        yield Piece("-", gone)
    if come:
        yield Piece("+", come)


def shortened(pieces: Iterable[Piece], around: int = 60) -> Iterator[Piece]:
    """With so many characters of what stays on either side of a change."""
    listed = list(pieces)
    for n, (sign, text) in enumerate(listed):
        if sign != " ":
            yield Piece(sign, text)
            continue
        head = text[:around] if n else ""
        tail = text[-around:] if n < len(listed) - 1 else ""
        yield Piece(" ", text if len(text) <= len(head) + len(tail) + 1 else f"{head}…{tail}")
