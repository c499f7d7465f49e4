"""`tapes run` and the files of its directory: when snapshots are taken, by whom, and what a lost process costs."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support import Bench, bench, processes_of
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.summary import Summary
from tapes.record import listing
from tapes.record.digest import blob_digest
from tapes.record.kinds import BodyRef, Record


def script(*commands: str) -> dict[str, object]:
    """An agent that runs these, one a turn."""
    turns = [{"text": "On.", "tools": [{"tool": "bash", "input": {"command": command}}]} for command in commands]
    return {"pace": {"first_ms": 5, "gap_ms": 0, "chars": 2000}, "scripts": {"main": [*turns, {"text": "Done."}]}}


def snapshots(b: Bench) -> list[tuple[Record, dict[bytes, listing.Entry]]]:
    """Of the last session."""
    with LmdbArchive.open(b.home / "archive", readonly=True) as archive:
        found = []
        for _, record in archive.session_records(archive.sessions()[-1]):
            if record.type == "snapshot":
                ref = BodyRef.match(record.body["listing"])
                assert ref is not None
                found.append((record, {row.path: row for row in listing.read(archive.body(ref))}))
        return found


def working(b: Bench) -> list[str]:
    return b.agent("Do it.", "--cwd", str(b.project))


def test_a_run_takes_snapshots_and_says_so_and_each_command_is_named(tmp_path: Path) -> None:
    with bench(
        tmp_path, script("echo one > f; sleep 0.05", "sed -i s/one/two/ f; sleep 0.05", "rm f; sleep 0.05")
    ) as b:
        done = b.run(*working(b))
        assert done.returncode == 0, done.stderr.decode()
        found = snapshots(b)
        changed = {path: [rows[path].kind for _, rows in found if path in rows] for path in (b"f",)}
        assert changed == {b"f": ["file", "file", "gone"]}
        assert [found[0][0].body["cause"], found[-1][0].body["cause"]] == ["start", "end"]
        named = [command for record, _ in found for command in record.body.get("commands", ())]
        with LmdbArchive.open(b.home / "archive", readonly=True) as archive:
            records = [record for _, record in archive.session_records(archive.sessions()[-1])]
        ids = [record.body["id"] for record in records if record.type == "command.start"]
        assert sorted(named) == sorted(ids) and len(ids) == 3
        assert records[-1].type == "session.close" and records[-1].body["worktree"]["snapshots"] == len(found)
        assert f"{len(found)} snapshots (2 files)".encode() in done.stderr
        (row,) = b.rows("log")
        assert row["outcome"] == "exit 0" and b.tapes("verify").returncode == 0
        with LmdbArchive.open(b.home / "archive", readonly=True) as archive:
            kept = Summary.from_bytes(archive.summary(archive.sessions()[-1]))
            assert kept is not None and kept.upto == records[-1].seq, "the row of the list need not be made again"


def test_without_snapshots_there_are_none_and_a_directory_that_is_none_is_refused(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    assert b.tapes("run", "--no-worktree", "--", "true").returncode == 0
    assert snapshots(b) == []
    b.home.joinpath("config.toml").write_text("[worktree]\nsnapshots = false\n")
    assert b.tapes("run", "--", "true").returncode == 0
    assert snapshots(b) == []
    (b.project / "kept").mkdir()
    (b.project / "kept" / "f").write_text("f")
    assert b.tapes("run", "--worktree", "kept", "--", "true").returncode == 0
    assert [list(rows) for _, rows in snapshots(b)] == [[b"f"], []]
    refused = b.tapes("run", "--worktree", "nowhere", "--", "true")
    assert refused.returncode == 125 and b"--worktree" in refused.stderr


def test_what_is_forgotten_takes_its_files_with_it(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    (b.project / "f").write_text("a-sentence-that-is-nowhere-else " * 20)
    assert b.tapes("run", "--", "true").returncode == 0
    assert b.tapes("verify").returncode == 0
    name = snapshots(b)[0][0].session
    assert name is not None
    done = b.tapes("forget", name.hex(), "--yes", "--reason", "test")
    assert done.returncode == 0, done.stderr
    with LmdbArchive.open(b.home / "archive", readonly=True) as archive:
        types = [record.type for _, record in archive.session_records(archive.sessions()[-1])]
        assert "snapshot" not in types
        assert not archive.has_object(blob_digest(b"a-sentence-that-is-nowhere-else " * 20))
    assert b.tapes("verify").returncode == 0


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds processes in /proc")
def test_a_killed_snapshot_process_is_replaced_and_costs_a_gap(tmp_path: Path) -> None:
    with bench(tmp_path, script("echo one > f", "sleep 2", "echo two >> f; sleep 0.1")) as b:
        process = subprocess.Popen(
            b.command(*b.route(), *working(b)),
            env=b.env(),
            cwd=b.project,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        until = time.monotonic() + 30
        while not (b.project / "f").exists() and time.monotonic() < until:
            time.sleep(0.02)
        time.sleep(0.3)
        killed = processes_of("tapes_addons.worktree", b.home)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        _, said = process.communicate(timeout=60)
        assert process.returncode == 0 and killed, said.decode()
        causes = [record.body["cause"] for record, _ in snapshots(b)]
        assert causes.count("restart") == 1 and causes[-1] == "end"
        (row,) = b.rows("log")
        assert row["gaps"] == 1
        files = {path: r for _, rows in snapshots(b) for path, r in rows.items()}
        assert files[b"f"].length == 8
