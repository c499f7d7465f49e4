"""What tests of terminals share: a person's terminal played by Python, and a launcher whose capture process writes down
what it is told of the screen."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tapes_addons
from tapes_addons.plan import Plan

PATIENCE_S = 20
LAUNCH = str(Path(tapes_addons.__path__[0]) / "launch.py")
KEEPER = str(Path(__file__).parent / "tape_keeper.py")


@dataclass
class Terminal:
    """A program on a terminal of its own, whose keyboard and screen are methods."""

    process: subprocess.Popen[bytes]
    fd: int
    shown: bytearray = field(default_factory=bytearray)

    @property
    def pid(self) -> int:
        return self.process.pid

    def type(self, text: str | bytes) -> None:
        data = text.encode() if isinstance(text, str) else text
        while data:
            data = data[os.write(self.fd, data) :]

    def look(self, timeout_s: float = 0.05) -> bool:
        """Take what is shown; False when nothing came, or nothing can come any more."""
        if not select.select([self.fd], [], [], timeout_s)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.shown += data
        return bool(data)

    def until(self, text: str | bytes) -> bytes:
        """Wait until this is shown; returns what came before, and forgets both."""
        wanted = text.encode() if isinstance(text, str) else text
        deadline = time.monotonic() + PATIENCE_S
        searched = 0
        while (at := self.shown.find(wanted, searched)) < 0:
            assert time.monotonic() < deadline, f"{text!r} is not shown: {bytes(self.shown[-2000:])!r}"
            searched = max(0, len(self.shown) - len(wanted))
            self.look()
        before = bytes(self.shown[:at])
        del self.shown[: at + len(wanted)]
        return before

    def wait(self) -> int:
        """The exit status, negative for a signal. What is shown meanwhile is kept."""
        deadline = time.monotonic() + PATIENCE_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"it does not end: {bytes(self.shown[-2000:])!r}"
            self.look()
        while self.look():
            pass
        return self.process.returncode

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    @property
    def modes(self) -> list[Any]:
        return termios.tcgetattr(self.fd)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def terminal(words: Sequence[str], environ: Mapping[str, str], cwd: Path | None = None) -> Iterator[Terminal]:
    fd, inner = pty.openpty()
    process = subprocess.Popen(
        words,
        env=environ,
        cwd=cwd,
        stdin=inner,
        stdout=inner,
        stderr=inner,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    made = Terminal(process, fd)
    made.resize(80, 24)
    os.close(inner)
    try:
        yield made
    finally:
        made.close()


def clean_environ(home: Path, **more: str) -> dict[str, str]:
    """Nothing of the tester's: prompts and startup files differ from one to the next."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "TERM": "xterm",
        "LANG": "C.UTF-8",
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        **more,
    }


@dataclass
class Run:
    """One launch with a terminal. `kept` is what its capture processes were told, as [name, fields]."""

    home: Path

    def plan(self, *argv: str, **more: Any) -> Plan:
        run_dir = self.home / "run"
        run_dir.mkdir(exist_ok=True)
        return Plan(
            home=str(self.home),
            run_dir=str(run_dir),
            argv=list(argv),
            cwd=str(self.home),
            agent="generic",
            environment=more.pop("environment", {}),
            python=[sys.executable, KEEPER],
            screen=more.pop("screen", True),
            **more,
        )

    def words(self, plan: Plan) -> list[str]:
        """The launcher's command line, which reads the plan from a file."""
        file = self.home / "plan.json"
        file.write_bytes(plan.to_json())
        program = "import os, sys; f = os.open(sys.argv[1], 0); os.dup2(f, 9); os.set_inheritable(9, True)"
        program += "; os.execv(sys.executable, [sys.executable, '-I', '-S', sys.argv[2], '9'])"
        return [sys.executable, "-S", "-c", program, str(file), LAUNCH]

    @contextlib.contextmanager
    def on_terminal(self, *argv: str, **more: Any) -> Iterator[Terminal]:
        environ = clean_environ(self.home)
        with terminal(self.words(self.plan(*argv, **more)), environ, self.home) as made:
            yield made

    @property
    def kept(self) -> list[tuple[str, dict[str, Any]]]:
        file = self.home / "kept"
        lines = file.read_text().rpartition("\n")[0].splitlines() if file.exists() else []
        return [(name, fields) for name, fields in map(json.loads, lines)]

    def bytes_of(self, name: str) -> bytes:
        return b"".join(fields["data"].encode("latin-1") for kind, fields in self.kept if kind == name)

    def named(self, name: str) -> list[dict[str, Any]]:
        return [fields for kind, fields in self.kept if kind == name]

    def keepers(self) -> list[int]:
        """Capture processes that have said where they are."""
        file = self.home / "keepers"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def wait_kept(self, name: str, data: bytes) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while data not in self.bytes_of(name):
            assert time.monotonic() < deadline, f"{data!r} is not kept: {str(self.kept[-5:])[-2000:]}"
            time.sleep(0.02)
