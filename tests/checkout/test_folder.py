"""A directory comes into being whole or not at all, and nothing that a path says is written outside of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapes.checkout.folder import Folder, is_inside, leads_out
from tapes.errors import UsageError


def entries(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_new_directory_is_there_with_all_that_is_in_it(tmp_path: Path) -> None:
    with Folder(tmp_path / "out") as folder:
        assert folder.put(b"files/a/b.txt", b"hello", 0o100755, 10**18) == ""
        assert folder.link(b"files/a/link", b"b.txt") == ""
        assert folder.directory(b"files/empty", 0o500) == ""
        assert folder.finish() == []
        assert not (tmp_path / "out").exists()
        assert folder.commit() == ""
    out = tmp_path / "out"
    assert entries(out) == {"files", "files/a", "files/a/b.txt", "files/a/link", "files/empty"}
    about = (out / "files/a/b.txt").stat()
    assert (about.st_mode & 0o7777, about.st_mtime_ns) == (0o755, 10**18)
    assert (out / "files/a/link").read_bytes() == b"hello"
    assert entries(tmp_path) == {"out", *(f"out/{name}" for name in entries(out))}


def test_what_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), Folder(tmp_path / "out") as folder:
        folder.put(b"a", b"x")
        raise RuntimeError
    assert entries(tmp_path) == set()


def test_an_empty_directory_will_do_and_any_other_will_not(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with Folder(tmp_path / "out") as folder:
        folder.put(b"a", b"x")
        folder.commit()
    for target in ("out", "out/a", "none/out"):
        with pytest.raises(UsageError):
            Folder(tmp_path / target)
    assert entries(tmp_path) == {"out", "out/a"}


def test_force_moves_what_is_in_the_way_and_touches_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "files").mkdir(parents=True)
    (out / "files/mine").write_text("mine")
    (out / "other").write_text("other")
    for n in (1, 2):
        with Folder(out, force=True) as folder:
            folder.put(b"files/a", b"x")
            folder.put(b"REFS", b"r")
            assert folder.commit() == f"before-{n}"
    assert (out / "before-1/files/mine").read_text() == "mine"
    assert (out / "before-2/files/a").read_text() == "x"
    assert (out / "other").read_text() == "other"
    assert entries(tmp_path) == {"out", *(f"out/{name}" for name in entries(out))}


def test_somebody_who_is_there_first_is_not_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Folder(out) as folder:
        folder.put(b"a", b"x")
        out.mkdir()
        (out / "mine").write_text("mine")
        with pytest.raises(UsageError, match="no longer empty"):
            folder.commit()
    assert entries(tmp_path) == {"out", "out/mine"}


def test_the_directory_that_one_stands_in_stays_the_same_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = tmp_path.stat().st_ino
    with Folder(Path()) as folder:
        folder.put(b"a", b"x")
        folder.commit()
    assert tmp_path.stat().st_ino == before
    assert entries(tmp_path) == {"a"}


def test_what_a_killed_one_left_is_removed_by_the_next_and_what_one_at_work_makes_is_not(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from tapes.checkout.folder import Folder\n"
        "folder = Folder(Path(sys.argv[1])).__enter__(); folder.put(b'a/b', b'x'); print('ready', flush=True)\n"
        "sys.stdin.read()"
    )
    words = [sys.executable, "-c", program, str(tmp_path / "out")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as at_work:
        assert at_work.stdout and at_work.stdout.readline() == b"ready\n"
        with Folder(tmp_path / "out") as folder:
            assert folder.left_over == []
        assert len(list(tmp_path.iterdir())) == 1
        at_work.kill()
    (tmp_path / ".out.tapes-notes").mkdir()  # not one of ours
    with Folder(tmp_path / "out") as folder:
        assert len(folder.left_over) == 1
        folder.put(b"a", b"x")
        folder.commit()
    assert entries(tmp_path) == {"out", "out/a", ".out.tapes-notes"}


@pytest.mark.parametrize("path", [b"../x", b"/etc/x", b"a/../../x", b"a//x", b"./x", b"a\0b", b"", b"..", b"a/"])
def test_a_path_that_leads_out_is_refused(tmp_path: Path, path: bytes) -> None:
    with Folder(tmp_path / "out") as folder:
        assert folder.put(path, b"x") and folder.directory(path) and folder.link(path, b"x")
        folder.finish()
        assert entries(folder.beside) == set()


def test_no_file_goes_through_a_link_and_links_do_not_leave(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    with Folder(tmp_path / "out") as folder:
        assert folder.link(b"files/d", os.fsencode(tmp_path / "elsewhere")) != ""
        assert folder.link(b"files/e", b"../../elsewhere") != ""
        assert folder.link(b"files/f", b"sub") == ""
        assert folder.put(b"files/f/x", b"x") == ""  # a directory of that name, then
        assert [path for path, _ in folder.finish()] == [b"files/f"]
        folder.commit()
    assert entries(tmp_path / "elsewhere") == set()
    assert entries(tmp_path / "out") == {"files", "files/f", "files/f/x"}


def test_a_name_that_is_taken_or_too_long_is_said(tmp_path: Path) -> None:
    with Folder(tmp_path / "out") as folder:
        assert folder.put(b"a", b"x") == ""
        assert folder.put(b"a", b"y") and folder.put(b"a/b", b"y") and folder.put(b"n" * 300, b"y")
        assert (folder.beside / "a").read_bytes() == b"x"


@given(st.lists(st.sampled_from(["a", "b", "..", ".", "", "c/.."]), max_size=6), st.integers(1, 3))
def test_a_link_that_is_allowed_stays_inside_whatever_the_names_on_its_way_are(names: list[str], depth: int) -> None:
    """Each name may be a link itself: to the root of the tree, at worst."""
    path, target = b"/".join([b"files", *[b"d"] * depth]), "/".join(names).encode()
    if leads_out(path, target):
        return
    at = depth - 1
    assert not target.startswith(b"/")
    for name in target.decode().split("/"):
        if name == "..":
            at -= 1
            assert at >= 0
        elif name not in ("", "."):
            at = 0


def test_only_plain_names_are_inside() -> None:
    assert is_inside("files/é/..x/x..".encode())
    assert not is_inside(b"files/..")
