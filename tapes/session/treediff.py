"""What differs between two trees of one root: file by file, with renames, modes and what was not stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tapes.archive.base import Archive
from tapes.errors import Damaged, NotFound
from tapes.session.linediff import Hunk, counts, hunks, is_binary
from tapes.session.worktree import Held, Tree, Worktree, content, why_not
from tapes.values import dataclass

LARGEST = 16 << 20
"""Bytes of a file that is compared line by line."""


@dataclass(frozen=True, slots=True)
class FileDiff:
    """One path that differs. `was` is None where it is new, `now` where it is gone."""

    path: bytes
    was: Held | None
    now: Held | None

    @property
    def change(self) -> str:
        """`added`, `deleted`, `renamed`, `mode`, `changed`."""
        if self.was is None:
            return "added"
        if self.now is None:
            return "deleted"
        if self.was.path != self.now.path:
            return "renamed"
        return "mode" if self.same_content and self.was.mode != self.now.mode else "changed"

    @property
    def same_content(self) -> bool:
        was, now = self.was, self.now
        if was is None or now is None or was.kind != now.kind:
            return False
        return was.hash == now.hash and (was.stored or was.kind == "dir")


@dataclass(frozen=True, slots=True)
class Texts:
    """Both contents of a file that differs; `why` where they can not be compared line by line."""

    old: bytes = b""
    new: bytes = b""
    why: str = ""
    """`binary`; or why there is no content."""

    def hunks(self) -> Iterator[Hunk]:
        return hunks(self.old, self.new) if not self.why else iter(())

    def counts(self) -> tuple[int, int]:
        return counts(self.old, self.new) if not self.why else (0, 0)


def differ(worktree: Worktree, one: Tree, other: Tree) -> Iterator[FileDiff]:
    """Paths that differ between two trees of it, sorted."""
    first, last = sorted((one.snapshot.place, other.snapshot.place))
    moved = _moved(worktree, first, last + 1, forwards=one.snapshot.place <= other.snapshot.place)
    yield from between(one.entries, other.entries, moved)


def between(
    first: Mapping[bytes, Held], second: Mapping[bytes, Held], moved: Mapping[bytes, bytes]
) -> Iterator[FileDiff]:
    """`moved`: old names by the new ones, where a path was renamed in between."""
    renamed = {
        path: old
        for path, old in moved.items()
        if path in second and path not in first and old in first and old not in second
    }
    left = set(renamed.values())
    for path in sorted(first.keys() | second.keys()):
        was, now = first.get(renamed.get(path, path)), second.get(path)
        if path in left or (now is not None and was is not None and path not in renamed and now.same(was)):
            continue
        yield FileDiff(path, was, now)


def _moved(tree: Worktree, one: int, other: int, *, forwards: bool) -> dict[bytes, bytes]:
    """Renames of renames are one. What takes a name that was left has not been renamed."""
    found: dict[bytes, bytes] = {}
    for changed in tree.changes[one + 1 : other + 1]:
        moves = [(version.path, version.moved) for version in changed if version.moved is not None]
        firsts = {path: found.get(old, old) for path, old in moves}
        for path in [version.path for version in changed if version.entry.kind == "gone"]:
            found.pop(path, None)
        found |= firsts
    return found if forwards else {old: new for new, old in found.items()}


def texts(archive: Archive, diff: FileDiff) -> Texts:
    """Never raises for one file: what can not be read is said in its place."""
    sides = []
    for held in (diff.was, diff.now):
        if held is None or held.kind == "gone" or held.kind == "dir":
            sides.append(b"")
            continue
        if not held.stored:
            return Texts(why=why_not(held))
        if (held.length or 0) > LARGEST:
            return Texts(why="it is too large to be compared by lines")
        try:
            sides.append(content(archive, held))
        except (Damaged, NotFound) as error:
            return Texts(why=str(error))
    if any(map(is_binary, sides)):
        return Texts(why="binary")
    old, new = sides
    return Texts(old, new)
