"""The deep witness: what a command starts is told, however it starts it, also after its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tapes.wire.command import CommandEnded, CommandExec
from witness import Run, needs_supervisor, plain, run_shell

pytestmark = needs_supervisor()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    run = Run(tmp_path / "run", deep=True)
    with run:
        run_shell(["bash", "-c", "true"], run.environment("probe"))
        run.commands()
        if not any(isinstance(h, CommandExec) for h in run.happenings):
            pytest.skip("NO SECCOMP NOTIFICATION on this machine")
    return Run(tmp_path / "again", deep=True)


def test_every_attempt_to_start_a_program_is_told(run: Run) -> None:
    line = "env -i /bin/true 'a b'; (/bin/sh -c 'exec /bin/echo hi'); exit 3"
    with run:
        seen = [
            run_shell(["bash", "-c", line], env, capture_output=True)
            for env in (plain(run.environment()), run.environment())
        ]
        assert [(d.stdout, d.stderr, d.returncode) for d in seen] == [(b"hi\n", b"", 3)] * 2
        [command] = run.commands()
        execs = [h for h in run.happenings if isinstance(h, CommandExec) and h.key == command.start.key]
        argvs = [h.argv for h in execs]
        for argv in ((b"env", b"-i", b"/bin/true", b"a b"), (b"/bin/true", b"a b"), (b"/bin/echo", b"hi")):
            assert argv in argvs
        assert {h.cwd for h in execs} == {command.start.cwd}


def test_a_background_job_can_start_programs_after_its_command_has_ended(run: Run) -> None:
    with run:
        line = "(sleep 0.2; /bin/echo late) & exit 4"
        done = run_shell(["bash", "-c", line], run.environment(), capture_output=True)
        assert (done.stdout, done.returncode) == (b"late\n", 4)
        [command] = run.commands(closed=True)
        assert isinstance(command.end, CommandEnded)
        assert command.end.status == 4
        assert command.output("o") == b"late\n"
