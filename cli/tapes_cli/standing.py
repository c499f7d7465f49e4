"""A working directory as it stood at a step: how each path differs from the start, and whose the last change was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tapes.session.attribution import FALSE, Attribution, Change, Claimed
from tapes.session.treediff import differ
from tapes.session.worktree import Tree, Worktree
from tapes_cli.worktrees import below


class Standing(NamedTuple):
    """A root as it is shown."""

    tree: Worktree
    at: Tree
    changed: Mapping[bytes, str]
    """How each path differs from the start; without directories that what they hold tells of."""
    olds: Mapping[bytes, bytes]
    """What renamed ones were called."""
    last: Mapping[bytes, Change]
    """The last change of each path up to then."""
    missing: Sequence[Claimed]
    """What was said to be done by then, and is not there."""
    chosen: Sequence[bytes] = ()
    """Below these; all where there are none."""


def standing(found: Attribution, tree: Worktree, at: Tree, chosen: Sequence[bytes] = ()) -> Standing:
    last = _latest(found, tree, at)
    diffs = [diff for diff in differ(tree, tree.tree(0), at) if below(diff.path, chosen)]
    olds = {diff.path: diff.was.path for diff in diffs if diff.change == "renamed" and diff.was is not None}
    holding = {above for diff in diffs for above in parents(diff.path)}
    changed = {
        diff.path: diff.change
        for diff in diffs
        if diff.path not in holding or not _is_directory(at, last.get(diff.path), diff.path)
    }
    missing = [told for told in _missing(found, tree, at) if below(told.claim.path, chosen)]
    return Standing(tree, at, changed, olds, last, missing, chosen)


def parents(path: bytes) -> Iterator[bytes]:
    """The directories that it stands in, below its root."""
    while b"/" in path:
        path = path.rpartition(b"/")[0]
        yield path


def _is_directory(at: Tree, change: Change | None, path: bytes) -> bool:
    held = at.entries.get(path) or (change.version.before if change else None)
    return held is not None and held.kind == "dir"


def _latest(found: Attribution, tree: Worktree, at: Tree) -> dict[bytes, Change]:
    return {
        change.version.path: change
        for change in found.changes
        if change.version.root == tree.root
        and (
            change.version.snapshot.place <= at.snapshot.place
            or at.entries.get(change.version.path) is change.version.entry
        )
    }


def _missing(found: Attribution, tree: Worktree, at: Tree) -> Iterator[Claimed]:
    for told in found.claims:
        if told.verdict == FALSE and told.claim.root == tree.root and told.claim.began <= at.snapshot.ended:
            yield told
