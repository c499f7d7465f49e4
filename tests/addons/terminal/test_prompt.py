"""A person's shell with our prompt, for real: what it tells of its commands, and that it is otherwise as it was."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tapes.wire.command import CommandEnded, CommandLost, CommandOutput, CommandStarted
from tapes.wire.exchange import Moment
from tapes.wire.terminal import TerminalClosed, TerminalOutput
from tapes_addons.terminal.marks import Marks
from tapes_addons.terminal.prompt import Prompt, install
from terminal import Terminal, clean_environ, terminal

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")


@dataclass
class Shell:
    """An interactive shell, and the commands it told: [line, directory, status, output]."""

    home: Path
    seen: Terminal
    marks: Marks
    everything: bytearray = field(default_factory=bytearray)

    def run(self, *lines: str) -> None:
        """Type each line once the prompt (`$ `, behind whatever is in it) is there."""
        for line in lines:
            self.prompt()
            self.seen.type(line + "\r")

    def prompt(self) -> None:
        self.everything += self.seen.until("READY> ") + b"READY> "

    def end(self, status: int | None = None) -> list[tuple[str, str, int | None, str]]:
        """Leave the shell (where that has not been typed already) and read what it told."""
        if status is None:
            self.run("exit 0")
        code = self.seen.wait()
        assert code == (status or 0)
        self.everything += self.seen.shown
        found: dict[str, list[str | int | None]] = {}
        self.marks.shell_status = code
        happenings = [*self.marks.take(TerminalOutput(1, bytes(self.everything)), 0)]
        happenings += self.marks.take(TerminalClosed(Moment(2, 2)), 0)
        for item in happenings:
            match item:
                case CommandStarted():
                    found[item.key] = [item.argv[-1].decode(), item.cwd.decode(), None, ""]
                case CommandOutput():
                    found[item.key][3] = str(found[item.key][3]) + item.data.decode()
                case CommandEnded():
                    found[item.key][2] = item.status
                case CommandLost():
                    found[item.key][2] = -1
        assert all(len(key) == 32 for key in found)
        return [tuple(value) for value in found.values()]  # type: ignore[misc]


@contextmanager
def shell(tmp_path: Path, *words: str, rc: str = "", **environ: str) -> Iterator[Shell]:
    home, folder = tmp_path / "home", tmp_path / "prompt"
    home.mkdir(exist_ok=True)
    folder.mkdir()
    (home / ".bashrc").write_text(f"PS1='READY> '\n{rc}\n")
    argv = list(words) or ["bash"]
    env = clean_environ(home, **environ)
    prompt = install(folder, argv, 0, env, str(home))
    assert prompt is not None
    line = [*argv[: prompt.at], *prompt.arguments, *argv[prompt.at :]]
    with terminal(line, env | dict(prompt.environment), home) as seen:
        yield Shell(home, seen, Marks(prompt.nonce, b"bash"))


def test_each_command_is_told_with_its_line_its_directory_its_status_and_its_output(tmp_path: Path) -> None:
    with shell(tmp_path) as s:
        s.run("echo one; echo two", "cd /", "false", "", "   ", "(exit 7)", "pwd | tr / x", "no-such-command-at-all")
        told = s.end()
    home = str(s.home)
    assert [row[:3] for row in told] == [
        ("echo one; echo two", home, 0),
        ("cd /", home, 0),
        ("false", "/", 1),
        ("(exit 7)", "/", 7),
        ("pwd | tr / x", "/", 0),
        ("no-such-command-at-all", "/", 127),
        ("exit 0", "/", 0),
    ]
    assert [row[3] for row in told[:5]] == ["one\r\ntwo\r\n", "", "", "", "x\r\n"]
    assert "command not found" in told[5][3]


def test_lines_with_every_kind_of_character_come_back_as_typed(tmp_path: Path) -> None:
    lines = [
        r"echo 'a;b' \\x41 \; & wait",
        "echo é 漢字 🙂 '%s' \"$HOME\" `echo x`",
        "echo '[*]' '&' {a,b}",
        "x=\\\\; echo $x",
    ]
    with shell(tmp_path) as s:
        s.run(*lines)
        told = s.end()
    assert [row[0] for row in told[:-1]] == lines


def test_a_command_of_several_lines_is_one(tmp_path: Path) -> None:
    with shell(tmp_path, rc="PS2='READY> '; shopt -s lithist") as s:
        s.run("for i in 1 2", "do", "echo at $i", "done", "cat <<X", "in here", "X")
        told = s.end()
    assert told[0][0] == "for i in 1 2\ndo\necho at $i\ndone"
    assert told[0][2:] == (0, "at 1\r\nat 2\r\n")
    assert told[1][0].startswith("cat <<X\nin here\nX")
    assert told[1][3] == "in here\r\n"


def test_interrupts_at_the_prompt_and_in_a_command(tmp_path: Path) -> None:
    with shell(tmp_path) as s:
        s.run("echo half")
        s.prompt()
        s.seen.type("abandoned")
        s.everything += s.seen.until("abandoned") + b"abandoned"  # then readline is there to be interrupted
        s.seen.type("\x03")
        # On a busy machine any bash sometimes forgets to show its prompt here; an empty line asks for it.
        s.everything += s.seen.until("\x1b[?2004h") + b"\x1b[?2004h"
        s.seen.type("\r")
        s.prompt()
        s.seen.type("sh -c 'echo up; exec sleep 60'\r")
        s.everything += s.seen.until("up\r\n") + b"up\r\n"
        s.seen.type("\x03")
        s.run("echo after")
        told = s.end()
    assert [(row[0], row[2]) for row in told] == [
        ("echo half", 0),
        ("sh -c 'echo up; exec sleep 60'", 130),
        ("echo after", 0),
        ("exit 0", 0),
    ]


def test_a_command_that_ends_the_shell_ends_as_the_shell_does(tmp_path: Path) -> None:
    with shell(tmp_path) as s:
        s.run("true; exit 9")
        assert [(row[0], row[2]) for row in s.end(9)] == [("true; exit 9", 9)]


def test_another_program_in_the_shells_place_is_its_last_command(tmp_path: Path) -> None:
    with shell(tmp_path) as s:
        s.run("exec bash --norc -c 'echo another; exit 4'")
        ((line, _, status, output),) = s.end(4)
    assert (status, output) == (4, "another\r\n") and line.startswith("exec bash")


def test_well_known_marks_that_a_program_prints_are_output(tmp_path: Path) -> None:
    spoof = r"\e]133;D;0\a\e]133;A\a\e]633;E;rm -rf /;00\a\e]133;C\a" * 50
    with shell(tmp_path) as s:
        (s.home / "marks").write_bytes(spoof.replace(r"\e", "\033").replace(r"\a", "\a").encode())
        s.run("cat marks; false")
        told = s.end()
    assert [(row[0], row[2]) for row in told] == [("cat marks; false", 1), ("exit 0", 0)]
    assert told[0][3].count("rm -rf") == 50


def test_a_person_keeps_their_own_hooks_traps_and_statuses(tmp_path: Path) -> None:
    rc = """
    PROMPT_COMMAND='last=$?; printf "[status %s]" $last'
    PS0='<before>'
    trap 'printf "(debug %s)" "$BASH_COMMAND"' DEBUG
    trap 'printf "(left)"' EXIT
    set -o vi
    """
    with shell(tmp_path, rc=rc) as s:
        s.run("(exit 3)", "echo $? $_", "trap -p DEBUG", "[[ abc =~ b ]]", "echo ${BASH_REMATCH[0]}")
        told = s.end()
    shown = bytes(s.everything).decode()
    assert "[status 3]" in shown and "(left)" in shown and shown.count("<before>") == 6
    assert "(debug echo $? $_)3 " in told[1][3]
    assert "trap -- 'printf" in told[2][3]
    assert "b\r\n" in told[4][3]
    assert [row[0] for row in told[:2]] == ["(exit 3)", "echo $? $_"]


def test_what_the_last_command_left_behind_is_still_there(tmp_path: Path) -> None:
    with shell(tmp_path) as s:
        s.run("[[ abc =~ b ]]", "echo ${BASH_REMATCH[0]}", "(exit 5)", "echo $?", "true last word", "echo $_")
        told = s.end()
    assert [row[3] for row in told if row[0].startswith("echo")] == ["b\r\n", "5\r\n", "word\r\n"]


@pytest.mark.parametrize("value", ["PROMPT_COMMAND=(first second)", "export PROMPT_COMMAND='first; second;'"])
def test_prompt_commands_in_every_form_run_each_time(tmp_path: Path, value: str) -> None:
    with shell(tmp_path, rc=f"first() {{ printf '<1>'; }}; second() {{ printf '<2>'; }}; {value}") as s:
        s.run("true", "bash --norc -ic 'echo inner $PROMPT_COMMAND'", "true")
        told = s.end()
    shown = bytes(s.everything)
    assert shown.count(b"<1>") == shown.count(b"<2>") == 4
    assert "__tapes" not in told[1][3]
    assert [row[2] for row in told] == [0, 0, 0, 0]


def test_lines_that_history_leaves_out_are_told_all_the_same(tmp_path: Path) -> None:
    with shell(tmp_path, rc="HISTCONTROL=ignoreboth:erasedups; HISTIGNORE='ls*'") as s:
        s.run("echo a", "echo a", " echo hidden", "echo b", "echo a", "ls -d .", "set +o history", "echo dark")
        told = s.end()
    lines = ["echo a", "echo a", "echo hidden", "echo b", "echo a", "ls -d .", "set +o history", "echo dark", "exit 0"]
    assert [row[0] for row in told] == lines


@pytest.mark.parametrize(
    "options", ["set -u", "set -e", "set -x", "set -a", "shopt -u promptvars", "set -o posix", "set -f"]
)
def test_options_that_a_person_sets_do_no_harm(tmp_path: Path, options: str) -> None:
    with shell(tmp_path) as s:
        s.run(options, "echo one", "bash --norc -ic 'echo two'")
        told = s.end()
    shown = bytes(s.everything)
    assert b"one\r\n" in shown and b"two\r\n" in shown
    assert b"unbound" not in shown and b"$(__tapes" not in shown and b"__tapes_starts" not in shown
    if "promptvars" not in options:
        assert [(row[0], row[2]) for row in told[1:-1]] == [("echo one", 0), ("bash --norc -ic 'echo two'", 0)]


def test_a_prompt_that_runs_commands_and_is_drawn_anew_does_not_tell_of_them(tmp_path: Path) -> None:
    with shell(tmp_path, rc="PS1='$(echo in prompt; false)READY> '") as s:
        s.run("echo $?", "PS1='other READY> '", "echo again")
        told = s.end()
    assert [row[0] for row in told] == ["echo $?", "PS1='other READY> '", "echo again", "exit 0"]
    assert told[0][3] == "0\r\n"


def test_jobs_that_are_stopped_and_go_on(tmp_path: Path) -> None:
    with shell(tmp_path) as s:
        s.run("sh -c 'echo up; sleep 0.5; echo over'")
        s.everything += s.seen.until("up\r\n") + b"up\r\n"
        time.sleep(0.1)  # a shell that is stopped while it forks waits for its child
        s.seen.type("\x1a")
        s.run("fg")
        told = s.end()
    assert [row[2] for row in told] == [128 + signal.SIGTSTP, 0, 0]
    assert "over\r\n" in told[1][3]


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        (["bash", "-l"], "profile"),
        (["bash", "--login", "-i"], "profile"),
        (["bash", "--norc", "-i"], ""),
        (["bash", "--rcfile", "OTHER", "-i"], "other"),
        (["bash", "--init-file", "OTHER"], "other"),
        (["bash", "-O", "extglob"], "bashrc"),
        (["bash", "--posix"], ""),
    ],
)
def test_startup_files_are_those_that_the_person_asked_for(tmp_path: Path, words: list[str], kept: str) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".bash_profile").write_text("PS1='READY> '; FROM=profile\n")
    other = tmp_path / "other"
    other.write_text("PS1='READY> '; FROM=other\n")
    words = [str(other) if word == "OTHER" else word for word in words]
    with shell(tmp_path, *words, rc="FROM=bashrc", PS1="READY> ", PROMPT_COMMAND="printf '<mine>'") as s:
        s.run("echo from $FROM.", "echo $PROMPT_COMMAND | grep -c mine; env | grep -c ^PROMPT")
        told = s.end()
    assert told[0][3] == f"from {kept}.\r\n"
    assert told[1][3].startswith("1\r\n")
    assert bytes(s.everything).count(b"<mine>") == 3


def test_what_the_shell_starts_is_given_the_commands_id(tmp_path: Path) -> None:
    with shell(tmp_path) as s:
        s.run("sh -c 'echo $TAPES_COMMAND'")
        s.prompt()
        s.seen.type("exit\r")
        s.seen.wait()
        s.everything += s.seen.shown
        happenings = [*s.marks.take(TerminalOutput(1, bytes(s.everything)), 0)]
    started = next(item for item in happenings if isinstance(item, CommandStarted))
    output = next(item for item in happenings if isinstance(item, CommandOutput))
    assert output.data.decode().strip() == started.key


def test_a_dumb_terminal_is_shown_no_marks(tmp_path: Path) -> None:
    with shell(tmp_path, TERM="dumb") as s:
        s.run("echo plain")
        assert s.end() == []
    assert b"\x1b]" not in s.everything


def test_shells_without_hooks_are_left_alone(tmp_path: Path) -> None:
    assert install(tmp_path, ["dash"], 0, {}, "/home/u") is None
    assert install(tmp_path, ["ksh"], 0, {}, "/home/u") is None
    assert isinstance(install(tmp_path, ["/usr/bin/fish", "-i"], 0, {}, "/home/u"), Prompt)


@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_other_shells_tell_their_commands(tmp_path: Path, name: str) -> None:
    if not shutil.which(name):
        pytest.skip(f"needs {name}: its prompt was never run here")
    (tmp_path / "home" / ".config" / "fish").mkdir(parents=True)
    (tmp_path / "home" / ".zshrc").write_text("PS1='READY> '\n")
    (tmp_path / "home" / ".config" / "fish" / "config.fish").write_text(
        "function fish_prompt; echo -n 'READY> '; end\n"
    )
    with shell(tmp_path, name) as s:
        s.run("echo 'a;b' \\\\x", "false", "cd /")
        told = s.end()
    assert [row[:3] for row in told[:3]] == [
        ("echo 'a;b' \\\\x", str(s.home), 0),
        ("false", str(s.home), 1),
        ("cd /", str(s.home), 0),
    ]
    assert os.sep in told[0][1]
