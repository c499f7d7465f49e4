"""What of a text is searched: its words, without what drives a terminal, pictures, keys and other base64.

A word is what SQLite's `unicode61` takes for one: letters and digits, case and the accents of Latin letters aside.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise

from tapes.pattern import pattern
from tapes.wire.turns import Json

MOST = 1024 * 1024
"""Characters of one text that are kept; of a longer one the first and the last half of that."""
_CUT = "\n…\n"
_ESCAPES = pattern(
    r"\x1b(?:\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|\[[0-?]*[ -/]*[@-~]|[ -/]*[0-~])"
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
_CONTROLS = {code: " " for code in (*range(0x20), 0x7F, *range(0x80, 0xA0)) if chr(code) not in "\n\r\t"}
_DATA_URI = pattern(r"(data:[\w.+-]+/[\w.+-]+(?:;[\w=.+-]+)*;base64,)[\w+/=-]+")
_RUN = pattern(r"[\w+/-]{60,}={0,2}(?:\r?\n[\w+/-]{20,}={0,2}(?![^\r\n]))*", re.ASCII)
_LINE = pattern(r"[^\W_]{24,}", re.ASCII)
_GIANT = 1024


def kept(text: str) -> str:
    """The text as it is indexed, looked through and quoted: at most about `MOST` characters."""
    text = bounded(text)
    if "\x1b" in text or "\x9b" in text:
        text = _ESCAPES.sub("", text)
    text = text.translate(_CONTROLS)
    if "base64," in text:
        text = _DATA_URI.sub(r"\1…", text)
    return _RUN.sub(_without, text)


def bounded(text: str) -> str:
    return text if len(text) <= MOST else text[: MOST // 2] + _CUT + text[-MOST // 2 :]


def _without(run: re.Match[str]) -> str:
    text = run[0]
    return "…" if len(text) >= _GIANT or looks_encoded(text) else text


def looks_encoded(text: str) -> bool:
    """Is this base64, and no long path, name or hexadecimal number? In a long stretch without a break it goes from
    one of small letters, capitals and digits to another at every second character or so; no name does."""
    return any(_changes(part) * 3 >= len(part) for part in _LINE.findall(text.replace("+", "")))


def _changes(part: str) -> int:
    kinds = [(char.isdigit(), char.isupper()) for char in part]
    if len(set(kinds)) < 3:
        return 0
    return sum(one != other for one, other in pairwise(kinds))


def plain(text: str) -> str:
    """Words that stand in JSON, as lines without its escapes; any other text as it is."""
    if text[:1] not in ("{", "["):
        return text
    try:
        return said(json.loads(text))
    except (ValueError, RecursionError):
        return text


def said(value: Json) -> str:
    """A JSON value as lines: `key: value`, a list's members without a key."""
    return value if isinstance(value, str) else "\n".join(_lines(value, ""))


def _lines(value: Json, key: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _lines(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _lines(inner, key)
    else:
        text = value if isinstance(value, str) else json.dumps(value)
        yield f"{key}: {text}" if key else text
