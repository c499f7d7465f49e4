"""The surroundings of a run: what is there is told, what does not answer is left out."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tapes_addons import snapshot as module
from tapes_addons.snapshot import snapshot


@pytest.fixture(autouse=True)
def enough_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIME_S", 20)


def git(folder: Path, *words: str) -> str:
    named = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", folder, *named, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_repository_tells_its_head_and_what_differs(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "a b").write_text("one")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    assert told(tmp_path) == {"head": git(tmp_path, "rev-parse", "HEAD"), "branch": "main", "dirty": 0}
    (tmp_path / "a b").write_text("two")
    (tmp_path / "new").write_text("")
    assert told(tmp_path)["dirty"] == 2
    assert told(tmp_path)["changed"] == ["a b", "new"]


def test_outside_of_a_repository_there_is_no_git_and_the_machine_is_told(tmp_path: Path) -> None:
    found = snapshot(str(tmp_path), {b"SHELL": b"/bin/zsh"})
    assert "git" not in found
    assert found["shell"] == "/bin/zsh"
    assert found["kernel"] and found["os"]


def test_what_takes_too_long_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(tmp_path, "init", "-q")
    monkeypatch.setattr(module, "TIME_S", 0)
    assert "git" not in snapshot(str(tmp_path), {})


def told(folder: Path) -> Any:
    return snapshot(str(folder), {})["git"]
