"""How a directory of today differs from what a snapshot of it held: for whoever is about to let an agent act on it.

Only looked at, and within limits: what they cut off is said. A file whose size and times are the snapshot's is taken
for the same; any other is read and hashed, as far as its content was stored whole.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from blake3 import blake3

from tapes.session.worktree import Held, Tree
from tapes.values import dataclass, field

MOST_PATHS = 50_000
MOST_BYTES = 256 * 1024 * 1024
LISTED = 12
_OWN = frozenset({b".git", b".hg", b".jj"})


@dataclass
class Difference:
    """Paths, by what has become of them since."""

    changed: list[bytes] = field(default_factory=list)
    gone: list[bytes] = field(default_factory=list)
    new: list[bytes] = field(default_factory=list)
    unknown: int = 0
    """Files of which nobody can say: not stored, or only in part."""
    cut: bool = False
    """There were more than the limits allow to look at."""

    def lines(self) -> Iterator[str]:
        """In words, for a person."""
        for what, paths in (("changed since", self.changed), ("gone", self.gone), ("new", self.new)):
            if paths:
                yield f"{what}: {_some(paths)}"
        if not (self.changed or self.gone or self.new):
            yield "its files are what they were at that step"
        if self.unknown:
            yield f"{self.unknown} files more differ in time or size, and what they held is not stored whole"
        if self.cut:
            yield "there is more in it than was looked at"


def difference(tree: Tree) -> Difference:
    """The directory as it is now against the tree. What can not be read counts as changed."""
    found = Difference()
    left = MOST_BYTES
    for held in tree.entries.values():
        if held.kind not in ("file", "link"):
            continue
        path = b"%b/%b" % (tree.root, held.path)
        try:
            now = os.lstat(path)
        except OSError:
            found.gone.append(held.path)
            continue
        if held.kind == "file" and stat.S_ISREG(now.st_mode) and _untouched(held, now):
            continue
        if held.hash is None or held.facts.get("redacted"):
            found.unknown += 1
        elif held.kind == "file" and now.st_size > left:
            found.cut = True
        elif not _same(held, path, now):
            found.changed.append(held.path)
        left -= now.st_size
    _new(tree, found)
    return found


def _untouched(held: Held, now: os.stat_result) -> bool:
    return (now.st_size, now.st_mtime_ns, stat.S_IMODE(now.st_mode)) == (held.size, held.mtime_ns, held.mode)


def _same(held: Held, path: bytes, now: os.stat_result) -> bool:
    try:
        if held.kind == "link":
            return stat.S_ISLNK(now.st_mode) and blake3(bytes(Path(os.fsdecode(path)).readlink())).digest() == held.hash
        if not stat.S_ISREG(now.st_mode) or now.st_size != held.size or stat.S_IMODE(now.st_mode) != held.mode:
            return False
        with open(path, "rb") as file:
            return blake3(file.read(MOST_BYTES)).digest() == held.hash
    except OSError:
        return False


def _new(tree: Tree, found: Difference) -> None:
    looked = 0
    waiting = [b""]
    while waiting:
        below = waiting.pop()
        try:
            listed = list(os.scandir(b"%b/%b" % (tree.root, below)))
        except OSError:
            continue  # gone, or not ours to read: then nothing of it can be called new
        for each in listed:
            looked += 1
            path = b"%b/%b" % (below, each.name) if below else each.name
            known = tree.entries.get(path)
            if looked > MOST_PATHS:
                found.cut = True
                return
            if each.name in _OWN or (known is not None and known.why == "ignored"):
                continue
            if each.is_dir(follow_symlinks=False):
                waiting.append(path)
            elif known is None:
                found.new.append(path)


def _some(paths: Sequence[bytes]) -> str:
    names = [path.decode("utf-8", "backslashreplace") for path in sorted(paths)[:LISTED]]
    return ", ".join(names) + (f" and {len(paths) - LISTED} more" if len(paths) > LISTED else "")
