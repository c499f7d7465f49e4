"""Colours and attributes: SGR parameters to a pen, and a pen back to them (ECMA-48 8.3.117; ITU T.416 for colours)."""

from __future__ import annotations

from functools import lru_cache

from tapes.session.screen.cells import (
    BLINK,
    BOLD,
    FAINT,
    HIDDEN,
    INVERSE,
    ITALIC,
    PLAIN,
    RGB,
    STRIKE,
    UNDERLINE,
    Pen,
)

_ON = {1: BOLD, 2: FAINT, 3: ITALIC, 4: UNDERLINE, 5: BLINK, 6: BLINK, 7: INVERSE, 8: HIDDEN, 9: STRIKE, 21: UNDERLINE}
_OFF = {
    22: BOLD | FAINT,
    23: ITALIC,
    24: UNDERLINE,
    25: BLINK,
    27: INVERSE,
    28: HIDDEN,
    29: STRIKE,
}
_COLOURS = (38, 48, 58)


@lru_cache(maxsize=4096)
def apply(pen: Pen, given: str) -> Pen:
    """The pen after `CSI given m`. What is not known is passed over."""
    words = given.split(";")
    at = 0
    while at < len(words):
        numbers = [int(part) if part.isdecimal() and len(part) < 9 else 0 for part in words[at].split(":")]
        at += 1
        code = numbers[0]
        if code in _COLOURS:
            if len(numbers) == 1:  # the parts follow as words of their own
                count = {"5": 1, "2": 3}.get(words[at] if at < len(words) else "", 0)
                parts = words[at : at + 1 + count]
                numbers += [int(part) if part.isdecimal() and len(part) < 9 else 0 for part in parts]
                at += 1 + count
            colour = _colour(numbers[1:])
            if colour is not None and code == 38:
                pen = pen._replace(foreground=colour)
            elif colour is not None and code == 48:
                pen = pen._replace(background=colour)
        elif code == 4 and len(numbers) > 1:  # kinds of underline; 4:0 is none
            pen = pen._replace(flags=pen.flags | UNDERLINE if numbers[1] else pen.flags & ~UNDERLINE)
        else:
            pen = _simple(pen, code)
    return pen


def _simple(pen: Pen, code: int) -> Pen:
    if code == 0:
        return PLAIN
    if code in _ON:
        return pen._replace(flags=pen.flags | _ON[code])
    if code in _OFF:
        return pen._replace(flags=pen.flags & ~_OFF[code])
    if 30 <= code <= 37 or 90 <= code <= 97:
        return pen._replace(foreground=code - 30 if code < 90 else code - 82)
    if 40 <= code <= 47 or 100 <= code <= 107:
        return pen._replace(background=code - 40 if code < 100 else code - 92)
    if code == 39:
        return pen._replace(foreground=-1)
    if code == 49:
        return pen._replace(background=-1)
    return pen


def _colour(parts: list[int]) -> int | None:
    """Of 5:N, 2:R:G:B, or 2:SPACE:R:G:B."""
    match parts:
        case [5, n, *_]:
            return n if n < 256 else None
        case [2, r, g, b] | [2, _, r, g, b, *_]:
            return RGB | r << 16 | g << 8 | b if max(r, g, b) < 256 else None
        case _:
            return None


def sequence(pen: Pen) -> str:
    """What sets a terminal of today to this pen, whatever it was set to."""
    words = ["0"]
    words += [str(code) for code, flag in _ON.items() if pen.flags & flag and code not in (6, 21)]
    for base, colour in ((30, pen.foreground), (40, pen.background)):
        if colour >= RGB:
            words.append(f"{base + 8};2;{colour >> 16 & 255};{colour >> 8 & 255};{colour & 255}")
        elif colour >= 16:
            words.append(f"{base + 8};5;{colour}")
        elif colour >= 8:
            words.append(str(base + 60 + colour - 8))
        elif colour >= 0:
            words.append(str(base + colour))
    return f"\x1b[{';'.join(words)}m"
