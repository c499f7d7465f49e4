"""The terminal that a person sits at: whether it is ours to take, its modes and its size.

What is changed here must be changed back. The launcher does so at its end, when it is stopped, and from an exit
handler. Where it is killed so that nothing of it runs (kill -9), its minder does (minder.py). Only where both of them
are killed the terminal stays raw; the shells that people use set their own modes at each prompt.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import termios
from typing import Any

Modes = list[Any]
"""As termios.tcgetattr gives them."""

_IFLAG, _OFLAG, _CFLAG, _LFLAG, _CC = 0, 1, 2, 3, 6
_SIZE = struct.Struct("HHHH")


def is_ours() -> bool:
    """Are standard input and output one terminal, with us in its foreground?

    A job in the background must not touch the terminal's modes: it would be stopped for it. It gets no terminal of its
    own from us, and meets the real one as it would without us.
    """
    try:
        same = os.isatty(0) and os.isatty(1) and os.fstat(0).st_rdev == os.fstat(1).st_rdev
    except OSError:
        return False
    return same and in_foreground()


def in_foreground() -> bool:
    """May we read the terminal and set its modes? Also where it is nobody's controlling terminal."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return True


def size_of(fd: int) -> tuple[int, int]:
    """Columns and rows; 0 and 0 where the terminal does not know."""
    try:
        rows, columns, _, _ = _SIZE.unpack(fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(_SIZE.size)))
    except OSError:
        return 0, 0
    return columns, rows


def copy_size(source: int, target: int) -> tuple[int, int]:
    """Make `target` as large as `source`, in cells and in pixels. Returns columns and rows."""
    with contextlib.suppress(OSError):  # a terminal that is gone is noticed where it is read
        fcntl.ioctl(target, termios.TIOCSWINSZ, fcntl.ioctl(source, termios.TIOCGWINSZ, bytes(_SIZE.size)))
    return size_of(target)


def raw(modes: Modes) -> Modes:
    """`modes` with nothing done to bytes on their way (cfmakeraw): the agent's own terminal does it."""
    made = list(modes)
    made[_IFLAG] &= ~(
        termios.IGNBRK
        | termios.BRKINT
        | termios.PARMRK
        | termios.ISTRIP
        | termios.INLCR
        | termios.IGNCR
        | termios.ICRNL
        | termios.IXON
    )
    made[_OFLAG] &= ~termios.OPOST
    made[_CFLAG] = made[_CFLAG] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
    made[_LFLAG] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
    made[_CC] = list(modes[_CC])
    made[_CC][termios.VMIN], made[_CC][termios.VTIME] = 1, 0
    return made


def set_modes(fd: int, modes: Modes) -> None:
    """At once, and with what was typed ahead kept. A terminal that is gone has no modes."""
    with contextlib.suppress(termios.error, OSError):
        termios.tcsetattr(fd, termios.TCSANOW, modes)


def echoes(fd: int) -> bool:
    """Does this terminal show what is typed? False where that can not be told: it may be a password."""
    try:
        return bool(termios.tcgetattr(fd)[_LFLAG] & termios.ECHO)
    except (termios.error, OSError):
        return False
