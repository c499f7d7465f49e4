"""The agent's own terminal, and the bytes between it and the one that a person sits at.

The real terminal goes raw; everything that a terminal does (echo, Ctrl-C, Ctrl-Z, Ctrl-\\, flow control, editing of
lines) is done by the agent's. Each direction has a thread that waits for nothing but its two ends, so neither holds up
the other, and recording holds up none: bytes are passed on first and then put into a ring (tape.py), which a third
thread empties towards the capture process. What is typed is put there only while the agent's terminal echoes it.

When the agent stops itself, so do we, with the real terminal as we found it, so that the shell that started us gets it
back; when we are continued, so is the agent.

What was typed ahead for the shell while the agent ran has been given to the agent by then, and is lost with its
terminal.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pty
import select
import signal
import struct
import termios
import threading
import time
from collections.abc import Mapping, Sequence

from tapes_addons.terminal import minder, tape
from tapes_addons.terminal.real import copy_size, echoes, in_foreground, raw, set_modes
from tapes_addons.terminal.recording import Recording

CHUNK = 65536
LAST_S, QUIET_S = 1.0, 0.05
"""How long the screen may go on after the agent's end where background jobs hold it open, and what silence ends it."""
STALLED_S = 5.0
"""How long the end waits for a terminal that takes nothing."""
SETTLE_S = 0.02
"""How long what the agent wrote before it stopped may take to come out of its terminal."""
LOOK_AGAIN_S = 0.2
"""A job in the background is not told when the shell brings it to the foreground."""


class Relay:
    """One agent in a terminal of its own. It stands where the launcher else has a `subprocess.Popen`.

    All methods are the main thread's. When `line` is readable, `heard` is to be called.
    """

    def __init__(self, term: str) -> None:
        self.pid = 0
        self.returncode: int | None = None
        self._modes = termios.tcgetattr(0)
        self._is_raw = False
        self._master, self._slave = pty.openpty()
        os.set_blocking(self._master, False)
        termios.tcsetattr(self._slave, termios.TCSANOW, self._modes)
        self.recording = Recording(term, copy_size(0, self._slave))
        self._woken, self._wake = os.pipe()
        self._showing = threading.Thread(target=self._show, name="tapes-show", daemon=True)
        self._typing = threading.Thread(target=self._type, name="tapes-type", daemon=True)
        self._quiet = threading.Event()
        self._hung_up = False
        self._suspended = False

    def start(self, words: Sequence[str], environ: Mapping[str, str], kept_signals: Sequence[int]) -> None:
        """Start the agent. Raises OSError when it can not be run; the terminal is then as it was."""
        charge = minder.Charge(words, environ, self._master, self._slave, self._modes, kept_signals)
        atexit.register(self._give_back)
        self._take()
        self._minder, self.line = minder.fork(charge)
        kind, number = self._report()
        if kind != minder.STARTED:
            self._give_back()
            self.recording.close(number)
            raise OSError(number, os.strerror(number))
        self.pid = number
        signal.signal(signal.SIGWINCH, lambda *_: self._resize())
        signal.signal(signal.SIGCONT, lambda *_: self._go_on())
        self._catch_stop()
        self._showing.start()
        self._typing.start()

    # -- as a subprocess.Popen

    def poll(self) -> int | None:
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def signal_group(self, number: int) -> None:
        """As from the keyboard."""
        if self.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    # -- what the minder tells

    def heard(self) -> None:
        kind, number = self._report()
        if kind == minder.STOPPED:
            self._suspend(number)
        elif kind == minder.ENDED:
            self._end(os.waitstatus_to_exitcode(number))
        else:
            self._end(-signal.SIGHUP)  # somebody killed the minder, and so the kernel hung up on the agent

    def _report(self) -> tuple[bytes, int]:
        with contextlib.suppress(OSError, struct.error):  # a minder that is gone tells nothing
            kind, number = minder.REPORT.unpack(self.line.recv(minder.REPORT.size))
            return kind, number
        return b"", 0

    def _end(self, code: int) -> None:
        self.returncode = code
        os.close(self._slave)  # from here on the other side is open only as long as a background job has it
        os.write(self._wake, b".")
        self._showing.join(STALLED_S)
        self._typing.join(STALLED_S)
        self._give_back()
        with contextlib.suppress(OSError):
            self.line.sendall(minder.OVER)
        minder.take_note_of_end(self._minder)
        self.recording.close(code)

    # -- the real terminal

    def _take(self) -> None:
        if not self._is_raw:
            self._modes = termios.tcgetattr(0)
        self._is_raw = True
        set_modes(0, raw(self._modes))

    def _give_back(self) -> None:
        if self._is_raw and in_foreground():
            set_modes(0, self._modes)
        self._is_raw = False

    def _resize(self) -> None:
        if not self._hung_up:
            self.recording.resized(copy_size(0, self._master))

    def _catch_stop(self) -> None:
        # Somebody wants our job stopped: the agent first, so that it can leave its screen in order. We hear of it.
        signal.signal(signal.SIGTSTP, lambda *_: self.signal_group(signal.SIGTSTP))

    def _suspend(self, number: int) -> None:
        """The agent has stopped: so do we, and whoever shares our job, until somebody continues us."""
        time.sleep(SETTLE_S)
        self._quiet.wait(STALLED_S)
        self._give_back()
        self._suspended = True
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.killpg(os.getpgrp(), number)
        self._catch_stop()
        if self._suspended:
            self._go_on()  # nobody could continue us, and so the kernel has not stopped us

    def _go_on(self) -> None:
        self._suspended = False
        if self.returncode is None:
            if in_foreground() and not self._hung_up:
                self._take()
                self._resize()
            self.signal_group(signal.SIGCONT)

    # -- threads

    def _show(self) -> None:
        """Pass on what comes out of the agent's terminal."""
        with contextlib.suppress(OSError):  # nobody has the other side any more, or the real terminal is gone
            self._show_all()
        if self.returncode is None:
            self._hung_up = True
            os.write(self._wake, b".")

    def _show_all(self) -> None:
        put, more = self.recording.put, select.poll()
        more.register(self._master, select.POLLIN)
        more_or_end = polling(self._master, self._woken)
        last = float("inf")
        while not self._hung_up and time.monotonic() < last:
            try:
                data = os.read(self._master, CHUNK)
            except BlockingIOError:
                self._quiet.set()
                if self.returncode is None:
                    more_or_end.poll()
                elif not more.poll(QUIET_S * 1000):
                    return
            else:
                self._quiet.clear()
                rest = data
                while rest := rest[os.write(1, rest) :]:
                    pass
                put(tape.OUTPUT, data)
            if self.returncode is not None:
                last = min(last, time.monotonic() + LAST_S)

    def _type(self) -> None:
        """Pass on what is typed.

        A job that has gone on in the background is found there only after something was typed for the shell. To read
        that would stop us, were the signal not blocked; so the read fails.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTTIN])
        typed_or_end = polling(0, self._woken)
        while self.returncode is None and not self._hung_up:
            if not in_foreground():
                self._wait_in_background()
            elif (state := dict(typed_or_end.poll()).get(0)) and in_foreground():
                data = self._typed()
                self._pass_on(data)
                self._hung_up |= not data and bool(state & ~select.POLLIN)
        if self.returncode is None:
            os.write(self._wake, b".")
            self._showing.join()
            with contextlib.suppress(OSError):
                self.line.sendall(minder.HANG_UP)
            os.close(self._master)  # with the minder's copy the last one: the kernel tells the agent

    def _wait_in_background(self) -> None:
        """Only what is shown passes. To read, or to set modes, would stop us."""
        states = dict(polling(0, self._woken, what=0).poll(LOOK_AGAIN_S * 1000))
        if states.get(0):
            self._hung_up = True
        elif in_foreground() and not self._suspended:
            self._take()
            self._resize()

    def _typed(self) -> bytes:
        try:
            return os.read(0, CHUNK)
        except OSError:
            return b""

    def _pass_on(self, data: bytes) -> None:
        """To the agent, at its own pace; and to the recording, as far as the agent's terminal echoes it.

        That is asked before, because in that state it was typed, and after, for a program that was just about to ask
        for a password. What is not echoed goes nowhere else.
        """
        room_or_end = polling(self._master, self._woken, what=select.POLLOUT)
        while data and self.returncode is None and not self._hung_up:
            shown = echoes(self._master)
            try:
                taken = os.write(self._master, data)
            except BlockingIOError:
                room_or_end.poll()
                continue
            if shown and echoes(self._master):
                self.recording.put(tape.INPUT, data[:taken])
            data = data[taken:]


def polling(fd: int, woken: int, what: int = select.POLLIN) -> select.poll:
    poll = select.poll()
    poll.register(fd, what)
    poll.register(woken, select.POLLIN)
    return poll
