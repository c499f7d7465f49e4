"""JSON as it went over the wire, with line breaks and an indent put in: nothing is parsed and written anew.

So numbers, escapes and keys that come twice are as they were sent, text that is no JSON after all comes out whole, and
of a body of any size no more than a piece is held.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain

INDENT = 2
DEEPEST = 40
"""Levels that are indented: what hangs deeper would be blanks alone."""
_STRING = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_TOKEN = re.compile(r'\s+|[{}\[\],:"]|[^\s{}\[\],:"]+')


def readable(chunks: Iterable[str]) -> Iterator[str]:
    """Indented where it begins as JSON does, else as it is."""
    pieces = iter(chunks)
    begin = ""
    for begin in pieces:
        if begin.strip():
            break
    whole = chain([begin], pieces)
    yield from indented(whole) if begin.lstrip()[:1] in ("{", "[") else whole


def indented(chunks: Iterable[str]) -> Iterator[str]:
    """Values one below the other, each broken at its commas. Outside of strings blanks are dropped."""
    machine = _Indenter()
    for chunk in chunks:
        yield machine.feed(chunk)
    yield machine.rest


class _Indenter:
    def __init__(self) -> None:
        self.rest = ""
        """A backslash whose character is still to come."""
        self._depth = 0
        self._quoted = False
        self._opened = False
        """The last token has opened an object or a list: what is behind it decides on the line break."""
        self._ended = False
        """A whole value has gone by."""

    def feed(self, chunk: str) -> str:
        text, at = self.rest + chunk, 0
        self.rest = ""
        found: list[str] = []
        while at < len(text):
            match = (_STRING if self._quoted else _TOKEN).match(text, at)
            assert match is not None
            if self._quoted:
                at = match.end()
                found.append(match[0])
                if text[at : at + 1] == '"':
                    found.append('"')
                    self._quoted = False
                    at += 1
                elif at < len(text):
                    self.rest = text[at:]
                    break
            else:
                at = match.end()
                self._token(match[0], found)
        return "".join(found)

    def _token(self, token: str, found: list[str]) -> None:
        if token.isspace():
            return
        if token in ("}", "]"):
            self._depth = max(0, self._depth - 1)
            if not self._opened:
                self._break(found)
            self._opened = False
            found.append(token)
        elif token == ",":
            found.append(token)
            self._break(found)
        elif token == ":":
            found.append(": ")
        else:
            if self._opened or (self._ended and token in ('"', "{", "[")):
                self._break(found)
            self._opened = token in ("{", "[")
            self._depth += self._opened
            self._quoted = token == '"'
            found.append(token)
        self._ended = self._depth == 0 and token != ","

    def _break(self, found: list[str]) -> None:
        found.append("\n" + " " * INDENT * min(self._depth, DEEPEST))
