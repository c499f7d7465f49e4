"""What agents' results say: texts in the forms that they really use, made up here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapes.wire.shells import ALL, Told, by_name

CODEX = "Chunk ID: ab12cd\nWall time: 0.0500 seconds\n{}\nOriginal token count: 2\nOutput:\n"
SCRIPT = "Script completed\nWall time 0.1 seconds\nOutput:\n\n"
REJECTED = 'exec_command failed: CreateProcess {{ message: "Rejected(\\"{}\\")" }}'
RELAXED = (
    "Permission to use Bash has been denied because Claude Code is running in don't ask mode. IMPORTANT: You *may*"
)
BACKGROUND = "Command running in background with ID: b1. Output is being written to: /tmp/x. You will be notified when"


@pytest.mark.parametrize(
    ("result", "is_error", "told"),
    [
        ("out", False, Told(output="out")),
        ("(Bash completed with no output)", False, Told(output="")),
        ("Exit code 3\nout\nerr", True, Told(3, output="out\nerr")),
        ("Exit code 4", True, Told(4, output="")),
        ("Exit code 3 was never mine", True, Told()),
        ("Exit code 0\nsaid by a program", False, Told(output="Exit code 0\nsaid by a program")),
        ("Exit code 143\nCommand timed out after 2m 0s\npart", True, Told(143, output="part", timed_out=True)),
        ("/tmp\nShell cwd was reset to /w/p", False, Told(output="/tmp")),
        ("Exit code 7\na\n\n... [20012 characters truncated] ...\n\nb", True, None),
        (BACKGROUND, False, Told(running=True)),
        (
            "<persisted-output>\nOutput too large (282.1KB). Full output saved to: /x\n\n"
            "Preview (first 2KB):\n1\n2\n...\n</persisted-output>",
            False,
            Told(output="1\n2", shortened=True),
        ),
        ("Permission to use Bash with command rm -rf /x\n has been denied.", True, Told(denied="rule")),
        (RELAXED, True, Told(denied="mode")),
        (
            "This Bash command contains multiple operations. The following part requires approval: curl x",
            True,
            Told(denied="mode"),
        ),
        ("touch in '/x' was blocked. For security, Claude Code may only create or modify", True, Told(denied="rule")),
        ("PreToolUse:Bash hook error: [x]: not today\n", True, Told(denied="rule")),
        ("The user doesn't want to proceed with this tool use. The tool use was rejected", True, Told(denied="person")),
    ],
)
def test_claudes_results(result: str, is_error: bool, told: Told | None) -> None:
    said = by_name("claude").told("Bash", result, is_error)
    if told is None:
        assert said.status == 7 and said.shortened
    else:
        assert said == told


def test_nothing_said_by_claude_is_not_status_0() -> None:
    # It takes 1 of grep for no failure, and tells the output alone.
    assert by_name("claude").told("Bash", "no such file", False).status is None


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (CODEX.format("Process exited with code 0") + "out\n", Told(0, output="out\n")),
        (CODEX.format("Process exited with code 137") + "before\n", Told(137, output="before\n")),
        (CODEX.format("Process running with session ID 86467") + "start\n", Told(output="start\n", running=True)),
        (
            CODEX.format("Process exited with code 0")
            + "Warning: truncated output (original token count: 9)\nTotal output lines: 5\n\n"
            + "1\n…7 tokens truncated…\n5\n",
            Told(0, output="1\n…7 tokens truncated…\n5\n", shortened=True),
        ),
        ("Exit code: 3\nWall time: 0.1 seconds\nOutput:\nout", Told(3, output="out")),
        ('{"output":"out","metadata":{"exit_code":3,"duration_seconds":0.1}}', Told(3, output="out")),
        (
            'Script completed\nWall time 0.1 seconds\nOutput:\n\n{"chunk_id":"e","exit_code":3,"output":"out\\n"}',
            Told(3, output="out\n"),
        ),
        (
            SCRIPT + '[{"exit_code":0,"output":"a"},{"exit_code":1,"output":"b"}]',
            Told(),
        ),
        ("Script completed\nWall time 0.1 seconds\nOutput:\n\nwhat the program said", Told()),
        ("approval policy is Never; reject command — you cannot ask for escalated permissions", Told(denied="mode")),
        (
            REJECTED.format("`/bin/bash -lc 'rm -rf /none'` rejected: rm -f style commands are not permitted"),
            Told(denied="rule"),
        ),
        (REJECTED.format("rejected by user"), Told(denied="person")),
        (
            REJECTED.format("Failed to create unified exec process: x"),
            Told(),
        ),
    ],
)
def test_codex_results(result: str, told: Told) -> None:
    assert by_name("codex").told("exec_command", result, False) == told


def gemini(text: str) -> str:
    return f"<untrusted_context>\n{text}\n</untrusted_context>"


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (gemini("Output: out\nProcess Group PGID: 569"), Told(0, output="out", pgid=569)),
        (gemini("Output: (empty)\nExit Code: 4\nProcess Group PGID: 5"), Told(4, output="", pgid=5)),
        (gemini("Output: a\nSignal: 9\nProcess Group PGID: 5"), Told(None, 9, "a", pgid=5)),
        (gemini("Output: a\nExit Code: 1\nBackground PIDs: 7, 8\nProcess Group PGID: 5"), Told(1, output="a", pgid=5)),
        (
            gemini("Output: x\nError: a word of the program's\nProcess Group PGID: 5"),
            Told(0, output="x\nError: a word of the program's", pgid=5),
        ),
        (gemini("Output: (empty)\nError: spawn bash ENOENT"), Told(output="")),
        (
            gemini("Command moved to background (PID: 2598). Output hidden. Press Ctrl+B to view."),
            Told(running=True, pgid=2598),
        ),
        (
            gemini(
                "Command was automatically cancelled because it exceeded the timeout of 5.0 minutes without output. "
                "Below is the output before it was cancelled:\npart"
            ),
            Told(output="part", timed_out=True),
        ),
        (
            gemini(
                "Command was cancelled by user before it could complete. There was no output before it was cancelled."
            ),
            Told(output=""),
        ),
        (
            "Output too large. Showing first 8,000 and last 32,000 characters. For full output see: /x\n"
            + gemini("Output: 1\n\n... [5 characters omitted] ...\n\n9\nProcess Group PGID: 577"),
            Told(0, output="1\n\n... [5 characters omitted] ...\n\n9", shortened=True, pgid=577),
        ),
        ("Tool execution denied by policy.", Told(denied="rule")),
        ("Command injection detected: command substitution syntax found in command arguments.", Told(denied="rule")),
        ('Path not in workspace: Attempted path "/tmp" resolves outside', Told(denied="rule")),
        (
            'Tool execution for "Shell" requires user confirmation, which is not supported in non-interactive mode.',
            Told(denied="mode"),
        ),
        ("User denied execution.", Told(denied="person")),
        ('Tool "shell" not found. Did you mean one of: "glob"?', Told()),
    ],
)
def test_geminis_results(result: str, told: Told) -> None:
    assert by_name("gemini").told("run_shell_command", result, False) == told


@pytest.mark.parametrize(
    ("result", "is_error", "told"),
    [
        ("out\nerr\n", False, Told(output="out\nerr\n")),
        ("(no output)", False, Told(output="")),
        (
            "...output truncated...\n\nFull output saved to: /x\n\n9\n10\n",
            False,
            Told(output="9\n10\n", shortened=True),
        ),
        (
            "start\n\n\n<shell_metadata>\nshell tool terminated command after exceeding timeout 1000 ms. If"
            " this\n</shell_metadata>",
            False,
            Told(output="start\n", timed_out=True),
        ),
        (
            "The user has specified a rule which prevents you from using this specific tool call. Here",
            True,
            Told(denied="rule"),
        ),
        ("The user rejected permission to use this specific tool call.", True, Told(denied="person")),
    ],
)
def test_opencodes_results(result: str, is_error: bool, told: Told) -> None:
    assert by_name("opencode").told("bash", result, is_error) == told


@pytest.mark.parametrize(
    ("agent", "result", "is_error", "told"),
    [
        ("mini", '{\n  "returncode": 3,\n  "output": "out\\nerr\\n"\n}', False, Told(3, output="out\nerr\n")),
        ("mini", '{"returncode": -9, "output": "a"}', False, Told(None, 9, "a")),
        (
            "mini",
            '{"returncode": 0, "output_head": "a", "output_tail": "z", "elided_chars": 9}',
            False,
            Told(0, output="a\nz", shortened=True),
        ),
        (
            "mini",
            '{"returncode": -1, "output": "a", "exception_info": "timed out after 30 seconds"}',
            False,
            Told(output="a", timed_out=True),
        ),
        ("mini", "<returncode>3</returncode>\n<output>\nout\n</output>", False, Told(3, output="out\n")),
        ("demo", "out\nExit code 3", True, Told(3, output="out")),
        ("demo", "Exit code -9", True, Told(None, 9, "")),
        ("demo", "(no output)", False, Told(0, output="")),
        ("generic", '{"exit_code": 2, "stdout": "a"}', False, Told(2, output="a")),
        ("generic", "any words", False, Told()),
        ("aider", "any words", False, Told()),
    ],
)
def test_the_results_of_others(agent: str, result: str, is_error: bool, told: Told) -> None:
    assert by_name(agent).told("bash", result, is_error) == told


@given(st.text(max_size=200), st.booleans())
def test_no_result_is_too_odd_to_be_read(result: str, is_error: bool) -> None:
    for shells in ALL:
        for tool in ("Bash", "exec"):
            assert isinstance(shells.told(tool, result, is_error), Told)
