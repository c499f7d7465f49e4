"""Text of others made safe to show: captured text, labels and user names may hold escape sequences, line feeds that
forge lines of ours, or controls that reorder what is shown; here all of them become visible."""

from __future__ import annotations

import unicodedata

_REORDERING = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029\ufeff")


def harmless(text: str, *, lines: bool = False) -> str:
    """Control, format and bidi characters made visible (␛, ␇, …); line feeds and tabs kept where `lines` is set."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(c, lines) if not c.isprintable() or c in _REORDERING else c for c in text)


def _shown(char: str, lines: bool) -> str:
    code = ord(char)
    if lines and char in "\n\t":
        return char
    if char == "\n":
        return "⏎"
    if char == "\t":
        return " "
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if unicodedata.category(char) == "Zs":
        return " "
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
