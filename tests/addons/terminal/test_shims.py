"""What the trampolines do besides: whose start-up files, which shells, and the trap where there is no supervisor."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tapes.wire.command import CommandEnded
from tapes_addons.terminal import install as install_module
from tapes_addons.terminal.install import Own
from tapes_addons.terminal.supervisor import Force, build, orphans_are_reaped
from witness import Run, needs_supervisor, plain, run_shell

PROGRAM = """
import asyncio, os, pty, subprocess, sys
print(subprocess.run("echo a; exit 3", shell=True, capture_output=True))
print(subprocess.run(["bash", "-c", "echo b"], stdout=subprocess.PIPE).stdout)
try:
    subprocess.run("exit 4", shell=True, check=True)
except subprocess.CalledProcessError as error:
    print(error)
async def shell():
    process = await asyncio.create_subprocess_shell("echo c; kill -9 $$", stdout=subprocess.PIPE)
    print(await process.communicate(), process.returncode)
asyncio.run(shell())
pid, line = pty.fork()
if pid == 0:
    os.execvp("sh", ["sh", "-c", "echo tty; exit 6"])
print(os.read(line, 100), os.waitpid(pid, 0)[1])
print(sys.path)
try:
    subprocess.run("echo x", shell=True, cwd="/nonexistent")
except OSError as error:
    print(repr(error))
print(subprocess.run([sys.executable, "-c", "import os; os.system('echo d')"], stdout=subprocess.PIPE).stdout)
"""


@needs_supervisor()
def test_the_users_own_bash_env_is_read_once_and_after_ours(tmp_path: Path) -> None:
    own = tmp_path / "own file"
    own.write_text('echo own; MINE="[$0]"\n')
    with Run(tmp_path / "run", own=Own(bash_env='$HERE/own "file"'.replace('"', ""))) as run:
        environment = run.environment(HERE=str(tmp_path))
        done = run_shell(["bash", "-c", 'echo "$MINE"'], environment, capture_output=True)
        assert done.stdout == b"own\n[bash]\n"
        assert run.commands()[0].output("o") == b"own\n[bash]\n"


@needs_supervisor()
def test_shells_without_a_mark_of_an_agent_are_no_commands(tmp_path: Path) -> None:
    with Run(tmp_path / "run") as run:
        environment = {name: value for name, value in run.environment().items() if not name.startswith("FAKE")}
        assert run_shell(["bash", "-c", "exit 2"], environment).returncode == 2
        assert run_shell(["bash", "-c", "exit 3"], run.environment()).returncode == 3
        assert [c.start.argv[-1] for c in run.commands()] == [b"exit 3"]


@needs_supervisor()
def test_marks_of_the_agent_around_us_are_none(tmp_path: Path) -> None:
    around = {"OTHER_AGENT": "1", "OTHER_CALL": "7", "SHLVL": "1"}
    with Run(tmp_path / "run", environ=around) as run:
        environment = {name: value for name, value in run.environment().items() if not name.startswith("FAKE")}
        assert run_shell(["bash", "-c", "exit 2"], environment | around).returncode == 2
        assert run_shell(["bash", "-c", "exit 3"], run.environment() | around).returncode == 3
        assert [c.start.argv[-1] for c in run.commands()] == [b"exit 3"]


@needs_supervisor()
def test_a_first_shell_on_a_socket_is_witnessed_and_reads_what_it_would_have_read(tmp_path: Path) -> None:
    import socket

    with Run(tmp_path / "run", environ={"HOME": "/"}) as run:
        (run.folder / ".bashrc").write_text("echo rc\n")
        seen = []
        for environment in (plain(run.environment(SHLVL="0")), run.environment(SHLVL="1")):
            ours, theirs = socket.socketpair()
            with ours, theirs:
                done = run_shell(["bash", "-c", "echo $SHLVL"], environment, stdin=theirs, capture_output=True)
            seen.append(done.stdout)
        assert seen == [b"rc\n1\n", b"rc\n1\n"]
        assert len(run.commands()) == 1


@needs_supervisor()
def test_a_python_agents_shells_are_witnessed_and_it_notices_nothing(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "sitecustomize.py").write_text('import sys; sys.stderr.write("own\\n")\n')
    with Run(tmp_path / "run", launched="unmarked") as run:
        environment = {name: value for name, value in run.environment().items() if not name.startswith("FAKE")}
        seen = []
        for first in ("", run.installed.python_path + ":"):
            environment["PYTHONPATH"] = f"{first}{tmp_path / 'own'}"
            given = environment if first else plain(environment)
            done = run_shell([sys.executable, "-c", PROGRAM], given, capture_output=True)
            seen.append((done.stdout, done.stderr, done.returncode))
        assert seen[0] == seen[1]
        commands = run.commands(5)
        assert [c.start.argv[-1] for c in commands[:5]] == [
            b"echo a; exit 3",
            b"echo b",
            b"exit 4",
            b"echo c; kill -9 $$",
            b"echo tty; exit 6",
        ]
        ends = [c.end for c in commands[:5] if isinstance(c.end, CommandEnded)]
        assert [end.status or -(end.signal or 0) for end in ends] == [3, 0, 4, -9, 6]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="NO ZSH on this machine")
@needs_supervisor()
def test_a_zsh_command_is_witnessed(tmp_path: Path) -> None:
    with Run(tmp_path / "run") as run:
        (run.folder / ".zshenv").write_text("echo own\n")
        environment = run.environment(ZDOTDIR=run.installed.zdotdir)
        done = run_shell(["zsh", "-c", "echo $0 $#; exit 3", "a", "b c"], environment, capture_output=True)
        assert (done.stdout, done.returncode) == (b"own\na 1\n", 3)
        assert run.commands()[0].output("o") == done.stdout


def test_without_the_supervisor_start_and_end_are_told_by_a_trap(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install_module, "force", lambda: Force("trap", "", "for this test"))
    with Run(tmp_path / "run") as run:
        assert run.installed.force.why == "for this test"
        words = ["bash", "-c", 'echo "$1"; bash -c "exit 1"; exit 7', "zero", "a\nb" + "x" * 5000]
        seen = [run_shell(words, env, capture_output=True) for env in (plain(run.environment()), run.environment())]
        assert [(d.stdout, d.stderr, d.returncode) for d in seen[1:]] == [(d.stdout, d.stderr, 7) for d in seen[:1]]
        [command] = run.commands()
        assert command.start.level == "trap"
        assert command.start.argv == tuple(word.encode() for word in words)
        assert isinstance(command.end, CommandEnded)
        assert command.end.status == 7


def test_without_the_supervisor_an_agent_that_kills_the_commands_group_silences_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install_module, "force", lambda: Force("trap", "", "for this test"))
    with Run(tmp_path / "run") as run:
        env = {**run.environment(), "TRACEPARENT": "00-a-b-01"}
        shell = subprocess.Popen(["bash", "-c", "exit 3"], env=env, start_new_session=True)
        assert shell.wait() == 3
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
        [command] = run.commands()
        assert isinstance(command.end, CommandEnded) and command.end.status == 3
        assert (b"TRACEPARENT", b"00-a-b-01") in command.start.environ


def test_a_build_without_a_compiler_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "no C compiler" in build(program=tmp_path / "tapes-sh")
    assert not (tmp_path / "tapes-sh").exists()


@pytest.mark.parametrize(
    ("status", "reaped"),
    [
        ("Name:\tsystemd\nSigBlk:\t0000000000010000\nSigIgn:\t0\nSigCgt:\t0\n", True),
        ("Name:\tsleep\nSigBlk:\t0\nSigIgn:\t0\nSigCgt:\t0\n", False),
        ("Name:\tnode\nSigBlk:\t0\nSigIgn:\t0\nSigCgt:\t0000000000010000\n", False),
    ],
)
def test_whether_orphans_are_reaped_is_read_off_process_1(tmp_path: Path, status: str, reaped: bool) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "status").write_text(status)
    assert orphans_are_reaped(tmp_path) is reaped


def test_the_trampoline_is_sound_to_bash(tmp_path: Path) -> None:
    Run(tmp_path / "run")
    for name in ("bash_env", "bash_keep", "bash_trap"):
        subprocess.run(["bash", "-n", tmp_path / "run" / name], check=True)
