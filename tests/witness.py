"""A fake agent's shell commands, with and without the witness, and what was reported of them.

`Run` is one run's directory with its pipe and a thread that reads it, as the launcher and the capture process have
them.
"""

from __future__ import annotations

import os
import select
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tapes.wire.command import (
    CommandClosed,
    CommandEnded,
    CommandHappening,
    CommandLost,
    CommandOutput,
    CommandRefined,
    CommandStarted,
)
from tapes_addons.terminal.frames import FrameReader
from tapes_addons.terminal.install import Installed, Marked, Own, install
from tapes_addons.terminal.supervisor import PROGRAM, build, force

NONCE = bytes(range(8))
AGENTS = (Marked("fake", ("FAKE_AGENT",), ("FAKE_CALL",)), Marked("other", ("OTHER_AGENT",), ("OTHER_CALL",)))
PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class Command:
    """All that was reported of one command."""

    start: CommandStarted
    refined: tuple[CommandRefined, ...]
    outputs: tuple[CommandOutput, ...]
    end: CommandEnded | CommandLost | None
    closed: CommandClosed | None

    def output(self, stream: str) -> bytes:
        return b"".join(piece.data for piece in self.outputs if piece.stream == stream)


class Run:
    """A run's directory; `with` reads its pipe until the end."""

    def __init__(
        self,
        folder: Path,
        launched: str = "fake",
        own: Own | None = None,
        environ: Mapping[str, str] | None = None,
        deep: bool = False,
    ) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        self.folder = folder
        self.fifo = folder / "commands"
        os.mkfifo(self.fifo, 0o600)
        self.held = os.open(self.fifo, os.O_RDWR | os.O_NONBLOCK)
        self.installed: Installed = install(
            folder,
            agents=AGENTS,
            launched=launched,
            launcher_pid=os.getpid() if launched == "fake" else 1,
            nonce=NONCE,
            environ=environ or {"SHLVL": "1"},
            own=own or Own(),
            deep=deep,
        )
        self.happenings: list[CommandHappening] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Run:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        os.close(self.held)

    def _read(self) -> None:
        reader = FrameReader(NONCE)
        while not self._stop.is_set():
            if select.select([self.held], [], [], 0.02)[0]:
                self.happenings += reader.feed(os.read(self.held, 1 << 20))

    def environment(self, call: str = "1", **more: str) -> dict[str, str]:
        """What the fake agent gives a command's shell."""
        base = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8", "SHLVL": "1"}
        return base | {"FAKE_AGENT": "1", "FAKE_CALL": call, "BASH_ENV": self.installed.bash_env} | more

    def commands(self, count: int = 1, *, closed: bool = False, since: int = 0) -> list[Command]:
        """Those told after `since` happenings, when so many have ended (with `closed`: and their output too)."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            found = self._commands(since)
            done = [c for c in found if c.end and (not closed or c.closed or not getattr(c.end, "open", False))]
            if len(done) >= count:
                return found
            time.sleep(0.01)
        raise AssertionError(f"{count} commands expected, reported was {self.happenings!r:.2000}")

    def _commands(self, since: int = 0) -> list[Command]:
        told = self.happenings[since:]
        starts = [h for h in told if isinstance(h, CommandStarted)]
        return [Command(s, *self._of(told, s.key)) for s in starts]

    @staticmethod
    def _of(told: Sequence[CommandHappening], key: str) -> tuple[Any, ...]:
        own = [h for h in told if getattr(h, "key", "") == key]
        end = next((h for h in own if isinstance(h, CommandEnded | CommandLost)), None)
        closed = next((h for h in own if isinstance(h, CommandClosed)), None)
        refined = tuple(h for h in own if isinstance(h, CommandRefined))
        return refined, tuple(h for h in own if isinstance(h, CommandOutput)), end, closed


def needs_supervisor() -> pytest.MarkDecorator:
    """Skips where tapes-sh is not built and can not be."""
    if not PROGRAM.is_file():
        build()
    in_force = force()
    return pytest.mark.skipif(in_force.level != "supervisor", reason=f"NO SUPERVISOR: {in_force.why}")


def plain(environment: Mapping[str, str]) -> dict[str, str]:
    """The same environment without us."""
    return {name: value for name, value in environment.items() if name != "BASH_ENV"}


def run_shell(
    words: Sequence[str | bytes], environment: Mapping[str, str], **more: Any
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(words, env=dict(environment), stdin=more.pop("stdin", subprocess.DEVNULL), timeout=20, **more)
