"""A recording being watched: where one is in it, and the screen there. It knows no clock and no terminal.

Its owner waits as long as `wait_ns` says and then calls `advance`; everything else is going to a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import is_
from pathlib import Path

from tapes.session.screen.keyframes import Keyframes
from tapes.session.screen.tape import Event, Tape
from tapes.session.screen.timeline import Mark
from tapes.session.screen.vt import Screen


class Playback:
    def __init__(self, tape: Tape, marks: Sequence[Mark] = (), cache: Path | None = None) -> None:
        self.tape = tape
        self.marks = marks
        self.keyframes = Keyframes(tape, cache)
        self.trouble = ""
        """What is not there, of the last place passed where something was missing."""
        self.holes: dict[int, str] = {}
        """What is not there, by its time, of all places ever passed."""
        self._begin(0, Screen(*tape.size))
        self.screen: Screen
        self.at_ns: int

    def _begin(self, place: int, screen: Screen) -> None:
        self.screen = screen
        self.at_ns = self.tape.parts[place].at_ns if place else 0
        self._place = place
        self._events = self._read()
        self._next = next(self._events, None)

    def _read(self) -> Iterator[Event]:
        while self._place < len(self.tape.parts):
            yield from self.tape.events(self._place, self._place + 1)
            # Whoever asks for more has shown all before: here the screen is that behind this part.
            self.keyframes.passed(self._place, self.screen)
            self._place += 1

    def grow(self, tape: Tape) -> None:
        """The recording has gone on, and one is where one was."""
        same = all(map(is_, tape.parts, self.tape.parts))
        self.tape = tape
        if not same:  # something was redacted: nothing that is known of before may be shown
            self.keyframes, at_ns = Keyframes(tape), self.at_ns
            self._begin(0, Screen(*tape.size))
            self.go_to(at_ns)
            return
        self.keyframes.grow(tape)
        if self._next is None:
            self._events = self._read()
            self._next = next(self._events, None)

    @property
    def ended(self) -> bool:
        return self._next is None

    @property
    def wait_ns(self) -> int:
        """Recorded time until something happens; 0 at the end."""
        return max(0, self._next.at_ns - self.at_ns) if self._next else 0

    def advance(self) -> None:
        """Show the next event, and all that happened at its very time."""
        if self._next is not None:
            self._show_until(self._next.at_ns)

    def go_to(self, at_ns: int, stop: Callable[[], bool] = lambda: False) -> bool:
        """Show the screen as it was at a time, with all that happened at that very time. `stop` is asked between
        events; where it says so one is left on the way, and told False."""
        at_ns = min(max(at_ns, 0), self.tape.upto_ns)
        later = self.tape.parts[self._place + 1 : self._place + 2]
        if at_ns < self.at_ns or (later and later[0].at_ns <= at_ns):  # else no keyframe is nearer than we are
            place, screen = self.keyframes.before(at_ns)
            if at_ns < self.at_ns or (place and self.tape.parts[place].at_ns > self.at_ns):
                self.trouble = ""
                self._begin(place, screen)
        return self._show_until(at_ns, stop)

    def go_to_mark(self, direction: int, slack_ns: int = 0) -> Mark | None:
        """To the next command, or the one before; None where there is none. Going back, one that began less than
        `slack_ns` ago is passed over: whoever watches it run means the one before."""
        if direction > 0:
            found = next((mark for mark in self.marks if mark.at_ns > self.at_ns), None)
        else:
            found = next((mark for mark in reversed(self.marks) if mark.at_ns < self.at_ns - slack_ns), None)
        if found:
            self.go_to(found.at_ns)
        return found

    def _show_until(self, at_ns: int, stop: Callable[[], bool] = lambda: False) -> bool:
        while self._next is not None and self._next.at_ns <= at_ns:
            if stop():
                return False
            show(self._next, self.screen)
            self.at_ns = self._next.at_ns
            if self._next.kind == "x":
                self.trouble = self.holes[self.at_ns] = missing(self._next)
            self._next = next(self._events, None)
        self.at_ns = at_ns
        return True


def show(event: Event, screen: Screen) -> None:
    """Let a screen have an event. What was typed changes nothing: its echo is output."""
    if event.kind == "o":
        screen.feed(event.data)
    elif event.kind == "r":
        screen.resize(*event.size)


def missing(event: Event) -> str:
    """What is to be said of something that is not there."""
    return f"{event.missed} bytes are not there: {event.why}" if event.missed else event.why


def screen_at(tape: Tape, at_ns: int | None, cache: Path | None = None) -> tuple[Screen, str]:
    """The screen at a time (None: at the end), and what is missing before it."""
    playback = Playback(tape, cache=cache)
    playback.go_to(tape.upto_ns if at_ns is None else at_ns)
    playback.keyframes.save()
    return playback.screen, playback.trouble


def everything_shown(tape: Tape, trouble: list[str]) -> Iterator[str]:
    """All rows that the main screen ever let go at its top, then what it held at the end, as text. What of the
    recording is not there is added to `trouble`."""
    gone: list[str] = []

    def told(what: str, text: str) -> None:
        if what == "scrolled":
            gone.append(text)

    screen = Screen(*tape.size, told)
    for event in tape.events():
        show(event, screen)
        if event.kind == "x":
            trouble.append(missing(event))
        yield from gone
        gone.clear()
    rows = screen.main_text()
    while rows and not rows[-1]:
        rows.pop()
    yield from rows
