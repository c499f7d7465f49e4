"""Captured text inside documents of ours: it can not end the quotation it stands in, nor drive a terminal.

What models and programs wrote may hold fences, quotes, line feeds, escape sequences. In Markdown it stands in a fence
that is longer than any in it; in a shell script in quotes, or in comments of which each line is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tapes.wire.harmless import harmless

_TICKS = re.compile(r"`+")


def fenced(text: str, kind: str = "text") -> Iterator[str]:
    """The lines of a Markdown code block that holds the text. Controls are shown as symbols."""
    shown = harmless(text, lines=True)
    fence = "`" * (max([2, *(len(run) for run in _TICKS.findall(shown))]) + 1)
    yield f"{fence}{kind}"
    yield from shown.split("\n")
    yield fence


def code(text: str) -> str:
    """The text as Markdown's inline code, on one line."""
    shown = harmless(text)
    tick = "`" * (max([0, *(len(run) for run in _TICKS.findall(shown))]) + 1)
    pad = " " if not shown or shown[0] in "` " or shown[-1] in "` " else ""
    return f"{tick}{pad}{shown}{pad}{tick}"


def commented(text: str) -> Iterator[str]:
    """The lines of a shell comment that says the text; whatever else ends a line is a symbol in it."""
    for line in text.split("\n"):
        yield f"# {harmless(line)}".rstrip()


def shell_word(text: bytes) -> str:
    """One word of bash that is exactly these bytes. Line feeds stay where nothing else needs another form."""
    said = text.replace(b"\0", b"").decode("utf-8", "surrogateescape")
    if harmless(said, lines=True) == said and "\t" not in said:
        return "'" + said.replace("'", "'\\''") + "'"
    return "$'" + "".join(map(_escaped, said)) + "'"


def _escaped(char: str) -> str:
    if char == "\n":
        return "\\n"
    if char == "\t":
        return "\\t"
    if char in "\\'":
        return "\\" + char
    if harmless(char) == char:
        return char
    return "".join(f"\\x{byte:02x}" for byte in char.encode("utf-8", "surrogateescape"))
