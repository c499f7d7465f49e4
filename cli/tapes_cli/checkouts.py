"""Which moments are out, and where: one small file each in `checkouts/` below the home directory.

Beside the archive and not in it: a session stays what it was when somebody looks at it, and its exports the same bytes.
A file of its own for each, put there whole, so that several at once need no lock.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from tapes.values import dataclass

FOLDER = "checkouts"


@dataclass(frozen=True, slots=True)
class Out:
    """One moment that was taken out."""

    session: str
    step: int
    thread: str
    path: str
    wall_ns: int
    request: str = ""
    """Its request's hash."""
    kind: str = "files"
    """What it is: a directory of files, or what else has been made of a moment."""


def record(home: Path, session: str, step: int, thread: str, path: Path, request: str, kind: str = "files") -> Out:
    """Note that it is out. An earlier note of the same place goes: what it spoke of is no longer there."""
    folder = home / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    out = Out(session, step, thread, str(path), time.time_ns(), request, kind)
    for file, known in _files(home):
        if known is not None and (known.path, known.kind) == (out.path, out.kind):
            file.unlink(missing_ok=True)
    fresh = folder / f".{secrets.token_hex(8)}"
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        json.dump(asdict(out), stream)
    fresh.rename(folder / f"{secrets.token_hex(8)}.json")
    return out


def all_out(home: Path) -> list[Out]:
    """Oldest first. Of a directory that is gone the note goes, too."""
    found = []
    for file, out in _files(home):
        if out is not None and Path(out.path).exists():
            found.append(out)
        elif out is not None:
            with suppress(OSError):  # a home that may only be read
                file.unlink()
    return sorted(found, key=lambda out: out.wall_ns)


def _files(home: Path) -> Iterator[tuple[Path, Out | None]]:
    """Each note; None where a file is none."""
    for file in sorted((home / FOLDER).glob("*.json")):
        try:
            yield file, Out(**json.loads(file.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            yield file, None
