"""The words of a note: what was typed, a mark's label, and where a snapshot of the surroundings was taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tapes.session.marks import SIGN

EVERYWHERE = frozenset({"HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "PWD", "SHELL", "TERM", "TMPDIR", "TZ", "USER"})
"""Variables that say nothing of where one is working; the record has them all the same."""


def words_of(body: Mapping[str, Any]) -> str:
    """Of a `note` record. Empty only where there is nothing in it."""
    text = str(body.get("text", ""))
    if body.get("kind") == "mark":
        return f"{SIGN} {text}"
    if body.get("kind") == "unmark":
        return f"{SIGN} taken back"
    if body.get("kind") != "snapshot":
        return text
    said = f"snapshot: {', '.join(_surroundings(body))}".rstrip(": ")
    return f"{text} ({said})" if text else said


def _surroundings(body: Mapping[str, Any]) -> Iterator[str]:
    found = body.get("snapshot")
    found = found if isinstance(found, Mapping) else {}
    git = found.get("git")
    if isinstance(git, Mapping):
        if git.get("branch"):
            yield f"branch {git['branch']}"
        if git.get("head"):
            yield f"head {str(git['head'])[:12]}"
        if "dirty" in git:
            yield f"{git['dirty']} files changed"
    context = found.get("context")
    for name, value in context.items() if isinstance(context, Mapping) else ():
        yield f"{name} {value}"
    for name, value in body.get("environment", ()):
        if _text(name) not in EVERYWHERE:
            yield f"{_text(name)}={_text(value)}"
    if body.get("cwd"):
        yield f"in {_text(body['cwd'])}"
    if found.get("os"):
        yield str(found["os"])


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
