"""Command lines as shells read them: one quoted word out of a text, and the script that a shell was given."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tapes.pattern import pattern

SHELLS = frozenset({b"sh", b"bash", b"zsh", b"dash", b"ash", b"ksh", b"fish"})
_PLAIN = pattern(rb"[^\s'\"\\|&;<>()$`#]+")
_DOUBLE = pattern(rb'((?:[^"\\$`]|\\.)*)"', re.DOTALL)
_ESCAPED = pattern(rb'\\([\\"$`\n])')
"""Inside double quotes; with a line break it is nothing."""
_SAFE = pattern(rb"[\w@%+=:,./-]+", re.ASCII)
_TAKES_WORD = frozenset({b"--rcfile", b"--init-file"})


def word_at(text: bytes, start: int) -> tuple[bytes, int] | None:
    """The word that begins at `start`, its quotes taken off, and where it ends.

    None for what only a shell could tell: an expansion, an open quote, no word at all.
    """
    found, at = bytearray(), start
    while at < len(text):
        head = text[at : at + 1]
        if head == b"'":
            end = text.find(b"'", at + 1)
            if end < 0:
                return None
            found += text[at + 1 : end]
            at = end + 1
        elif head == b'"':
            quoted = _DOUBLE.match(text, at + 1)
            if quoted is None:
                return None
            found += _ESCAPED.sub(lambda escape: escape[1].strip(b"\n"), quoted[1])
            at = quoted.end()
        elif head == b"\\" and at + 1 < len(text):
            found += text[at + 1 : at + 2].strip(b"\n")
            at += 2
        elif plain := _PLAIN.match(text, at):
            found += plain[0]
            at = plain.end()
        elif head in b"$`":
            return None
        else:
            break
    return (bytes(found), at) if at > start else None


def words_from(text: bytes, start: int) -> list[bytes] | None:
    """All words from `start` to the end of `text`; None where there is anything but words."""
    words: list[bytes] = []
    at = start
    while at < len(text):
        if text[at : at + 1] in (b" ", b"\t"):
            at += 1
            continue
        word = word_at(text, at)
        if word is None:
            return None
        words.append(word[0])
        at = word[1]
    return words


def script_of(argv: Sequence[bytes]) -> bytes | None:
    """What stands behind `-c` on a shell's command line; None where it is no shell, or was given none."""
    if not argv or argv[0].rpartition(b"/")[2].lstrip(b"-") not in SHELLS:
        return None
    is_command, words = False, iter(argv[1:])
    for word in words:
        if word in (b"-", b"--"):
            word = next(words, b"")
            return word if is_command else None
        if word in _TAKES_WORD:
            next(words, b"")
        elif word.startswith(b"--"):
            continue
        elif word[:1] in (b"-", b"+") and len(word) > 1:
            is_command = is_command or (word.startswith(b"-") and b"c" in word)
            if word[-1:] in (b"o", b"O"):
                next(words, b"")
        else:
            return word if is_command else None
    return None


def line_of(argv: Sequence[bytes]) -> bytes:
    """The command line of any program: a shell's script, else its words, quoted where they need it."""
    script = script_of(argv)
    if script is not None:
        return script
    return b" ".join(quoted(word) for word in argv)


def quoted(word: bytes) -> bytes:
    """A word as a POSIX shell has to be given it."""
    return word if _SAFE.fullmatch(word) else b"'" + word.replace(b"'", b"'\"'\"'") + b"'"


def line_of_words(words: Sequence[object]) -> str:
    """The command line of a list of words in a tool call (`["bash", "-lc", "ls"]`)."""
    argv = [word.encode("utf-8", "surrogatepass") for word in words if isinstance(word, str)]
    return line_of(argv).decode("utf-8", "surrogatepass")
