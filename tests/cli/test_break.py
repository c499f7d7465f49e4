"""`tapes break` as typed: what is kept, what is refused, and that nobody's change is lost."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support import Bench
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.errors import ArchiveError
from tapes.record.digest import Digest
from tapes.session.breaks import Break
from tapes_cli.breakpoints import Breaks, on_error
from terminal_tape import TerminalSession

KEY = "ghp_" + "a1B2" * 9


@pytest.fixture
def b(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.home.mkdir(mode=0o700)
    with LmdbArchive.open(bench.home / "archive", create=True) as archive:
        for name in ("first", "second"):
            session = TerminalSession(archive, argv=[name.encode()])
            session.command(1, b"rm -rf build")
            session.command(2, b"false", status=1)
    return bench


def listed(b: Bench, *words: str) -> list[dict[str, Any]]:
    return b.rows("break", "list", *words)


def failed(b: Bench, *words: str) -> str:
    """What is said on standard error."""
    done = b.tapes("break", *words)
    assert done.returncode in (2, 3) and not done.stdout, done
    return done.stderr.decode()


def test_breaks_are_added_listed_and_removed(b: Bench) -> None:
    step = b.rows("show", "@")[1]
    assert b.read("break", "add", "@:2").decode().split()[0] == "1"
    b.read("break", "add", step["hash"])  # the same, named otherwise
    b.read("break", "add", "@~1", "--pattern", "rm -rf", "--type", "command", "--type", "tool")
    b.read("break", "add", "--all", "--error")
    at, on, every = listed(b)
    assert (at["id"], at["kind"], at["step"], at["hash"], at["item"]) == (1, "step", 2, step["hash"], 0)
    assert (on["kind"], on["pattern"], on["types"]) == ("pattern", "rm -rf", ["command", "tool"])
    assert (every["kind"], every["session"], every["gone"]) == ("error", None, False)
    assert [row["id"] for row in listed(b, "@")] == [1, 3]
    lines = b.read("break", "list").decode().splitlines()
    assert [line.split("  ")[-1] for line in lines] == ["step 2", "/rm -rf/ in command, tool", "any failed step"]
    assert "every session" in lines[2]

    assert b.read("break", "remove", "@:2") == b"removed break 1\n"
    b.read("break", "add", "@:1")
    b.read("break", "add", "@", "--error")
    assert [row["id"] for row in listed(b)] == [2, 3, 4, 5]  # 1 is not given again
    assert b.read("break", "remove", "@") == b"removed break 4\nremoved break 5\n"
    assert b.read("break", "remove", "3") == b"removed break 3\n"
    assert b.read("break", "remove", "--all") == b"removed break 2\n"
    assert listed(b) == []
    assert b"there are no breaks" in b.tapes("break", "list").stderr


@pytest.mark.parametrize(
    "words",
    [
        ["add"],
        ["add", "@"],
        ["add", "--all"],
        ["add", "@", "--all", "--error"],
        ["add", "@:2", "--error"],
        ["add", "@:9"],
        ["add", "nosuch", "--error"],
        ["add", "@", "--error", "--pattern", "x"],
        ["add", "@", "--error", "--type", "command"],
        ["add", "@", "--pattern", "("],
        ["add", "@", "--pattern", ""],
        ["add", "@", "--pattern", "x" * 1001],
        ["add", "@", "--pattern", "x", "--type", "nosuch"],
        ["list", "@:2"],
        ["remove"],
        ["remove", "7"],
        ["remove", "@"],
        ["remove", "@:1"],
        ["remove", "@", "--all"],
    ],
)
def test_what_can_not_be_is_refused_and_nothing_is_kept(b: Bench, words: list[str]) -> None:
    assert failed(b, *words)
    assert not (b.home / "breaks.json").exists()


@pytest.mark.parametrize("pattern", [f"token {KEY}", KEY.replace("_", r"\_"), "sesame-open-9", r"sesame\-open\-9"])
def test_a_pattern_with_a_secret_in_it_is_not_kept(b: Bench, pattern: str) -> None:
    b.environ |= {"MY_TOKEN": "sesame-open-9"}
    said = failed(b, "add", "--all", "--pattern", pattern)
    assert "secret" in said and pattern not in said
    assert not (b.home / "breaks.json").exists()


def test_they_are_ours_alone_and_a_damaged_file_is_told(b: Bench) -> None:
    b.read("break", "add", "@", "--error")
    file = b.home / "breaks.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    value = json.loads(file.read_text())
    row = value["breaks"][0]
    damaged = ["", "{", "[]", '{"last": 1}', json.dumps(value | {"last": "1"}), "[" * 100_000]
    for change in (
        {"id": -1},
        {"kind": "odd"},
        {"session": "ff"},
        {"kind": "step"},
        {"kind": "pattern", "pattern": "("},
    ):
        damaged.append(json.dumps({"last": 1, "breaks": [row | change]}))
    damaged += [json.dumps({"last": 1, "breaks": [row, row]}), json.dumps({"last": 1, "breaks": [None]})]
    for text in damaged:
        file.write_text(text)
        with pytest.raises(ArchiveError, match=r"breaks\.json cannot be read"):
            Breaks.load(b.home)
    for words in (["list"], ["add", "@", "--error"], ["remove", "1"]):
        assert "mend it, or remove it" in failed(b, *words)
    assert file.read_text() == text


def test_of_many_that_are_added_at_once_none_is_lost(b: Bench) -> None:
    words = [["break", "add", "@", "--pattern", f"p{n}"] for n in range(8)]
    running = [subprocess.Popen(b.command(*each), env=b.env(), stdout=subprocess.DEVNULL) for each in words]
    assert [each.wait(60) for each in running] == [0] * 8
    rows = listed(b)
    assert sorted(row["pattern"] for row in rows) == [f"p{n}" for n in range(8)]
    assert [row["id"] for row in rows] == list(range(1, 9))


def test_a_change_that_fails_leaves_the_file_as_it_was(b: Bench) -> None:
    b.read("break", "add", "@", "--error")
    before = (b.home / "breaks.json").read_bytes()
    with pytest.raises(KeyboardInterrupt), Breaks.changing(b.home) as breaks:
        breaks.add(on_error(None))
        raise KeyboardInterrupt
    (b.home / "breaks.json.new").write_text("what a crash left")
    assert (b.home / "breaks.json").read_bytes() == before
    with Breaks.changing(b.home) as breaks:
        breaks.add(on_error(None))
    assert [each.id for each in Breaks.load(b.home).all] == [1, 2]


def test_breaks_of_a_session_that_is_not_there_are_told(b: Bench) -> None:
    with Breaks.changing(b.home) as breaks:
        breaks.add(Break(0, Digest(bytes(32)), "step", Digest(bytes(32)), 0, 3))
    assert listed(b)[0]["gone"] is True
    assert b.read("break", "list").decode().split()[2] == "(gone)"
    assert b.read("break", "remove", "1") == b"removed break 1\n"


def test_what_is_forgotten_is_not_kept_in_a_pattern(b: Bench) -> None:
    b.read("break", "add", "@", "--pattern", "what nobody may know")
    b.read("break", "add", "@~1", "--error")
    b.read("break", "add", "--all", "--pattern", "anything")
    done = b.tapes("forget", "@", "--yes", "--reason", "a test")
    assert done.returncode == 0, done.stderr.decode()
    assert b"Removed: its breaks (1)" in done.stderr and b"Not reached: patterns of breaks for every" in done.stderr
    assert b"nobody may know" not in (b.home / "breaks.json").read_bytes()
    assert [row["id"] for row in listed(b)] == [2, 3]


def test_forgetting_goes_on_where_the_breaks_can_not_be_read(b: Bench) -> None:
    (b.home / "breaks.json").write_text("{")
    done = b.tapes("forget", "@", "--yes", "--reason", "a test")
    assert done.returncode == 0 and b"Not reached: " in done.stderr, done
