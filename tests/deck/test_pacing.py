"""Playing at recorded pace: no clock, so nothing here waits."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapes_cli.deck.model.pacing import SPEEDS, Pace, Reached, faster, slower

SECOND = 10**9
TIMES = [0, SECOND, 11 * SECOND, 5 * SECOND, 7 * SECOND]

paces = st.builds(
    Pace,
    st.lists(st.integers(0, 100 * SECOND), min_size=1, max_size=20),
    st.sampled_from(SPEEDS),
    st.none() | st.floats(0, 60),
)


def test_steps_come_at_the_pace_they_were_recorded_and_no_later_than_the_cap() -> None:
    assert [Pace(TIMES, 1, None).wait_s(n) for n in range(5)] == [1, 10, 0, 2, None]
    assert [Pace(TIMES, 1, 3).wait_s(n) for n in range(5)] == [1, 3, 0, 2, None]
    assert [Pace(TIMES, 4, 3).wait_s(n) for n in range(5)] == [0.25, 0.75, 0, 0.5, None]


@pytest.mark.parametrize(
    ("seconds", "reached"),
    [
        (0, Reached(0, 0, False)),
        (0.5, Reached(0, 0.5, False)),
        (1, Reached(1, 0, False)),
        (4, Reached(3, 0, False)),  # what is out of order takes no time
        (5, Reached(3, 1, False)),
        (6, Reached(4, 0, True)),
        (99, Reached(4, 0, True)),
    ],
)
def test_after_some_time_it_is_at_the_step_that_was_then(seconds: float, reached: Reached) -> None:
    assert Pace(TIMES, 1, 3).after(0, seconds) == reached


def test_it_stops_at_a_break_and_goes_on_from_there() -> None:
    pace = Pace(TIMES, 1, 3)
    assert pace.after(0, 99, {2, 3}) == Reached(2, 0, True)
    assert pace.after(2, 99, {2, 3}) == Reached(3, 0, True)
    assert pace.after(3, 99, {2, 3}) == Reached(4, 0, True)
    assert pace.after(0, 0.5, {0}) == Reached(0, 0.5, False)
    assert pace.after(0, 99, {4}) == Reached(4, 0, True)


def test_of_nothing_there_is_an_end_and_what_grows_goes_on() -> None:
    times = [0]
    pace = Pace(times, 2, None)
    assert Pace([]).wait_s(0) is None
    assert pace.after(0, 5) == Reached(0, 0, True)
    times.append(4 * SECOND)
    assert pace.wait_s(0) == 2


@given(paces, st.data())
def test_it_never_waits_less_than_nothing_or_longer_than_it_took_or_than_the_cap(
    pace: Pace, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(pace.times_ns) - 1))
    wait = pace.wait_s(at)
    if at == len(pace.times_ns) - 1:
        assert wait is None
        return
    assert wait is not None
    took = max(0, pace.times_ns[at + 1] - pace.times_ns[at]) / SECOND
    assert 0 <= wait <= took / pace.speed
    assert pace.idle_cap_s is None or wait * pace.speed <= pace.idle_cap_s


@given(paces, st.floats(0, 300), st.sets(st.integers(0, 19)))
def test_playing_from_step_to_step_and_all_at_once_come_to_the_same_place(
    pace: Pace, seconds: float, stops: set[int]
) -> None:
    at, left = 0, seconds
    while (wait := pace.wait_s(at)) is not None and wait <= left:
        at, left = at + 1, left - wait
        if at in stops:
            break
    assert pace.after(0, seconds, stops).at == at


@given(paces, st.floats(0, 300), st.floats(0, 300), st.sets(st.integers(0, 19)))
def test_who_looks_later_is_no_earlier_and_passes_no_break(pace: Pace, one: float, two: float, stops: set[int]) -> None:
    soon, late = (pace.after(0, seconds, stops) for seconds in sorted((one, two)))
    assert soon.at <= late.at
    assert not any(place in stops for place in range(1, late.at))
    assert late.spare_s >= 0
    assert late.stopped == (late.at == len(pace.times_ns) - 1 or (late.at in stops and late.at > 0))


@given(st.sampled_from(SPEEDS))
def test_speeds_go_up_and_down_and_have_ends(speed: float) -> None:
    assert slower(faster(speed)) == (speed if speed < SPEEDS[-1] else SPEEDS[-2])
    assert SPEEDS[0] <= slower(speed) <= speed <= faster(speed) <= SPEEDS[-1]
