"""`tapes search` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support import Bench
from tapes.archive.lmdb_archive import LmdbArchive
from tapes_cli import output
from witnessed import BEGINNING, SECOND, Session

DOCS = Path(__file__).parents[2] / "docs" / "cli.md"
WORD = "xylophone"


def bench(folder: Path) -> Bench:
    found = Bench(folder)
    found.environ |= {"TZ": "UTC"}
    found.home.mkdir(mode=0o700)
    with LmdbArchive.open(found.home / "archive", create=True) as archive:
        for n in range(3):
            session = Session(archive, agent="claude", name=f"take-{n}", began=BEGINNING + n * 3600 * SECOND)
            session.run(f"play {WORD} {n}", f"\x1b[31mone {WORD} plays\x1b[0m\n".encode(), status=n)
            session.run("ls", b"score.txt")
            session.close()
    return found


def test_a_row_names_what_show_and_cat_take(tmp_path: Path) -> None:
    b = bench(tmp_path)
    done = b.tapes("search", f"plays {WORD}")
    assert done.returncode == 0, done.stderr.decode()
    rows = [line.split() for line in done.stdout.decode().splitlines()]
    assert [row[0].partition(":")[0] for row in rows] == ["take-2"] * 2 + ["take-1"] * 2 + ["take-0"] * 2
    assert {row[4] for row in rows} == {"tool.result", "output"}
    for row in rows:
        shown = b.tapes("show", row[0])
        assert shown.returncode == 0
        assert f"record {row[1]}".encode() in shown.stdout
        assert b.tapes("cat", row[1]).returncode == 0


def test_a_row_fits_the_terminal_and_can_not_drive_it(tmp_path: Path) -> None:
    b = bench(tmp_path)
    with LmdbArchive.open(b.home / "archive") as archive:
        session = Session(archive, agent="claude")
        session.add("note", {"kind": "note", "text": f"{WORD} \u202e\u2066 wide 漢字" + "漢" * 200, "who": "alice"})
        session.close()
    for columns in (60, 80, 200):
        b.environ["COLUMNS"] = str(columns)
        lines = b.tapes("search", WORD).stdout.decode().splitlines()
        assert len(lines) == 13
        assert max(sum(2 if char in "漢字" else 1 for char in line) for line in lines) <= columns
        assert not any(char in "".join(lines) for char in "\u202e\u2066\x1b")


def test_its_exit_code_says_whether_something_was_found(tmp_path: Path) -> None:
    b = bench(tmp_path)
    assert b.tapes("search", WORD).returncode == 0
    nothing = b.tapes("search", "nothingatall")
    assert (nothing.returncode, nothing.stdout) == (1, b"")
    assert b.tapes("search").returncode == 2


@pytest.mark.parametrize(
    "words",
    [
        ["eror:x"],
        ["--nosuch"],
        ["--regex", "("],
        ["--rank", "-x"],
        ["since:soon"],
        ["exit:maybe"],
        ["->"],
        ["--limit", "-1", "x"],
    ],
)
def test_what_can_not_be_used_is_refused(tmp_path: Path, words: list[str]) -> None:
    done = bench(tmp_path).tapes("search", *words)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr


def test_a_field_that_nothing_has_is_said(tmp_path: Path) -> None:
    done = bench(tmp_path).tapes("search", WORD, "tool:Hammer")
    assert done.returncode == 1
    assert b"nothing that was recorded has tool:Hammer" in done.stderr


def test_words_with_a_minus_are_left_out_and_are_no_options(tmp_path: Path) -> None:
    b = bench(tmp_path)
    for word in ("-help", "-note", "-limit", "-json", "-xylophone"):
        rows = b.tapes("search", "score", word, "type:output")
        assert rows.returncode == 0, rows.stderr.decode()
    assert b.tapes("search", WORD, "-plays", "-play").returncode == 1


def test_a_session_does_not_flood_the_list(tmp_path: Path) -> None:
    b = bench(tmp_path)
    rows = b.rows("search", WORD, "--sessions")
    assert [(row["name"], row["hits"]) for row in rows] == [("take-2", 4), ("take-1", 4), ("take-0", 4)]
    done = b.tapes("search", WORD, "--sessions", "--limit", "2")
    assert len(done.stdout.splitlines()) == 2
    assert b"more sessions than these 2" in done.stderr
    assert len(b.rows("search", WORD, "session:take-1")) == 4


def test_a_time_that_is_shown_holds_what_was_then(tmp_path: Path) -> None:
    assert output.iso(1_763_000_000_123_456_789) == "2025-11-13T02:13:20.123456Z"
    assert output.iso(1_763_000_000_999_999_999) == "2025-11-13T02:13:20.999999Z"
    b = bench(tmp_path)
    rows = b.rows("search", WORD, "--limit", "0")
    for row in rows:
        assert row in b.rows("search", WORD, f"since:{row['time']}", f"until:{row['time']}", "--limit", "0")


def test_patterns_times_and_ranks(tmp_path: Path) -> None:
    b = bench(tmp_path)
    assert len(b.rows("search", "--regex", r"play \w+ [01]$", "type:command")) == 2
    assert len(b.rows("search", "--substring", "e plays\n", "type:output")) == 3
    assert len(b.rows("search", "type:command since:2025-10-09T09:00 until:2025-10-09T10:00 play")) == 1
    ranked = b.rows("search", WORD, "--rank")
    assert sorted(row["hash"] for row in ranked) == sorted(row["hash"] for row in b.rows("search", WORD))


def test_the_fields_of_its_json_are_documented(tmp_path: Path) -> None:
    text = DOCS.read_text()
    section = text[text.index("## tapes search") :].split("\n## ")[0]
    (row, *_) = bench(tmp_path).rows("search", f"one {WORD}", "--sessions", "type:output", "is:error")
    for name in row:
        assert f"`{name}`" in section
    assert row["ref"] == f"{row['name']}:{row['step']}"
    assert (row["tool"], row["exit"], row["failed"]) == ("Bash", "2", True)
    start, end = row["matches"][1]
    assert row["snippet"][start:end] == WORD


def test_deleting_the_index_changes_no_answer(tmp_path: Path) -> None:
    b = bench(tmp_path)
    before = b.tapes("search", WORD, "--json").stdout
    for path in (b.home / "index").iterdir():
        path.unlink()
    assert b.tapes("search", WORD, "--json").stdout == before
    assert json.loads(before.splitlines()[0])["type"] == "tool.result"


def test_what_is_forgotten_is_in_no_file_and_not_found(tmp_path: Path) -> None:
    b = bench(tmp_path)
    assert b.tapes("search", WORD).returncode == 0
    for n in range(3):
        done = b.tapes("forget", f"take-{n}", "--yes")
        assert done.returncode == 0, done.stderr.decode()
        assert not (b.home / "index").exists()
        assert len(b.tapes("search", WORD, "--limit", "0").stdout.splitlines()) == 4 * (2 - n)
    assert WORD.encode() not in b.everything()
