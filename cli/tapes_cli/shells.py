"""How a variable is set, and words are put behind a command, in the shells people use; always quoted."""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Sequence
from typing import Literal, Protocol

from tapes.pattern import pattern
from tapes_cli.output import harmless

Name = Literal["sh", "fish", "powershell", "github"]

_PLAIN = pattern(r"[A-Za-z_][\w-]*", re.ASCII)
_PROGRAM = pattern(r"\w[\w.+@-]{0,63}")


class Shell(Protocol):
    """What `tapes env` writes for one shell."""

    stop: str
    """What makes a script stop that evaluates it; empty where nothing does."""

    def variable(self, name: str, value: str) -> str: ...

    def comment(self, text: str) -> str:
        """One line that does nothing, whatever the text holds."""
        ...

    def function(self, program: str, words: Sequence[str]) -> str:
        """`program` with `words` before the user's own; empty where the shell has no such thing."""
        ...


class Sh:
    """POSIX."""

    stop = "false"

    def variable(self, name: str, value: str) -> str:
        return f"export {name}={shlex.quote(value)}"

    def comment(self, text: str) -> str:
        return f"# {harmless(text)}"

    def function(self, program: str, words: Sequence[str]) -> str:
        return f'{program}() {{ command {program} {shlex.join(words)} "$@"; }}'


class Fish:
    stop = "false"

    @staticmethod
    def _quoted(value: str) -> str:
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def variable(self, name: str, value: str) -> str:
        return f"set -gx {name} {self._quoted(value)}"

    def comment(self, text: str) -> str:
        return f"# {harmless(text)}"

    def function(self, program: str, words: Sequence[str]) -> str:
        return f"function {program}; command {program} {' '.join(map(self._quoted, words))} $argv; end"


class PowerShell:
    stop = ""

    @staticmethod
    def _quoted(value: str) -> str:
        return "'" + value.replace("'", "''") + "'"

    def variable(self, name: str, value: str) -> str:
        return f"$env:{name} = {self._quoted(value)}"

    def comment(self, text: str) -> str:
        return f"# {harmless(text)}"

    def function(self, program: str, words: Sequence[str]) -> str:
        given = " ".join(map(self._quoted, words))
        return f"function {program} {{ & (Get-Command -CommandType Application {program})[0] {given} @args }}"


class Github:
    """Lines for the file that $GITHUB_ENV names; it knows variables alone."""

    stop = ""

    def variable(self, name: str, value: str) -> str:
        if "\n" not in value:
            return f"{name}={value}"
        end = f"EOF_{secrets.token_hex(8)}"
        return f"{name}<<{end}\n{value}\n{end}"

    def comment(self, text: str) -> str:
        return ""

    def function(self, program: str, words: Sequence[str]) -> str:
        return ""


SHELLS: dict[Name, Shell] = {"sh": Sh(), "fish": Fish(), "powershell": PowerShell(), "github": Github()}


def is_plain(program: str) -> bool:
    """May this word name a function?"""
    return bool(_PLAIN.fullmatch(program))


def is_program(word: str) -> bool:
    """Is this word a program's name, and nothing that a shell, a path or a terminal would take for more?"""
    return bool(_PROGRAM.fullmatch(word))
