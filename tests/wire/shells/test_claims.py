"""Which commands a tool call asks for."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapes.wire.shells import ALL, Claim, by_name
from tapes.wire.turns import Json


@pytest.mark.parametrize(
    ("agent", "tool", "arguments", "claims"),
    [
        ("claude", "Bash", {"command": "ls", "description": "x"}, [Claim("ls")]),
        ("claude", "Bash", {"command": "sleep 9", "run_in_background": True}, [Claim("sleep 9", background=True)]),
        ("claude", "Bash", {"command": ""}, [Claim("")]),
        ("claude", "Read", {"command": "ls"}, []),
        ("codex", "exec_command", {"cmd": "ls", "workdir": "/tmp"}, [Claim("ls", "/tmp")]),
        ("codex", "shell", {"command": ["bash", "-lc", "ls | wc"]}, [Claim("ls | wc")]),
        ("codex", "shell", {"command": ["git", "log", "-1 x"]}, [Claim("git log '-1 x'")]),
        ("codex", "local_shell", {"type": "exec", "command": ["ls"], "working_directory": "/w"}, [Claim("ls", "/w")]),
        ("codex", "shell_command", {"command": "ls", "workdir": "/w"}, [Claim("ls", "/w")]),
        ("codex", "write_stdin", {"session_id": 1, "chars": "ls"}, []),
        ("gemini", "run_shell_command", {"command": "ls", "dir_path": "sub"}, [Claim("ls", "sub")]),
        ("gemini", "run_shell_command", {"command": "x", "is_background": True}, [Claim("x", background=True)]),
        ("opencode", "bash", {"command": "ls", "workdir": "/w", "description": "d"}, [Claim("ls", "/w")]),
        ("mini", "bash", {"command": "ls"}, [Claim("ls")]),
        ("demo", "bash", {"command": "ls"}, [Claim("ls")]),
        ("generic", "execute_command", {"command": "ls", "cwd": "/w"}, [Claim("ls", "/w")]),
        ("generic", "Shell", {"command": ["sh", "-c", "ls"]}, [Claim("ls")]),
        ("generic", "search", {"command": "ls"}, []),
        ("aider", "bash", {"command": "ls"}, []),
    ],
)
def test_a_call_claims_its_command_lines(agent: str, tool: str, arguments: Json, claims: list[Claim]) -> None:
    assert list(by_name(agent).claims(tool, arguments)) == claims


@pytest.mark.parametrize(
    ("program", "lines"),
    [
        ('const r = await tools.exec_command({cmd: "ls -l"}); text(r);', ["ls -l"]),
        ("await tools.exec_command({workdir: '/w', 'cmd': 'it\\'s', yield_time_ms: 1000})", ["it's"]),
        ("tools.exec_command({cmd: `a\nb ${'`'}`})", [""]),
        ("tools.exec_command({cmd: `a\nb`})", ["a\nb"]),
        ("tools.exec_command({cmd: 'a' + b})", [""]),
        ("tools.exec_command({cmd: x})", [""]),
        ("tools.exec_command({env: {cmd: 'no'}, cmd: 'yes'})", ["yes"]),
        ("tools.exec_command({cmd: [1, 2].map(i => `n${i}`), x: 'y'})", [""]),
        ("await Promise.all([tools.exec_command({cmd:'a'}), tools.exec_command({cmd:'b'})])", ["a", "b"]),
        ('tools.shell_command({command: "\\u0041\\x42\\n\\u{43}"})', ["AB\nC"]),
        ("tools.exec_command({cmd: 'open", [""]),
        ("tools.exec_command({ /* why */ cmd: 'a', // so\n workdir: '/w' })", ["a"]),
        ("exec_command({cmd: 'not a tool'})", []),
    ],
)
def test_plain_command_strings_are_read_out_of_a_program_and_said_to_be_uncertain(
    program: str, lines: list[str]
) -> None:
    claims = by_name("codex").claims("exec", program)
    assert [claim.line for claim in claims] == lines
    assert not any(claim.certain for claim in claims)


@given(st.text(max_size=40))
def test_any_string_in_a_program_is_read_as_javascript_means_it(line: str) -> None:
    program = f"const r = await tools.exec_command({{cmd: {json.dumps(line)}, workdir: '/w'}});"
    assert by_name("codex").claims("exec", program) == (Claim(line, "/w", certain=False),)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["command", "cmd", "workdir"]), inner),
    max_leaves=6,
)


@given(st.sampled_from(["Bash", "bash", "shell", "exec", "exec_command", "run_shell_command"]), JSON)
def test_no_arguments_are_too_odd_to_be_asked_about(tool: str, arguments: Json) -> None:
    for shells in ALL:
        for claim in shells.claims(tool, arguments):
            assert isinstance(claim.line, str)
