"""`tapes files`, `tapes blame` and files by `tapes cat`, as a person and a program read them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from snapped import Shot, file, gone, unstored
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.errors import TapesError
from tapes.record.digest import blob_digest
from tapes_cli import main
from witnessed import Session

NASTY = "evil\x1b[2J\u202e"
BEFORE = b"one\ntwo\nthree\n"
WRITTEN = b"one\n2\nthree\n"
SED = b"one\n2\nthree\nfour\n"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One session: a prompt, a Write, a sed with a move, a claim that is not so."""
    home = tmp_path_factory.mktemp("files")
    home.chmod(0o700)
    archive = LmdbArchive.open(home / "archive", create=True)
    session = Session(archive, name="story")
    session.root.body = {**session.root.body, "cwd": b"/home/alice/project"}
    shot = Shot(session)
    files: dict[str, Any] = {
        "src/a": BEFORE,
        "bin": b"\0\1",
        "move": b"same\n",
        "big": unstored("big", "large", size=7_000_000),
        NASTY: b"\x1b[31mred\n",
    }
    shot.take(files, "start")
    session.opened([{"role": "user", "content": "make two 2"}])
    use = session.ask_all({"file_path": "src/a", "content": WRITTEN.decode()}, tool="Write")[0]
    session.tell((use, "done"))
    shot.take({**files, "src/a": WRITTEN}, "request")
    start = session.start("sed -i '$a four' src/a; mv move moved")
    session.end(start)
    moved = file("moved", b"same\n", facts={"from": b"move"}, mode=0o755)
    shot.write(
        [(file("bin", b"\0\2"), b"\0\2"), (gone("move"), b""), (moved, b"same\n"), (file("src/a", SED), SED)],
        "command",
        full=False,
    )
    use = session.ask_all({"file_path": "never", "content": "x"}, tool="Write")[0]
    session.tell((use, "done"))
    shot.write([], "end", full=False)
    session.close()
    twice = Session(archive, name="twice")
    shot = Shot(twice)
    shot.take({"a": b"1\n"}, "start")
    shot.write([(gone("a"), b""), (file("b", b"1\n", facts={"from": b"a"}), b"1\n")], "command", full=False)
    shot.write([(gone("b"), b""), (file("c", b"1\n", facts={"from": b"b"}), b"1\n")], "command", full=False)
    shot.write([(file("c", b"1\n2\n"), b"1\n2\n")], "end", full=False)
    twice.close()
    bare = Session(archive, name="bare")
    bare.run("true")
    bare.close()
    archive.close()
    yield home


@dataclass(frozen=True)
class Said:
    returncode: int
    out: bytes
    stderr: str

    @property
    def stdout(self) -> str:
        return self.out.decode()


type Tapes = Callable[..., Said]


@pytest.fixture
def tapes(home: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Tapes:
    """The command in this process, as `run` has it."""
    monkeypatch.setenv("TAPES_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "160")

    def call(*words: str) -> Said:
        try:
            status = main.tapes.main(list(words), prog_name="tapes", standalone_mode=False) or 0
        except TapesError as error:
            status = main.report(error)
        return Said(int(status), *_both(capsysbinary))

    return call


def _both(captured: pytest.CaptureFixture[bytes]) -> tuple[bytes, str]:
    out, err = captured.readouterr()
    return out, err.decode()


def rows(tapes: Tapes, *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in tapes(*words, "--json").stdout.splitlines()]


def test_what_changed_since_the_start_is_told_with_its_step_and_verdict(tapes: Tapes) -> None:
    found = {row["path"]: row for row in rows(tapes, "files", "story")}
    assert {path: row["change"] for path, row in found.items()} == {
        "bin": "changed",
        "moved": "renamed",
        "src/a": "changed",
        "never": None,
    }
    assert found["moved"]["from"] == "move" and found["moved"]["mode"] == "0755"
    assert found["bin"]["verdict"] == "changed, not claimed" and found["bin"]["causes"][0]["text"].startswith("sed -i")
    assert found["never"]["verdict"] == "claimed, not on disk"
    assert found["src/a"]["hash"] == blob_digest(SED).hex()
    said = tapes("files", "story").stdout
    assert "3 changed since the start" in said and "! never" in said


def test_a_file_that_was_renamed_twice_and_edited_is_told_with_its_first_name(tapes: Tapes) -> None:
    (row,) = rows(tapes, "files", "twice")
    assert (row["path"], row["change"], row["from"]) == ("c", "renamed", "a")
    assert "a → c" in tapes("files", "twice").stdout


def test_at_an_earlier_step_only_what_had_changed_by_then(tapes: Tapes) -> None:
    step = next(row["step"] for row in rows(tapes, "show", "story") if row["type"] == "tool.use")
    (row,) = rows(tapes, "files", f"story:{step}")
    assert (row["path"], row["verdict"], row["step"], row["exact"]) == ("src/a", "claimed and true", step, True)
    assert tapes("cat", f"story:{step}", "src/a").stdout == WRITTEN.decode()
    assert tapes("cat", "story:0", "src/a").stdout == BEFORE.decode()
    assert "at the start · 5 files, 0 changed" in tapes("files", "story:0").stdout


def test_the_whole_tree_says_why_something_has_no_content(tapes: Tapes) -> None:
    found = {row["path"]: row for row in rows(tapes, "files", "story", "--all")}
    assert found["big"]["hash"] is None and found["big"]["why"] == "it is too large"
    said = tapes("files", "story", "--all").stdout
    assert "(large)" in said and "\x1b[2J" not in said and "\u202e" not in said and "evil␛" in said
    assert {row["path"] for row in rows(tapes, "files", "story", "src", "--all")} == {"src/a"}


def test_every_version_of_a_file(tapes: Tapes) -> None:
    found = rows(tapes, "files", "story", "--log", "src/a")
    assert [(row["change"], row["added_lines"], row["verdict"] if row["step"] else None) for row in found] == [
        ("start", None, None),
        ("changed", 1, "claimed and true"),
        ("changed", 1, "changed, not claimed"),
    ]
    renamed = rows(tapes, "files", "story", "--log", "moved")
    assert [(row["path"], row["change"], row.get("from")) for row in renamed] == [
        ("move", "start", None),
        ("moved", "renamed", "move"),
    ]
    assert "Write" in tapes("files", "story", "--log", "src/a").stdout


def test_each_hash_that_is_printed_is_a_file_that_cat_gives(tapes: Tapes) -> None:
    for row in rows(tapes, "files", "story", "--log", "src/a"):
        for digits in (64, 12, 7):
            said = tapes("cat", row["hash"][:digits])
            assert blob_digest(said.out).hex() == row["hash"]
    assert tapes("show", blob_digest(SED).hex(), "--json").returncode == 0
    assert tapes("cat", "0123456789").returncode == 3
    record = rows(tapes, "files", "story")[0]["record"]
    assert tapes("cat", record[:12], "src/a").out == SED
    assert json.loads(tapes("cat", record[:12]).stdout)["type"] == "snapshot"


def test_a_diff_can_be_applied(tapes: Tapes, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a").write_bytes(BEFORE)
    (tmp_path / "move").write_bytes(b"same\n")
    patch = tapes("files", "story", "--diff", "src", "moved", "--raw").out
    told = subprocess.run(["git", "apply", "--verbose"], input=patch, cwd=tmp_path, capture_output=True, check=False)
    assert told.returncode == 0, told.stderr
    assert (tmp_path / "src/a").read_bytes() == SED
    assert (tmp_path / "moved").stat().st_mode & 0o777 == 0o755 and not (tmp_path / "move").exists()


def test_a_diff_is_of_a_range_of_steps_and_says_what_is_binary(tapes: Tapes) -> None:
    command = next(row["step"] for row in rows(tapes, "show", "story") if row["type"] == "command")
    said = tapes("files", f"story:{command - 1}..{command}", "--diff").stdout
    assert "+four" in said and "-two" not in said and "Binary files a/bin and b/bin differ" in said
    assert "rename from move" in said and "new mode 100755" in said
    assert "-two" in tapes("files", f"story:..{command}", "--diff", "src/a").stdout
    beyond = tapes("files", f"story:{command - 1}..9999", "--diff")
    assert "+four" in beyond.stdout and "up to its end" in beyond.stderr
    assert "rename from move" in tapes("files", f"story:{command}", "--diff").stdout
    (row,) = rows(tapes, "files", f"story:{command}", "--diff", "src/a")
    assert (row["added_lines"], row["removed_lines"], row["binary"]) == (1, 0, False) and "+four" in row["diff"]


def test_each_line_says_where_it_comes_from(tapes: Tapes) -> None:
    found = rows(tapes, "blame", "story", "src/a")
    assert [(row["line"], row["text"], row["origin"]) for row in found] == [
        (1, "one\n", "start"),
        (2, "2\n", "step"),
        (3, "three\n", "start"),
        (4, "four\n", "step"),
    ]
    assert found[1]["prompt"]["text"] == "make two 2" and found[1]["verdict"] == "claimed and true"
    assert found[3]["causes"][0]["type"] == "command"
    said = tapes("blame", "story", "src/a").stdout
    assert "asked in step 1: make two 2" in said and "there at the start" in said
    nasty = tapes("blame", "story", "evil␛[2J\\u202e").stdout
    assert "\x1b" not in nasty and "␛[31mred" in nasty


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("files", "bare"), 3, "--no-worktree"),
        (("blame", "bare", "x"), 3, "--no-worktree"),
        (("cat", "bare", "x"), 3, "--no-worktree"),
        (("files", "story", "--log", "nope/a"), 3, "there is src/a"),
        (("files", "story:999"), 3, "no step 999"),
        (("files", "story:1..2"), 2, "--diff"),
        (("files", "story", "--raw"), 2, "--diff"),
        (("cat", "story", "big"), 3, "too large"),
        (("blame", "story", "bin"), 2, "binary"),
        (("cat", "story", "src/a", "--request"), 2, "PATH"),
        (("cat", "story", "move"), 3, "not there at the end"),
    ],
)
def test_what_can_not_be_is_said(tapes: Tapes, words: tuple[str, ...], code: int, said: str) -> None:
    done = tapes(*words)
    assert done.returncode == code and said in done.stderr


def test_the_story_tells_what_a_step_did_to_files(tapes: Tapes) -> None:
    said = tapes("show", "story").stdout
    assert "± 1 file: src/a +1 −1" in said
    assert "± 3 files: bin, src/a +1 −0, move → moved" in said
    assert "! claimed, not on disk: never: there is no such file" in said
    found = {row["step"]: row.get("changed", []) for row in rows(tapes, "show", "story")}
    assert [[row["path"] for row in changed] for changed in found.values() if changed] == [
        ["src/a"],
        ["bin", "src/a", "moved"],
        ["never"],
    ]
    command = next(step for step, changed in found.items() if len(changed) == 3)
    page = tapes("show", f"story:{command}").stdout
    assert "── files" in page and "M src/a +1 −0 · changed, not claimed · " + blob_digest(SED).short() in page
    assert "±" not in tapes("show", "bare").stdout
