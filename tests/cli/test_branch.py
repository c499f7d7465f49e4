"""`tapes run --from`: nothing starts before somebody says so; what starts is told where to go on, and is a session that
names its parent."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from support import Bench, bench
from tapes.errors import UsageError
from tapes_cli.branching import check_words, made_up, resuming

SCRIPT = {
    "pace": {"first_ms": 5, "gap_ms": 1, "chars": 32},
    "scripts": {
        "main": [{"text": "One.", "tools": [{"tool": "bash", "input": {"command": "echo one"}}]}, {"text": "Done."}]
    },
}
AGENT = f"""#!{sys.executable}
import os, sys
print(os.getcwd())
print(sys.argv[1:])
"""


def started(b: Bench) -> None:
    done = b.run(options=["--name", "first"])
    assert done.returncode == 0, done.stderr.decode()


def fake(folder: Path, name: str) -> str:
    path = folder / name
    path.write_text(AGENT)
    path.chmod(0o755)
    return str(path)


def test_a_branch_is_a_session_that_names_its_parent_and_the_step(tmp_path: Path) -> None:
    with bench(tmp_path, SCRIPT) as b:
        started(b)
        steps = b.rows("show", "first")
        call = next(step for step in steps if step["type"] == "tool.use")
        done = b.tapes("run", "--from", f"first:{call['step']}", "--", "sh", "-c", "echo no")
        assert (done.returncode, done.stdout) == (125, b"")
        assert b"--yes" in done.stderr
        done = b.tapes("run", "--from", f"first:{call['step']}", "--yes", "--", "sh", "-c", "pwd")
        assert (done.returncode, done.stdout.decode().strip()) == (0, str(b.project))
        told = done.stderr.decode()
        assert "branching off first:" in told and "today's files" in told
        opened = json.loads(b.tapes("cat", "first-b1").stdout)["body"]
        parent = b.rows("log")[-1]["hash"]
        assert opened["branch_of"] == {"session": parent, "record": call["hash"], "item": 0}
        tree = b.rows("log", "--tree")
        assert [(row["name"], row["depth"]) for row in tree] == [("first", 0), ("first-b1", 1)]
        assert "└─ " in b.tapes("log", "--tree").stdout.decode()
        assert f"branch of {parent[:12]}" in b.tapes("show", "first-b1").stdout.decode()
        b.assert_sound()


def test_a_shell_goes_back_into_the_directory_and_the_projects_variables(tmp_path: Path) -> None:
    with bench(tmp_path, SCRIPT) as b:
        b.environ |= {"AWS_PROFILE": "staging", "KUBECONFIG": "/k/one"}
        started(b)
        b.environ |= {"AWS_PROFILE": "production", "TERM": "vt100"}
        asks = ["sh", "-c", "echo $AWS_PROFILE $KUBECONFIG $TERM; pwd"]
        done = b.tapes("run", "--from", "first", "--yes", "--", *asks)
        assert done.stdout.decode().split() == ["staging", "/k/one", "vt100", str(b.project)]
        assert b"with the recorded values of AWS_PROFILE" in done.stderr
        opened = json.loads(b.tapes("cat", "first-b1").stdout)["body"]
        assert ["AWS_PROFILE", "staging"] in opened["environment"]


def test_claude_is_started_on_a_transcript_of_its_own_kind(tmp_path: Path) -> None:
    with bench(tmp_path, SCRIPT) as b:
        b.environ["CLAUDE_CONFIG_DIR"] = str(tmp_path / "config")
        started(b)
        done = b.tapes("run", "--from", "first", "--yes", "--name", "again", "--", fake(tmp_path, "claude"), "-p", "hi")
        assert done.returncode == 0, done.stderr.decode()
        cwd, words = done.stdout.decode().splitlines()
        (path,) = (tmp_path / "config/projects").rglob("*.jsonl")
        assert (cwd, words) == (str(b.project), str(["--resume", path.stem, "-p", "hi"]))
        lines: list[dict[str, Any]] = [json.loads(line) for line in path.read_bytes().splitlines()]
        assert [line["message"]["role"] for line in lines if "message" in line][-1] == "assistant"
        assert b"Done." in path.read_bytes()
        assert json.loads(b.tapes("cat", "again").stdout)["body"]["name"] == "again"


def test_another_agent_can_go_on_with_a_conversation_in_its_own_protocol(tmp_path: Path) -> None:
    with bench(tmp_path, SCRIPT) as b:
        b.environ["CODEX_HOME"] = str(tmp_path / "codex-home")
        started(b)
        done = b.tapes("run", "--from", "first", "--yes", "--", fake(tmp_path, "codex"))
        assert done.returncode == 0, done.stderr.decode()
        (path,) = (tmp_path / "codex-home/sessions").rglob("*.jsonl")
        words = done.stdout.decode().splitlines()[-1]
        assert words.endswith(f"'resume', '{path.stem[-36:]}']")
        assert b"function_call_output" in path.read_bytes()
        assert b"converted from anthropic" in done.stderr


def test_a_program_that_is_not_there_is_said_before_anything_is_written(tmp_path: Path) -> None:
    with bench(tmp_path, SCRIPT) as b:
        b.environ["CLAUDE_CONFIG_DIR"] = str(tmp_path / "config")
        started(b)
        done = b.tapes("run", "--from", "first", "--yes", "--", str(tmp_path / "claude"))
        assert (done.returncode, b"is not there" in done.stderr) == (125, True)
        assert not (tmp_path / "config").exists()
        assert len(b.rows("log")) == 1


@pytest.mark.parametrize(
    ("agent", "argv", "expected"),
    [
        ("claude", ["claude"], ["claude", "--resume", "ID"]),
        ("claude", ["npx", "claude-code", "-p", "x"], ["npx", "claude-code", "--resume", "ID", "-p", "x"]),
        ("codex", ["codex"], ["codex", "resume", "ID"]),
        ("codex", ["codex", "-m", "x"], ["codex", "resume", "ID", "-m", "x"]),
        ("codex", ["codex", "exec", "--json", "hi"], ["codex", "exec", "resume", "ID", "--json", "hi"]),
    ],
)
def test_an_agent_is_given_its_own_words_to_go_on(agent: str, argv: list[str], expected: list[str]) -> None:
    assert resuming(agent, argv, "ID") == expected


@pytest.mark.parametrize(
    ("agent", "argv"),
    [
        ("claude", ["claude", "--resume", "x"]),
        ("claude", ["claude", "-p", "x", "-c"]),
        ("claude", ["claude", "--resume=x"]),
        ("codex", ["codex", "resume", "x"]),
        ("codex", ["codex", "exec", "resume", "x"]),
    ],
)
def test_two_things_to_go_on_with_are_one_too_many(agent: str, argv: list[str]) -> None:
    with pytest.raises(UsageError, match="--from"):
        check_words(agent, argv)


def test_a_prompt_is_no_word_of_the_agents() -> None:
    check_words("codex", ["codex", "exec", "please", "resume"])
    check_words("claude", ["claude", "-p", "--", "go on"])


def test_names_of_branches_count_on() -> None:
    assert made_up("fix", set()) == "fix-b1"
    assert made_up("fix", {"fix-b1", "fix-b2"}) == "fix-b3"
    assert made_up("fix-b1", {"fix-b1"}) == "fix-b2"
