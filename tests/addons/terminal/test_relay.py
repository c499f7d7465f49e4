"""The agent's terminal, with real processes on both sides."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import termios
import time
from pathlib import Path

import pytest

from terminal import Run, clean_environ, terminal

RESIZED = """
trap 'echo told' WINCH; echo up
while :; do now=$(stty size); test "$now" = "$was" || echo at $now; was=$now; done
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_the_agent_has_a_controlling_terminal_of_its_own_as_large_as_the_persons(run: Run) -> None:
    with run.on_terminal(
        "sh", "-c", "stty size; stty -a | grep -c 'isig icanon'; exec 3</dev/tty; tty; exit 7"
    ) as seen:
        assert seen.wait() == 7
        said = seen.shown.decode()
        assert "24 80\r\n1\r\n/dev/" in said
        assert os.ttyname(seen.fd) not in said
    (opened,) = run.named("TerminalOpened")
    assert (opened["columns"], opened["rows"], opened["term"]) == (80, 24, "xterm")
    assert b"24 80\r\n1\r\n" in run.bytes_of("TerminalOutput")
    assert run.kept[-1][0] == "TerminalClosed"


def test_the_real_terminal_is_raw_meanwhile_and_then_as_it_was(run: Run) -> None:
    with run.on_terminal("sh", "-c", "echo up; read line; echo got $line") as seen:
        seen.until("up")
        assert not seen.modes[3] & termios.ICANON
        seen.type("word\r")
        seen.until("got word")
        assert seen.wait() == 0
        assert seen.modes[3] & termios.ICANON and seen.modes[3] & termios.ECHO and seen.modes[1] & termios.OPOST


def test_the_keyboards_signals_come_from_the_agents_own_terminal(run: Run) -> None:
    program = "trap 'echo interrupted' INT; trap 'echo quit; exit 4' QUIT; echo up; while :; do sleep 0.02; done"
    with run.on_terminal("sh", "-c", program) as seen:
        seen.until("up")
        seen.type(b"\x03")
        seen.until("interrupted")
        seen.type(b"\x1c")
        seen.until("quit")
        assert seen.wait() == 4


def test_an_agent_that_is_killed_ends_the_run_with_the_same_status(run: Run) -> None:
    with run.on_terminal("sh", "-c", "kill -KILL $$") as seen:
        assert seen.wait() == 128 + signal.SIGKILL
        assert seen.modes[3] & termios.ECHO


def test_a_program_that_is_not_there_leaves_the_terminal_as_it_was(run: Run) -> None:
    with run.on_terminal("no-such-program") as seen:
        assert seen.wait() == 127
        assert b"cannot run no-such-program" in seen.shown
        assert seen.modes[3] & termios.ICANON


def test_a_signal_to_the_launcher_reaches_the_agent_and_the_terminal_is_given_back(run: Run) -> None:
    with run.on_terminal("sh", "-c", "trap 'echo got; exit 5' TERM; echo up; while :; do sleep 0.02; done") as seen:
        seen.until("up")
        os.kill(seen.pid, signal.SIGTERM)
        seen.until("got")
        assert seen.wait() == 5
        assert seen.modes[3] & termios.ICANON


def test_an_interrupt_sent_to_the_launchers_group_reaches_the_agents(run: Run) -> None:
    with run.on_terminal("sh", "-c", "trap 'echo got; exit 5' INT; echo up; while :; do sleep 0.02; done") as seen:
        seen.until("up")
        os.killpg(seen.pid, signal.SIGINT)
        seen.until("got")
        assert seen.wait() == 5


def test_a_new_size_is_passed_on_and_kept(run: Run) -> None:
    with run.on_terminal("sh", "-c", RESIZED) as seen:
        seen.until("up")
        seen.resize(111, 33)
        seen.until("told")
        seen.until("at 33 111")
        seen.resize(0, 0)
        seen.until("at 0 0")
        os.kill(seen.pid, signal.SIGTERM)
        seen.wait()
    assert [(r["columns"], r["rows"]) for r in run.named("TerminalResized")] == [(111, 33), (0, 0)]


def test_both_directions_pass_at_once_though_the_screen_takes_nothing(run: Run) -> None:
    program = "read line; echo $line > heard; cat heard"
    with run.on_terminal("sh", "-c", f"yes 2>/dev/null & echo up; {program}; kill $!; wait") as seen:
        seen.until("up")
        time.sleep(0.3)  # `yes` has filled everything up to us
        seen.type("word\r")
        deadline = time.monotonic() + 20
        while not (heard := run.home / "heard").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert heard.read_text() == "word\n"
        assert seen.wait() == 0


def test_a_megabyte_that_is_pasted_arrives_whole(run: Run) -> None:
    with run.on_terminal("sh", "-c", "stty raw -echo; echo up; head -c 1000000 | cksum; stty sane") as seen:
        seen.until("up")
        text = b"0123456789abcde\n" * 62500
        seen.type(text)
        wanted = subprocess.run(["cksum"], input=text, capture_output=True, check=True).stdout.split()[0]
        seen.until(wanted)
        assert seen.wait() == 0
    assert run.bytes_of("TerminalInput") == b""


# -- what is recorded


def test_all_that_is_shown_is_kept_and_what_is_typed_while_it_is_echoed(run: Run) -> None:
    with run.on_terminal("sh", "-c", "echo up; read a; printf 'é漢\\033[1m%s' $a; seq 20000") as seen:
        seen.until("up")
        seen.type("visible\r")
        assert seen.wait() == 0
        kept = run.bytes_of("TerminalOutput").removeprefix(b"up")
        assert bytes(seen.shown).startswith(kept)
    assert run.bytes_of("TerminalInput") == b"visible\r"
    assert "é漢\033[1mvisible".encode() in kept and kept.endswith(b"19999\r\n20000\r\n")
    times = [fields["mono_ns"] for kind, fields in run.kept if "mono_ns" in fields]
    assert times == sorted(times)


@pytest.mark.parametrize("asking", ["read -s secret", "stty -echo; read secret; stty echo"])
def test_a_password_is_given_to_the_agent_and_to_nobody_else(run: Run, asking: str) -> None:
    with run.on_terminal("bash", "-c", f"echo up; read a; {asking}; echo length ${{#secret}}; read b") as seen:
        seen.until("up")
        seen.type("before")
        run.wait_kept("TerminalInput", b"before")
        seen.type("\r")
        time.sleep(0.2)
        seen.type("hunter2-hunter2\r")
        seen.until("length 15")
        seen.type("after\r")
        assert seen.wait() == 0
    assert run.bytes_of("TerminalInput").replace(b"\r", b"") == b"beforeafter"
    assert b"hunter2" not in (run.home / "kept").read_bytes()


def test_a_capture_process_that_is_killed_costs_nothing_of_the_screen(run: Run) -> None:
    program = "for i in $(seq 1 400); do echo line $i; sleep 0.005; done"
    with run.on_terminal("bash", "-c", program) as seen:
        seen.until("line 100\r")
        os.kill(run.keepers()[0], signal.SIGKILL)
        seen.until("line 200\r")
        for pid in run.keepers()[1:]:
            os.kill(pid, signal.SIGKILL)
        assert seen.wait() == 0
    assert len(run.keepers()) == 3
    assert run.bytes_of("TerminalOutput") == "".join(f"line {n}\r\n" for n in range(1, 401)).encode()
    assert len(run.named("TerminalOpened")) == 3


def test_a_stalled_capture_process_holds_up_nobody_and_what_is_left_out_is_counted(run: Run) -> None:
    with run.on_terminal(
        "sh", "-c", "echo up; read a; yes 0123456789 | head -c 20000000; echo; echo over; read b"
    ) as seen:
        seen.until("up")
        run.wait_kept("TerminalOutput", b"up")
        (keeper,) = run.keepers()
        os.kill(keeper, signal.SIGSTOP)
        seen.type("\r")
        seen.until("over")
        os.kill(keeper, signal.SIGCONT)
        run.wait_kept("TerminalOutput", b"0123")
        time.sleep(0.5)
        seen.type("\r")
        assert seen.wait() == 0
    missed = sum(fields["bytes"] for fields in run.named("TerminalMissed"))
    assert missed > 1_000_000
    kept = run.bytes_of("TerminalOutput")
    assert kept.count(b"0123456789\r\n") * 12 + missed == pytest.approx(21_818_182, abs=2000)


# -- jobs


def job(run: Run, *argv: str) -> str:
    """The command line of a launcher, for a shell."""
    return shlex.join(run.words(run.plan(*argv)))


def test_an_agent_that_is_stopped_from_the_keyboard_gives_the_shell_its_terminal_and_goes_on(run: Run) -> None:
    line = job(run, "bash", "-c", "trap 'echo again' CONT; echo up; read word; echo got $word")
    with terminal(["bash", "--norc", "--noprofile", "-i"], clean_environ(run.home, PS1="$ "), run.home) as shell:
        shell.until("$ ")
        shell.type(f"{line}\r")
        shell.until("up\r\n")
        shell.type(b"\x1a")
        shell.until("Stopped")
        shell.until("$ ")
        assert shell.modes[1] & termios.OPOST
        shell.type("echo in the shell\r")
        shell.until("in the shell\r\n")
        shell.type("fg\r")
        shell.until("again")
        assert not shell.modes[1] & termios.OPOST
        shell.type("word\r")
        shell.until("got word")
        shell.until("$ ")
        shell.type("echo $? left; exit\r")
        shell.until("0 left")
        shell.wait()


@pytest.mark.parametrize("number", ["TSTP", "STOP"])
def test_an_agent_that_stops_itself_stops_the_job_whichever_way(run: Run, number: str) -> None:
    line = job(run, "sh", "-c", f"stty raw; echo up; kill -{number} 0; echo again; stty sane")
    with terminal(["bash", "--norc", "--noprofile", "-i"], clean_environ(run.home, PS1="$ "), run.home) as shell:
        shell.until("$ ")
        shell.type(f"{line}\r")
        shell.until("up")
        shell.until("Stopped")
        shell.type("fg\r")
        shell.until("again")
        shell.until("$ ")
        shell.type("exit\r")
        shell.wait()


def test_a_job_that_goes_on_in_the_background_shows_and_reads_nothing(run: Run) -> None:
    line = job(run, "sh", "-c", "echo up; read word; echo got $word")
    with terminal(["bash", "--norc", "--noprofile", "-i"], clean_environ(run.home, PS1="$ "), run.home) as shell:
        shell.until("$ ")
        shell.type(f"{line}\r")
        shell.until("up\r\n")
        shell.type(b"\x1a")
        shell.until("Stopped")
        shell.type("bg\r")
        shell.until("&")
        shell.type("echo for the shell\r")
        shell.until("for the shell\r\n")
        shell.type("fg\r")
        shell.until("\n")
        time.sleep(0.5)
        shell.type("word\r")
        shell.until("got word")
        shell.until("$ ")
        shell.type("exit\r")
        shell.wait()


def test_a_job_started_in_the_background_gets_no_terminal_of_ours(run: Run) -> None:
    line = job(run, "sh", "-c", "echo seen $((40 + 2)); tty >&2")
    with terminal(["bash", "--norc", "--noprofile", "-i"], clean_environ(run.home, PS1="$ "), run.home) as shell:
        shell.until("$ ")
        shell.type(f"{line} &\r")
        shell.until("seen 42")
        shell.until("/dev/")
        shell.type("wait; exit\r")
        shell.wait()
    assert run.named("TerminalOpened") == []


# -- ends


def test_a_terminal_that_is_gone_is_gone_for_the_agent_too(run: Run) -> None:
    program = "trap 'echo hung up > hung; exit 1' HUP; echo up; while :; do sleep 0.02; done"
    with run.on_terminal("sh", "-c", program) as seen:
        seen.until("up")
        os.close(seen.fd)
        seen.fd = -1
        deadline = time.monotonic() + 20
        while not (run.home / "hung").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
    assert (run.home / "hung").read_text() == "hung up\n"


def test_a_launcher_that_is_killed_leaves_the_terminal_as_it_was_and_hangs_up_on_the_agent(run: Run) -> None:
    program = "trap 'echo hung up > hung; exit 1' HUP; echo up; while :; do sleep 0.02; done"
    with run.on_terminal("sh", "-c", program) as seen:
        seen.until("up")
        assert not seen.modes[3] & termios.ICANON
        os.kill(seen.pid, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while not (seen.modes[3] & termios.ICANON and (run.home / "hung").exists()):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_minder_that_is_killed_ends_the_run_as_a_hang_up(run: Run) -> None:
    with run.on_terminal("sh", "-c", "echo up $PPID; while :; do sleep 0.02; done") as seen:
        seen.until("up ")
        minder = int(seen.until("\r"))
        os.kill(minder, signal.SIGKILL)
        assert seen.wait() == 128 + signal.SIGHUP
        assert seen.modes[3] & termios.ICANON


def test_background_jobs_outlive_the_agent_and_still_show_what_they_print(run: Run) -> None:
    line = job(run, "bash", "-c", "(sleep 1.5; echo late; echo later > file) & echo early")
    with terminal(["bash", "--norc", "--noprofile", "-i"], clean_environ(run.home, PS1="$ "), run.home) as shell:
        shell.until("$ ")
        began = time.monotonic()
        shell.type(f"{line}\r")
        shell.until("early\r\n")
        shell.until("$ ")
        assert time.monotonic() - began < 1.5  # the job itself takes longer than that
        shell.until("late\r")
        deadline = time.monotonic() + 20
        while not (run.home / "file").exists() or not (run.home / "file").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        shell.type("exit\r")
        shell.wait()
    assert b"late" not in run.bytes_of("TerminalOutput")


def test_no_terminal_is_made_where_there_is_none(run: Run) -> None:
    plan = run.plan("sh", "-c", "test -t 1 || echo piped")
    done = subprocess.run(
        run.words(plan),
        env=clean_environ(run.home),
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    assert done.stdout == b"piped\n"


def test_no_terminal_is_made_where_none_is_wanted(run: Run) -> None:
    with run.on_terminal("sh", "-c", "tty; read x; echo $x", screen=False) as seen:
        seen.type("x\r")
        assert seen.wait() == 0
    assert run.named("TerminalOpened") == []
