"""A session's recorded screen being watched beside its steps: where one is in it, what is seen there, how it plays on.

`Screening` reads the archive and computes screens, for which a long recording takes seconds: it belongs to one thread
at a time. `Times` says what happened when, and is a value that anyone may keep.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from tapes.archive.base import Archive
from tapes.record.digest import Digest
from tapes.session.breaks import Break
from tapes.session.screen.playback import Playback, missing
from tapes.session.screen.tape import Tape as Recording
from tapes.session.screen.tape import tape_in
from tapes.session.screen.timeline import Mark, marks_in, stops_at
from tapes_cli.deck.model.shot import Shot
from tapes_cli.deck.model.tape import Told


@dataclass(frozen=True, slots=True)
class Times:
    """When it was, in nanoseconds since the recording began."""

    upto_ns: int
    ended: bool
    """Nothing more will be recorded."""
    moments: Sequence[int]
    """Of step N: `moments[N - 1]`."""
    marks: Sequence[Mark]
    failures: Sequence[int]
    stops: Sequence[tuple[int, int, str]] = ()
    """Where playing stops: times, the numbers of steps, and why; ascending."""
    holes: Mapping[int, str] = field(default_factory=dict)
    """What of the recording is not there, as far as it is known by now."""
    _order: Sequence[int] = ()
    """Numbers of the steps, in the order of their moments."""

    @classmethod
    def of(cls, recording: Recording, told: Told, stops: Mapping[int, Break], holes: Mapping[int, str]) -> Self:
        records = dict(told.view.records)
        moments = [recording.moment(records[step.hash]) for step in told.steps]
        return cls(
            upto_ns=recording.upto_ns,
            ended=recording.ended or told.summary.closed,
            moments=moments,
            marks=marks_in(told.view.records, recording),
            failures=[moments[step.number - 1] for step in told.steps if step.failed],
            stops=stops_at(
                recording,
                ((step, stop) for number, stop in stops.items() if (step := told.step(number))),
                records.__getitem__,
            ),
            holes=holes,
            _order=sorted(range(1, len(moments) + 1), key=lambda number: (moments[number - 1], number)),
        )

    def moment(self, number: int) -> int | None:
        """When a step was, as far as it was seen on the screen."""
        return min(self.moments[number - 1], self.upto_ns) if 0 < number <= len(self.moments) else None

    def step_at(self, at_ns: int) -> int | None:
        """The last step that had been recorded by then."""
        place = bisect_right(self._order, at_ns, key=lambda number: self.moments[number - 1])
        return self._order[place - 1] if place else None

    def mark(self, at_ns: int, direction: int, slack_ns: int = 0) -> Mark | None:
        """The next command, or the one before; back, one that began less than `slack_ns` ago is passed over."""
        if direction > 0:
            place = bisect_right(self.marks, at_ns, key=lambda mark: mark.at_ns)
            return self.marks[place] if place < len(self.marks) else None
        return next((mark for mark in reversed(self.marks) if mark.at_ns < at_ns - slack_ns), None)

    def hole(self, at_ns: int) -> tuple[int, str] | None:
        """The last place by then where something is missing: the screen may be another one from there on."""
        return max(((when, why) for when, why in self.holes.items() if when <= at_ns), default=None)


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is to see, at one moment."""

    at_ns: int
    shot: Shot
    arrived: bool
    """Else one is still on the way there."""
    ended: bool
    """Nothing comes any more, as far as it is recorded by now."""
    stopped: tuple[int, str] | None
    """Playing has just been stopped at this step, by a break, and why."""
    times: Times


class Screening:
    def __init__(self, recording: Recording, told: Told, cache: Path | None) -> None:
        self.times = Times.of(recording, told, {}, _holes(recording, 0))
        self._playback = Playback(recording, cache=cache)
        self._since_ns = 0
        """When what is seen came to be seen: the wait for what comes next began then."""
        self._stopped: tuple[int, str] | None = None
        self._arrived = True

    @classmethod
    def open(cls, archive: Archive, session: Digest, told: Told, cache: Path | None) -> Self | None:
        """None where the session's terminal was not recorded."""
        recording = tape_in(archive, session, told.view.records)
        return cls(recording, told, cache) if recording else None

    def grow(self, told: Told, stops: Mapping[int, Break]) -> None:
        """The session was read again, or playing stops at other steps."""
        known = len(self._playback.tape.parts)
        recording = self._playback.tape.grown()
        self._playback.grow(recording)
        self.times = Times.of(recording, told, stops, {**self.times.holes, **_holes(recording, known)})

    def seen(self) -> Seen:
        playback = self._playback
        if playback.holes.keys() - self.times.holes.keys():
            self.times = replace(self.times, holes={**self.times.holes, **playback.holes})
        return Seen(playback.at_ns, Shot.of(playback.screen), self._arrived, playback.ended, self._stopped, self.times)

    def go_to(self, at_ns: int, stop: Callable[[], bool]) -> bool:
        """Show the screen at a time; False where `stop` has said so on the way."""
        self._arrived = self._playback.go_to(at_ns, stop)
        self._since_ns, self._stopped = self._playback.at_ns, None
        return self._arrived

    def keep(self) -> None:
        """Write down what makes the next seeking quicker."""
        self._playback.keyframes.save()

    def event(self, direction: int) -> int | None:
        """The time of the next thing that happened, or of the one before."""
        playback = self._playback
        if direction < 0:
            return playback.tape.last_before(playback.at_ns)
        return None if playback.ended else playback.at_ns + playback.wait_ns

    def play(self, real_s: float, speed: float, idle_cap_s: float | None, stop: Callable[[], bool]) -> None:
        """Go on by so much of the watcher's time. A wait longer than the idle cap passes as quickly as that takes."""
        playback, left, self._stopped = self._playback, real_s * 1e9, None
        while left > 0 and not playback.ended and not stop():
            begun = playback.at_ns
            coming = begun + playback.wait_ns
            wait = coming - self._since_ns
            rate = speed if idle_cap_s is None else speed * max(1, wait / (idle_cap_s * 1e9))
            halt = self._halt(begun, coming)
            until = halt[0] if halt else coming
            reach = begun + round(left * rate)
            if reach < until:
                playback.go_to(reach, stop)
                return
            left -= (until - begun) / rate
            if not playback.go_to(until, stop):
                return
            if until == coming:
                self._since_ns = until
            if halt:
                self._stopped = halt[1:]
                return

    def _halt(self, begun_ns: int, coming_ns: int) -> tuple[int, int, str] | None:
        """The first stop behind one time, and not behind another."""
        stops = self.times.stops
        place = bisect_right(stops, begun_ns, key=lambda stop: stop[0])
        return stops[place] if place < len(stops) and stops[place][0] <= coming_ns else None


def _holes(recording: Recording, start: int) -> dict[int, str]:
    return {event.at_ns: missing(event) for event in recording.holes(start)}
