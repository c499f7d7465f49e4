"""Lines and where they come from; trees and what differs between them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapped import Shot, file, gone, unstored, worktree
from tapes.errors import NotFound, UsageError
from tapes.session.blame import blame
from tapes.session.linediff import lines_of
from tapes.session.treediff import differ, texts
from tapes.session.worktree import content
from witnessed import Session

LINES = st.lists(st.sampled_from([b"a\n", b"b\n", b"c\n", b"d\n", b"e\n", b"\xff\n"]), max_size=8)


@settings(max_examples=60, deadline=None)
@given(st.lists(LINES, min_size=1, max_size=6))
def test_every_line_is_the_files_and_its_origin_has_it_and_the_version_before_that_has_it_less_often(
    versions: list[list[bytes]],
) -> None:
    session = Session()
    shot = Shot(session)
    for lines in versions:
        shot.take({"f": b"".join(lines)})
    session.close()
    tree, archive = worktree(session), session.archive
    found = blame(archive, tree, b"f", len(versions) - 1)
    assert [line.text for line in found] == lines_of(b"".join(versions[-1]))
    for line in found:
        if line.origin is None:
            assert line.text in versions[0]
            continue
        now = lines_of(content(archive, line.origin))
        before = lines_of(content(archive, line.origin.before)) if line.origin.before else []
        assert line.text in now and now != before


def test_lines_keep_their_origin_through_renames_and_other_edits() -> None:
    session = Session()
    shot = Shot(session)
    shot.take({"a": b"one\ntwo\n"}, "start")
    shot.take({"a": b"one\nnew\ntwo\n"})
    row = file("b", b"one\nnew\ntwo\n", facts={"from": b"a"})
    shot.write([(gone("a"), b""), (row, b"one\nnew\ntwo\n")], "command", full=False)
    shot.write([(file("b", b"one\nnew\ntwo\nend\n"), b"one\nnew\ntwo\nend\n")], "command", full=False)
    session.close()
    found = blame(session.archive, worktree(session), b"b", 3)
    assert [line.origin.n if line.origin else None for line in found] == [None, 1, None, 3]
    assert [line.text for line in blame(session.archive, worktree(session), b"a", 1)] == [b"one\n", b"new\n", b"two\n"]


def test_what_has_no_lines_says_so() -> None:
    session = Session()
    shot = Shot(session)
    shot.take({"bin": b"\0\1", "big": unstored("big", "large"), "x": b"1\n"}, "start")
    shot.take({"bin": b"\0\1", "big": unstored("big", "large")})
    session.close()
    tree = worktree(session)
    with pytest.raises(UsageError, match="binary"):
        blame(session.archive, tree, b"bin", 1)
    with pytest.raises(NotFound, match="too large"):
        blame(session.archive, tree, b"big", 1)
    for path in (b"x", b"never"):
        with pytest.raises(NotFound, match="not there"):
            blame(session.archive, tree, path, 1)


def test_a_file_of_100_000_lines_is_blamed_through_many_versions() -> None:
    session = Session()
    shot = Shot(session)
    text = [b"%d\n" % (n % 5000) for n in range(100_000)]
    for n in range(4):
        shot.take({"f": b"".join(text)})
        text[n * 20_000 : n * 20_000 + 10] = [b"new %d\n" % n] * 20
    session.close()
    found = blame(session.archive, worktree(session), b"f", 3)
    assert sum(line.origin is not None for line in found) == 60


def test_a_file_that_takes_a_name_that_was_left_is_no_rename() -> None:
    session = Session()
    shot = Shot(session)
    shot.take({"a": b"1\n"}, "start")
    shot.write([(gone("a"), b""), (file("b", b"1\n", facts={"from": b"a"}), b"1\n")], "command", full=False)
    shot.write([(gone("b"), b""), (file("c", b"1\n", facts={"from": b"b"}), b"1\n")], "command", full=False)
    shot.write([(file("b", b"new\n"), b"new\n")], "command", full=False)
    session.close()
    tree = worktree(session)
    there = {diff.path: diff.change for diff in differ(tree, tree.tree(0), tree.tree(3))}
    back = {diff.path: diff.change for diff in differ(tree, tree.tree(3), tree.tree(0))}
    assert there == {b"b": "added", b"c": "renamed"} and back == {b"a": "renamed", b"b": "deleted"}


def test_trees_differ_in_what_was_added_deleted_renamed_changed_and_in_modes() -> None:
    session = Session()
    shot = Shot(session)
    shot.take(
        {"a": b"1\n", "b": b"1\n", "c": b"1\n", "d": b"\0", "e": b"1\n", "big": unstored("big", "large")}, "start"
    )
    rows = [
        (file("a", b"1\n2\n"), b"1\n2\n"),
        (gone("b"), b""),
        (file("b2", b"1\n", facts={"from": b"b"}), b"1\n"),
        (unstored("big", "large", size=10), b""),
        (gone("c"), b""),
        (file("d", b"\0\0"), b"\0\0"),
        (file("e", b"1\n", mode=0o755), b"1\n"),
        (file("n", b"1\n"), b"1\n"),
    ]
    shot.write(rows, "command", full=False)
    session.close()
    tree, archive = worktree(session), session.archive
    found = {diff.path: diff for diff in differ(tree, tree.tree(0), tree.tree(1))}
    assert {path: diff.change for path, diff in found.items()} == {
        b"a": "changed",
        b"b2": "renamed",
        b"big": "changed",
        b"c": "deleted",
        b"d": "changed",
        b"e": "mode",
        b"n": "added",
    }
    assert texts(archive, found[b"a"]).counts() == (1, 0)
    assert (texts(archive, found[b"d"]).why, texts(archive, found[b"big"]).why) == ("binary", "it is too large")
    back = {diff.path: diff.change for diff in differ(tree, tree.tree(1), tree.tree(0))}
    assert back[b"b"] == "renamed" and back[b"n"] == "deleted" and back[b"c"] == "added"
    assert list(differ(tree, tree.tree(1), tree.tree(1))) == []
