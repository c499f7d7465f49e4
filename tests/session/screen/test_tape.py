"""The recorded terminal comes back in order, and what is not there is said in its place."""

from __future__ import annotations

from typing import Any

import pytest

from tapes.archive.memory_archive import MemoryArchive
from tapes.errors import Damaged, NotFound, UsageError, Withheld
from tapes.record.kinds import BodyRef
from tapes.session.screen.playback import everything_shown
from tapes.session.screen.tape import tape_of
from tapes.session.screen.timeline import capped, delays, faster, marks, moment_of_step, read_time, times, with_marks
from terminal_tape import SECOND, WALL, TerminalSession


def told(session: TerminalSession) -> list[tuple[Any, ...]]:
    """Seconds, kind, and what it is about."""
    return [
        (event.at_ns / SECOND, event.kind, event.size if event.kind == "r" else event.why or event.data)
        for event in session.tape.events()
    ]


def test_events_come_in_order_with_their_times() -> None:
    session = TerminalSession()
    session.terminal(1, [(0, "o", b"one"), (250_000, "i", b"k"), (250_000, "r", 90, 30)])
    session.terminal(3, [(500_000, "o", b"two"), (0, "x", 7)], (90, 30), last=True)
    assert told(session) == [
        (0, "r", (80, 24)),
        (0, "o", b"one"),
        (0.25, "i", b"k"),
        (0.5, "r", (90, 30)),
        (2.5, "o", b"two"),
        (2.5, "x", "more than could be kept up with"),
    ]
    assert session.tape.ended
    assert session.tape.upto_ns == 2.5 * SECOND


def test_a_session_without_a_terminal_has_no_tape() -> None:
    session = TerminalSession()
    session.command(1, b"ls")
    assert tape_of(session.archive, session.session) is None


def test_a_part_that_is_missing_is_said_where_it_was() -> None:
    session = TerminalSession()
    session.terminal(0, [(0, "o", b"a")])
    session.terminal(2, [(0, "o", b"c")], n=2)
    assert told(session)[-2:] == [(2, "x", "a part of the recording is missing"), (2, "o", b"c")]


def test_a_capture_process_that_took_over_counts_anew_and_misses_nothing() -> None:
    session = TerminalSession()
    session.terminal(0, [(0, "o", b"a")])
    session.terminal(2, [(0, "o", b"b")], (100, 40), n=0)
    assert told(session) == [(0, "r", (80, 24)), (0, "o", b"a"), (2, "r", (100, 40)), (2, "o", b"b")]


@pytest.mark.parametrize(
    "error", [Damaged("not what it was", where="x"), Withheld("a body", "ab" * 32), NotFound("gone")]
)
def test_a_body_that_cannot_be_read_is_said_and_the_rest_is_still_there(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = TerminalSession()
    session.said(b"first", b"second", b"third")
    reading = MemoryArchive.body

    def body(self: MemoryArchive, ref: BodyRef) -> bytes:
        if ref.length == len(b"second"):
            raise error
        return reading(self, ref)

    monkeypatch.setattr(MemoryArchive, "body", body)
    found = [(event.kind, event.data or event.missed) for event in session.tape.events()]
    assert found == [("r", 0), ("o", b"first"), ("x", 6), ("o", b"third")]


@pytest.mark.parametrize("events", [[[0, "o", 99]], [[0, "o", 2]], []])
def test_events_that_do_not_agree_with_their_bytes_are_damage(events: Any) -> None:
    session = TerminalSession()
    session.terminal(0, [(0, "o", b"abc")], events=events)
    assert [event.kind for event in session.tape.events()] == ["r", "x"]


def test_an_event_of_a_kind_that_is_not_known_takes_its_time_and_no_bytes() -> None:
    session = TerminalSession()
    session.terminal(0, [(0, "o", b"abc")], events=[[500_000, "?", "more", 7], [500_000, "o", 3]])
    assert told(session) == [(0, "r", (80, 24)), (1, "o", b"abc")]


def test_times_never_go_back_and_another_start_of_the_machine_goes_by_the_wall_clock() -> None:
    session = TerminalSession()
    session.terminal(5, [(0, "o", b"a"), (2_000_000, "o", b"b")])
    session.terminal(6, [(0, "o", b"c")])
    session.terminal(4, [(0, "o", b"d")])
    assert [at for at, kind, _ in told(session) if kind == "o"] == [0, 2, 2, 2]


def test_time_is_a_pipe_that_caps_and_speeds_up() -> None:
    session = TerminalSession()
    session.terminal(0, [(1_000_000, "o", b"a"), (60_000_000, "o", b"b"), (500_000, "o", b"c")])
    pipe = times(faster(capped(delays(session.tape.events()), 2 * SECOND), 2.0))
    assert [at / SECOND for at, _ in pipe] == [0, 0.5, 1.5, 1.75]


def test_commands_are_marks_with_the_line_that_really_ran() -> None:
    session = TerminalSession()
    session.said(b"a", b"b", b"c")
    session.command(1.5, b"ls -l")
    start = session.command(0.5, b"asked")
    session.record("command.end", 0.9, {"status": 0, "signal": None, "line": b"ran \xff"}, [start])
    found = marks(session.archive, session.tape)
    assert [(mark.at_ns / SECOND, mark.text) for mark in found] == [(0.5, "ran \ufffd"), (1.5, "ls -l")]
    assert [getattr(event, "text", "") for event in with_marks(session.tape.events(), found)] == [
        *("", "", "ran \ufffd", "", "ls -l", ""),
    ]


def test_a_step_has_its_moment_and_one_that_is_none_says_so() -> None:
    session = TerminalSession()
    session.said(b"a", b"b")
    session.record("gap", 1.25, {"reason": "a test"})
    assert moment_of_step(session.archive, session.tape, 1) == 1.25 * SECOND
    with pytest.raises(NotFound, match="no step 7"):
        moment_of_step(session.archive, session.tape, 7)


@pytest.mark.parametrize(
    ("text", "seconds"), [("12.5s", 12.5), ("90", 90), ("1:30", 90), ("1:02:03.5", 3723.5), ("0", 0)]
)
def test_times_are_read(text: str, seconds: float) -> None:
    assert read_time(text) == seconds * SECOND


@pytest.mark.parametrize("text", ["", "x", "1:2:3:4", "-1", "nan", "inf", "1_0", "1:", "::", "9" * 400])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        read_time(text)


def test_a_tape_that_has_grown_is_the_one_read_anew() -> None:
    session = TerminalSession()
    session.terminal(0, [(0, "o", b"a"), (500_000, "r", 90, 30)])
    tape = session.tape
    assert tape.grown() == tape
    session.command(1, b"ls")
    session.terminal(2, [(0, "o", b"b")], (90, 30))
    session.terminal(3, [(0, "o", b"d")], (90, 30), n=3, last=True)
    assert tape.grown() == session.tape
    assert tape.grown().ended


def test_what_is_missing_is_known_without_reading_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    session = TerminalSession()
    session.terminal(0, [(0, "o", b"a"), (1_000_000, "x", 7)])
    session.terminal(3, [(0, "o", b"c")], n=3)
    tape = session.tape
    monkeypatch.delattr("tapes.session.screen.tape._data")
    assert [(event.at_ns, event.why) for event in tape.holes()] == [
        (1 * SECOND, "more than could be kept up with"),
        (3 * SECOND, "a part of the recording is missing"),
    ]


def test_everything_shown_is_what_scrolled_away_and_what_was_left() -> None:
    session = TerminalSession()
    session.terminal(
        0, [(0, "o", b"1\r\n2\r\n3\r\n\x1b[?1049heditor"), (0, "x", 5), (0, "o", b"\x1b[?1049l4")], (10, 2)
    )
    trouble: list[str] = []
    assert list(everything_shown(session.tape, trouble)) == ["1", "2", "3", "4"]
    assert trouble == ["5 bytes are not there: more than could be kept up with"]


def test_the_tape_begins_at_the_wall_time_of_its_first_record() -> None:
    session = TerminalSession()
    session.said(b"a")
    assert session.tape.first.wall_ns == WALL
