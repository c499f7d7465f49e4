"""What a tool call means: which calls are the same, and how alike others are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tapes.compare.action import Action, Actions, alike
from tapes.compare.masks import Place, masks_of

MASKS = masks_of([Place("/w/one/repo"), Place("/w/two/repo")])
CLAUDE, CODEX, GEMINI, UNKNOWN = (Actions(MASKS, name) for name in ("claude", "codex", "gemini", "nobody"))


def bash(line: str, **more: Any) -> Action:
    return CLAUDE.of("Bash", json.dumps({"command": line, **more}))


def test_what_a_model_says_beside_a_command_and_how_it_is_to_run_is_no_difference() -> None:
    one = bash("pytest -q", description="Run the tests", timeout=1000)
    assert one.same == bash("pytest  '-q'", description="Tests again", run_in_background=True).same
    assert one.same == bash("cd /w/two/repo && pytest -q").same
    assert one.same != bash("pytest -x").same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (bash("cat src/a.py"), CLAUDE.of("Read", json.dumps({"file_path": "/w/one/repo/src/a.py"}))),
        (bash("sed -n 1,20p a.py"), GEMINI.of("read_file", json.dumps({"file_path": "/w/two/repo/a.py"}))),
        (bash("ls"), GEMINI.of("list_directory", json.dumps({"dir_path": "/w/two/repo"}))),
        (bash("rg parse src"), CLAUDE.of("Grep", json.dumps({"pattern": "parse", "path": "src"}))),
        (bash("cat > a.py <<'E'\nx\nE"), CLAUDE.of("Write", json.dumps({"file_path": "a.py", "content": "x\n"}))),
        (bash("make test"), CODEX.of("exec_command", json.dumps({"cmd": "make test", "yield_time_ms": 100}))),
        (bash("make test"), CODEX.of("exec", 'const r = await tools.exec_command({cmd: "make test"}); text(r);')),
        (bash("make test"), UNKNOWN.of("shell", json.dumps({"command": "make test"}))),
    ],
)
def test_other_tools_that_do_the_same_are_alike(one: Action, other: Action) -> None:
    assert one.same != other.same
    assert alike(one, other) > 0.5
    assert alike(one, other) == alike(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (bash("pytest tests"), bash("rm -rf tests")),
        (bash("cat a.py"), bash("rm a.py")),
        (bash("python3 a.py"), bash("python3 b.py")),
        (bash("git push"), bash("git log")),
        (bash("make"), CLAUDE.of("Read", json.dumps({"file_path": "Makefile"}))),
    ],
)
def test_calls_that_do_something_else_are_unlike_however_they_look(one: Action, other: Action) -> None:
    assert alike(one, other) < 0.35


def test_a_call_with_other_arguments_is_more_alike_than_another_program() -> None:
    assert 0.5 < alike(bash("pytest -q tests/a.py"), bash("pytest -x tests/b.py")) < 1


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "null", '"x"', '{"a":' * 5000 + "1" + "}" * 5000, "\0é漢" * 99])
@pytest.mark.parametrize("tool", ["Bash", "Edit", "apply_patch", "anything", ""])
def test_any_input_means_something(tool: str, text: str) -> None:
    assert CLAUDE.of(tool, text).same == CLAUDE.of(tool, text).same
