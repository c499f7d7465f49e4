"""The agent's parent where it has a terminal of ours: leader of the session that the new terminal belongs to.

A shell gives a job a process group of its own inside the shell's session, and can be told when the job stops. A program
that is itself the leader of a session can not be stopped from the keyboard: the kernel drops that signal for groups
that nobody could continue. So between the launcher and the agent stands this process, forked from the launcher before
that has any thread. It starts the agent, waits, and tells the launcher in reports of five bytes: a kind and an i32.

It also is what remains. When the launcher is killed so that nothing of it runs, it sets the modes of the real terminal
back, and by its own end the agent is hung up on. When the agent has ended but its background jobs have not, it stays
and shows what they print, as the terminal would without us: by its end they would be hung up on, too.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import socket
import struct
import subprocess
import termios
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tapes_addons.plan import PARENT
from tapes_addons.terminal.real import Modes, set_modes

REPORT = struct.Struct("<ci")
STARTED, NOT_STARTED, STOPPED, ENDED = b"p", b"e", b"s", b"x"
"""Process id; errno; number of the stopping signal; status as of waitpid."""
OVER, HANG_UP = b"o", b"h"
"""What the launcher says: it is done with the terminal; the real terminal is gone."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What a minder is given. The descriptors are the process's own."""

    words: Sequence[str]
    environ: Mapping[str, str]
    master: int
    slave: int
    modes: Modes
    """Of the real terminal, as they are to be set back."""
    kept_signals: Sequence[int]
    """Signals that are not to end a minder; those that were ignored stay ignored, also for the agent."""


def fork(charge: Charge) -> tuple[int, socket.socket]:
    """Start a minder. Returns its process id and the line to it."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid:
        theirs.close()
        return pid, ours
    status = 1
    try:
        ours.close()
        _Minder(charge, theirs).run()
        status = 0
    finally:
        # Whatever happens, this copy of the launcher must not run on as one.
        os._exit(status)


class _Minder:
    def __init__(self, charge: Charge, line: socket.socket) -> None:
        self._charge = charge
        self._line = line
        self._told = threading.Event()
        self._master_lock = threading.Lock()
        self._hung_up = False

    def run(self) -> None:
        self._settle()
        try:
            agent = self._start()
        except OSError as error:
            self._report(NOT_STARTED, error.errno or 0)
            return
        self._report(STARTED, agent.pid)
        os.close(self._charge.slave)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(null, 2)  # who waits for the end of the launcher's standard error waits for the agent, not for us
        os.close(null)
        threading.Thread(target=self._listen, daemon=True).start()
        while True:
            _, status = os.waitpid(agent.pid, os.WUNTRACED)
            if not os.WIFSTOPPED(status):
                break
            self._report(STOPPED, os.WSTOPSIG(status))
        self._report(ENDED, status)
        self._told.wait()
        self._linger()

    def _settle(self) -> None:
        """Be nothing of the launcher but its minder."""
        signal.set_wakeup_fd(-1)
        for number in self._charge.kept_signals:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, lambda *_: None)
        for number in (signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        low = 3
        for fd in sorted({self._line.fileno(), self._charge.master, self._charge.slave}):
            os.closerange(low, fd)  # above all the listening socket and the line of the capture process
            low = fd + 1
        os.closerange(low, os.sysconf("SC_OPEN_MAX"))
        os.setsid()
        fcntl.ioctl(self._charge.slave, termios.TIOCSCTTY, 0)

    def _start(self) -> subprocess.Popen[bytes]:
        slave = self._charge.slave

        def to_foreground() -> None:
            # A group that is not in the foreground yet would be stopped for this.
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTTOU])
            os.tcsetpgrp(slave, os.getpid())
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTTOU])

        return subprocess.Popen(
            list(self._charge.words),
            env={**self._charge.environ, PARENT: str(os.getpid())},
            stdin=slave,
            stdout=slave,
            stderr=slave if os.isatty(2) else None,
            process_group=0,
            preexec_fn=to_foreground,  # this process has no thread yet
        )

    def _report(self, kind: bytes, number: int) -> None:
        with contextlib.suppress(OSError):  # a launcher that is gone is dealt with where its word is awaited
            self._line.sendall(REPORT.pack(kind, number))

    def _listen(self) -> None:
        """Wait for the launcher's last word, or for its end."""
        while (word := self._word()) == HANG_UP:
            # With the last copy of this side the kernel tells everyone on the other that their terminal is gone.
            with self._master_lock:
                self._hung_up = True
                os.close(self._charge.master)
        if word != OVER:
            set_modes(1, self._charge.modes)
            os._exit(1)
        self._told.set()

    def _word(self) -> bytes:
        try:
            return self._line.recv(1)
        except OSError:
            return b""

    def _linger(self) -> None:
        """Show what background jobs still print, as long as there are any and somewhere to show it."""
        if self._hung_up:
            return
        waiting = select.poll()
        waiting.register(self._charge.master, select.POLLIN)
        with contextlib.suppress(OSError):  # nobody has the other side any more, or the real terminal is gone
            while True:
                waiting.poll()
                data = os.read(self._charge.master, 65536)
                while data:
                    data = data[os.write(1, data) :]


def take_note_of_end(pid: int) -> None:
    """Take note of a minder's end, if it has ended; one that lingers is left to itself."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
