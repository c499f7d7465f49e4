"""`tapes note` as typed: on a session that is closed, and on one that is being recorded."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support import Bench
from tapes.archive.base import Batch, Draft
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.verify import verify
from tapes.intake.opening import Facts, open_session
from tapes.intake.recording import Recording
from tapes.intake.split import Splitter
from tapes.intake.writer import Writer
from tapes.record.digest import Digest
from tapes.record.kinds import Record
from tapes.wire.agents import by_name
from tapes.wire.exchange import Egress, Moment
from tapes.wire.redact import Redactor

KEY = "ghp_" + "a1B2" * 9


@pytest.fixture
def b(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    with LmdbArchive.open(bench.home / "archive", create=True) as archive:
        for name in ("first", "second"):
            open_session(archive, Facts("generic", [b"x"], b"/", name=name), Redactor())
    return bench


def noted(b: Bench, *words: str) -> Record:
    done = b.tapes("note", *words)
    assert done.returncode == 0, done.stderr.decode()
    with LmdbArchive.open(b.home / "archive", readonly=True) as archive:
        assert verify(archive).ok
        return archive.record(Digest.parse(done.stdout.decode().strip()))


def name_of(b: Bench, record: Record) -> Any:
    assert record.session is not None
    with LmdbArchive.open(b.home / "archive", readonly=True) as archive:
        return archive.record(record.session).body["name"]


def noted_in(b: Bench, name: str) -> str:
    """The record of the one note in it."""
    return str(next(row["hash"] for row in b.rows("show", name) if row["type"] == "note"))


def test_one_word_is_noted_in_the_last_session_and_two_in_the_first_that_is_named(b: Bench) -> None:
    last, named = noted(b, "what I saw"), noted(b, "first", f"with {KEY} in it")
    assert (last.body["kind"], last.body["text"], name_of(b, last)) == ("note", "what I saw", "second")
    assert (named.body["text"], name_of(b, named)) == ("with [REDACTED:github-token] in it", "first")
    assert named.body["redactions"] == [["text", 5, 23, "github-token"]]
    assert [row["text"] for row in b.rows("show", "second") if row["type"] == "note"] == ["what I saw"]


def test_a_snapshot_says_where_one_is_working_and_no_more(b: Bench) -> None:
    b.environ |= {"AWS_PROFILE": "prod-west-2", "SOME_WORD": "not-to-be-kept", "MY_TOKEN": "sesame-open-9"}
    (b.project / "sesame-open-9").mkdir()
    note = noted(b, "--snapshot", "first")
    assert (note.body["kind"], name_of(b, note)) == ("snapshot", "first")
    assert [b"AWS_PROFILE", b"prod-west-2"] in note.body["environment"]
    assert b"SOME_WORD" in note.body["variables"]
    assert note.body["snapshot"]["kernel"]
    assert "not-to-be-kept" not in str(note.body) and "sesame" not in str(note.body)
    told = next(row["text"] for row in b.rows("show", "first") if row["type"] == "note")
    assert told.startswith("snapshot: ") and "AWS_PROFILE=prod-west-2" in told
    assert [hit["hash"] for hit in b.rows("search", "snapshot", "type:note")] == [noted_in(b, "first")]


def test_a_session_is_no_longer_for_a_note_of_later(b: Bench) -> None:
    def lengths() -> list[float]:
        return [row["seconds"] for row in b.rows("log")]

    with LmdbArchive.open(b.home / "archive") as archive:
        session = archive.names()["second"]
        archive.commit(Batch([Draft("session.close", {"how": "test", "status": 0, "signal": None}, session)]))
    before = lengths()
    noted(b, "of much later")
    assert lengths() == before


def test_a_session_that_another_process_records_can_be_noted_in(b: Bench) -> None:
    with LmdbArchive.open(b.home / "archive") as archive:
        session = archive.names()["second"]
        recording = Recording(Splitter(session, Redactor()), by_name("generic"))
        writer = Writer(archive, lambda who: recording)
        writer.start()
        for n in range(3):
            now = Moment.now()
            writer.put(Egress(now, "h", n, "tunnel", 1, 1, now.wall_ns))
            assert writer.wait_safe(10)
            subprocess.run(b.command("note", f"note {n}"), env=b.env(), check=True, capture_output=True)
        assert writer.close({"how": "test"}, 10)
        types = [record.type for _, record in archive.session_records(session)]
        assert types == ["session.open", *["egress", "note"] * 3, "session.close"]
        assert verify(archive).ok


@pytest.mark.parametrize("words", [[], [" "], ["first", ""], ["a", "b", "c"], ["no-such-session", "text"]])
def test_what_can_not_be_noted_is_refused(b: Bench, words: list[str]) -> None:
    done = b.tapes("note", *words)
    assert done.returncode in (2, 3, 4), done
    assert done.stderr and not done.stdout


def test_notes_can_be_piped(b: Bench) -> None:
    done = subprocess.run(b.command("note", "-"), env=b.env(), input=b"two\nlines\n", capture_output=True, check=True)
    with LmdbArchive.open(b.home / "archive", readonly=True) as archive:
        assert archive.record(Digest.parse(done.stdout.decode().strip())).body["text"] == "two\nlines\n"


# -- marks


@pytest.fixture
def stepped(b: Bench) -> Bench:
    """`second` has three steps."""
    for text in ("one", "two", "three"):
        noted(b, text)
    return b


def test_a_step_is_marked_and_shown_so_everywhere(stepped: Bench) -> None:
    b = stepped
    note = noted(b, "@:2", "--mark", f" the\nwrong  turn {KEY}")
    label = "the wrong turn [REDACTED:github-token]"
    assert (note.body["kind"], note.body["text"], note.body["item"]) == ("mark", label, 0)
    rows = b.rows("show", "second")
    assert [row.get("marks") for row in rows] == [None, [label], None, None]
    assert note.parents[0].hex() == rows[1]["hash"]
    assert rows[3]["about"] == {"step": 2, "hash": rows[1]["hash"], "item": 0}
    lines = b.read("show", "second").decode().splitlines()
    assert any(line.endswith(f"✎ ★ {label} · two") for line in lines)
    assert lines[-1].endswith(f"★ {label} (at step 2)")
    assert f"── marks\n★ {label} · " in b.read("show", "second:2").decode()
    assert "── about\nstep 2: two" in b.read("show", "second:4").decode()
    assert f"- mark: `{label}`" in b.read("export", "second", "--format", "md").decode()
    exported = json.loads(b.read("export", "second", "--format", "json"))
    assert exported["steps"][1]["marks"] == [label]


def test_marks_are_found_until_they_are_taken_back(stepped: Bench) -> None:
    b = stepped
    first = noted(b, "@:2", "--mark", "wrong turn")
    noted(b, "@:1", "--mark", "right turn")
    assert len(b.rows("search", "is:mark turn")) == 2
    assert [row["step"] for row in b.rows("search", "is:mark wrong")] == [4]
    taken = noted(b, "@:2", "--unmark")
    assert (taken.body["kind"], taken.parents) == ("unmark", first.parents)
    assert [row["step"] for row in b.rows("search", "is:mark")] == [5]
    assert [row["step"] for row in b.rows("search", "type:note wrong")] == [4]
    assert [row.get("marks") for row in b.rows("show", "second")][:3] == [["right turn"], None, None]
    (b.home / "index" / "search.sqlite").unlink()  # read in one go, it is the same
    assert [row["step"] for row in b.rows("search", "is:mark")] == [5]
    with LmdbArchive.open(b.home / "archive") as archive:
        session = archive.names()["second"]
        archive.commit(Batch([Draft("session.close", {"how": "test", "status": 0, "signal": None}, session)]))
    assert [row["step"] for row in b.rows("search", "is:mark")] == [5]  # and of a session that is over
    noted(b, "@:3", "--mark", "late")
    noted(b, "@:1", "--unmark")
    assert [row["step"] for row in b.rows("search", "is:mark")] == [7]


def test_a_note_about_a_step_hangs_under_its_record(stepped: Bench) -> None:
    step = stepped.rows("show", "second")[1]
    assert [parent.hex() for parent in noted(stepped, "@:2", "this is why").parents] == [step["hash"]]
    assert [parent.hex() for parent in noted(stepped, step["hash"], "--mark", "by its hash").parents] == [step["hash"]]


@pytest.mark.parametrize(
    "words",
    [
        ["--mark", "x"],
        ["@", "--mark", "x"],
        ["@:9", "--mark", "x"],
        ["@:1", "--mark", " \n "],
        ["@:1", "--mark", "ä" * 101],
        ["@:1", "text", "--mark", "x"],
        ["@:1", "--mark", "x", "--unmark"],
        ["@:1", "--mark", "x", "--snapshot"],
        ["@:1", "--unmark"],
        ["@", "--unmark"],
        ["@:9", "text"],
    ],
)
def test_what_can_not_be_marked_is_refused_and_nothing_is_written(stepped: Bench, words: list[str]) -> None:
    done = stepped.tapes("note", *words)
    assert done.returncode in (2, 3), done
    assert done.stderr and not done.stdout
    assert len(stepped.rows("show", "second")) == 3
