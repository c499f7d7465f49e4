"""`tapes checkout` as a person types it: where it writes, what it says, its exit codes, and what is out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.test_show import story
from support import Bench, bench
from tapes.archive.lmdb_archive import LmdbArchive
from witnessed import Session


@pytest.fixture
def b(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    found.home.mkdir(mode=0o700)
    with LmdbArchive.open(found.home / "archive", create=True) as archive:
        session = Session(archive, agent="claude", name="early")
        story(session)
        session.close()
    yield found


def test_a_moment_is_taken_out_and_listed_until_its_directory_is_gone(b: Bench) -> None:
    done = b.tapes("checkout", "early:3", "-o", "out")
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
    out = b.project / "out"
    assert str(out) in done.stdout.decode()
    rows = b.rows("checkout", "--list")
    assert [(row["path"], row["step"]) for row in rows] == [(str(out), 3)]
    record = (out / "REFS").read_text().split("step 3 ")[1].split()[1]
    again = b.rows("checkout", record, "-o", str(b.project / "again"))[0]
    assert (again["step"], again["path"]) == (3, str(b.project / "again"))
    for path in out.iterdir():
        path.unlink() if path.is_file() else path.rmdir()
    out.rmdir()
    assert [row["path"] for row in b.rows("checkout", "--list")] == [str(b.project / "again")]


def test_without_a_place_it_is_named_after_the_moment(b: Bench) -> None:
    found = b.rows("checkout", "@")[0]
    assert found["path"] == str(b.project / f"tapes-{found['session'][:12]}-{found['step']}")
    assert json.loads(Path(found["path"], "messages.json").read_text())["session"] == found["session"]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("early:99",), 3, "no step 99"),
        (("early:0",), 3, "no step 0"),
        (("nobody",), 3, "no session is named"),
        (("early", "--thread", "zzz"), 3, "no thread"),
        (("early", "-o", "none/below"), 2, "no directory"),
        (("early", "-o", "full"), 2, "is not empty"),
        (("early", "-o", "full/mine"), 2, "no directory"),
    ],
)
def test_what_can_not_be_is_said_and_nothing_is_written(
    b: Bench, words: tuple[str, ...], status: int, said: str
) -> None:
    (b.project / "full").mkdir()
    (b.project / "full/mine").write_text("mine")
    done = b.tapes("checkout", *words)
    assert done.returncode == status
    assert said in done.stderr.decode()
    assert {str(path.relative_to(b.project)) for path in b.project.rglob("*")} == {"full", "full/mine"}
    assert b.rows("checkout", "--list") == []


def test_force_says_where_what_was_in_the_way_is(b: Bench) -> None:
    first = b.rows("checkout", "early:2", "-o", "out")[0]
    second = b.rows("checkout", "early:3", "-o", "out", "--force")[0]
    assert (first["before"], second["before"]) == (None, "before-1")
    assert json.loads((b.project / "out/before-1/state.json").read_text())["step"] == 2
    assert [row["step"] for row in b.rows("checkout", "--list")] == [3]


def test_the_archive_is_only_read(b: Bench) -> None:
    before = b.rows("log")
    b.read("checkout", "early")
    assert b.rows("log") == before
    b.assert_sound()


def test_forgetting_names_what_is_out(b: Bench) -> None:
    b.read("checkout", "early:3", "-o", "out")
    done = b.tapes("forget", "early", "--yes")
    assert done.returncode == 0
    assert f"Not reached: {b.project / 'out'}, taken out of it at step 3" in done.stderr.decode()
    assert b.tapes("checkout", "@", "-o", "again").returncode in (0, 1, 3)
    assert b"3 passed" not in b"".join(path.read_bytes() for path in (b.project / "again").glob("*") if path.is_file())


def test_of_a_real_run_every_step_has_the_request_that_was_sent_and_the_files_that_there_were(tmp_path: Path) -> None:
    tools = ["echo one > a.txt", "mkdir d && echo two > d/b.txt && chmod +x d/b.txt", "rm a.txt; ln -s d/b.txt link"]
    turns = [{"tools": [{"tool": "bash", "input": {"command": line}}]} for line in tools]
    script = {"pace": {"first_ms": 150, "gap_ms": 1}, "scripts": {"main": [*turns, {"text": "Done."}]}}
    with bench(tmp_path, script) as b:
        (b.project / "was.txt").write_text("there before")
        done = b.run()
        assert done.returncode == 0, done.stderr.decode()
        sent = [request for request, _ in b.said()]
        results = [row["step"] for row in b.rows("show") if row["type"] == "tool.result"]
        for n, step in enumerate(results, 1):
            out = b.project.parent / f"out-{n}"
            told = b.rows("checkout", f"@:{step}", "-o", str(out))[0]
            assert (told["request"], told["source"], told["lost"]) == ("sent", "snapshot", [])
            assert (out / "request.json").read_bytes() == sent[n]
            made = {str(p.relative_to(out / "files")): p.read_text() for p in (out / "files").rglob("*") if p.is_file()}
            expected = {"was.txt": "there before", "a.txt": "one\n", "d/b.txt": "two\n", "link": "two\n"}
            absent = {1: {"d/b.txt", "link"}, 2: {"link"}, 3: {"a.txt"}}[n]
            tree = json.loads((out / "MANIFEST.json").read_text())["trees"][0]
            # On a machine that is busy a snapshot may come late; then that is said.
            assert made == {name: text for name, text in expected.items() if name not in absent} or tree["doubts"]
        built = b.rows("checkout", "@", "-o", str(b.project.parent / "end"))[0]
        assert built["request"] == "built"
        assert (b.project.parent / "end/files/d/b.txt").stat().st_mode & 0o777 == 0o755
        assert (b.project.parent / "end/files/link").readlink() == Path("d/b.txt")
        assert json.loads((b.project.parent / "end/request.json").read_text())["messages"][-1]["role"] == "assistant"


def test_where_it_can_not_be_noted_the_files_are_there_all_the_same(b: Bench) -> None:
    (b.home / "checkouts").write_text("in the way")
    done = b.tapes("checkout", "early:3", "-o", "out")
    assert (done.returncode, b"Not noted" in done.stderr) == (0, True)
    assert (b.project / "out/REFS").exists()
