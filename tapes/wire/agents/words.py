"""Which program a command line starts: behind `env`, `npx`, `node`, `python -m`, `uv run` and their like."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

from tapes.pattern import pattern

STARTERS: dict[str, frozenset[str]] = {
    "env": frozenset({"-u", "--unset", "-C", "--chdir"}),
    "nice": frozenset({"-n"}),
    "nohup": frozenset(),
    "time": frozenset(),
    "node": frozenset({"-r", "--require", "--import", "--loader", "-C", "--conditions", "--env-file"}),
    "bun": frozenset({"-r", "--preload", "--cwd"}),
    "deno": frozenset({"--config", "-c"}),
    "npx": frozenset({"-p", "--package"}),
    "npm": frozenset({"-p", "--package"}),
    "bunx": frozenset({"-p", "--package"}),
    "pnpm": frozenset({"--package"}),
    "yarn": frozenset({"-p", "--package"}),
    "uv": frozenset({"--with", "--python", "-p", "--from", "--directory", "--project", "--env-file", "--extra"}),
    "uvx": frozenset({"--with", "--python", "-p", "--from"}),
    "pipx": frozenset({"--spec", "--python"}),
    "python": frozenset({"-W", "-X"}),
}
"""Programs that start another one, with those of their options that take the next word as their value."""
VERBS: dict[str, frozenset[str]] = {
    "bun": frozenset({"run", "x"}),
    "deno": frozenset({"run"}),
    "npm": frozenset({"exec", "x"}),
    "pnpm": frozenset({"dlx", "exec"}),
    "yarn": frozenset({"dlx", "exec", "run"}),
    "uv": frozenset({"run", "tool"}),
    "pipx": frozenset({"run"}),
}
"""Words of theirs that stand before the program."""

_PYTHON = pattern(r"python[\d.]*")


def program_at(argv: Sequence[str]) -> int:
    """The position of the word that names the program; the last word looked at when none does."""
    at = 0
    while (starter := _starter(argv[at])) and (found := _next(argv, at, starter)) is not None:
        at = found
    return at


def program(argv: Sequence[str]) -> str:
    """The program's name in lower case: no folder, extension, package scope or version."""
    return _name(argv[program_at(argv)]) if argv else ""


def is_package(argv: Sequence[str], package: str) -> bool:
    """Does the program's word lie in, or name, this package (`@scope/name`)?"""
    return bool(argv) and package in argv[program_at(argv)].replace("\\", "/").lower()


def option_values(argv: Sequence[str], *names: str) -> list[str]:
    """The values of an option on a command line, as `--name value` or `--name=value`."""
    found: list[str] = []
    for word, following in zip(argv, [*argv[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if word in names:
            found.append(following)
        elif equals and name in names:
            found.append(value)
    return found


def _starter(word: str) -> str:
    name = _name(word)
    name = "python" if _PYTHON.fullmatch(name) else name
    return name if name in STARTERS else ""


def _next(argv: Sequence[str], at: int, starter: str) -> int | None:
    """The position of the word that `starter` at `at` will start."""
    position, verbs = at + 1, set(VERBS.get(starter, ()))
    while position < len(argv):
        word = argv[position]
        if starter == "python" and word == "-c":
            return None
        if word in STARTERS[starter]:
            position += 2
        elif word.startswith("-") or (starter == "env" and "=" in word):
            position += 1
        elif word in verbs:
            # `uv tool run X` has two of them; elsewhere a second one is the program's name.
            position, verbs = position + 1, {"run"} if word == "tool" else set()
        else:
            return position
    return None


def _name(word: str) -> str:
    name = PurePath(word.replace("\\", "/")).name.lower()
    # `codex@latest` is a package with a version; a leading @ is a scope, which PurePath has taken away.
    name = name.partition("@")[0] or name
    return re.sub(r"\.(exe|cmd|js|mjs|cjs|ts|py)$", "", name)
