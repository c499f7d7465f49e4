"""The snapshot process as the capture process sees it: started early, told what happens, waited for at the end only.

Nothing here waits but `finish`: what is to be told goes into a socket if there is room, and with the next news if there
is none. When the process dies another takes over, a few times; the session has a gap then.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tapes.wire.command import CommandEnded
from tapes.wire.exchange import Arrived, Finished, Moment, Opened, SocketMessage
from tapes.wire.redact import Redactor
from tapes.wire.worktree import SnapshotsMissed, SnapshotsWritten
from tapes_addons.worktree.task import Task, line, secret_line

MODULE = ("-P", "-m", "tapes_addons.worktree")
MAX_RESTARTS = 3
SHOW_S, SHOW_AGAIN_S = 1.0, 5.0


class Beside:
    """One run's snapshot process. Made before the plan is known; `begin` or `call_off` follows."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket, self._pid = _start()
        self._unsent = bytearray()
        self._told: dict[str, None] = {}
        """Commands whose snapshot has not been taken yet, by hex."""
        self._answered = False
        self._task: Task | None = None
        self._redactor = Redactor()
        self._known: tuple[object, ...] = ()
        self._put: Callable[[Any], object] = lambda happening: None
        self._say: Callable[[str], None] = lambda text: None
        self._progress: Callable[[str], None] = lambda text: None
        self._restarts = 0
        self._ending = False
        self._gave_up = False
        self._shown = False
        self._over = threading.Event()
        self._earlier: dict[str, int] = {}
        """Counts of processes that were lost."""
        self._counts: dict[str, int] = {}
        self._rows = 0

    # -- from the beginning to the end

    def call_off(self) -> None:
        """There is nothing to take snapshots of."""
        self._over.set()
        if self._socket is not None:
            self._socket.close()

    def begin(
        self,
        task: Task,
        redactor: Redactor,
        put: Callable[[Any], object],
        say: Callable[[str], None],
        progress: Callable[[str], None],
    ) -> None:
        """Have it start. `put` takes what the session's own writer has to say of it, `say` what a person should know,
        `progress` that it takes its time: with the first snapshot, or at the end."""
        self._task, self._redactor, self._put, self._say, self._progress = task, redactor, put, say, progress
        self._known = self._redactor.values  # those of the environment it has itself
        if self._socket is None:
            self._over.set()
            say("the files are NOT recorded: their process could not be started")
            return
        self._tell(task.to_line())
        threading.Thread(target=self._listen, name="tapes-worktree", daemon=True).start()

    def finish(self, timeout_s: float) -> dict[str, int]:
        """The agent has gone: wait for the last snapshot. What was written in all, empty where nothing was."""
        if self._task is None or self._over.is_set():
            return self._total()
        with self._lock:
            self._ending = True
        self._tell(line(end=True))
        until = time.monotonic() + timeout_s
        pause = SHOW_S
        while not self._over.wait(min(pause, max(0.0, until - time.monotonic()))):
            pause = SHOW_AGAIN_S
            self._tell(b"")  # should the socket have been full before
            rows = f", {self._rows} paths so far" if self._rows else ""
            self._progress(f"waiting for the last snapshot of the working directory{rows}")
            if time.monotonic() >= until:
                self._gave_up = True
                self._missed(f"the last snapshot of the files was not finished {timeout_s:g} s after the agent")
                self._say(f"the last snapshot of the files was cut short after {timeout_s:g} s")
                with contextlib.suppress(OSError):
                    os.kill(self._pid, signal.SIGKILL)
                self._over.wait(1)
        return self._total()

    def _total(self) -> dict[str, int]:
        return {key: self._earlier.get(key, 0) + self._counts.get(key, 0) for key in self._earlier | self._counts}

    # -- what happens. Any thread.

    def tap[**P, R](self, put: Callable[P, R]) -> Callable[P, R]:
        """`put`, with us listening: a model is asked again, or a command has ended."""

        def tapped(*args: P.args, **kwargs: P.kwargs) -> R:
            self.happened(args[0])
            return put(*args, **kwargs)

        return tapped

    def happened(self, happening: object) -> None:
        if isinstance(happening, Arrived | Finished):
            self._answered = True
        elif isinstance(happening, CommandEnded):
            self._command(happening.key)
        elif isinstance(happening, SocketMessage):
            if not happening.from_agent:
                self._answered = True
            else:
                self._asked()
        elif isinstance(happening, Opened) and happening.cls == "model":
            self._asked()

    def _asked(self) -> None:
        """A model is asked. Whatever its last answer made the agent do is done."""
        if self._answered and self._task is not None:
            self._answered = False
            self._tell(line(request=True))

    def _command(self, key: str) -> None:
        if self._task is not None and not self._over.is_set():
            self._told[key] = None
            self._tell(line(command=key))

    def _tell(self, data: bytes) -> None:
        with self._lock:
            values = self._redactor.values
            if values != self._known:
                known = {getattr(value, "source", b"") for value in self._known}
                for value in values:
                    if value.source not in known:
                        self._unsent += secret_line(value.rule, value.source)
                self._known = values
            self._unsent += data
            if self._socket is None:
                return
            try:
                sent = self._socket.send(self._unsent, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return  # it is at work: this goes with the next news
            except OSError:
                return  # it is gone, which the listener sees
            del self._unsent[:sent]

    # -- what it says

    def _listen(self) -> None:
        while True:
            sock = self._socket
            pending = b""
            while sock is not None:
                try:
                    data = sock.recv(65536)
                except OSError:
                    break
                if not data:
                    break
                *lines, pending = (pending + data).split(b"\n")
                for told in lines:
                    self._heard(json.loads(told))
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._pid, 0)
            if self._over.is_set() or not self._take_over():
                self._over.set()
                return

    def _heard(self, message: dict[str, Any]) -> None:
        counts = message.get("taken") or message.get("done")
        if counts:
            written = SnapshotsWritten(
                counts["records"] - self._counts.get("records", 0), counts["gaps"] - self._counts.get("gaps", 0)
            )
            self._counts, self._rows = counts, 0
            self._put(written)
        for command in message.get("commands", ()):
            self._told.pop(command, None)
        if "under_way" in message:
            self._rows = message["under_way"]
            if not self._shown and not self._ending:
                self._shown = True
                self._progress(f"the first snapshot of the files is under way: {self._rows} paths so far")
        if "missed" in message:
            self._missed(message["missed"], message["files"])
        if "trouble" in message:
            self._say(message["trouble"])
        if "done" in message:
            self._over.set()

    def _take_over(self) -> bool:
        """It died. Start another that begins with a full snapshot; False when that is enough of them."""
        if self._gave_up:
            return False
        self._missed("the process that takes snapshots of the working directory was lost")
        self._earlier, self._counts = self._total(), {}
        self._restarts += 1
        if self._restarts > MAX_RESTARTS or self._task is None or self._ending:
            self._say("the files are NOT recorded any more: their process keeps dying")
            return False
        with self._lock:
            if self._socket is not None:
                self._socket.close()
            self._socket, self._pid = _start()
            self._unsent.clear()
            self._known = ()
        self._tell(replace(self._task, restart=True).to_line())
        for command in list(self._told):
            self._tell(line(command=command))
        return self._socket is not None

    def _missed(self, reason: str, files: int = 0) -> None:
        self._put(SnapshotsMissed(Moment.now(), reason, files))


def _start() -> tuple[socket.socket | None, int]:
    """A snapshot process, and our end of its line. None where the system can not."""
    ours, theirs = socket.socketpair()
    null = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDWR, 0)
    both = [(os.POSIX_SPAWN_DUP2, 0, number) for number in (1, 2)]
    try:
        theirs.set_inheritable(True)
        words = [sys.executable, *MODULE, str(theirs.fileno())]
        return ours, os.posix_spawn(sys.executable, words, os.environ, file_actions=[null, *both], setsid=True)
    except (OSError, NotImplementedError):
        ours.close()
        return None, 0
    finally:
        theirs.close()
