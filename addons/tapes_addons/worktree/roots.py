"""Which directories a run takes snapshots of. Standard library only: decided before anything is loaded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Roots:
    paths: tuple[str, ...]
    """Absolute, without symlinks; none lies in another."""
    said: str
    """For the banner; why there are none, where there are none."""


def find(cwd: str, home: str, asked: Sequence[str] = ()) -> Roots:
    """Those that were asked for; else the top level of the repository around `cwd`, else `cwd` itself. A home directory
    or `/` is taken only when asked for: nobody means all of it. OSError for one asked for that is no directory."""
    if asked:
        paths = [os.path.realpath(Path(cwd, path)) for path in asked]
        for path in paths:
            os.scandir(path).close()
        return Roots(_apart(paths), f"the files in {', '.join(asked)}")
    if not cwd:
        return Roots((), "NOT the files (the working directory is gone)")
    start, off_limits = os.path.realpath(cwd), {os.path.realpath(home), "/"}
    for place in (Path(start), *Path(start).parents):
        if str(place) in off_limits:
            break
        if (place / ".git").exists():
            return Roots((str(place),), "the files")
    if start in off_limits:
        return Roots((), f"NOT the files (this is {'/' if start == '/' else 'your home directory'}; --worktree DIR)")
    return Roots((start,), "the files")


def _apart(paths: Sequence[str]) -> tuple[str, ...]:
    kept: list[str] = []
    for path in sorted(set(paths)):
        if not any(path == other or path.startswith(other.rstrip("/") + "/") for other in kept):
            kept.append(path)
    return tuple(kept)
