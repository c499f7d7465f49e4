"""`tapes export`: to standard output or a file, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cast_reader import read_cast
from support import Bench
from tapes.archive.lmdb_archive import LmdbArchive
from terminal_tape import TerminalSession


@pytest.fixture
def recorded(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.home.mkdir(mode=0o700)
    with LmdbArchive.open(bench.home / "archive", create=True) as archive:
        session = TerminalSession(archive)
        session.terminal(0, [(0, "o", "漢 \x1b[31mred\x1b[0m\x07\r\n".encode())])
        session.command(1, b"ls")
        session.close(2)
    return bench


@pytest.mark.parametrize("form", ["asciicast", "asciicast-v2"])
def test_an_asciicast_is_written(recorded: Bench, form: str) -> None:
    done = recorded.tapes("export", "@", "--format", form)
    assert done.returncode == 0, done.stderr.decode()
    cast = read_cast(done.stdout.decode("ascii"))
    assert [code for _, code, _ in cast.events] == ["o", "m", "x"][: 3 if form == "asciicast" else 2]
    assert cast.header["title"].startswith("generic ")


def test_without_a_format_it_is_an_asciicast(recorded: Bench) -> None:
    assert recorded.tapes("export", "@").stdout == recorded.tapes("export", "@", "--format", "asciicast").stdout


def test_json_events_are_one_object_a_line(recorded: Bench) -> None:
    rows = [json.loads(line) for line in recorded.tapes("export", "--format", "jsonl").stdout.splitlines()]
    assert rows[0]["event"] == "session.open"
    assert all(row["time"].endswith("Z") for row in rows)


def test_text_is_what_the_screen_showed(recorded: Bench) -> None:
    assert recorded.tapes("export", "--format", "text").stdout.decode() == "漢 red\n"


def test_a_session_without_a_screen_has_events_all_the_same(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.home.mkdir(mode=0o700)
    with LmdbArchive.open(bench.home / "archive", create=True) as archive:
        TerminalSession(archive).command(1, b"ls")
    lines = bench.tapes("export", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["event"] for line in lines][:2] == ["session.open", "command.start"]


def test_a_file_is_never_replaced_unasked_and_has_no_trace_beside_it(recorded: Bench) -> None:
    path = recorded.project / "x.cast"
    words = ["export", "--format", "asciicast", "-o", str(path)]
    assert recorded.tapes(*words).returncode == 0
    assert path.stat().st_mode & 0o777 == 0o600
    made = path.read_bytes()
    path.write_bytes(b"mine")
    done = recorded.tapes(*words)
    assert done.returncode == 2 and b"--force" in done.stderr
    assert path.read_bytes() == b"mine"
    assert recorded.tapes(*words, "--force").returncode == 0
    assert path.read_bytes() == made
    assert list(recorded.project.iterdir()) == [path]


def test_an_export_that_fails_leaves_what_was_there(recorded: Bench, tmp_path: Path) -> None:
    path = recorded.project / "x.txt"
    path.write_bytes(b"mine")
    with LmdbArchive.open(recorded.home / "archive") as archive:
        TerminalSession(archive)
    done = recorded.tapes("export", "--format", "text", "-o", str(path), "--force")
    assert done.returncode == 3
    assert path.read_bytes() == b"mine"
    assert list(recorded.project.iterdir()) == [path]
    done = recorded.tapes("export", "@~1", "--format", "text", "-o", str(tmp_path / "none" / "x"))
    assert done.returncode == 2 and b"cannot write" in done.stderr


def test_what_is_missing_is_said_and_shows_in_the_exit_code(recorded: Bench) -> None:
    with LmdbArchive.open(recorded.home / "archive") as archive:
        TerminalSession(archive).terminal(0, [(0, "x", 7)])
    for form in ("asciicast", "jsonl", "text"):
        done = recorded.tapes("export", "--format", form)
        assert done.returncode == 1 and b"7 bytes are not there" in done.stderr


@pytest.mark.parametrize(
    "words", [["@:1", "--format", "text"], ["--format", "text", "--idle-limit", "2"], ["--format", "gif"]]
)
def test_what_cannot_be_is_a_usage_error(recorded: Bench, words: list[str]) -> None:
    assert recorded.tapes("export", *words).returncode == 2


def test_documents_are_written_up_to_a_step_and_calls_as_har(recorded: Bench) -> None:
    for form, begins in (("md", b"# Session"), ("json", b'{"format"'), ("sh", b"#!/usr/bin/env bash")):
        whole = recorded.read("export", "@", "--format", form)
        assert whole.startswith(begins) and recorded.read("export", "@:1", "--format", form).startswith(begins)
        assert recorded.read("export", "@", "--format", form) == whole
    assert json.loads(recorded.read("export", "--format", "har"))["log"]["version"] == "1.2"
    assert recorded.tapes("export", "@:99", "--format", "md").returncode == 3
    assert recorded.tapes("export", "@:1", "--format", "har").returncode == 2
