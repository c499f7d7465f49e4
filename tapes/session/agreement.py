"""Does what was told agree with what was produced? Pure, and slow to accuse.

Between a program's output and the model stand an agent's decoder, its taste (colours stripped, ends trimmed, streams
put one behind the other, a middle left out), and our own redaction, which may know a secret on one side and not yet on
the other. None of that is a difference. So texts are first brought to what all of them leave alone; holes (a marker of
ours, a byte that was no text) stand for anything; and where it can not be told whether something else would have been
fair (a cursor that moves, a part left out), only a text of which most was never produced is called different.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from tapes.pattern import pattern
from tapes.wire.markers import MARKER_TEXT

type Pieces = Sequence[tuple[str, bytes]]
"""Output as it came: stream (`o`, `e`, `m`) and bytes."""
type Agreement = Literal["same", "differs", "unknown"]

HOLE = "\ufffd"
SAMPLE = 200
"""Lines looked for from either end of a text of which a part was left out."""
STRANGE = 3
"""Fewer lines that nobody produced are an agent's own remarks."""
EDGE = 32
"""So many characters of a line's beginning or end are enough to know it again: agents cut long lines."""
MIXED_MAX = 1_000_000
"""Characters of two streams that are unpicked; beyond that nobody can tell."""
WAYS = 256
"""As many ways of unpicking two streams are followed at once; it is more only where they are much alike."""

_HOLES = pattern(f"{HOLE}+")
_ESCAPES = pattern(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC: titles, links
    r"|\x1b[PX^_][^\x1b]*(?:\x1b\\)?"  # DCS and other strings
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b\[?[0-9;]*(?=\n|\Z)"  # one that the agent's own shortening cut through
    r"|\x1b[ -/]*[0-~]"
)
_MOVES = pattern(r"\r(?!\n|\r*\n)|[\x08\x0b\x0c]|\x1b\[[0-?]*[ -/]*[@-ln-~]|\x1b[78DEHMc]")
_CONTROLS = pattern(r"[\x00-\x08\x0b-\x1f\x7f]")
_SPACE = pattern(r"\s+")


def same_line(asked: str, ran: str) -> bool:
    """Is it one command line? Blanks around it, line ends and holes are no difference."""
    return _fits(_command(asked), _command(ran))


def _command(line: str) -> str:
    return _with_holes("\n".join(line.replace("\r\n", "\n").split("\n"))).strip()


def same_output(told: str, produced: Pieces, *, partial: bool = False) -> Agreement:
    """`partial`: some of it was left out, or more came than the agent waited for."""
    streams = {name: _text(b"".join(data for stream, data in produced if stream == name)) for name in "oem"}
    orders = [_text(b"".join(data for _, data in produced))]
    mixed = bool(streams["o"] and streams["e"])
    if mixed:
        orders += ["\n".join((streams[a], streams[b], streams["m"])) for a, b in ("oe", "eo")]
    want = _plain(told)
    if any(_fits(want, _plain(order)) for order in orders):
        return "same"
    got = _plain(orders[0])
    if partial or _moves(told, orders[0]):
        return _mostly(want, got)
    if not mixed:
        return _line_by_line(want, got) if HOLE in want + got else "differs"
    if HOLE in want + got:
        return _mostly(want, got)
    if any(want == _plain(streams[name]) for name in "oe"):
        return "unknown"  # one stream alone: it may be a tool that promises no more
    unpicked = None if streams["m"] else _unpicks(want, streams["o"], streams["e"])
    return "unknown" if unpicked is None else "same" if unpicked else "differs"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _with_holes(text: str) -> str:
    return _HOLES.sub(HOLE, MARKER_TEXT.sub(HOLE, text))


def _plain(text: str) -> str:
    """What every agent leaves alone: no escapes, no controls, no blanks at the ends of lines, no empty lines."""
    text = _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))
    lines = (line.rstrip() for line in _with_holes(text).split("\n"))
    return "\n".join(line for line in lines if line).strip()


def _moves(*texts: str) -> bool:
    """Is there anything by which a screen shows other text than was sent?"""
    return any(_MOVES.search(text) for text in texts)


def _fits(one: str, other: str) -> bool:
    """Are they the same, but for holes in either?"""
    return one == other or (HOLE in one and _glob(one, other)) or (HOLE in other and _glob(other, one))


def _glob(pattern: str, text: str) -> bool:
    """`pattern` has a hole."""
    first, *middle, last = pattern.split(HOLE)
    if len(first) + len(last) > len(text) or not (text.startswith(first) and text.endswith(last)):
        return False
    at, end = len(first), len(text) - len(last)
    for part in middle:
        at = text.find(part, at, end)
        if at < 0:
            return False
        at += len(part)
    return True


def _unpicks(want: str, one: str, other: str) -> bool | None:
    """Can `want` be taken apart into the two streams? Pipes have no order between them, and agents put line ends
    between the parts, so blanks are left out of it. None: not found out."""
    want, one, other = (_SPACE.sub("", _plain(text)) for text in (want, one, other))
    if len(want) != len(one) + len(other):
        return False
    if len(want) > MIXED_MAX:
        return None
    reached = {0}
    """How much of `one` may have been used up."""
    for done, char in enumerate(want):
        reached = {n + 1 for n in reached if one[n : n + 1] == char} | {
            n for n in reached if other[done - n : done - n + 1] == char
        }
        if not reached:
            return False
        if len(reached) > WAYS:
            return None
    return True


def _line_by_line(want: str, got: str) -> Agreement:
    """Of texts with holes in both: a hole may also have been several lines (a private key), and then who knows."""
    ours, theirs = want.split("\n"), got.split("\n")
    if len(ours) != len(theirs):
        return _mostly(want, got)
    pairs = list(zip(ours, theirs, strict=True))
    if any(HOLE not in one + other and one != other for one, other in pairs):
        return "differs"
    return "same" if all(_fits(one, other) for one, other in pairs) else "unknown"


def _mostly(want: str, got: str) -> Agreement:
    """Was most of it produced at all? Lines are sought one by one, wherever they stand; an agent's own word or two
    about what it left out are no lie."""
    lines = want.split("\n") if want else []
    if len(lines) > 2 * SAMPLE:
        lines = lines[:SAMPLE] + lines[-SAMPLE:]
    holed = [line for line in got.split("\n") if HOLE in line]
    strange = sum(not _known(line.strip(), got, holed) for line in lines)
    if not strange:
        return "same"
    return "differs" if strange >= STRANGE and strange * 2 > len(lines) else "unknown"


def _known(line: str, got: str, holed: Sequence[str]) -> bool:
    edges = (line[:EDGE], line[-EDGE:]) if len(line) >= EDGE else (line,)
    return HOLE in line or any(edge in got for edge in edges) or any(_glob(one, line) for one in holed)
