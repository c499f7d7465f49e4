"""`tapes env`: what a shell takes over is what was meant, in each shell; and where nothing is running it stops."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving import free_port
from support import Bench
from tapes.errors import UsageError
from tapes.wire.agents.base import Settings
from tapes_addons.routes import bypasses, no_proxy_entries
from tapes_addons.serve_state import State, announced, running
from tapes_cli.addresses import UPSTREAMS
from tapes_cli.commands.env import led, prefixes
from tapes_cli.shells import SHELLS

OWN = "http://127.0.0.1:7878/~alice"


@contextmanager
def announced_serve(b: Bench, **facts: object) -> Iterator[State]:
    """As if a `tapes serve` ran."""
    state = State(os.getpid(), "127.0.0.1", 7878, dict(UPSTREAMS), started_ns=time.time_ns(), **facts)  # type: ignore[arg-type]
    with announced(b.home, state):
        yield state


def test_without_a_serve_it_is_3_and_a_careful_script_stops(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    done = b.tapes("env", "codex")
    assert done.returncode == 3
    assert b"tapes serve" in done.stderr
    script = f"set -e\neval '{done.stdout.decode()}'\necho went on"
    stopped = subprocess.run(["sh", "-c", script], capture_output=True, check=False)
    assert (stopped.returncode, stopped.stdout) == (1, b"")


@pytest.mark.parametrize("shell", ["sh", "fish", "powershell", "github"])
@pytest.mark.parametrize(
    "agent", ["foo\ntouch planted;#", "foo\rtouch planted", "$(touch planted)", "../foo", "a b", ""]
)
def test_what_is_no_programs_name_is_refused_and_never_evaluated(tmp_path: Path, shell: str, agent: str) -> None:
    b = Bench(tmp_path)
    with announced_serve(b):
        done = b.tapes("env", "--shell", shell, "--", agent)
    assert done.returncode == 2
    assert done.stdout in (b"", b"false\n")
    assert not any(byte < 0x20 for byte in done.stderr.replace(b"\n", b""))
    subprocess.run(["sh", "-c", 'eval "$1"', "sh", done.stdout], cwd=tmp_path, check=False)
    assert not (tmp_path / "planted").exists()


def test_a_file_left_by_a_dead_serve_is_no_serve(tmp_path: Path) -> None:
    with announced(tmp_path, State(os.getpid(), "127.0.0.1", 7878)) as path:
        left = path.read_bytes()
        assert [state.port for state in running(tmp_path)] == [7878]
    path.write_bytes(left)
    assert running(tmp_path) == []
    assert not path.exists()


def test_the_newest_serve_is_meant_unless_an_address_is_given(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    with announced_serve(b), announced(b.home, State(os.getpid(), "::1", 9999, {}, started_ns=time.time_ns())):
        assert b"alice:x@[::1]:9999" in b.tapes("env", "x", "--session", "alice").stdout
        given_ = b.tapes("env", "x", "--session", "alice", "--listen", "7878").stdout
        assert b"http://alice:x@127.0.0.1:7878" in given_


def test_an_address_means_the_serve_that_listens_there_and_no_other(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    port = free_port()
    for host, asked, shown in [
        ("::1", f"127.0.0.1:{port}", b""),
        ("0.0.0.0", f"[::1]:{port}", b""),
        ("127.0.0.1", f"127.0.0.1:{port + 1}", b""),
        ("::1", f"[::1]:{port}", b"[::1]"),
        ("0.0.0.0", f"127.0.0.1:{port}", b"127.0.0.1"),
        ("::", f"127.0.0.1:{port}", b"127.0.0.1"),
    ]:
        with announced(b.home, State(os.getpid(), host, port, {}, started_ns=time.time_ns())):
            done = b.tapes("env", "x", "--session", "alice", "--listen", asked)
        if shown:
            assert b"alice:x@%b:%d" % (shown, port) in done.stdout
        else:
            assert (done.returncode, done.stdout) == (3, b"false\n")
            assert f"no tapes serve listens on {asked}".encode() in done.stderr


def test_an_address_is_taken_at_the_users_word_where_somebody_answers(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as other:
        asked = f"127.0.0.1:{other.getsockname()[1]}"
        assert b.tapes("env", "x", "--listen", asked).returncode == 3  # there is no certificate to trust
        (b.home / "ca").mkdir(parents=True)
        (b.home / "ca" / "bundle.pem").touch()
        assert f"@{asked}".encode() in b.tapes("env", "x", "--listen", asked).stdout
    assert b.tapes("env", "x", "--listen", asked).returncode == 3


def test_no_proxy_keeps_what_does_not_concern_models(tmp_path: Path) -> None:
    b = Bench(tmp_path, environ={"NO_PROXY": "internal.example,.openai.com,10.0.0.0/8"})
    with announced_serve(b):
        (line,) = [li for li in b.tapes("env", "aider").stdout.decode().splitlines() if "NO_PROXY" in li]
    entries = no_proxy_entries(line.partition("=")[2].strip("'"))
    assert "internal.example" in entries
    assert not any(bypasses(entry, "api.openai.com", 443) for entry in entries)


def test_a_program_we_do_not_know_gets_settings_that_do_for_most(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    with announced_serve(b):
        done = b.tapes("env", "mystery")
    assert done.returncode == 0
    assert b"export HTTPS_PROXY=" in done.stdout
    assert b"not an agent we know (claude, codex, gemini" in done.stderr


def test_settings_of_a_serve_that_a_shell_has_already_are_not_the_users_own(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    ours = "http://127.0.0.1:7878/~old/anthropic"
    b.environ |= {"ANTHROPIC_BASE_URL": ours, "SSL_CERT_FILE": str(b.home / "ca" / "bundle.pem")}
    with announced_serve(b):
        done = b.tapes("env", "claude", "--route", "base-url", "--session", "new")
    assert b"export ANTHROPIC_BASE_URL='http://127.0.0.1:7878/~new/anthropic'" in done.stdout, done.stderr


def test_a_host_of_the_users_own_that_serve_does_not_know_is_told(tmp_path: Path) -> None:
    b = Bench(tmp_path, environ={"ANTHROPIC_BASE_URL": "https://gateway.example/anthropic"})
    with announced_serve(b):
        assert b"--model-host gateway.example:443" in b.tapes("env", "claude").stderr
        done = b.tapes("env", "claude", "--route", "base-url")
    assert done.returncode == 2
    assert b"--upstream mine=https://gateway.example/anthropic" in done.stderr
    with announced_serve(b, model_hosts=["gateway.example:443"]):
        assert b.tapes("env", "claude").stderr == b""


def test_words_for_the_command_line_become_a_function_that_passes_the_users_on(tmp_path: Path) -> None:
    b = Bench(tmp_path, environ={"CODEX_API_KEY": "sk-x", "CODEX_HOME": str(tmp_path / "none")})
    (tmp_path / "bin").mkdir()
    codex = tmp_path / "bin" / "codex"
    codex.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    codex.chmod(0o755)
    with announced_serve(b):
        words = ("env", "codex", "--route", "base-url", "--session", "alice")
        settings = b.tapes(*words).stdout.decode()
        for_github = b.tapes(*words, "--shell", "github")
    environ = os.environ | {"PATH": f"{codex.parent}:{os.environ['PATH']}"}
    script = f"{settings}\ncodex exec 'two words'"
    said = subprocess.run(["sh", "-c", script], env=environ, capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == ["-c", f'openai_base_url="{OWN}/openai"', "exec", "two words"]
    assert b"start it as: codex -c" in for_github.stderr
    assert b"codex()" not in for_github.stdout


# -- prefixes


def test_an_agents_prefixes_become_those_of_the_server() -> None:
    state = State(1, "127.0.0.1", 7878, dict(UPSTREAMS))
    asked = Settings(upstreams={"anthropic": "https://api.anthropic.com/v1", "": "https://api.openai.com/v1/"})
    places = prefixes(asked, state)
    assert places == {"anthropic": "anthropic/v1", "": "openai"}
    assert led(f'{{"a": "{OWN}/anthropic"}}', OWN, places) == f'{{"a": "{OWN}/anthropic/v1"}}'
    assert led(OWN, OWN, places) == f"{OWN}/openai"


def test_an_upstream_that_only_begins_like_one_is_another() -> None:
    state = State(1, "127.0.0.1", 7878, {"a": "https://api.example/v1"})
    with pytest.raises(UsageError, match="no prefix"):
        prefixes(Settings(upstreams={"a": "https://api.example/v10"}), state)


# -- quoting

values = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=30)


@given(value=values, word=values)
def test_sh_takes_over_what_was_meant(value: str, word: str) -> None:
    shell = SHELLS["sh"]
    lines = [
        shell.variable("X", value),
        "printf '%s' \"$X\"",
        shell.function("env", ["printf", "%s|%s", word]),
        "env b",
    ]
    done = subprocess.run(["sh", "-c", "\n".join(lines)], capture_output=True, check=True, env={"PATH": os.defpath})
    assert done.stdout == f"{value}{word}|b".encode()


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20))
def test_a_comment_does_nothing_whatever_it_holds(text: str) -> None:
    for name in ("sh", "fish", "powershell"):
        line = SHELLS[name].comment(f"{text}\n{text}\r{text}")  # type: ignore[index]
        assert line.startswith("# ")
        assert line.isprintable()
        assert len(line.splitlines()) == 1


@pytest.mark.parametrize("ending", ["\n", "\r", "\r\n", "\x85", "\u2028", "\\\n"])
def test_sh_does_not_run_what_stands_in_a_comment(tmp_path: Path, ending: str) -> None:
    comment = SHELLS["sh"].comment(f"foo{ending}touch planted; #")
    subprocess.run(["sh", "-c", 'eval "$1"', "sh", comment], cwd=tmp_path, check=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not shutil.which("fish"), reason="no fish here")
@given(value=values)
def test_fish_takes_over_what_was_meant(value: str) -> None:
    script = f"{SHELLS['fish'].variable('X', value)}\nprintf '%s' $X"
    assert subprocess.run(["fish", "-c", script], capture_output=True, check=True).stdout == value.encode()


def test_quotes_of_fish_and_powershell_are_doubled_or_escaped() -> None:
    assert SHELLS["fish"].variable("X", r"it's C:\new") == r"set -gx X 'it\'s C:\\new'"
    assert SHELLS["powershell"].variable("X", "it's $HOME") == "$env:X = 'it''s $HOME'"
    assert SHELLS["powershell"].function("codex", ["-c", "a='b'"]) == (
        "function codex { & (Get-Command -CommandType Application codex)[0] '-c' 'a=''b''' @args }"
    )


def test_github_gets_values_of_several_lines_in_its_own_form() -> None:
    first, *middle, last = SHELLS["github"].variable("X", "a\nb").splitlines()
    assert first == f"X<<{last}"
    assert middle == ["a", "b"]
