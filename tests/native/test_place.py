"""Transcripts in their places: whole, the user's alone, and never over another."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from native.test_claude import HISTORY, carried
from tapes.errors import ArchiveError, UsageError
from tapes.native import place


def test_a_transcript_goes_where_the_agent_looks_for_it(tmp_path: Path) -> None:
    made = place.write(carried(HISTORY), "claude", str(tmp_path), "t", {}, str(tmp_path / "home"))
    assert made.path.parent == tmp_path / "home/.claude/projects" / place.claude.folder(os.path.realpath(tmp_path))
    assert made.words == ("claude", "--resume", made.id)
    assert made.path.name == f"{made.id}.jsonl"
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in made.path.parent.iterdir()] == [made.path.name]
    assert json.loads(made.path.read_bytes().splitlines()[0])["sessionId"] == made.id


def test_the_agents_own_variable_says_where_its_home_is(tmp_path: Path) -> None:
    made = place.write(carried(HISTORY), "claude", "/", "t", {"CLAUDE_CONFIG_DIR": str(tmp_path / "c")}, "/nowhere")
    assert made.path.is_relative_to(tmp_path / "c" / "projects")


def test_two_of_them_are_two_files(tmp_path: Path) -> None:
    made = [place.write(carried(HISTORY), "claude", "/", "t", {}, str(tmp_path)) for _ in range(2)]
    assert made[0].path != made[1].path and made[0].path.read_bytes() != made[1].path.read_bytes()


def test_one_that_is_there_is_not_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place.uuid, "uuid4", lambda: "same")
    first = place.write(carried(HISTORY), "claude", "/", "t", {}, str(tmp_path))
    before = first.path.read_bytes()
    with pytest.raises(ArchiveError):
        place.write(carried(HISTORY[:2]), "claude", "/", "t", {}, str(tmp_path))
    assert first.path.read_bytes() == before
    assert [path.name for path in first.path.parent.iterdir()] == ["same.jsonl"]


def test_what_can_not_be_written_leaves_nothing_and_says_why(tmp_path: Path) -> None:
    (tmp_path / ".claude").write_text("a file")
    with pytest.raises(ArchiveError, match="cannot write the transcript"):
        place.write(carried(HISTORY), "claude", "/", "t", {}, str(tmp_path))


def test_an_agent_without_transcripts_of_ours_is_refused() -> None:
    with pytest.raises(UsageError, match="gemini"):
        place.checked("gemini")


def test_codex_lists_it_under_the_provider_that_is_set(tmp_path: Path) -> None:
    from dataclasses import replace

    (tmp_path / ".codex").mkdir()
    (tmp_path / ".codex/config.toml").write_text('model = "x"\nmodel_provider = "azure"\n')
    it = replace(carried([]), agent="codex", dialect="openai-responses")
    made = place.write(it, "codex", "/", "t", {}, str(tmp_path))
    assert json.loads(made.path.read_bytes().splitlines()[0])["payload"]["model_provider"] == "azure"
    assert made.words == ("codex", "resume", made.id)
