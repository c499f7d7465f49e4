"""`tapes run` on a terminal: the screen and a person's commands, as the archive has them."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import Bench
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.record.kinds import BodyRef
from terminal import Terminal, clean_environ, terminal

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")


@contextlib.contextmanager
def bash(b: Bench) -> Iterator[Terminal]:
    (b.folder / ".bashrc").write_text("PS1='READY> '\n")
    environ = clean_environ(b.folder, TAPES_HOME=str(b.home))
    with terminal(b.command("run", "--", "bash"), environ, b.project) as seen:
        yield seen


def run(seen: Terminal, *lines: str) -> None:
    for line in lines:
        seen.until("READY> ")
        seen.type(line + "\r")


def kept(b: Bench) -> tuple[list[dict[str, Any]], bytes]:
    """Every record's body with its type, and all that was shown."""
    bodies, shown = [], b""
    with LmdbArchive.open(b.home / "archive", readonly=True) as archive:
        (session,) = archive.sessions()
        for _, record in archive.session_records(session):
            bodies.append(dict(record.body) | {"type": record.type})
            if record.type == "terminal" and record.body["data"]:
                data, at = archive.body(BodyRef.of(record.body["data"])), 0
                for event in record.body["events"]:
                    if event[1] in ("o", "i"):
                        shown += data[at : at + event[2]] if event[1] == "o" else b""
                        at += event[2]
    return bodies, shown


def test_a_persons_shell_is_recorded_with_its_screen_and_its_commands(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    with bash(b) as seen:
        run(seen, "echo one; (exit 3)", "exit 5")
        assert seen.wait() == 5
    bodies, shown = kept(b)
    assert b"one\r\n" in shown and b"READY> " in shown
    starts = [body for body in bodies if body["type"] == "command.start"]
    ends = [body for body in bodies if body["type"] == "command.end"]
    assert [body["argv"][-1] for body in starts] == [b"echo one; (exit 3)", b"exit 5"]
    assert {body["participant"]["kind"] for body in starts} == {"human"}
    assert [body["status"] for body in ends] == [3, 5]
    assert ends[0]["head"] == b"one\r\n"
    b.assert_sound()


def capture_process(b: Bench) -> int:
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words, environ = (path / "cmdline").read_bytes(), (path / "environ").read_bytes()
            if b"tapes_addons.recorder" in words and str(b.home).encode() in environ:
                return int(path.name)
    raise AssertionError("there is no capture process")


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the capture process in /proc")
def test_a_screen_is_whole_though_the_capture_process_is_killed_in_the_middle(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    with bash(b) as seen:
        run(seen, "for i in $(seq 1 300); do echo line $i.; sleep 0.02; done")
        seen.until("line 120.")
        os.kill(capture_process(b), signal.SIGKILL)
        run(seen, "exit 0")
        assert seen.wait() == 0
    _, shown = kept(b)
    assert re.findall(r"line (\d+)\.", shown.decode()) == [str(n) for n in range(1, 301)]
    b.assert_sound()


def test_a_secret_that_is_shown_and_typed_is_not_kept(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    secret = "ghp_" + "a1B2" * 9
    with bash(b) as seen:
        run(seen, f"cat > /dev/null; echo {secret}")
        time.sleep(0.3)
        seen.type(f"typed {secret}\r")
        time.sleep(0.3)
        seen.type("\x04")
        run(seen, "exit 0")
        assert seen.wait() == 0
    assert secret.encode() not in b.everything()
