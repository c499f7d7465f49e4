"""What an agent makes of a command line is undone exactly, and left as it is where it is not understood."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapes.wire.shells import by_name
from tapes.wire.shells.lines import quoted

LINES = st.one_of(
    st.text(st.sampled_from("ab '\"\\$`\n;|&<>()#é"), max_size=60).map(str.encode),
    st.sampled_from(
        [
            b"cat <<'E'\nit's \"x\" $HOME `y` \\\\\nE\n",
            b"echo && eval 'x' && pwd -P >| /tmp/f",
            b"printf '\\n)\\n__code=$?\\nexit $__code'",
            b"\nexec 'bash' -c 'x'",
            b"",
            b"true",
        ]
    ),
)


@given(LINES, st.booleans())
def test_claudes_line_gives_the_command_back(line: bytes, closed: bool) -> None:
    word = b"''" if not line else quoted(line)
    script = (
        b"source /home/u/.claude/shell-snapshots/snapshot-bash-1-a.sh 2>/dev/null || true && shopt -u extglob "
        b"2>/dev/null || true && eval "
        + word
        + (b" < /dev/null" if closed else b"")
        + b" && pwd -P >| /tmp/claude-1-cwd"
    )
    assert by_name("claude").unwrap([b"/bin/bash", b"-c", script]) == line
    assert by_name("claude").unwrap([b"/bin/zsh", b"-c", b"-l", script]) == line


@given(LINES)
def test_claudes_line_without_a_snapshot_gives_the_command_back(line: bytes) -> None:
    word = b"''" if not line else quoted(line)
    heads = (
        b"shopt -u extglob 2>/dev/null || true",
        b"setopt NO_EXTENDED_GLOB NO_BARE_GLOB_QUAL 2>/dev/null || true",
        b"export A='x' && eval 'y'\n: && shopt -u extglob 2>/dev/null || true",
    )
    for head in heads:
        script = head + b" && eval " + word + b" < /dev/null && pwd -P >| /tmp/claude-1-cwd"
        assert by_name("claude").unwrap([b"/bin/bash", b"-c", b"-l", script]) == line


@pytest.mark.parametrize(
    "script",
    [
        b"source /s.sh && eval 'ls' | tee x && pwd -P >| /tmp/f",
        b"source /s.sh && eval 'ls && pwd -P >| /tmp/f",
        b"source /s.sh && eval $X && pwd -P >| /tmp/f",
        b"source venv/bin/activate && eval 'x'",
        b"ls && eval 'x' && pwd -P >| /tmp/f",
    ],
)
def test_a_line_of_claudes_that_is_not_understood_stays_whole(script: bytes) -> None:
    assert by_name("claude").unwrap([b"/bin/bash", b"-c", script]) == script


@given(LINES)
def test_codex_replayed_environment_is_taken_off(line: bytes) -> None:
    script = (
        b'__CODEX_SNAPSHOT_OVERRIDE_SET_0="${CODEX_CI+x}"\n'
        b'if [ -n "${PATH:-}" ]; then export PATH=\'/x\':"$PATH"; fi\n\n'
        b"exec '/bin/bash' -c '" + line.replace(b"'", b"'\"'\"'") + b"'"
    )
    assert by_name("codex").unwrap([b"/bin/bash", b"-c", script]) == line
    assert by_name("codex").unwrap([b"/bin/bash", b"-lc", line]) == line


@given(LINES)
def test_geminis_lines_around_a_command_are_taken_off(line: bytes) -> None:
    script = (
        b"shopt -u promptvars nullglob extglob; _bgpids_file=/tmp/gemini-shell-a/bgpids.tmp\n(\n"
        b"  trap 'jobs -p > \"$_bgpids_file\"' EXIT\n" + line + b"\n)\n__code=$?\nexit $__code"
    )
    assert by_name("gemini").unwrap([b"/usr/bin/bash", b"-c", script]) == line
    assert (
        by_name("gemini").unwrap([b"bash", b"-c", b"( trap 'x' EXIT; ls ); exit $?"])
        == b"( trap 'x' EXIT; ls ); exit $?"
    )


def test_every_agent_has_a_line_for_every_command() -> None:
    for name in ("claude", "codex", "gemini", "opencode", "mini", "aider", "demo", "generic", "nobody we know"):
        assert by_name(name).unwrap([b"/bin/sh", b"-c", b"ls -l"]) == b"ls -l"
        assert by_name(name).unwrap([b"ls", b"a b"]) == b"ls 'a b'"
        assert by_name(name).unwrap([]) == b""
