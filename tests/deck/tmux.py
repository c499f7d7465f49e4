"""The real program in a real terminal: a tmux of our own, with its own server, typed into and looked at.

Nothing waits for so long, all waits for what is to be seen, with a deadline.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

PATIENCE_S = 60.0
LOOK_EVERY_S = 0.02
PROMPT = "ready>"
needs_tmux = pytest.mark.skipif(
    shutil.which("tmux") is None, reason="no tmux here: the deck in a real terminal is untested"
)


class Terminal:
    """A shell in a pane. What the pane's program writes is kept, byte for byte, in `raw`."""

    def __init__(self, folder: Path, size: tuple[int, int], environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._raw = folder / "raw"
        outside = {k: v for k, v in os.environ.items() if not k.startswith(("TMUX", "TEXTUAL"))}
        self._environ = outside | {"TMUX_TMPDIR": str(folder), "LANG": "C.UTF-8", "TERM": "xterm-256color"}
        inside = {"PS1": f"{PROMPT} ", "HISTFILE": "/dev/null", "TZ": "UTC", **environ}
        words = ["env", *(f"{name}={value}" for name, value in inside.items()), "bash", "--norc", "--noprofile", "-i"]
        columns, rows = size
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows), shlex.join(words))
        self._tmux("set-option", "-g", "status", "off")
        self.resize(*size)  # the row of the status line is the pane's now
        self._tmux("pipe-pane", f"cat > {shlex.quote(str(self._raw))}")
        self.wait(PROMPT)

    def _tmux(self, *words: str) -> str:
        command = ["tmux", "-u", "-L", "t", *words]
        done = subprocess.run(command, env=self._environ, capture_output=True, check=False, timeout=PATIENCE_S)
        assert done.returncode == 0, f"tmux {words}: {done.stderr.decode()}"
        return done.stdout.decode("utf-8", "replace")

    def type(self, line: str) -> None:
        """A line, and Enter."""
        self._tmux("send-keys", "-l", line)
        self._tmux("send-keys", "Enter")

    def keys(self, *keys: str) -> None:
        """Keys by tmux's names: `j`, `Enter`, `C-p`, `Escape`, `PageDown`."""
        self._tmux("send-keys", *keys)

    def screen(self, *, styled: bool = False) -> str:
        """What is shown; `styled`: with the escape sequences that colour it."""
        return self._tmux("capture-pane", "-p", *(["-e"] if styled else []))

    def asks(self, form: str) -> str:
        """tmux's answer to a format, such as `#{alternate_on}`."""
        return self._tmux("display-message", "-p", form).strip()

    def resize(self, columns: int, rows: int) -> None:
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def raw(self) -> bytes:
        return self._raw.read_bytes()

    def wait(self, *texts: str, gone: bool = False) -> str:
        """Until all these are on the screen (`gone`: until none is). The screen then."""
        said = f"{texts} {'still' if gone else 'not'} shown"
        return self.wait_for(lambda shown: all((text in shown) != gone for text in texts), said)

    def wait_for(self, rule: Callable[[str], bool], said: str) -> str:
        until = time.monotonic() + PATIENCE_S
        while not rule(shown := self.screen()):
            assert time.monotonic() < until, f"{said}:\n{shown}"
            time.sleep(LOOK_EVERY_S)
        return shown

    def end(self) -> None:
        self._tmux("kill-server")


@contextmanager
def terminal(home: Path, size: tuple[int, int] = (120, 40), **environ: str) -> Iterator[Terminal]:
    """A terminal in which `tapes` is this program, with this home."""
    folder = Path(tempfile.mkdtemp(prefix="tapes-tmux-"))  # a socket's path has to be short
    tapes = folder / "tapes"
    tapes.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tapes_cli "$@"\n')
    tapes.chmod(0o755)
    known = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    given = {"TAPES_HOME": str(home), "PATH": f"{folder}:{os.environ['PATH']}"} | known | environ
    opened = Terminal(folder, size, given)
    try:
        yield opened
    finally:
        opened.end()
        shutil.rmtree(folder)
