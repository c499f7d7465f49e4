"""The one function that decides the bytes. Everything that is hashed passes through `encode`.

The form is deterministic CBOR (RFC 8949 §4.2.1: shortest heads, definite lengths, map keys sorted by their
encoded bytes), restricted further: text keys only, no floats, no tags, integers of 64 bits. WARNING: a change
here changes every digest ever made; it needs a new format version, a decision record and new golden bytes
(tests/golden).

Writing is our own because checking a value takes the same walk as writing it, and a general encoder writes
floats, big integers and subclasses' surprises unless checked first. Reading is cbor2's, which is lax
(trailing bytes, duplicate keys, long heads), so a strict read is: decode, encode again, compare.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter

import cbor2

from tapes.errors import Damaged

type Value = bool | int | str | bytes | Sequence[Value] | Mapping[str, Value] | None

MAX_DEPTH = 64
"""Containers within containers; deeper values are refused, so no input can exhaust the stack."""

_UINT, _NEGINT, _BYTES, _TEXT, _ARRAY, _MAP = (major << 5 for major in range(6))
_SMALL = tuple(bytes((n,)) for n in range(256))


def encode(value: object) -> bytes:
    """The canonical bytes of a value. TypeError for a type outside `Value`; ValueError for an integer out of
    [-2**63, 2**64), for text with lone surrogates, and for nesting deeper than MAX_DEPTH."""
    out = bytearray()
    _write(out, value, MAX_DEPTH)
    return bytes(out)


def decode(data: bytes) -> Value:
    """The value whose canonical bytes are exactly `data`; Damaged when there is none."""
    try:
        value: Value = cbor2.loads(data, max_depth=MAX_DEPTH + 1)
        same = encode(value) == data
    except (cbor2.CBORError, TypeError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        raise Damaged(f"not canonical CBOR: {error}") from error
    if not same:
        raise Damaged("not canonical CBOR: decodes, but is not the one way of writing its value")
    return value


def loosely(data: bytes) -> Value:
    """The value of any CBOR. Only for what is not hashed and can be made again: it may be written in another way, too.
    Damaged when there is none."""
    try:
        value: Value = cbor2.loads(data, max_depth=MAX_DEPTH + 1)
    except (cbor2.CBORError, TypeError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        raise Damaged(f"no CBOR: {error}") from error
    return value


def head(major: int, n: int) -> bytes:
    """The first bytes of an item (RFC 8949 §3): major type (shifted left by 5) and its argument, shortest
    form."""
    if n < 256:
        return _SMALL[major | n] if n < 24 else _SMALL[major | 24] + _SMALL[n]
    if n < 0x10000:
        return _SMALL[major | 25] + n.to_bytes(2)
    if n < 0x1_0000_0000:
        return _SMALL[major | 26] + n.to_bytes(4)
    return _SMALL[major | 27] + n.to_bytes(8)


def _write(out: bytearray, value: object, depth: int) -> None:
    # The commonest first; a bool is an int too, so it must come before that.
    if isinstance(value, bytes):
        out += head(_BYTES, len(value))
        out += value
    elif isinstance(value, str):
        out += _text(value)
    elif value is None:
        out.append(0xF6)
    elif isinstance(value, bool):
        out.append(0xF5 if value else 0xF4)
    elif isinstance(value, int):
        _write_int(out, value)
    elif depth == 0:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    elif isinstance(value, list | tuple):
        out += head(_ARRAY, len(value))
        for item in value:
            _write(out, item, depth - 1)
    elif isinstance(value, dict | Mapping):  # a dict is one at a glance, another Mapping is not
        _write_map(out, value, depth - 1)
    else:
        raise TypeError(f"{type(value).__name__} has no place in a record")


def _write_int(out: bytearray, value: int) -> None:
    if 0 <= value < 24:
        out.append(value)
    elif not -(2**63) <= value < 2**64:
        raise ValueError("integer out of [-2**63, 2**64)")
    else:
        out += head(_UINT, value) if value >= 0 else head(_NEGINT, -1 - value)


def _write_map(out: bytearray, value: Mapping[object, object], depth: int) -> None:
    keys: list[tuple[bytes, object]] = []
    for key, held in value.items():
        if not isinstance(key, str):
            raise TypeError(f"a key must be text, not {type(key).__name__}")
        keys.append((_key(key), held))
    keys.sort(key=_first)
    out += head(_MAP, len(keys))
    for written, held in keys:
        out += written
        _write(out, held, depth)


def _text(text: str) -> bytes:
    data = text.encode("utf-8")  # UnicodeEncodeError, a ValueError, for lone surrogates
    return head(_TEXT, len(data)) + data


_key = lru_cache(4096)(_text)
"""Keys are mostly the names of our own fields."""
_first = itemgetter(0)
