"""Two texts as one, line by line: what stays, what goes (`-`), what comes (`+`); of changed lines also the words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tapes.compare.words import Piece, Sign, words
from tapes.session.linediff import Same, matches
from tapes_cli import output
from tapes_cli.deck.model.styled import Line, joined, styled

MOST = 200_000
"""Characters of either text that are compared; what is longer is said to be cut."""
TAB = 4
GONE, COME = "error", "ok"


def unlike(old: str, new: str) -> Iterator[Line]:
    """All of both, each line of the one that is as in the other once."""
    ours, theirs = (text[:MOST].split("\n") if text else [] for text in (old, new))
    if ours[-1:] == theirs[-1:] == [""]:
        del ours[-1], theirs[-1]  # behind the last line feed of both is no line
    x = y = 0
    for same in [*matches(ours, theirs), Same(len(ours), len(theirs), 0)]:
        yield from _changed(ours[x : same.old], theirs[y : same.new])
        x, y = same.old + same.size, same.new + same.size
        yield from (tabbed(f"  {line}") for line in ours[same.old : x])
    for name, text in (("A", old), ("B", new)):
        if len(text) > MOST:
            yield styled(f"… {output.count(len(text) - MOST)} more characters of {name} are not compared", "warn")


def _changed(gone: Sequence[str], come: Sequence[str]) -> Iterator[Line]:
    pieces = words("\n".join(gone), "\n".join(come)) if gone and come else []
    kept = sum(len(piece.text.strip()) for piece in pieces if piece.sign == " ")
    # Where two texts have next to nothing in common, words that both happen to have say nothing.
    told = kept * 5 >= max(sum(map(len, gone)), sum(map(len, come)), 1)
    sides: tuple[tuple[Sign, str, Sequence[str]], ...] = (("-", GONE, gone), ("+", COME, come))
    for sign, style, lines in sides:
        shown = _marked(pieces, sign, style) if told else [tabbed(line, style) for line in lines]
        yield from (joined(styled(f"{sign} ", style), line) for line in shown)


def _marked(pieces: Sequence[Piece], side: Sign, style: str) -> list[Line]:
    """The lines of one side, with the words that the other has not underlined."""
    found: list[list[Line]] = [[]]
    for sign, text in pieces:
        if sign not in (" ", side):
            continue
        first, *rest = text.split("\n")
        name = style if sign == " " else f"{style} underline"
        found[-1].append(tabbed(first, name))
        found += [[tabbed(part, name)] for part in rest]
    return [joined(*parts) for parts in found]


def tabbed(text: str, style: str = "") -> Line:
    """A line of text with its tabs as far as they are wide."""
    return styled(text.expandtabs(TAB) if "\t" in text else text, style)
