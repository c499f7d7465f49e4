"""Completes the path in a line: → takes what is proposed."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from textual.suggester import Suggester

from tapes_cli.output import harmless

LOOKED = 10_000
"""Entries of a folder that are looked at."""


class Paths(Suggester):
    def __init__(self, *, folders: bool = False) -> None:
        """`folders`: nothing but those."""
        super().__init__(use_cache=False, case_sensitive=True)
        self._folders = folders

    async def get_suggestion(self, value: str) -> str | None:
        return await asyncio.to_thread(self.completed, value)

    def completed(self, value: str) -> str | None:
        """The first by name that goes on from what is typed; None for what can not be looked at."""
        folder, name = os.path.split(value)
        if not value or (not name and not folder):
            return None
        try:
            with os.scandir(Path(folder or ".").expanduser()) as entries:
                found = sorted(
                    entry.name + ("/" if entry.is_dir() else "")
                    for _, entry in zip(range(LOOKED), entries, strict=False)
                    if entry.name.startswith(name)
                    and (name or not entry.name.startswith("."))
                    and harmless(entry.name) == entry.name
                    and (entry.is_dir() or not self._folders)
                )
        except OSError:
            return None  # a folder that is not there yet, or not ours: the verb says so if it comes to that
        return value[: len(value) - len(name)] + found[0] if found else None


def expanded(text: str) -> str:
    """What a shell would make of a path that is typed."""
    text = text.strip()
    return str(Path(text).expanduser()) if text.startswith("~/") else text
