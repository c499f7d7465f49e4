"""`tapes checkout --as`: a transcript in its place and the words to go on with, or a clear refusal and no file."""

from __future__ import annotations

import json
from pathlib import Path

from cli.test_branch import SCRIPT, started
from support import bench


def test_the_command_alone_goes_to_standard_output(tmp_path: Path) -> None:
    with bench(tmp_path, SCRIPT) as b:
        b.environ["CLAUDE_CONFIG_DIR"] = str(tmp_path / "config")
        (tmp_path / "config").mkdir()
        started(b)
        done = b.tapes("checkout", "first:4", "--as", "claude")
        assert done.returncode == 0, done.stderr.decode()
        (path,) = (tmp_path / "config/projects").rglob("*.jsonl")
        assert done.stdout.decode().strip() == f"claude --resume {path.stem}"
        assert b"its files are what they were" in done.stderr or b"no snapshot" in done.stderr
        told = json.loads(b.tapes("checkout", "first", "--as", "claude", "--cwd", str(tmp_path), "--json").stdout)
        assert (told["agent"], told["cwd"], told["command"]) == (
            "claude",
            str(tmp_path),
            ["claude", "--resume", told["id"]],
        )
        assert not any("no snapshot" in note for note in told["notes"]), told["notes"]
        assert any(f"those of {b.project}" in note for note in told["notes"]), told["notes"]
        out = [row for row in b.rows("checkout", "--list") if row["kind"] == "claude"]
        assert [row["path"] for row in out] == [str(path), told["path"]]


def test_what_can_not_be_done_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    with bench(tmp_path, SCRIPT) as b:
        started(b)
        b.environ |= {"CLAUDE_CONFIG_DIR": str(tmp_path / "none"), "PATH": str(tmp_path)}
        for words, said in (
            (["--as", "claude"], b"not installed"),
            (["--as", "gemini"], b"claude and codex"),
            (["--as", "claude", "-o", "x"], b"--as"),
            (["--cwd", "x"], b"--as"),
        ):
            done = b.tapes("checkout", "first", *words)
            assert (done.returncode, done.stdout) == (2, b"")
            assert said in done.stderr
        assert b.tapes("checkout", "first:99", "--as", "claude").returncode == 3
        assert not (tmp_path / "none").exists()
