"""Playing the steps at the pace at which they were recorded: one timer, to when the next one comes.

It stops at breaks, at the end, and when a person goes to a step; while following, it waits at the end for more.
"""

from __future__ import annotations

import time

from textual.timer import Timer

from tapes.session.breaks import said
from tapes_cli import output
from tapes_cli.deck.model.pacing import Pace, faster, slower
from tapes_cli.deck.model.styled import BLANK, Line, styled
from tapes_cli.deck.model.tape import IDLE_CAPS, Tape
from tapes_cli.deck.screens.base import TapeScreen

LEAST_S = 0.02
"""Between two looks: at a high speed several steps come at once."""


class Playing(TapeScreen):
    def __init__(self, tape: Tape) -> None:
        super().__init__(tape)
        self._timer: Timer | None = None
        self._since = 0.0
        """By the monotonic clock, when the current step had come."""

    # -- keys

    def action_play(self) -> None:
        if self.tape.playing:
            self.stop_playing()
            return
        told = self.tape.told
        if told is None or self.tape.step is None:
            self.notify("there is no step to play")
            return
        if not self.tape.following and self.tape.number == told.order[-1]:
            self.notify("this is the last step")
            return
        self.tape.playing = True
        self._since = time.monotonic()
        self._tick()

    def action_speed(self, direction: int) -> None:
        self.tape.speed = faster(self.tape.speed) if direction > 0 else slower(self.tape.speed)
        self._paced(f"{self.tape.speed:g} times as fast")

    def action_idle(self) -> None:
        caps = list(IDLE_CAPS)
        self.tape.idle_cap_s = caps[(caps.index(self.tape.idle_cap_s) + 1) % len(caps)]
        self._paced("waits as long as it took" if self.tape.idle_cap_s is None else f"waits {idle(self.tape)} at most")

    def _paced(self, now: str) -> None:
        if not self.tape.playing:
            self.notify(f"playing: {now}")
            return
        self._since = time.monotonic()  # what was waited for the next step was at the other pace
        self._tick()

    # -- playing

    def go_to(self, number: int) -> None:
        self.stop_playing()
        super().go_to(number)

    def stop_playing(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if self.tape.playing:
            self.tape.playing = False
            self.titled()

    def on_unmount(self) -> None:
        self.stop_playing()

    def on_screen_suspend(self) -> None:
        """Another screen is before this one: nobody would see it."""
        self.stop_playing()

    def _shown(self) -> None:
        super()._shown()
        if self.tape.playing and self._timer is None:  # it waited at the end for more
            self._since = time.monotonic()
            self._tick()

    def _tick(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        told = self.tape.told
        if not self.tape.playing or told is None:
            return
        order, places = told.order, told.rank
        pace = Pace([told.steps[n - 1].wall_ns for n in order], self.tape.speed, self.tape.idle_cap_s)
        now, place = time.monotonic(), places.get(self.tape.number, 0)
        stops = {places[number] for number in self.tape.stops if number in places}
        reached = pace.after(place, now - self._since, stops)
        self._since = now - reached.spare_s
        self.show_step(order[reached.at])
        wait = pace.wait_s(reached.at)
        if reached.at in stops and reached.at != place:
            self._stop_at(order[reached.at])
        elif wait is not None:
            self._timer = self.set_timer(max(LEAST_S, wait - reached.spare_s), self._tick)
        elif not self.tape.following:
            self.stop_playing()
            self.notify("played to the end")
        self.titled()

    def _stop_at(self, number: int) -> None:
        """At a break; one looks at it, so that it is not left for the live end either."""
        self.tape.following = False
        self.stop_playing()
        step = self.tape.step
        if step is not None:
            self.notify(output.harmless(said(self.tape.stops[number], step)), title="stopped", markup=False)

    def status(self) -> Line:
        told, step = self.tape.told, self.tape.step
        if not self.tape.playing or told is None or step is None:
            return BLANK
        at, all_ = step.wall_ns - told.summary.started_ns, told.summary.ended_ns - told.summary.started_ns
        waits = "as recorded" if self.tape.idle_cap_s is None else f"idle ≤ {idle(self.tape)}"
        return styled(f"▶ {self.tape.speed:g}× {waits} · {clock(at)}/{clock(max(at, all_))}", "accent")


def idle(tape: Tape) -> str:
    return f"{tape.idle_cap_s:g} s"


def clock(ns: int) -> str:
    """`0:12`, `1:02:03`."""
    minutes, seconds = divmod(max(0, ns) // 10**9, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
