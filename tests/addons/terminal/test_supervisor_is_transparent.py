"""Whatever an agent's shell does, its agent sees the same with the witness and without, and the report is true.

Each command runs four ways: with a pipe for each output, one pipe for both, two sockets (as node does), and one file
for both (as Claude Code does).
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tapes.wire.command import CommandEnded
from witness import Command, Run, needs_supervisor, plain

pytestmark = needs_supervisor()

PROFILE = """
echo profile; PLAIN=kept; f() { echo "f $PLAIN"; }; export EX=1; P=$P:x; export P; shopt -s extglob
"""
SCRIPT = '#!/bin/bash\necho script "$0" "$@" $#\nexit 4\n'
STDIN = b'echo one; read x; echo "x=$x"\nDATA\necho "$@"; exit 5\n'

COMMANDS: dict[str, list[str | bytes]] = {
    "exit 7 with both streams": ["-c", "echo out; echo err >&2; exit 7"],
    "exec": ["-c", 'trap - EXIT; exec sh -c "echo a; exit 5"'],
    "exit in a trap": ["-c", 'trap "echo bye; exit 9" EXIT; echo x'],
    "kill -9 of itself": ["-c", "echo a; kill -9 $$; echo b"],
    "kill of itself": ["-c", "echo a; kill $$; echo b"],
    "kill -9 of its group": ["-c", "echo a; kill -9 0; echo b"],
    "a crash": ["-c", "ulimit -c 0; echo a; kill -SEGV $$; echo b"],
    "set -e": ["-ec", "echo a; false; echo b"],
    "set -x": ["-xc", 'echo a; echo "$_"'],
    "set -u": ["-uc", "echo a; echo $UNSET"],
    "nested shells": ["-c", 'bash -c "echo \\$0 \\$# \\$SHLVL"; echo "$0 $# $1 $_"', "zero", "one two", "3"],
    "here documents": ["-c", "cat <<E\nline $HOME\nE\ncat <<'Q'\n$x\\\nQ"],
    "unbalanced quotes": ["-c", 'echo "abc'],
    "head -1": ["-c", "seq 1 100000 | head -1"],
    "a burst of 300 kB": ["-c", "head -c 300007 /dev/zero | tr '\\0' x"],
    "10 MB": ["-c", "head -c 10000000 /dev/zero"],
    "binary output": ["-c", "head -c 100000 /bin/sh"],
    "a login shell": ["-lc", "echo $PLAIN $EX $P; f; shopt -q login_shell && echo login; shopt extglob; exit 3"],
    "a script": ["{folder}/script.sh", "a b", ""],
    "a script on stdin": [],
    "a script on stdin with words": ["-s", "x", "y"],
    "nothing": ["-c", ""],
    "bytes that are no text": ["-c", b'printf %s "$1" | od -c; echo \xff\xfe\x01\x7f', "z", b"\xff\xfe\x01\x7f\x80a"],
    "an argument of 120 KiB": ["-c", "echo ${#1}", "z", "x" * (120 * 1024)],
    "too long a list of arguments": ["-c", "/bin/true $(seq 1 400000); echo $?"],
    "a restricted shell": ["-rc", "cd /; echo r"],
    "$_, $? and $-": ["-c", 'echo "[$_] $? $-"'],
    "what the shell has": ["-c", "declare -F; trap -p; shopt; set -o; ulimit -a; umask; declare -p SHLVL OLDPWD"],
    "open files": ["-c", "ls /proc/self/fd 2>/dev/null || ls /dev/fd"],
    "signals to itself and its group": ["-c", 'trap "echo T" TERM; kill 0; kill $$; echo end'],
    "a stop that a child of it ends": ["-c", "(sleep 0.1; kill -CONT $$)& kill -STOP $$; echo on; wait"],
    "a stop that it ignores": ["-c", 'trap "" TSTP; kill -TSTP 0; echo alive'],
    "output opened by name": ["-c", "echo a; echo b > /dev/stdout; echo c"],
    "closed outputs": ["-c", "exec >&- 2>&-; echo x; exit 3"],
    "env -i": ["-c", 'env -i bash -c "echo \\$SHLVL; env"'],
    "kind of its outputs": ["-c", "for t in t p S f; do test -$t /dev/stdout; echo $?; done"],
    "a directory that is gone": ["-c", 'mkdir -p D; cd D; rmdir ../D; pwd; ls; bash -c "echo in"'],
}
BEFORE = {"a login shell": b"profile\n"}
"""Output before the trampoline is read: the agent's, and not in the report."""


class Seen(NamedTuple):
    """What the agent has of a command."""

    code: int
    out: bytes
    err: bytes


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("a run with spaces")
    with Run(folder / "run") as run:
        (run.folder / ".bash_profile").write_text(PROFILE)
        (run.folder / "script.sh").write_text(SCRIPT)
        (run.folder / "work").mkdir()
        yield run


def by_pipes(words: list[str | bytes], more: dict[str, Any]) -> Seen:
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more) as process:
        out, err = process.communicate(timeout=20)
    return Seen(process.returncode, out, err)


def by_one_pipe(words: list[str | bytes], more: dict[str, Any]) -> Seen:
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more) as process:
        out, _ = process.communicate(timeout=20)
    return Seen(process.returncode, out, b"")


def by_sockets(words: list[str | bytes], more: dict[str, Any]) -> Seen:
    pairs = [socket.socketpair(), socket.socketpair()]
    process = subprocess.Popen(words, stdout=pairs[0][1], stderr=pairs[1][1], **more)
    got = [b"", b""]

    def read(number: int) -> None:
        with pairs[number][0] as line:
            while piece := line.recv(65536):
                got[number] += piece

    threads = [threading.Thread(target=read, args=[number]) for number in (0, 1)]
    for thread, (_, theirs) in zip(threads, pairs, strict=True):
        theirs.close()
        thread.start()
    code = process.wait(20)
    for thread in threads:
        thread.join(20)
    return Seen(code, *got)


def by_one_file(words: list[str | bytes], more: dict[str, Any]) -> Seen:
    path = Path(more["cwd"]) / "output"
    path.write_bytes(b"before\n")
    with open(path, "ab") as file:
        code = subprocess.Popen(words, stdout=file, stderr=file, **more).wait(20)
        # A job in the background may still write.
        if b"sleep" in os.fsencode(words[-1]):
            threading.Event().wait(0.3)
    return Seen(code, path.read_bytes(), b"")


WAYS = {"pipes": by_pipes, "one pipe": by_one_pipe, "sockets": by_sockets, "one file": by_one_file}


def start(way: str, words: list[str | bytes], environment: Mapping[str, str], folder: Path) -> Seen:
    (folder / "stdin").write_bytes(STDIN if words in (["bash"], ["bash", "-s", "x", "y"]) else b"")
    with open(folder / "stdin", "rb") as stdin:
        more = {"stdin": stdin, "env": dict(environment), "cwd": folder / "work", "start_new_session": True}
        return WAYS[way](words, more)


def reported(command: Command) -> int | None:
    end = command.end
    if not isinstance(end, CommandEnded):
        return None
    return -end.signal if end.signal else end.status


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", COMMANDS)
def test_the_agent_sees_the_same_and_the_report_is_true(run: Run, name: str, way: str) -> None:
    words: list[str | bytes] = ["bash"]
    words += [word.replace("{folder}", str(run.folder)) if isinstance(word, str) else word for word in COMMANDS[name]]
    environment = run.environment(call=f"{name} {way}", P="p")
    without = start(way, words, plain(environment), run.folder)
    told = len(run.happenings)
    seen = start(way, words, environment, run.folder)
    assert seen == without
    [command] = run.commands(1, closed=True, since=told)
    assert command.start.argv == tuple(map(os.fsencode, words))
    assert command.start.cwd == os.fsencode(run.folder / "work")
    assert reported(command) == seen.code
    before = BEFORE.get(name, b"")
    if way in ("pipes", "sockets"):
        assert before + command.output("o") == seen.out
        assert command.output("e") == seen.err
    else:
        mark = b"before\n" if way == "one file" else b""
        # What a command truncates with its own hands is not for us to find again.
        assert mark + before + command.output("m") == seen.out or "by name" in name


def test_a_shell_that_reads_no_start_file_is_left_alone(run: Run) -> None:
    told = len(run.happenings)
    for words in (["sh", "-c", "exit 2"], ["bash", "--posix", "-c", "exit 2"], ["bash", "-ic", "exit 2"]):
        assert subprocess.run(words, env=run.environment("alone"), stdin=subprocess.DEVNULL).returncode == 2
    assert run.happenings[told:] == []


def test_the_argv0_of_a_login_shell_is_kept(run: Run) -> None:
    environment = run.environment("argv0", P="p")
    seen = [
        subprocess.run(["-bash", "-c", "echo $0"], executable="/bin/bash", env=env, stdout=subprocess.PIPE).stdout
        for env in (plain(environment), environment)
    ]
    assert seen[0] == seen[1] == b"profile\n-bash\n"


def test_a_signal_for_all_comes_once_and_a_signal_for_one_comes_too(run: Run) -> None:
    line = 'trap "echo T" TERM; echo ready; for i in 1 2 3 4; do sleep 0.1; done; exit 4'
    with subprocess.Popen(
        ["bash", "-c", line], env=run.environment("signals"), stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.terminate()
        assert process.stdout.readline() == b"T\n"
        os.killpg(process.pid, signal.SIGTERM)
        assert process.stdout.read() == b"T\n"
        assert process.wait() == 4
