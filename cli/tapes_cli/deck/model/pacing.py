"""Playing the steps of a session at the pace at which they were recorded. Whoever plays has the clock.

Steps are told thread by thread, so that the times of those that stand one behind the other may go back: then the next
one comes at once.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from tapes.values import dataclass

SPEEDS = (1.0, 2.0, 4.0, 8.0, 16.0)
IDLE_CAP_S = 2.0
"""No longer than this at a time, unless somebody says otherwise."""


@dataclass(frozen=True, slots=True)
class Reached:
    """Where playing has come to."""

    at: int
    """The step's place among the steps."""
    spare_s: float
    """Seconds that it has been there already; 0 where it stopped."""
    stopped: bool
    """It stops here: at a break, or at the end."""


@dataclass(frozen=True, slots=True)
class Pace:
    times_ns: Sequence[int]
    """When each step was, in the order in which they are played. It may grow meanwhile."""
    speed: float = 1.0
    """More than 0."""
    idle_cap_s: float | None = IDLE_CAP_S
    """Seconds, as one would wait at speed 1; None: as long as it took."""

    def wait_s(self, at: int) -> float | None:
        """Seconds from one step to the next, 0 or more; None at the last."""
        if at + 1 >= len(self.times_ns):
            return None
        wait = max(0, self.times_ns[at + 1] - self.times_ns[at]) / 1e9
        return (wait if self.idle_cap_s is None else min(wait, self.idle_cap_s)) / self.speed

    def after(self, at: int, seconds: float, stops: Container[int] = ()) -> Reached:
        """Where it is `seconds` after it came to the step `at`. It goes past no place in `stops` but `at` itself."""
        first = at
        while (wait := self.wait_s(at)) is not None:
            if at in stops and at != first:
                return Reached(at, 0.0, True)
            if wait > seconds:
                return Reached(at, seconds, False)
            at, seconds = at + 1, seconds - wait
        return Reached(at, 0.0, True)


def faster(speed: float) -> float:
    """The next speed there is; the fastest stays."""
    return next((each for each in SPEEDS if each > speed), SPEEDS[-1])


def slower(speed: float) -> float:
    return next((each for each in reversed(SPEEDS) if each < speed), SPEEDS[0])
