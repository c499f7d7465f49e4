"""What a person reads on a screen, out of the bytes that a command or a program with a screen writes.

Between two letters of a secret there may stand a colour, a title, a cursor's move, a backspace, or the end of a line
and the margin of the next. The plain view leaves all that out, and so joins lines: a word that ends one and a word
that begins the next are neighbours in it. Whether they belong together, its reader has to judge by the seams.

Sequences: ECMA-48 §5.4 (CSI), §8.3.89 (OSC), DCS and the like, and the two-byte ones; in their seven-bit form, since
the eight-bit one can not be told from UTF-8. One that never ends is text after the first 4 KiB.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tapes.values import dataclass

_LONGEST_STRING = 4096
_ESCAPE = re.compile(
    rb"\x1b(?:"
    rb"\[[0-?]{0,64}[ -/]{0,4}([@-~])"
    rb"|\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)"
    rb"|[PX^_][^\x1b]{0,4096}\x1b\\"
    rb"|[ -/]{1,2}[0-~]"
    rb"|[0-~])"
)
_CUT_ESCAPE = re.compile(
    rb"\x1b(?:\[[0-?]{0,64}[ -/]{0,4}|\][^\x07\x1b]{0,4096}\x1b?|[PX^_][^\x1b]{0,4096}\x1b?|[ -/]{1,2})?\Z"
)
_MOVES = frozenset(b"ABCDEFGHdf`")
"""Finals of sequences that move the cursor: what follows stands somewhere else, perhaps on the next line."""

# A blank that was typed over with a blank (`\b \b`) was erased; any other stays, because it ends a word for good, and
# what is before it may have been judged already.
_ERASED = re.compile(rb"(?<=\x08) +\x08+")
_ENDS_A_WORD = b' \t\r\n\x0b\x0c"'

MARGIN = b" \t\r\x0b\x0c|\xe2\x94\x82\x83\x96\x8c"
"""Blanks, and the bytes of the bars │ ┃ ▌ that boxes are drawn with."""
_MARGINS = (b"\r", b"|", b"\xe2", b"\x0b", b"\x0c", b"\n ", b"\n\t", b" \n", b"\t\n")
"""Where none of these is, there is no margin: one-letter ones first, which are sought quickest."""


def cut_short(raw: bytes) -> int:
    """Where a sequence, or a run of backspaces, begins that may go on behind the end of `raw`; its end otherwise."""
    floor = max(0, len(raw) - _LONGEST_STRING - 2)
    cut = _CUT_ESCAPE.search(raw, floor) if raw.find(b"\x1b", floor) >= 0 else None
    end = cut.start() if cut else len(raw)
    struck = raw.find(b"\x08", max(floor, len(raw[floor:end].rstrip(b"\x08 ")) + floor), end)
    return struck if struck >= 0 else end


@dataclass(frozen=True, slots=True)
class Plain:
    """The plain view of `before` (lines without sequences) and `raw` behind it."""

    text: bytes
    lines: bytes
    """The same, but with the line ends and margins."""
    before: bytes
    raw: bytes

    @staticmethod
    def of(before: bytes, raw: bytes) -> Plain:
        lines = lines_of(before, raw)
        return Plain(_joined(lines), lines, before, raw)

    @property
    def is_dressed(self) -> bool:
        """Is there more than line ends and margins in it?"""
        return b"\x1b" in self.raw or b"\x08" in self.raw

    @property
    def is_as_written(self) -> bool:
        """Is there nothing in it that the bytes themselves do not show?"""
        return self.text is self.lines and not self.is_dressed

    @property
    def start(self) -> int:
        """Where `raw` begins in `text`, or a little before: never behind."""
        return 0 if b"\x08" in self.raw else len(_joined(self.before).rstrip(MARGIN))

    def place(self, upto: int) -> int:
        """Where the byte `upto` of `text` stands in `raw`, at least 0. Cheap near the end, unless something was struck
        out."""
        if b"\x08" in self.raw:
            return max(0, self.places()[0][upto])
        return self.line_place(self._line_place(len(self.text) - upto))

    def line_place(self, upto: int) -> int:
        """Where the byte `upto` of `lines` stands in `raw`, at least 0."""
        if b"\x08" in self.raw:
            return max(0, self.line_places()[1][upto])
        behind = len(self.lines) - upto
        end = len(self.raw)
        for found in reversed([*_ESCAPE.finditer(self.raw)] if b"\x1b" in self.raw else []):
            if behind <= end - found.end():
                break
            behind -= end - found.end() + len(_instead(found))
            end = found.start()
        return max(0, end - behind)

    def _line_place(self, behind: int) -> int:
        """Where in `lines` the byte stands behind which, itself among them, `text` has so many."""
        split = _split(self.lines)
        start = len(self.lines) + 1
        for number in range(len(split) - 1, -1, -1):
            start -= len(split[number]) + 1
            lo, hi = _inner(split[number], number == 0, number == len(split) - 1)
            if behind <= hi - lo:
                return start + hi - behind
            behind -= hi - lo
        return 0

    def places(self) -> tuple[list[int], list[int]]:
        """For each byte of `text`: where it stands in `raw`, below 0 when it is of what was before; and on which line
        of `lines`. Made only where something was found, because it costs ten times the view."""
        lines, at = self.line_places()
        places: list[int] = []
        numbers: list[int] = []
        for number, (lo, hi) in enumerate(_stretches(lines)):
            places += at[lo:hi]
            numbers += [number] * (hi - lo)
        return places, numbers

    def line_places(self) -> tuple[bytes, list[int]]:
        """`lines`, and for each of its bytes where it stands in `raw`, below 0 when it is of what was before."""
        lines, at = bytearray(self.before), list(range(-len(self.before), 0))
        done = 0
        for found in _ESCAPE.finditer(self.raw):
            instead = _instead(found)
            lines += self.raw[done : found.start()] + instead
            at += range(done, found.start())
            at += [found.start()] * len(instead)
            done = found.end()
        lines += self.raw[done:]
        at += range(done, len(self.raw))
        return _struck(bytes(lines), at), at


def lines_of(before: bytes, raw: bytes) -> bytes:
    """`before` and `raw` without sequences and what was struck out."""
    return _struck(before + (_ESCAPE.sub(_instead, raw) if b"\x1b" in raw else raw))


def _instead(found: re.Match[bytes]) -> bytes:
    final = found[1]
    return b"\n" if final and final[0] in _MOVES else b""


def _split(lines: bytes) -> list[bytes]:
    return lines.replace(b"\r", b"\n").split(b"\n")


def _joined(lines: bytes) -> bytes:
    if b"\n" not in lines and b"\r" not in lines:
        return lines
    if not any(margin in lines for margin in _MARGINS):
        return lines.replace(b"\n", b"")
    split = _split(lines)
    first, *middle, last = split
    return b"".join([first.rstrip(MARGIN), *[line.strip(MARGIN) for line in middle], last.lstrip(MARGIN)])


def _inner(line: bytes, first: bool, last: bool) -> tuple[int, int]:
    """What `_joined` keeps of a line."""
    hi = len(line) if last else len(line.rstrip(MARGIN))
    return 0 if first else min(hi, len(line) - len(line.lstrip(MARGIN))), hi


def _stretches(lines: bytes) -> Iterator[tuple[int, int]]:
    split = _split(lines)
    at = 0
    for number, line in enumerate(split):
        lo, hi = _inner(line, number == 0, number == len(split) - 1)
        yield at + lo, at + hi
        at += len(line) + 1


def _struck(lines: bytes, at: list[int] | None = None) -> bytes:
    """`lines` without backspaces and what they take back; `at`, a list of their places, is kept in step."""
    if b"\x08" not in lines:
        return lines
    if b"\x08 " in lines:
        if at is not None:
            for found in reversed([*_ERASED.finditer(lines)]):
                del at[found.start() : found.end()]
        lines = _ERASED.sub(b"", lines)
    first, *others = lines.split(b"\x08")
    kept, places = bytearray(first), at[: len(first)] if at is not None else []
    done = len(first) + 1
    for part in others:
        if kept and kept[-1] not in _ENDS_A_WORD:
            del kept[-1:]
            del places[-1:]
        kept += part
        if at is not None:
            places += at[done : done + len(part)]
        done += len(part) + 1
    if at is not None:
        at[:] = places
    return bytes(kept)
