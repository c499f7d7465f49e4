"""How results are written: plain text that can not drive a terminal, tables that fit it, JSON one object a line.

Captured text comes from models and programs and may hold escape sequences, or controls that reorder what is shown;
`harmless` makes all of them visible before anything reaches the screen.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from tapes_addons.harmless import harmless as harmless


def terminal() -> os.terminal_size:
    """Columns and lines to write for, as `shutil` finds them too; but to import that takes a twentieth of our start."""
    try:
        found = os.get_terminal_size(sys.__stdout__.fileno())  # type: ignore[union-attr]
    except (AttributeError, ValueError, OSError):
        found = os.terminal_size((100, 24))  # closed, or no terminal
    told = [os.environ.get(name, "") for name in ("COLUMNS", "LINES")]
    return os.terminal_size(int(n) if n.isdecimal() and int(n) else size for n, size in zip(told, found, strict=True))


def width() -> int:
    return max(40, terminal().columns)


def cell_width(text: str) -> int:
    """Columns that a text takes in a terminal."""
    if text.isascii():
        return len(text)
    total = 0
    for char in text:
        if not unicodedata.combining(char):
            total += 2 if unicodedata.east_asian_width(char) in "WF" else 1
    return total


def fit(text: str, columns: int) -> str:
    """`text` in at most so many columns, an ellipsis where something was cut."""
    if cell_width(text) <= columns:
        return text
    kept, used = [], 0
    for char in text:
        used += cell_width(char)
        if used > columns - 1:
            break
        kept.append(char)
    return "".join(kept) + "…"


def wrapped(text: str, columns: int) -> list[str]:
    """`text` in lines of at most so many columns, broken at its ` · `, so that nothing of it is cut off."""
    lines = [""]
    for part in text.split(" · "):
        longer = f"{lines[-1]} · {part}" if lines[-1] else part
        if lines[-1] and cell_width(longer) > columns:
            lines.append(part)
        else:
            lines[-1] = longer
    return [fit(line, columns) for line in lines]


def pad(text: str, columns: int) -> str:
    return text + " " * max(0, columns - cell_width(text))


def table(rows: Iterable[Sequence[str]], head: Sequence[str], stretch: int) -> list[str]:
    """Lines of a table; column `stretch` gives way so that each line fits the terminal."""
    body = [[harmless(cell) for cell in row] for row in rows]
    widths = [max(cell_width(row[i]) for row in [list(head), *body]) for i in range(len(head))]
    rest = sum(widths) - widths[stretch] + 2 * (len(head) - 1)
    widths[stretch] = max(8, min(widths[stretch], width() - rest))
    return [
        "  ".join(pad(fit(cell, w), w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in [list(head), *body]
    ]


def show_json(row: Mapping[str, Any]) -> None:
    """One object on one line. Escaped to ASCII, so that captured text can not drive a terminal here either."""
    import json  # here, as most output is for people

    click.echo(json.dumps(row, default=_plain, separators=(", ", ": ")))


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex() if len(value) in (16, 32) else value.decode("utf-8", "backslashreplace")
    raise TypeError(f"{type(value).__name__} has no JSON form")


def wall(ns: int) -> str:
    """Local time for people."""
    return datetime.fromtimestamp(ns / 1e9).astimezone().strftime("%Y-%m-%d %H:%M:%S") if ns else ""


def iso(ns: int) -> str | None:
    """UTC in ISO 8601 with microseconds, for programs. Never later than it was: who asks for all since then gets it."""
    if not ns:
        return None
    at = datetime.fromtimestamp(ns // 10**9, UTC).replace(microsecond=ns // 1000 % 10**6)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def duration(ns: int) -> str:
    seconds = max(0, ns) / 1e9
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{seconds:02d}s"


def size(count: int) -> str:
    """Bytes for people."""
    value = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("unreachable")


def count(number: int) -> str:
    """A number for people: 950, 12.3k, 4.56M."""
    if number < 1000:
        return str(number)
    value = float(number)
    for unit in ("k", "M", "G"):
        value /= 1000
        if value < 999.5 or unit == "G":
            return f"{value:.{max(0, 3 - len(str(int(value))))}f}{unit}"
    raise AssertionError("unreachable")


def plural(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def colour() -> bool:
    """Only on a terminal, and not when NO_COLOR is set (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def styled(text: str, **style: Any) -> str:
    return click.style(text, **style) if colour() else text


def page(lines: Iterable[str]) -> None:
    """Write lines; through the user's pager when they are more than the terminal is high."""
    text = list(lines)
    if sys.stdout.isatty() and len(text) >= terminal().lines:
        os.environ.setdefault("LESS", "-FRX")
        click.echo_via_pager("\n".join(text) + "\n", color=colour())
    else:
        for line in text:
            click.echo(line)
