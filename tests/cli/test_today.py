"""How a directory differs from a snapshot of it, before an agent is let loose on it."""

from __future__ import annotations

import os
from pathlib import Path

from blake3 import blake3

from tapes.record.digest import Digest
from tapes.session.snapshots import Snapshot
from tapes.session.worktree import Held, Tree
from tapes_cli.today import difference


def held(root: Path, name: str, content: bytes | None = None, **facts: object) -> Held:
    """A file as it is now, or with another content."""
    now = os.lstat(root / name)
    data = (root / name).read_bytes() if content is None else content
    digest = None if "why" in facts else Digest(blake3(data).digest())
    return Held(name.encode(), "file", now.st_mode & 0o7777, len(data), now.st_mtime_ns, digest, len(data), facts)


def tree(root: Path, *entries: Held) -> Tree:
    snapshot: Snapshot = None  # type: ignore[assignment] # what it says is not looked at
    return Tree(os.fsencode(root), {entry.path: entry for entry in entries}, snapshot)


def test_what_is_the_same_is_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one")
    kept = held(tmp_path, "a")
    os.utime(tmp_path / "a", ns=(1, 1))  # touched: so it is read
    assert list(difference(tree(tmp_path, kept)).lines()) == ["its files are what they were at that step"]


def test_changed_gone_and_new_files_are_named(tmp_path: Path) -> None:
    for name in ("same", "other", "lost"):
        (tmp_path / name).write_text(name)
    entries = [held(tmp_path, "same"), held(tmp_path, "other", b"older"), held(tmp_path, "lost")]
    (tmp_path / "lost").unlink()
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/new").write_text("")
    os.utime(tmp_path / "other", ns=(1, 1))
    found = difference(tree(tmp_path, *entries))
    assert list(found.lines()) == ["changed since: other", "gone: lost", "new: deep/new"]


def test_what_was_not_stored_is_counted_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    entry = held(tmp_path, "secret", b"longer", why="secret")
    assert "not stored whole" in list(difference(tree(tmp_path, entry)).lines())[-1]


def test_version_control_and_what_was_ignored_are_not_called_new(tmp_path: Path) -> None:
    for folder in (".git", "node_modules"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x").write_text("")
    ignored = Held(b"node_modules", "dir", 0o755, 0, 0, None, None, {"why": "ignored"})
    assert difference(tree(tmp_path, ignored)).new == []
