"""The agent's command goes its way whatever becomes of the report, the reader, the agent's hold on it, or a signal."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tapes.wire.command import CommandEnded, CommandsMissed
from witness import PATIENCE_S, Run, needs_supervisor, run_shell

pytestmark = needs_supervisor()


def start(run: Run, call: str, line: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["bash", "-c", line], env=run.environment(call), stdout=subprocess.PIPE, start_new_session=True
    )


def processes() -> dict[int, tuple[int, int, str]]:
    """Parent, group and name of each."""
    told = subprocess.run(["ps", "-eo", "pid=,ppid=,pgid=,comm="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 3) for line in told.splitlines()]
    return {int(pid): (int(ppid), int(group), name) for pid, ppid, group, name in rows}


def test_fifty_at_once_are_told_apart(tmp_path: Path) -> None:
    with Run(tmp_path / "run") as run:
        started = [start(run, str(n), f"echo {n}; sleep 0.05; exit 3") for n in range(50)]
        assert [(p.communicate()[0], p.returncode) for p in started] == [(b"%d\n" % n, 3) for n in range(50)]
        commands = run.commands(50)
        assert sorted(int(c.output("o")) for c in commands) == list(range(50))
        assert {c.end.status for c in commands if isinstance(c.end, CommandEnded)} == {3}
        assert not [h for h in run.happenings if isinstance(h, CommandsMissed)]


@pytest.mark.parametrize("all_of_them", [False, True])
def test_a_command_that_its_agent_kills_is_reported_as_killed(tmp_path: Path, all_of_them: bool) -> None:
    with Run(tmp_path / "run") as run:
        process = start(run, "1", "echo a; exec sleep 30")
        assert process.stdout is not None
        assert process.stdout.readline() == b"a\n"
        (os.killpg if all_of_them else os.kill)(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert process.stdout.read() == b""  # nobody holds it any more: the shell is gone too
        [command] = run.commands()
        assert isinstance(command.end, CommandEnded)
        assert (command.end.status, command.end.signal) == (None, signal.SIGKILL)


def test_a_killed_pump_is_stood_in_for(tmp_path: Path) -> None:
    with Run(tmp_path / "run") as run:
        gone = tmp_path / "gone"
        line = f"echo a; until [ -e '{gone}' ]; do sleep 0.05; done; echo b; head -c 200000 /dev/zero; exit 6"
        process = start(run, "1", line)
        assert process.stdout is not None
        assert process.stdout.readline() == b"a\n"
        mine = {pid for pid, (ppid, _, _) in processes().items() if ppid == process.pid}
        pumps = [
            pid
            for pid, (ppid, group, name) in processes().items()
            if name == "tapes-sh" and pid == group and (pid in mine or ppid == 1)
        ]
        for pid in pumps:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if os.fsencode(run.fifo) in file.read():
                    os.kill(pid, signal.SIGKILL)
        gone.touch()
        assert len(process.stdout.read()) == 200_002
        assert process.wait() == 6
        [command] = run.commands()
        assert isinstance(command.end, CommandEnded)
        assert command.end.status == 6
        assert command.end.dropped + sum(len(o.data) for o in command.outputs) >= 200_002


def test_output_that_outlives_the_command_is_reported_until_nobody_holds_it(tmp_path: Path) -> None:
    with Run(tmp_path / "run") as run:
        process = start(run, "1", "(sleep 0.3; echo late) & echo now")
        assert process.wait() == 0
        assert process.stdout is not None
        [command] = run.commands()
        assert isinstance(command.end, CommandEnded)
        assert command.end.open
        assert process.stdout.read() == b"now\nlate\n"
        [command] = run.commands(closed=True)
        assert command.output("o") == b"now\nlate\n"


def test_an_agent_that_hangs_up_ends_its_command_as_before(tmp_path: Path) -> None:
    with Run(tmp_path / "run") as run:
        process = start(run, "1", "yes")
        assert process.stdout is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.wait(PATIENCE_S) == -signal.SIGPIPE


def test_a_command_is_over_for_its_agent_only_when_its_output_is_there(tmp_path: Path) -> None:
    with Run(tmp_path / "run") as run:
        process = start(run, "1", "head -c 100000 /dev/zero; exit 3")
        time.sleep(0.2)
        assert process.poll() is None  # as without us: a pipe holds 64 KiB
        assert process.stdout is not None
        assert len(process.stdout.read()) == 100_000
        assert process.wait() == 3


def test_a_stopped_command_is_stopped_for_its_agent(tmp_path: Path) -> None:
    with Run(tmp_path / "run") as run:
        process = start(run, "1", "kill -STOP $$; echo on")
        assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
        process.send_signal(signal.SIGCONT)
        assert process.communicate() == (b"on\n", None)


def test_a_terminal_stays_the_commands_own(tmp_path: Path) -> None:
    with Run(tmp_path / "run") as run:
        environment = run.environment()
        pid, line = pty.fork()
        if pid == 0:
            os.execvpe("bash", ["bash", "-c", "test -t 1; read x; echo got $x; exit 8"], environment)
        os.write(line, b"hello\n")
        out = b""
        while b"got hello" not in out:
            out += os.read(line, 1000)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 8
        os.close(line)
        [command] = run.commands()
        assert command.start.is_tty
        assert command.outputs == ()


def test_a_nested_agent_is_a_command_within_a_command(tmp_path: Path) -> None:
    with Run(tmp_path / "run") as run:
        line = "bash -c 'echo same'; OTHER_AGENT=1 OTHER_CALL=9 bash -c 'echo other'"
        assert run_shell(["bash", "-c", line], run.environment(), capture_output=True).stdout == b"same\nother\n"
        outer, inner = run.commands(2)
        assert inner.start.argv[-1] == b"echo other"
        assert (outer.start.within, inner.start.within) == ("", outer.start.key)


def test_a_process_that_goes_on_as_another_shell_is_refined(tmp_path: Path) -> None:
    with Run(tmp_path / "run") as run:
        run_shell(["bash", "-c", "exec bash -c 'echo refined'"], run.environment(), capture_output=True)
        [command] = run.commands()
        assert [refined.argv for refined in command.refined] == [(b"bash", b"-c", b"echo refined")]


def missing(run: Run) -> None:
    run.fifo.unlink()


def a_file(run: Run) -> None:
    run.fifo.unlink()
    run.fifo.touch()


def a_symlink(run: Run) -> None:
    run.fifo.rename(run.folder / "elsewhere")
    run.fifo.symlink_to(run.folder / "elsewhere")


def without_reader(run: Run) -> None:
    os.close(run.held)
    run.held = os.open(os.devnull, os.O_RDONLY)


def full(run: Run) -> None:
    for size in (4096, 1):
        try:
            while True:
                os.write(run.held, b"x" * size)
        except BlockingIOError:
            pass


def unread(run: Run) -> None:
    pass


def read_only(run: Run) -> None:
    run.folder.chmod(0o500)


@pytest.mark.parametrize("fault", [missing, a_file, a_symlink, without_reader, full, unread, read_only])
def test_the_command_needs_no_reader_of_its_report(tmp_path: Path, fault: Callable[[Run], None]) -> None:
    run = Run(tmp_path / "run")
    with_reader = fault is read_only
    environment = run.environment()
    fault(run)
    line = "head -c 300000 /dev/zero; echo err >&2; exit 3"
    if with_reader:
        with run:
            done = run_shell(["bash", "-c", line], environment, capture_output=True)
            assert run.commands()[0].end is not None
    else:
        done = run_shell(["bash", "-c", line], environment, capture_output=True)
        os.close(run.held)  # supervisors that wait for a reader see that none will come
    assert (len(done.stdout), done.stderr, done.returncode) == (300_000, b"err\n", 3)
    run.folder.chmod(0o700)
