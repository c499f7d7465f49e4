"""As much of JavaScript as shows plain strings in the arguments of a call: literals, and tables of them.

Nothing is run and nothing guessed: a string with an expression in it, or joined from pieces, is no plain string.
"""

from __future__ import annotations

import re

from tapes.pattern import pattern

_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": ""}
_HEX = pattern(r"x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}")
_NAME = pattern(r"\s*([A-Za-z_$][\w$]*)\s*:\s*")
_SPACE = pattern(r"(?:\s+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_OPEN, _CLOSE = "([{", ")]}"


def string_at(text: str, at: int) -> str | None:
    """The plain string literal at `at`, when it is the whole value there."""
    found = _literal(text, at)
    if found is None:
        return None
    value, end = found
    behind = text[_skip(text, end) :][:1]
    return value if behind in (",", "}", ")", "]", ";", "") else None


def object_at(text: str, at: int) -> dict[str, int]:
    """Where the value of each field of the table at `at` begins; as far as it can be read."""
    fields: dict[str, int] = {}
    if text[at : at + 1] != "{":
        return fields
    at += 1
    while True:
        at = _skip(text, at)
        name = _NAME.match(text, at)
        if name is not None:
            key, at = name[1], name.end()
        elif (quoted := _literal(text, at)) is not None:
            key, at = quoted[0], _skip(text, quoted[1])
            if text[at : at + 1] != ":":
                return fields
            at = _skip(text, at + 1)
        else:
            return fields
        fields[key] = at
        end = _value_end(text, at)
        if text[end : end + 1] != ",":
            return fields
        at = end + 1


def _literal(text: str, at: int) -> tuple[str, int] | None:
    """A string literal's value and end; None for a template with an expression, and what is none at all."""
    quote = text[at : at + 1]
    if quote not in ("'", '"', "`") or not quote:
        return None
    found: list[str] = []
    at += 1
    while at < len(text):
        sign = text[at]
        if sign == quote:
            # Two escapes may be the halves of one sign.
            return "".join(found).encode("utf-16", "surrogatepass").decode("utf-16", "replace"), at + 1
        if sign == "\\":
            value, at = _escape(text, at + 1)
            found.append(value)
            continue
        if (sign == "$" and quote == "`" and text[at + 1 : at + 2] == "{") or (sign == "\n" and quote != "`"):
            return None
        found.append(sign)
        at += 1
    return None


def _escape(text: str, at: int) -> tuple[str, int]:
    if number := _HEX.match(text, at):
        code = int(number[1] or number[2] or number[3], 16)
        return (chr(code) if code <= 0x10FFFF else "\ufffd"), number.end()
    sign = text[at : at + 1]
    return _ESCAPES.get(sign, sign), at + 1


def _value_end(text: str, at: int) -> int:
    """Where the value at `at` ends: the next comma or closing bracket on its own level."""
    depth = 0
    while at < len(text):
        sign = text[at]
        if sign in "'\"`":
            literal = _literal(text, at)
            if literal is None:
                return len(text)
            at = literal[1]
            continue
        if depth == 0 and sign in ",)]}":
            return at
        depth += (sign in _OPEN) - (sign in _CLOSE)
        at += 1
    return at


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
