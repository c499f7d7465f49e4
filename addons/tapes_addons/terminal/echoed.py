"""What a line editor's echo says was typed: for lines that the shell keeps out of its history.

A small part of what a terminal does, in one line without width: enough for readline's redisplay of a line that fits
the screen. It is a guess where a line was wrapped, completed from a menu, or recalled from history and redrawn.
"""

from __future__ import annotations

import re

_PIECE = re.compile(
    r"\x1b\[([0-?]*)[ -/]*([@-~])|\x1b[\]P^_X][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b."
    r"|([\x00-\x1f\x7f])|([^\x00-\x1f\x7f]+)"
)


def line_of(echo: bytes) -> bytes:
    """The line as it stood when it was ended."""
    cells: list[str] = []
    at = 0
    for piece in _PIECE.finditer(echo.decode("utf-8", "surrogateescape")):
        arguments, final, control, text = piece.groups()
        if text:
            cells[at : at + len(text)] = text
            at += len(text)
        elif control == "\b":
            at = max(0, at - 1)
        elif final:
            count = int(arguments) if arguments and arguments.isdigit() else 1
            if final == "K" and arguments in ("", "0"):
                del cells[at:]
            elif final == "P":
                del cells[at : at + count]
            elif final == "@":
                cells[at:at] = " " * count
            elif final == "C":
                at += count
                cells += " " * (at - len(cells))
            elif final == "D":
                at = max(0, at - count)
    return "".join(cells).strip().encode("utf-8", "surrogateescape")
