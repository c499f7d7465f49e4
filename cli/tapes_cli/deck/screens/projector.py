"""Has a screening worked on in threads, one thing at a time, while keys are answered.

What was asked last is what is done next: a newer time overtakes one that is still being gone to. All of it is called in
the app's own thread but `_work`, which alone touches the screening while it runs.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

from tapes.errors import TapesError
from tapes.session.breaks import Break
from tapes_cli.deck.model.screening import Screening, Seen, Times
from tapes_cli.deck.model.tape import Tape, Told

FRAME_S = 1 / 20
GLANCE_S = 0.1
"""How long work goes on before it is looked whether something else is wanted by now."""
END_NS = 1 << 62
"""The end, wherever that is."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Where to go: to a time or to a step, or from where one is; then over so many events."""

    at_ns: int | None = None
    step: int | None = None
    events: int = 0


class Projector:
    def __init__(
        self,
        tape: Tape,
        cache: Path | None,
        *,
        start: Callable[[Coroutine[None, None, None]], object],
        show: Callable[[Seen | None], None],
        fail: Callable[[TapesError], None],
    ) -> None:
        """`start` has a coroutine run; `show` is given what there is to see, None where nothing was recorded."""
        self._tape = tape
        self._cache = cache
        self._start, self._show, self._fail = start, show, fail
        self.screening: Screening | None = None
        self.seen: Seen | None = None
        self.playing = False
        self._told: tuple[Told, Mapping[int, Break]] | None = None
        self._ask: Ask | None = None
        self._doing: Ask | None = None
        self._running = False
        self._wake = asyncio.Event()

    # -- what is asked

    def tell(self, told: Told, stops: Mapping[int, Break]) -> None:
        """The session was read (again), or playing stops at other steps."""
        self._told = (told, stops)
        self._go_on()

    def go_to(self, at_ns: int | None = None, step: int | None = None) -> None:
        self._ask = Ask(at_ns, step)
        self._go_on()

    def event(self, direction: int) -> None:
        self.playing = False
        ask = self._ask or Ask()
        if ask is self._doing and ask.at_ns is None and ask.step is None:
            ask = Ask()  # its events are passed already
        self._ask = replace(ask, events=ask.events + direction)
        self._go_on()

    def play(self, on: bool) -> None:
        self.playing = on and self.screening is not None
        if on and self.seen and self.seen.ended and self.seen.times.ended and not self._ask:
            self.go_to(0)
        self._go_on()

    def close(self) -> None:
        """Nobody looks any more."""
        self._ask, self.playing = None, False

    @property
    def times(self) -> Times | None:
        return self.seen.times if self.seen else None

    @property
    def at_ns(self) -> int:
        """Where one is, or is going to."""
        if self.seen is None:
            return 0
        if self._ask and self._ask.at_ns is not None:
            return max(0, min(self._ask.at_ns, self.seen.times.upto_ns))
        return self.seen.at_ns

    # -- what is done

    def _go_on(self) -> None:
        self._wake.set()
        if not self._running and self._wanted:
            self._running = True
            self._start(self._run())

    @property
    def _wanted(self) -> bool:
        return self._told is not None or (self.screening is not None and bool(self._ask or self._moves))

    @property
    def _moves(self) -> bool:
        """Does it play, and is there something to come?"""
        return self.playing and not (self.seen and self.seen.ended)

    async def _run(self) -> None:
        """Until nothing is asked any more."""
        begun = monotonic()
        try:
            while self._wanted:
                await self._frame(begun)
                begun, before = monotonic(), begun
                await self._once(begun - before)
        finally:
            self._running = False

    async def _frame(self, begun: float) -> None:
        """Wait for the next frame, unless there is something else to do."""
        self._wake.clear()
        if not (self._told or self._ask):
            with contextlib.suppress(TimeoutError):  # which is when the frame is due
                await asyncio.wait_for(self._wake.wait(), max(0.001, begun + FRAME_S - monotonic()))

    async def _once(self, real_s: float) -> None:
        told, ask = self._told, self._ask
        self._told, self._doing = None, ask
        try:
            seen = await asyncio.to_thread(self._work, told, ask, min(real_s, GLANCE_S))
        except TapesError as error:
            self.playing, self._ask = False, None
            self._fail(error)
            return
        self.seen = seen
        if seen is None or (seen.arrived and self._ask is ask):
            self._ask = None
        if seen is None or seen.stopped is not None or (seen.ended and seen.times.ended and not self._ask):
            self.playing = False
        self._show(seen)

    def _work(self, told: tuple[Told, Mapping[int, Break]] | None, ask: Ask | None, real_s: float) -> Seen | None:
        if told is not None:
            if self.screening is None:
                self.screening = Screening.open(self._tape.archive, self._tape.session, told[0], self._cache)
            if self.screening is not None:
                self.screening.grow(*told)
        screening = self.screening
        if screening is None:
            return None
        until = monotonic() + GLANCE_S

        def stop() -> bool:
            return self._ask is not ask or monotonic() > until

        if ask is not None:
            self._go(screening, ask, stop)
        elif self.playing:
            screening.play(real_s, self._tape.speed, self._tape.idle_cap_s, stop)
        return screening.seen()

    def _go(self, screening: Screening, ask: Ask, stop: Callable[[], bool]) -> None:
        at = ask.at_ns if ask.step is None else screening.times.moment(ask.step)
        if at is not None:
            arrived = screening.go_to(at, stop)
            if arrived or self._ask is not ask:
                screening.keep()
            if not arrived:
                return
        for _ in range(abs(ask.events)):
            at = screening.event(ask.events)
            if at is not None:
                screening.go_to(at, lambda: False)
