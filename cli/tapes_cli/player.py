"""Plays a recording in the terminal: waits, draws, obeys keys. Nothing is executed, and nothing recorded is written
but the cells of the engine's screen (`drawing.py`)."""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import termios
import time
import tty
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from tapes.session.screen.playback import Playback
from tapes.session.screen.timeline import Timed
from tapes_cli import output
from tapes_cli.drawing import ENTER, LEAVE, Canvas, first_row

SEEK_NS = 5_000_000_000
SLACK_NS = 1_000_000_000
GLANCE = 0.25
"""Seconds after which the terminal's size and the clock are looked at again, though nothing happens."""
FRAME = 1 / 60
_KEY = re.compile(r"\x1b(?:\[|O)[0-9;]*[A-Za-z~]|.", re.DOTALL)


class Controls:
    """What keys do to a playback. Knows no terminal either, so that it can be tried without one."""

    def __init__(
        self, playback: Playback, speed: float = 1.0, idle_ns: int | None = None, stops: Sequence[Timed[str]] = ()
    ) -> None:
        """`stops`: where playing stops, in order of time, and why. Going to a place by keys does not."""
        self.playback = playback
        self._stops = stops
        self._seen_ns = playback.at_ns or -1
        """Up to here it has stopped, or somebody went there."""
        self.speed = speed
        self.idle_ns = idle_ns
        self.paused = False
        self.quit = False
        self.said = ""
        """One line about the last key, until the next one."""
        self._keys: dict[str, Callable[[], None]] = {
            " ": self._pause,
            ".": self._step,
            "\x1b[C": lambda: self._seek(SEEK_NS),
            "\x1b[D": lambda: self._seek(-SEEK_NS),
            "\x1bOC": lambda: self._seek(SEEK_NS),
            "\x1bOD": lambda: self._seek(-SEEK_NS),
            "]": lambda: self._mark(1),
            "[": lambda: self._mark(-1),
            "q": self._quit,
            "\x03": self._quit,
            "\x04": self._quit,
        }

    def key(self, key: str) -> None:
        self.said, before = "", self.playback.at_ns
        if key in "123456789":
            self.speed = float(key)
        elif key in self._keys:
            self._keys[key]()
        if self.playback.at_ns != before:
            self._seen_ns = self.playback.at_ns

    @property
    def running(self) -> bool:
        return not (self.paused or self.playback.ended)

    def advance(self) -> None:
        """Play what happens next, or up to a stop that is before it or at the same time."""
        stop = self._next_stop()
        if stop is None:
            self.playback.advance()
            self._seen_ns = self.playback.at_ns
            return
        self._seen_ns = stop
        self.playback.go_to(stop)
        self.said = "● " + ", ".join(why for at, why in self._stops if at == stop)
        self.paused = True

    def _next_stop(self) -> int | None:
        """The moment of the stop that comes with what happens next, if one does."""
        upto = self.playback.at_ns + self.playback.wait_ns
        place = bisect_right(self._stops, self._seen_ns, key=lambda stop: stop[0])
        return self._stops[place][0] if place < len(self._stops) and self._stops[place][0] <= upto else None

    def pause_s(self) -> float:
        """Seconds to wait for what happens next."""
        stop = self._next_stop()
        wait = self.playback.wait_ns if stop is None else max(0, stop - self.playback.at_ns)
        return (wait if self.idle_ns is None else min(wait, self.idle_ns)) / 1e9 / self.speed

    def _pause(self) -> None:
        self.paused = not self.paused

    def _step(self) -> None:
        self.paused = True
        self.playback.advance()

    def _seek(self, by: int) -> None:
        self.playback.go_to(self.playback.at_ns + by)

    def _mark(self, direction: int) -> None:
        mark = self.playback.go_to_mark(direction, SLACK_NS if self.running else 0)
        self.said = f"$ {mark.text}" if mark else "no more commands this way"

    def _quit(self) -> None:
        self.quit = True


def keys(text: str) -> list[str]:
    """Single keys of what was typed; an escape sequence is one."""
    return _KEY.findall(text)


def status(controls: Controls, size: tuple[int, int]) -> str:
    playback, screen = controls.playback, controls.playback.screen
    sign = "■ end" if playback.ended else "❚❚" if controls.paused else "▶"
    words = [f" {sign} {clock(playback.at_ns)}/{clock(playback.tape.upto_ns)}"]
    if controls.speed != 1:
        words.append(f"{controls.speed:g}×")
    columns, rows = size
    room = rows - 1
    if screen.rows > room:
        top = first_row(screen, room) + 1
        words.append(f"rows {top}–{top + room - 1} of {screen.rows}")
    if screen.columns > columns:
        words.append(f"columns 1–{columns} of {screen.columns}")
    words += [controls.said or playback.trouble or screen.title, "space . ←→ [ ] 1-9 q"]
    return output.fit(output.harmless(" · ".join(word for word in words if word)), columns)


def clock(ns: int) -> str:
    minutes, seconds = divmod(ns // 1_000_000_000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def play(controls: Controls) -> None:
    """Until q. The terminal is left as it was, also when a signal ends us."""
    canvas, descriptor = Canvas(), sys.stdin.fileno()
    with _screen(descriptor) as write:
        due = time.monotonic() + controls.pause_s()
        drawn = 0.0
        while not controls.quit:
            now = time.monotonic()
            while controls.running and due <= now and now - drawn < 2 * FRAME:
                controls.advance()
                due += controls.pause_s()
                now = time.monotonic()
            size = os.get_terminal_size(descriptor)
            write(canvas.draw(controls.playback.screen, (size.columns, size.lines), status(controls, size)))
            drawn = time.monotonic()
            # What happens within a frame is drawn at once; so a flood costs no more than the frames.
            wait = max(min(due - drawn, GLANCE), FRAME) if controls.running else GLANCE
            if select.select([descriptor], [], [], wait)[0]:
                typed = os.read(descriptor, 1024)
                if not typed:
                    return
                for key in keys(typed.decode("utf-8", "replace")):
                    controls.key(key)
                due = time.monotonic() + controls.pause_s()


@contextmanager
def _screen(descriptor: int) -> Iterator[Callable[[str], None]]:
    """The terminal's second screen, unechoed keys, and everything put back at the end."""

    def write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = termios.tcgetattr(descriptor)
    handlers = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        tty.setraw(descriptor)
        write(ENTER)
        yield write
    finally:
        write(LEAVE)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)
