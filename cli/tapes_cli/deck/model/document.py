"""Long text under titles, read as far as somebody wants to see it.

What is shown of a step can be a word or a hundred megabytes. So a document is made of blocks, each with an iterator of
its text that nobody asks for more than is needed, and what was read is kept in parts of some kilobytes: a part is what
is drawn, measured and searched at a time, whatever the length of a line is or the number of lines. Parts keep text as
it came; it is made harmless when it is drawn.

`more` is for a worker thread, one at a time; parts are only ever added, so whoever shows them need not wait for it.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import batched
from typing import NamedTuple

from tapes.errors import TapesError
from tapes.values import dataclass
from tapes_cli.deck.model.styled import Line, words
from tapes_cli.deck.model.wrapping import shown

PART = 8 * 1024
"""Characters of a part at most: what a row costs that stands in the middle of one."""
MOST = 512
"""Lines of a part at most."""
LINES = 64
"""Lines with styles of their own that make a part."""
BUDGET = 64 * 1024
"""Characters: what is read before a worker looks again whether it is still wanted."""
DIFF = {"+": "ok", "-": "error"}
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
UNREADABLE = (TapesError, OSError, ValueError, LookupError, TypeError, RecursionError)
"""The archive's errors, and what comes of a record in a shape that this reader does not know: it is said in its place,
and the blocks behind it are still there."""


@dataclass(frozen=True, slots=True)
class Block:
    """`lines`, and `text` below them."""

    title: str = ""
    lines: Iterable[Line] = ()
    """Harmless already."""
    text: Iterable[str] = ()
    """As it was captured, in pieces that break anywhere."""
    style: str = ""
    """Of the text."""
    failed: bool = False
    """The title says of something that it failed."""
    diff: bool = False
    """The text's lines have signs."""
    empty: str = ""
    """What is said where there is neither a line nor text."""
    size: int | None = None
    """Bytes of the text where that is known before it is read."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some lines that follow one another."""

    block: int
    """Which block it is of, from 0."""
    text: str
    """As it came; of lines with styles their words."""
    count: int
    """Lines. The last may go on in the next part."""
    style: str = ""
    styled: tuple[Line, ...] = ()
    is_title: bool = False
    diff: bool = False

    def lines(self) -> list[Line]:
        """As they are shown, but not wrapped."""
        if self.styled:
            return list(self.styled)
        found = self.text.split("\n")
        if not found[-1] and len(found) > 1:
            del found[-1]
        if self.diff:
            return [((shown(line), DIFF.get(line[:1], self.style)),) for line in found]
        return [((shown(line), self.style),) for line in found]


class Place(NamedTuple):
    """A character of a document."""

    part: int
    line: int
    at: int


class _Mark(Enum):
    BLOCK_END, END = 0, 1


BLOCK_END, END = _Mark.BLOCK_END, _Mark.END


class Document:
    """Blocks, of which nothing is read before it is asked for; not even how many there are."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        self.parts: list[Part] = []
        """What was read."""
        self.done = False
        """There is no more."""
        self.read = 0
        """Characters so far."""
        self.of_block: tuple[str, int, int | None] = ("", 0, None)
        """The block that is being read: its title, characters of it so far, and its size where that is known."""
        self._rest = self._all(blocks)
        self._reading = threading.Lock()

    @classmethod
    def of_text(cls, text: str, title: str = "", style: str = "") -> Document:
        return cls([Block(title, text=(text,), style=style)])

    @classmethod
    def of_lines(cls, lines: Iterable[Line], title: str = "") -> Document:
        return cls([Block(title, lines=lines)])

    @property
    def left(self) -> int:
        """Characters to come of the block that is being read, as far as is known."""
        _, read, size = self.of_block
        return 0 if size is None else max(0, size - read)

    def more(self, budget: int = BUDGET) -> bool:
        """Read about so many characters on, or to the end of a block, so that what is quick to read can be shown before
        what is not. Is there more behind it?"""
        with self._reading:
            while budget > 0 and not self.done:
                part = next(self._rest, END)
                if isinstance(part, Part):
                    self.parts.append(part)
                    self.read += len(part.text)
                    budget -= len(part.text)
                elif part is BLOCK_END:
                    break
                else:
                    self.done = True
        return not self.done

    def _all(self, blocks: Iterable[Block]) -> Iterator[Part | _Mark]:
        """The parts of all blocks, and a mark behind each block."""
        number = -1
        try:
            for number, block in enumerate(blocks):
                yield from self._block(number, block)
                yield BLOCK_END
        except UNREADABLE as error:  # of what makes the blocks: those behind are not known
            yield _said(number + 1, error)

    def _block(self, number: int, block: Block) -> Iterator[Part]:
        self.of_block = (block.title, 0, block.size)
        if block.title:
            title = ((f"── {shown(block.title)}", "error" if block.failed else "accent bold"),)
            lines = (title,) if number == 0 else ((), title)
            yield Part(number, block.title, len(lines), styled=lines, is_title=True)
        empty = True
        try:
            for some in together(block.lines):
                empty = False
                yield Part(number, "".join(words(line) + "\n" for line in some), len(some), styled=some)
            for text in cut(block.text):
                empty = False
                title_, read, size = self.of_block
                self.of_block = (title_, read + len(text), size)
                count = text.count("\n") + (not text.endswith("\n"))
                yield Part(number, text, count, block.style, diff=block.diff)
        except UNREADABLE as error:
            yield _said(number, error)
            return
        if empty and block.empty:
            yield Part(number, block.empty, 1, "dim")


def _said(number: int, error: BaseException) -> Part:
    hint = getattr(error, "hint", "")
    return Part(number, f"{error}\n{hint}".rstrip("\n"), 1 + bool(hint), "error")


def together(lines: Iterable[Line]) -> Iterator[tuple[Line, ...]]:
    """Lines, some at a time."""
    some: list[Line] = []
    try:
        for line in lines:
            some.append(line)
            if len(some) == LINES:
                yield tuple(some)
                some = []
    except UNREADABLE:  # what came before it is there
        if some:
            yield tuple(some)
        raise
    if some:
        yield tuple(some)


def cut(chunks: Iterable[str], most: int = PART) -> Iterator[str]:
    """The same text in pieces of at most `most` characters: of whole lines, but where one is longer."""
    waiting: list[str] = []
    length = 0
    try:
        for chunk in chunks:
            waiting.append(chunk)
            length += len(chunk)
            if length < most:
                continue
            text, at = "".join(waiting), 0
            while len(text) - at >= most:
                end = text.rfind("\n", at, at + most) + 1 or _between(text, at, at + most)
                yield from _few(text[at:end])
                at = end
            waiting = [text[at:]]
            length = len(text) - at
    except UNREADABLE:  # what came before it is there
        yield from _few("".join(waiting))
        raise
    yield from _few("".join(waiting))


def _few(text: str) -> Iterator[str]:
    """In pieces of not too many lines."""
    if text.count("\n") <= MOST:
        if text:
            yield text
        return
    for lines in batched(_LINE.findall(text), MOST):
        yield "".join(lines)


def _between(text: str, start: int, end: int) -> int:
    """Not before what belongs to the character before it: a combining one, or the line feed of a carriage return."""
    at = end
    while at > max(start + 1, end - 8) and (
        text[at - 1] == "\r" or (at < len(text) and unicodedata.category(text[at]) == "Mn")
    ):
        at -= 1
    return at
