"""Snapshots folded: at every one the tree is what the disk held, and what is missing is said."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.archive_suite import withhold
from snapped import Shot, file, gone, unstored, worktree
from tapes.archive.base import Archive
from tapes.errors import Damaged, NotFound, Withheld
from tapes.record.digest import Digest
from tapes.record.kinds import BodyRef
from tapes.session.worktree import Tree, Version, content, worktrees
from witnessed import Session

NAMES = st.sampled_from(["a", "b.py", "d/x", "d/y z", "d/e/ü", "top\x1b[31m"])
TREES = st.lists(st.dictionaries(NAMES, st.binary(max_size=40)), min_size=1, max_size=6)


def held(archive: Archive, tree: Tree) -> dict[str, bytes]:
    return {path.decode(): content(archive, entry) for path, entry in tree.entries.items() if entry.stored}


@settings(max_examples=60, deadline=None)
@given(TREES, st.integers(1, 4), st.data())
def test_at_every_snapshot_the_tree_is_what_was_there(trees: list[dict[str, bytes]], size: int, data: Any) -> None:
    session = Session()
    shot = Shot(session)
    for n, files in enumerate(trees):
        full = n == 0 or data.draw(st.booleans())
        shot.take(files, per_part=size, full=full)
    session.close()
    found = worktree(session)
    for n, files in enumerate(trees):
        tree = found.tree(n)
        assert held(session.archive, tree) == files and list(tree.entries) == sorted(tree.entries)
        assert tree.exact
    for n, (before, now) in enumerate(pairwise(trees), 1):
        differ = {path for path in before.keys() | now.keys() if before.get(path) != now.get(path)}
        assert {version.path.decode() for version in found.changes[n]} == differ


def test_a_version_says_what_became_of_its_path() -> None:
    session = Session()
    shot = Shot(session)
    shot.take({"a": b"1", "run": b"#!", "old": b"same", "link": b"x"}, "start")
    moved = file("new", b"same", facts={"from": b"old"})
    rows = [(file("a", b"2"), b"2"), (file("b", b"3"), b"3"), (gone("link"), b""), (moved, b"same"), (gone("old"), b"")]
    shot.write([*rows, (file("run", b"#!", mode=0o755), b"#!")], "command", full=False)
    session.close()
    found = worktree(session)
    assert {v.path: v.what for v in found.changes[1]} == {
        b"a": "changed",
        b"b": "added",
        b"link": "deleted",
        b"new": "renamed",
        b"old": "deleted",
        b"run": "mode",
    }
    (version,) = found.versions(b"new")
    assert (version.moved, version.cause, version.n) == (b"old", "command", 1)
    assert content(session.archive, version) == b"same"


def test_what_was_only_touched_is_no_change() -> None:
    session = Session()
    shot = Shot(session)
    shot.take({"a": b"1"}, "start")
    shot.write([(file("a", b"1", mtime_ns=99), b"1")], "command", full=False)
    session.close()
    found = worktree(session)
    assert found.changes == [[], []] and found.at().entries[b"a"].mtime_ns == 99


def test_a_snapshot_that_was_cut_short_says_so_and_the_next_one_says_the_rest() -> None:
    session = Session()
    shot = Shot(session)
    shot.take({"a": b"1", "b": b"1"}, "start")
    shot.take({"a": b"2", "b": b"2"}, per_part=1, upto=1)
    shot.state[b"b"] = (file("b", b"1"), b"1")
    shot.take({"a": b"2", "b": b"2"})
    session.close()
    found = worktree(session)
    assert [found.tree(n).exact for n in range(3)] == [True, False, True]
    assert held(session.archive, found.tree(1)) == {"a": b"2", "b": b"1"}
    assert "cut short" in found.tree(1).doubts[0]
    assert held(session.archive, found.tree(2)) == {"a": b"2", "b": b"2"}


def test_what_a_later_full_snapshot_sees_first_is_not_called_added_when_the_first_was_cut_short() -> None:
    session = Session()
    shot = Shot(session)
    shot.take({"a": b"1", "b": b"1"}, "start", per_part=1, upto=1)
    shot.take({"a": b"1", "b": b"1"}, "restart", full=True)
    session.close()
    found = worktree(session)
    assert found.changes[1] == [] and held(session.archive, found.tree(1)) == {"a": b"1", "b": b"1"}
    assert (found.tree(0).exact, found.tree(1).exact) == (False, True)


def test_one_that_left_something_out_is_a_doubt() -> None:
    session = Session()
    shot = Shot(session)
    shot.take({"a": b"1"}, "start")
    shot.n += 1  # one that could not be written: the next says it all
    shot.take({"a": b"2"})
    shot.take({"a": b"3"}, missed={"limit": 7})
    session.close()
    found = worktree(session)
    assert found.tree(1).exact
    assert any("left out 7: limit" in doubt for doubt in found.tree(2).doubts)


@pytest.mark.parametrize("wanted", [2, 3])
def test_what_is_withheld_is_a_doubt_up_to_the_next_full_snapshot(wanted: int) -> None:
    session = Session()
    shot = Shot(session)
    shot.take({"a": b"1", "b": b"1"}, "start")
    shot.take({"a": b"2", "b": b"2"}, per_part=1)
    shot.take({"a": b"3", "b": b"2"})
    shot.take({"a": b"3", "b": b"2"}, "restart", full=True)
    session.commit()
    withhold(session.archive, session.session, records=(wanted,))
    session.archive.destroy()  # type: ignore[attr-defined]
    found = worktree(session)
    assert [found.tree(n).exact for n in range(4)] == [True, False, False, True]
    assert "withheld" in found.tree(2).doubts[0]


def test_what_is_not_looked_at_any_more_is_not_called_deleted() -> None:
    session = Session()
    shot = Shot(session)
    shot.take({"a": b"1", "b": b"1"}, "start")
    shot.write([(replace(gone("a"), facts={"why": "ignored"}), b"")], "command", full=False)
    session.close()
    found = worktree(session)
    assert list(found.at().entries) == [b"b"] and found.changes[1] == []


def test_roots_are_told_apart_and_another_capture_process_counts_anew() -> None:
    session = Session()
    one, two = Shot(session), Shot(session, b"/srv")
    one.take({"a": b"1"}, "start")
    two.take({"a": b"9"}, "start")
    one.take({"a": b"2"})
    again = Shot(session)
    again.take({"a": b"2", "c": b"3"}, "restart")
    session.close()
    first, second = worktrees(session.archive, list(session.archive.session_records(session.session)))
    assert (first.root, second.root) == (b"/home/alice/project", b"/srv")
    assert held(session.archive, first.at()) == {"a": b"2", "c": b"3"}
    assert held(session.archive, second.at()) == {"a": b"9"}
    assert [v.what for v in first.changes[2]] == ["added"] and first.tree(2).exact


def test_below_a_directory_that_is_gone_there_is_nothing() -> None:
    session = Session()
    shot = Shot(session)
    folder = unstored("d", "", "dir")
    shot.take({"d": folder, "d/a": b"1", "da": b"2"}, "start")
    shot.write([(gone("d"), b"")], "command", full=False)
    session.close()
    found = worktree(session)
    assert held(session.archive, found.at()) == {"da": b"2"}
    assert {v.path for v in found.changes[1]} == {b"d", b"d/a"}


def test_what_a_directory_held_that_is_ignored_from_now_on_is_not_called_deleted() -> None:
    session = Session()
    shot = Shot(session)
    shot.take({"d": unstored("d", "", "dir"), "d/a": b"1"}, "start")
    shot.write([(unstored("d", "ignored", "dir"), b"")], "command", full=False)
    session.close()
    found = worktree(session)
    assert list(found.at().entries) == [b"d"] and [v.path for v in found.changes[1]] == [b"d"]


def test_content_that_was_not_stored_says_why() -> None:
    session = Session()
    Shot(session).take({"big": unstored("big", "large"), "d": unstored("d", "", "dir")}, "start")
    session.close()
    entries = worktree(session).at().entries
    with pytest.raises(NotFound, match="too large"):
        content(session.archive, entries[b"big"])
    with pytest.raises(NotFound, match="directory"):
        content(session.archive, entries[b"d"])


def test_content_is_held_against_the_hash_of_its_row() -> None:
    session = Session()
    shot = Shot(session)
    shot.write([(file("a", b"said"), b"held")], "start", full=True)
    session.close()
    with pytest.raises(Damaged, match="does not match"):
        content(session.archive, worktree(session).at().entries[b"a"])


def test_a_part_that_is_damaged_or_withheld_costs_its_files_alone() -> None:
    session = Session()
    shot = Shot(session)
    drafts = shot.take({"a": b"1", "b": b"2"}, "start", per_part=1)
    session.close()
    node = BodyRef.of(drafts[0].body["listing"]).node
    session.archive._objects[node] = ("node", b"broken")  # type: ignore[attr-defined]
    tree = worktree(session).at()
    assert held(session.archive, tree) == {"b": b"2"} and "damaged" in tree.doubts[-1]


def test_a_version_names_its_record_and_session() -> None:
    session = Session()
    shot = Shot(session)
    shot.take({"a": b"1"}, "start")
    (draft,) = shot.take({"a": b"2"})
    session.close()
    (version,) = worktree(session).versions(b"a")
    assert isinstance(version, Version)
    assert (version.record, version.session, version.root) == (draft.hash, session.session, b"/home/alice/project")
    assert isinstance(version.record, Digest) and issubclass(Withheld, NotFound)
