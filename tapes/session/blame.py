"""Where each line of a file comes from: the version that brought it, through renames, back to the start."""

from __future__ import annotations

from collections.abc import Iterator

from tapes.archive.base import Archive
from tapes.errors import NotFound, UsageError
from tapes.session.linediff import is_binary, lines_of, matches
from tapes.session.worktree import Held, Version, Worktree, content, why_not
from tapes.values import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """`origin` None: it was there at the start."""

    number: int
    text: bytes
    origin: Version | None


def blame(archive: Archive, tree: Worktree, path: bytes, place: int) -> list[Line]:
    """The lines of a file as the snapshot at `place` found it. NotFound where it was not there, or not stored then;
    UsageError for one that has no lines. A version that was not stored hides what it brought: that counts as the
    next one's."""
    history = list(lineage(tree, path, place))
    entry = history[-1][0] if history else None
    if entry is None or entry.kind == "gone":
        raise NotFound(f"{path.decode('utf-8', 'backslashreplace')} was not there then")
    if not entry.stored:
        raise NotFound(f"of {path.decode('utf-8', 'backslashreplace')} there is no content: {why_not(entry)}")
    lines: list[bytes] = []
    origins: list[Version | None] = []
    for entry, version in history:
        if entry.kind == "gone":
            lines, origins = [], []
        if not entry.stored:
            continue
        data = content(archive, entry)
        if is_binary(data):
            if entry is history[-1][0]:
                raise UsageError(f"{path.decode('utf-8', 'backslashreplace')} is binary: it has no lines")
            lines, origins = [], []
            continue
        now = lines_of(data)
        brought: list[Version | None] = [version] * len(now)
        for same in matches(lines, now):
            brought[same.new : same.new + same.size] = origins[same.old : same.old + same.size]
        lines, origins = now, brought
    return [Line(n, text, origin) for n, (text, origin) in enumerate(zip(lines, origins, strict=True), 1)]


def lineage(tree: Worktree, path: bytes, place: int) -> Iterator[tuple[Held, Version | None]]:
    """All that a file was up to a snapshot, oldest first, under the names that it had. Without a version: as it was at
    the start."""
    found: list[tuple[Held, Version | None]] = []
    seen = {path}
    while True:
        versions = [version for version in tree.versions(path) if version.snapshot.place <= place]
        moves = [number for number, version in enumerate(versions) if version.moved is not None]
        first = moves[-1] if moves else 0
        found += [(version.entry, version) for version in reversed(versions[first:])]
        moved = versions[first].moved if moves else None
        if moved is None or moved in seen:
            # Going round in a circle of names: what it was before is told already.
            if moved is None and path in tree.base:
                found.append((tree.base[path], None))
            break
        path, place = moved, versions[first].snapshot.place - 1
        seen.add(path)
    yield from reversed(found)
