"""The place in a text that shows why it was found: one line, with the stretches that fit."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence

from tapes.pattern import pattern
from tapes.search.query import Words
from tapes.values import dataclass

BEFORE = 30
LONG = 240
"""Characters of a snippet; whoever shows it cuts it to what there is room for."""
SEEN = 200
"""Matches that are looked at to find the best place."""
_WORD = pattern(r"[^\W_]+")

type Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Snippet:
    """`text` has no line breaks; spans are places in it."""

    text: str
    spans: tuple[Span, ...] = ()


type Finder = Callable[[str], Snippet]


def of_pattern(patterns: Sequence[re.Pattern[str]]) -> Finder:
    def find(text: str) -> Snippet:
        return _around(
            text, sorted(span for p in patterns for span, _ in zip(_spans(p, text), range(SEEN), strict=False))
        )

    return find


def _spans(pattern: re.Pattern[str], text: str) -> Iterator[Span]:
    return (found.span() for found in pattern.finditer(text) if found.end() > found.start())


def of_words(words: Iterable[Words]) -> Finder:
    """Words as they are compared: a letter's case and accents aside. Of a phrase each word is shown."""
    whole, beginnings = set(), set()
    for each in words:
        parts = [folded(found[0]) for found in _WORD.finditer(each.text)]
        if each.prefix and parts:
            beginnings.add(parts.pop())
        whole.update(parts)

    def find(text: str) -> Snippet:
        spans: list[Span] = []
        if whole or beginnings:
            for found in _WORD.finditer(text):
                word = folded(found[0])
                if word in whole or any(word.startswith(each) for each in beginnings):
                    spans.append(found.span())
                    if len(spans) == SEEN:
                        break
        return _around(text, spans)

    return find


def folded(word: str) -> str:
    if word.isascii():
        return word.lower()
    return "".join(c for c in unicodedata.normalize("NFD", word) if not unicodedata.combining(c)).lower()


def _around(text: str, spans: list[Span]) -> Snippet:
    """Where most of the stretches stand close together."""
    best, most = 0, 0
    for n, (start, _) in enumerate(spans):
        shown = {text[a:b].lower() for a, b in spans[n : n + 20] if b <= start + LONG - BEFORE}
        if len(shown) > most:
            best, most = n, len(shown)
    start = _word_start(text, spans[best][0]) if spans else 0
    end = min(len(text), start + LONG)
    ahead, behind = "…" * (start > 0), "…" * (end < len(text))
    inside = [(max(a, start), min(b, end)) for a, b in spans if b > start and a < end]
    return _joined(
        ahead + text[start:end] + behind, [(a - start + len(ahead), b - start + len(ahead)) for a, b in inside]
    )


def _word_start(text: str, at: int) -> int:
    """Some way before a place, at a word's beginning where there is one."""
    early = max(0, at - BEFORE)
    blank = re.search(r"\s", text[early:at]) if early else None
    return early + blank.end() if blank else early


def _joined(text: str, spans: list[Span]) -> Snippet:
    """On one line: runs of blanks and line breaks as one blank."""
    where: list[int] = []
    line: list[str] = []
    for char in text:
        where.append(len(line))
        if not char.isspace():
            line.append(char)
        elif line and line[-1] != " ":
            line.append(" ")
    where.append(len(line))
    merged: list[Span] = []
    for a, b in sorted((where[a], where[b]) for a, b in spans):
        if merged and a <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(b, merged[-1][1]))
        elif b > a:
            merged.append((a, b))
    return Snippet("".join(line), tuple(merged))
