"""A recording watched beside its steps: wherever one goes, what is seen is the screen at that time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapes.session.breaks import Break
from tapes_cli.deck.model.screening import Screening, Times
from tapes_cli.deck.model.styled import width, words
from tapes_cli.deck.model.tape import Tape, Told
from tapes_cli.deck.widgets.timebar import bar_of, place_of, signs_of, time_at
from terminal_tape import SECOND, TerminalSession


def told(session: TerminalSession) -> Told:
    return Tape(session.archive, session.session).read()


def opened(session: TerminalSession, *breaks: int) -> Screening:
    """At its beginning; playing stops at some steps."""
    read = told(session)
    found = Screening.open(session.archive, session.session, read, None)
    assert found is not None
    found.grow(read, {number: Break(1, None, "step", step=number) for number in breaks})
    return found


def go(screening: Screening, at_s: float) -> str:
    assert screening.go_to(round(at_s * SECOND), lambda: False)
    return text(screening)


def text(screening: Screening) -> str:
    row: Any = screening.seen().shot.lines[0]
    return row.text() if hasattr(row, "text") else ""


@pytest.fixture
def session() -> TerminalSession:
    """A word a second up to 4 s, then one at 30 s; commands at 1.5 s and 3.5 s."""
    session = TerminalSession()
    session.said(b"a", b"b", b"c", b"d", b"e")
    session.command(1.5, b"make one")
    session.command(3.5, b"make two", status=2)
    session.terminal(30, [(0, "o", b"f")], last=True)
    session.close(31)
    return session


def test_a_session_without_a_recording_has_none() -> None:
    session = TerminalSession()
    session.command(1, b"ls")
    assert Screening.open(session.archive, session.session, told(session), None) is None


def test_going_to_a_time_shows_the_screen_and_knows_the_step(session: TerminalSession) -> None:
    screening = opened(session)
    times = screening.times
    assert [go(screening, at) for at in (0, 2.5, 30, 1, 99)] == ["a", "abc", "abcdef", "ab", "abcdef"]
    assert screening.seen().ended
    assert [times.step_at(round(at * SECOND)) for at in (1.4, 1.5, 3.4, 3.5, 99)] == [None, 1, 1, 2, 2]
    assert [times.moment(number) for number in (0, 1, 2, 3)] == [None, 1.5 * SECOND, 3.5 * SECOND, None]


def test_commands_lie_before_and_behind_a_time(session: TerminalSession) -> None:
    times = opened(session).times
    found = [times.mark(round(at * SECOND), way) for at, way in ((0, 1), (1.5, 1), (3.5, 1), (3.5, -1), (1.5, -1))]
    assert [mark and mark.text for mark in found] == ["make one", "make two", None, "make one", None]
    passed_over = times.mark(4 * SECOND, -1, SECOND)
    assert passed_over is not None
    assert passed_over.text == "make one"


def test_events_are_gone_over_one_by_one_both_ways(session: TerminalSession) -> None:
    screening = opened(session)
    go(screening, 2.5)
    seen = []
    for way in (1, 1, 1, 1, -1, -1, -1):
        at = screening.event(way)
        if at is not None:
            screening.go_to(at, lambda: False)
        seen.append(text(screening))
    assert seen == ["abcd", "abcde", "abcdef", "abcdef", "abcde", "abcd", "abc"]
    go(screening, 0)
    assert screening.event(-1) is None


@pytest.mark.parametrize(
    ("speed", "cap", "seconds", "at"),
    [
        (1, None, 2.5, 2.5),
        (2, None, 2.5, 5),
        (16, None, 1, 16),
        (1, 2.0, 5, 4 + 13),
        (2, 2.0, 2.5, 4 + 13),
        (1, 2.0, 99, 30),
    ],
)
def test_playing_goes_on_at_its_speed_and_hurries_through_long_waits(
    session: TerminalSession, speed: float, cap: float | None, seconds: float, at: float
) -> None:
    screening = opened(session)
    screening.play(seconds, speed, cap, lambda: False)
    assert screening.seen().at_ns == pytest.approx(at * SECOND, rel=1e-6)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(0.001, 3), min_size=1, max_size=20), st.sampled_from([1, 4, 16]), st.sampled_from([None, 2.0])
)
def test_it_is_the_same_in_however_many_frames(slices: Sequence[float], speed: int, cap: float | None) -> None:
    session = TerminalSession()
    session.said(b"a", b"b", b"c")
    session.terminal(40, [(0, "o", b"d")], last=True)
    at_once, by_frames = opened(session), opened(session)
    at_once.play(sum(slices), speed, cap, lambda: False)
    for each in slices:
        by_frames.play(each, speed, cap, lambda: False)
    assert by_frames.seen().at_ns == pytest.approx(at_once.seen().at_ns, abs=SECOND // 1000)
    at_once.go_to(by_frames.seen().at_ns, lambda: False)  # an event between two frames may be a rounding away
    assert by_frames.seen().shot == at_once.seen().shot


def test_playing_stops_at_a_break_and_goes_on_behind_it(session: TerminalSession) -> None:
    screening = opened(session, 1)
    screening.play(99, 1, None, lambda: False)
    seen = screening.seen()
    assert (seen.at_ns, seen.stopped) == (1.5 * SECOND, (1, "break 1: step 1"))
    screening.play(99, 1, None, lambda: False)
    assert screening.seen().stopped is None
    assert screening.seen().ended


def test_a_newer_wish_stops_the_way_and_the_next_goes_on(session: TerminalSession) -> None:
    screening = opened(session)
    allowed = iter([False, False])
    assert not screening.go_to(30 * SECOND, lambda: next(allowed, True))
    seen = screening.seen()
    assert not seen.arrived
    assert seen.at_ns < 30 * SECOND
    assert go(screening, 30) == "abcdef"
    assert screening.seen().arrived


def test_a_recording_grows_while_one_is_in_it() -> None:
    session = TerminalSession()
    session.said(b"a", b"b")
    screening = opened(session)
    assert go(screening, 9) == "ab"
    assert screening.seen().ended
    assert not screening.times.ended
    session.command(1.5, b"make")
    session.terminal(5, [(0, "o", b"c"), (0, "x", 7)], last=True)
    screening.grow(told(session), {})
    assert not screening.seen().ended
    assert screening.seen().at_ns == 1 * SECOND
    assert screening.times.ended
    assert [mark.text for mark in screening.times.marks] == ["make"]
    assert go(screening, 9) == "abc"
    hole = screening.times.hole(9 * SECOND)
    assert hole is not None
    assert hole[0] == 5 * SECOND
    assert screening.times.hole(4 * SECOND) is None


@given(st.integers(0, 10**12), st.integers(2, 300), st.data())
def test_a_place_in_the_bar_is_a_time_in_that_place(upto: int, room: int, data: st.DataObject) -> None:
    column = data.draw(st.integers(0, room - 1))
    at = time_at(column, upto, room)
    assert 0 <= at <= upto
    if upto >= room:
        assert place_of(at, upto, room) == column
    assert width(bar_of(upto, at, room)) == room


def test_the_bar_shows_commands_failures_gaps_and_breaks_where_they_are() -> None:
    session = TerminalSession()
    session.said(b"a")
    session.command(0, b"ls")
    times = Times(10, True, (), opened(session).times.marks, (4, 10), ((8, 1, "why"),), {6: "gone"})
    assert words(signs_of(times, 11)) == "$   ✗ ? ● ✗"
