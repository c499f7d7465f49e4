"""What stood around two runs: the agent and the machine, variables, the working directories and what became of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from tapes.compare.masks import Masks
from tapes.compare.ran import apart
from tapes.compare.rows import alike_lines
from tapes.compare.run import Run
from tapes.session.snapshots import has_snapshots
from tapes.session.treediff import FileDiff, Texts, texts
from tapes.session.worktree import Held, Tree, Worktree, worktrees
from tapes.values import dataclass

_FACTS = ("agent", "route", "tapes", "host", "os", "kernel", "machine", "shell")
_UNCOUNTED = (
    b".git/",
    b"__pycache__/",
    b"node_modules/",
    b".venv/",
    b".pytest_cache/",
    b".mypy_cache/",
    b".ruff_cache/",
)
"""Where programs keep what they made, with times in it. It is told, and is no difference between two runs."""

type Where = Literal["start", "end"]


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that was not the same around the two runs."""

    kind: Literal["fact", "variable", "git", "context", "arguments"]
    name: str
    a: str | None
    b: str | None


def surroundings(a: Run, b: Run, masks: Masks) -> Iterator[Fact]:
    """What `session.open` says of either, but for what is masked."""
    for name in _FACTS:
        yield from _fact("fact", name, a.opened.get(name), b.opened.get(name), masks)
    words = [b" ".join(run.opened.get("argv", ())).decode("utf-8", "replace") for run in (a, b)]
    yield from _fact("arguments", "argv", words[0], words[1], masks)
    for kind in ("git", "context"):
        ours, theirs = (_texts(run.opened.get(kind) or {}) for run in (a, b))
        yield from (Fact(kind, *one) for one in apart(ours, theirs, masks))
    yield from (Fact("variable", *one) for one in apart(a.variables, b.variables, masks))
    names = [
        {name.decode("utf-8", "replace") for name in run.opened.get("variables", ())} | set(run.variables)
        for run in (a, b)
    ]
    for name in sorted((names[0] ^ names[1]) - a.variables.keys() - b.variables.keys()):
        yield Fact("variable", name, "(set)" if name in names[0] else None, "(set)" if name in names[1] else None)


def _fact(kind: Any, name: str, one: object, other: object, masks: Masks) -> Iterator[Fact]:
    ours, theirs = (str(value) if value not in (None, "") else None for value in (one, other))
    if ours != theirs and (ours is None or theirs is None or masks.output(ours) != masks.output(theirs)):
        yield Fact(kind, name, ours, theirs)


def _texts(table: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in table.items() if isinstance(value, str)}


# -- files


@dataclass(frozen=True, slots=True)
class File:
    """A path that is not the same in both."""

    where: Where
    """Whether it was so from the start, or came of the runs."""
    path: bytes
    diff: FileDiff
    """From A to B."""
    texts: Texts
    counts: bool = True
    """Is it a difference between the runs? Not what can not be compared by lines, nor caches, nor times in texts."""
    touched: tuple[bool, bool] = (False, False)
    """Did A change it, did B?"""


@dataclass(frozen=True, slots=True)
class Files:
    """What the snapshots of two runs tell."""

    known: bool
    """Both have snapshots."""
    touched: tuple[int, int] = (0, 0)
    both: int = 0
    """Paths that both changed."""
    found: tuple[File, ...] = ()
    doubts: tuple[str, ...] = ()


def files(a: Run, b: Run, masks: Masks) -> Files:
    """The first root of either run: at the start, and at the end of the steps that are compared."""
    trees = [_tree(run) for run in (a, b)]
    if trees[0] is None or trees[1] is None:
        return Files(False)
    ours, theirs = trees[0], trees[1]
    ends = _end(ours, a), _end(theirs, b)
    starts = _start(ours, a), _start(theirs, b)
    touched = [_touched(*pair) for pair in zip(starts, ends, strict=True)]
    chosen = touched[0] | touched[1]
    unlike = _unlike(*starts, None)
    found = [_file("start", path, *starts, a, masks) for path in sorted(unlike)]
    for path in sorted(_unlike(*ends, chosen)):
        found.append(_file("end", path, *ends, a, masks, (path in touched[0], path in touched[1])))
    doubts = tuple(f"{name}: {doubt}" for name, tree in zip("AB", ends, strict=True) for doubt in tree.doubts)
    return Files(True, (len(touched[0]), len(touched[1])), len(touched[0] & touched[1]), tuple(found), doubts)


def _tree(run: Run) -> Worktree | None:
    if not has_snapshots(run.found.records):
        return None
    found = worktrees(run.archive, run.found.records)
    return found[0] if found else None


def _start(tree: Worktree, run: Run) -> Tree:
    first = run.wanted.first
    return tree.at(first - 1) if first is not None and first > 1 else tree.tree(0)


def _end(tree: Worktree, run: Run) -> Tree:
    last = run.wanted.last
    return tree.at(last if last and run.all and last < run.all[-1].number else None)


def _touched(start: Tree, end: Tree) -> set[bytes]:
    return {
        path
        for path in start.entries.keys() | end.entries.keys()
        if not _alike(start.entries.get(path), end.entries.get(path))
        and _is_file(start.entries.get(path), end.entries.get(path))
    }


def _unlike(one: Tree, other: Tree, chosen: set[bytes] | None) -> set[bytes]:
    paths = one.entries.keys() | other.entries.keys() if chosen is None else chosen
    return {
        path
        for path in paths
        if not _alike(one.entries.get(path), other.entries.get(path))
        and _is_file(one.entries.get(path), other.entries.get(path))
    }


def _is_file(one: Held | None, other: Held | None) -> bool:
    held = one or other
    return held is not None and (
        held.kind != "dir" or (one is not None and other is not None and one.kind != other.kind)
    )


def _alike(one: Held | None, other: Held | None) -> bool:
    """Times aside. Of what is not stored nothing but its size is known."""
    if one is None or other is None:
        return one is other
    if one.kind != other.kind or one.mode != other.mode or one.hash != other.hash:
        return False
    return one.hash is not None or one.kind != "file" or one.size == other.size


def _file(
    where: Where,
    path: bytes,
    one: Tree,
    other: Tree,
    run: Run,
    masks: Masks,
    touched: tuple[bool, bool] = (False, False),
) -> File:
    diff = FileDiff(path, one.entries.get(path), other.entries.get(path))
    found = texts(run.archive, diff)
    cached = path.startswith(_UNCOUNTED) or any(b"/" + part in path for part in _UNCOUNTED)
    alike = (
        not found.why
        and diff.was is not None
        and diff.now is not None
        and alike_lines(found.old.decode("utf-8", "replace"), found.new.decode("utf-8", "replace"), masks)
    )
    lone = diff.was is None or diff.now is None
    return File(where, path, diff, found, counts=not cached and not alike and (lone or not found.why), touched=touched)
