"""Where the messages of a request stand in its body, so that what a body repeats need not be read again.

Only the outline is looked at: the body is an object, one of its fields is the list of messages. Bodies of another form
(a list that is wrapped in a further object, a string) have no places, and are read whole.
"""

from __future__ import annotations

import json

from tapes.pattern import pattern
from tapes.values import dataclass

HISTORIES = frozenset({"messages", "input", "contents"})
_BLANK = pattern(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Places:
    """Byte offsets of a body's messages: message `n` is `body[starts[n]:ends[n]]`."""

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    key: str
    """The field they are in."""
    opened: int
    """Where the list begins, with its bracket."""
    closed: int
    """Where its last bracket stands."""


def places(body: bytes, begin: Places | None = None) -> Places | None:
    """None where the body has no such list, or is no JSON. `begin`: those of a body that is the same up to its list."""
    # As Latin-1 each byte is one character, so that offsets are those of bytes; JSON's own signs are ASCII.
    text = body.decode("latin-1")
    try:
        return _in_list(text, begin.opened, begin.key) if begin else _in_object(text)
    except (ValueError, RecursionError, IndexError):
        return None


def _in_object(text: str) -> Places | None:
    at = _skip(text, 0)
    if text[at] != "{":
        return None
    while True:
        at = _skip(text, at + 1)
        if text[at] == "}":
            return None
        key, at = _DECODER.raw_decode(text, at)
        at = _skip(text, at)
        if text[at] != ":":
            return None
        at = _skip(text, at + 1)
        if key in HISTORIES and text[at] == "[":
            return _in_list(text, at, key)
        _, at = _DECODER.raw_decode(text, at)
        at = _skip(text, at)
        if text[at] != ",":
            return None


def _in_list(text: str, at: int, key: str) -> Places | None:
    starts: list[int] = []
    ends: list[int] = []
    opened = at
    while True:
        at = _skip(text, at + 1)
        if text[at] == "]" and not starts:
            return Places((), (), key, opened, at)
        starts.append(at)
        _, at = _DECODER.raw_decode(text, at)
        ends.append(at)
        at = _skip(text, at)
        if text[at] == "]":
            return Places(tuple(starts), tuple(ends), key, opened, at)
        if text[at] != ",":
            return None


def _skip(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    assert found is not None  # it fits nothing at all, too
    return found.end()
