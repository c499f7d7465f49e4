"""Reading JSON that anybody may have sent, in bounded time and memory.

What is merely odd is read and named as a problem: a byte order mark, NaN, duplicate keys (the last one
counts, as in every agent met so far), text that is no Unicode. What is no JSON, nests too deeply or holds too
many values is an error. Nothing is raised.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable

from tapes.values import dataclass
from tapes.wire.turns import Json

MAX_BYTES = 256 * 1024 * 1024
MAX_VALUES = 4_000_000
"""Commas and opening brackets, those inside strings included: a parsed value costs up to 80 bytes of memory."""
MAX_DEPTH = 200
"""Real bodies nest up to 20 deep. Far under what any recursive reader of the value stands."""

NO_UNICODE = "holds text that is no Unicode"

_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Loaded:
    """A JSON value, or `error` and no value."""

    value: Json = None
    error: str | None = None
    problems: tuple[str, ...] = ()


def load(data: bytes | str, *, mended: bool = True) -> Loaded:
    """Parse a body, or one event's data (a str may hold surrogate escapes).

    With `mended` false, strings that are no Unicode stay so: a pair may be split over two events, and is
    whole again only after joining.
    """
    if len(data) > MAX_BYTES:
        return Loaded(error=f"too large to read: {len(data)} bytes")
    text = data if isinstance(data, str) else data.decode("utf-8", "surrogateescape")
    # A short text, as most events of streams are, holds neither too many values nor any too deep.
    opened = text.count("[") + text.count("{") if len(text) > MAX_DEPTH else 0
    if len(text) > MAX_VALUES and text.count(",") + opened > MAX_VALUES:
        return Loaded(error="too many values to read")
    problems: list[str] = []
    if text.startswith(_BOM):
        text = text[1:]
        problems.append("begins with a byte order mark")
    try:
        value = _parsed(text, problems)
    except RecursionError:
        return Loaded(error="nested too deeply to read")
    except ValueError as error:
        return Loaded(error=f"not JSON: {error}")
    if opened > MAX_DEPTH and _deeper_than(value, MAX_DEPTH):
        return Loaded(error="nested too deeply to read")
    if mended and _may_hold_surrogates(text):
        parsed = value
        value = mend_value(parsed)
        if value is not parsed:
            problems.append(NO_UNICODE)
    return Loaded(value, None, tuple(dict.fromkeys(problems)) if problems else ())


def mend(text: str) -> str:
    """`text` with surrogate pairs joined and what is no Unicode as U+FFFD; so it always encodes as UTF-8."""
    if _encodes(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def joined(pieces: list[str]) -> str:
    """The pieces as one text, in which the halves of a surrogate pair have found each other."""
    text = "".join(pieces)
    if _encodes(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def compact(value: Json) -> str:
    """The value as JSON without spaces, keys in their own order."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def rest(raw: dict[str, Json], *known: str) -> dict[str, Json]:
    """The fields that have no place of their own."""
    return {key: value for key, value in raw.items() if key not in known}


def count(value: Json) -> int | None:
    """A count of something; None for anything that is none (JSON's true is no 1)."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _encodes(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _may_hold_surrogates(text: str) -> bool:
    # Plain searches: a regular expression takes four times as long as the parsing itself.
    return "\\ud" in text or "\\uD" in text or not _encodes(text)


class _Odd(Exception):
    """JSON about which there is something to say."""


def _parsed(text: str, problems: list[str]) -> Json:
    # A parser that knows where to write its problems has to be made for each text: for an event of a stream that takes
    # longer than reading it.
    value: Json
    try:
        try:
            value, end = _PLAIN.raw_decode(text)
        except ValueError:  # there may be blanks before it, else it is no JSON and said to be none below
            value, end = None, -1
        if end != len(text):
            value = _PLAIN.decode(text)
    except _Odd:
        hooks = _object(problems), _constant(problems), _float(problems)
        value = json.loads(text, object_pairs_hook=hooks[0], parse_constant=hooks[1], parse_float=hooks[2])
    return value


def _object(problems: list[str]) -> Callable[[list[tuple[str, Json]]], dict[str, Json]]:
    def build(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        made = dict(pairs)
        if len(made) != len(pairs):
            problems.append("holds duplicate keys")
        return made

    return build


def _constant(problems: list[str]) -> Callable[[str], Json]:
    def read(name: str) -> Json:
        problems.append(f"holds {name}, which JSON has not")
        return name

    return read


def _float(problems: list[str]) -> Callable[[str], Json]:
    def read(digits: str) -> Json:
        number = float(digits)
        if math.isinf(number):
            problems.append("holds a number beyond all bounds")
            return digits
        return number

    return read


def _plain_object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    # A Python hook also lets other threads in between objects; the bare parser holds them up for a whole
    # body.
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _Odd
    return made


def _no_constant(name: str) -> Json:
    raise _Odd


def _plain_float(digits: str) -> Json:
    number = float(digits)
    if math.isinf(number):
        raise _Odd
    return number


_PLAIN = json.JSONDecoder(object_pairs_hook=_plain_object, parse_constant=_no_constant, parse_float=_plain_float)


def _deeper_than(value: Json, limit: int) -> bool:
    level: list[Json] = [value]
    for _ in range(limit):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def mend_value(value: Json) -> Json:
    """`mend` for every string in a value `load` gave; the same object where there was nothing to do."""
    match value:
        case str():
            return mend(value)
        case list():
            items = [mend_value(item) for item in value]
            return value if all(new is old for new, old in zip(items, value, strict=True)) else items
        case dict():
            pairs = [(mend(key), mend_value(item)) for key, item in value.items()]
            same = all(k is key and v is item for (k, v), (key, item) in zip(pairs, value.items(), strict=True))
            return value if same else dict(pairs)
        case _:
            return value
