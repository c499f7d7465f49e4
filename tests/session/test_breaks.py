"""Which steps stop playing: by number, by their words, by their failure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapes.errors import UsageError
from tapes.record.digest import Digest
from tapes.session.breaks import Break, Stopper, said, stops
from tapes.session.screen.timeline import stops_in
from tapes.session.view import Step, steps
from terminal_tape import SECOND, TerminalSession

HERE, ELSEWHERE = Digest(bytes(32)), Digest(b"\1" * 32)


def step(number: int, type_: str = "command", text: str = "", *, failed: bool = False, **facts: object) -> Step:
    return Step(number, type_, Digest(number.to_bytes(32)), 0, None, "", 0, text, failed, facts)


STEPS = [
    step(1, "prompt", "please make it"),
    step(2, "tool.use", '{"command": "rm -rf build"}', name="Bash"),
    step(3, "command", "cd src\nrm -rf build", failed=True, exit=1, signal=""),
    step(4, "tool.result", "no such file", failed=True, name="Bash"),
    step(5, "command", "sleep 9", failed=True, exit=None, signal="SIGKILL"),
]


def at(*breaks: Break) -> dict[int, int]:
    return {number: found.id for number, found in stops(breaks, HERE, STEPS).items()}


def test_a_break_is_at_one_step_of_one_session() -> None:
    assert at(Break(1, HERE, "step", STEPS[1].hash, 0, 2)) == {2: 1}
    assert at(Break(1, HERE, "step", STEPS[1].hash, 1, 2)) == {}
    assert at(Break(1, ELSEWHERE, "step", STEPS[1].hash, 0, 2)) == {}


@pytest.mark.parametrize(
    ("pattern", "types", "numbers"),
    [
        ("rm -rf", (), [2, 3]),
        ("rm -rf", ("command",), [3]),
        ("^rm", (), [3]),
        ("src$", ("command", "prompt"), [3]),
        ("", ("tool",), [2, 4]),
        ("RM", (), []),
        ("(?i)PLEASE", (), [1]),
    ],
)
def test_a_pattern_stops_where_the_words_fit(pattern: str, types: tuple[str, ...], numbers: list[int]) -> None:
    assert list(at(Break(1, None, "pattern", pattern=pattern, types=types))) == numbers


def test_a_failure_stops_and_it_is_said_how_it_failed() -> None:
    found = stops([Break(7, None, "error")], HERE, STEPS)
    assert [said(found[each.number], each) for each in STEPS if each.number in found] == [
        "break 7: exit 1 at step 3",
        "break 7: Bash failed at step 4",
        "break 7: signal SIGKILL at step 5",
    ]
    assert said(Break(2, HERE, "step", HERE, 0, 99), STEPS[0]) == "break 2: step 1"  # as it is numbered now
    assert (
        said(Break(3, None, "pattern", pattern="a+", types=("command",)), STEPS[0])
        == "break 3: /a+/ in command at step 1"
    )


def test_of_several_the_one_at_the_step_is_told_else_the_oldest() -> None:
    breaks = [Break(9, HERE, "step", STEPS[2].hash, 0, 3), Break(4, None, "error"), Break(2, HERE, "error")]
    assert at(*breaks) == {3: 9, 4: 2, 5: 2}


def test_what_is_no_pattern_is_refused() -> None:
    with pytest.raises(UsageError, match="no regular expression"):
        Stopper([Break(1, None, "pattern", pattern="(")], HERE)
    assert not Stopper([Break(1, ELSEWHERE, "pattern", pattern="(")], HERE)


@given(
    st.lists(
        st.builds(
            Break,
            st.integers(1, 99),
            st.sampled_from([None, HERE, ELSEWHERE]),
            st.sampled_from(["step", "pattern", "error"]),
            st.sampled_from([each.hash for each in STEPS]),
            st.integers(0, 1),
            pattern=st.sampled_from(["rm", "e", "x^"]),
        ),
        max_size=6,
        unique_by=lambda each: each.id,
    )
)
def test_steps_stop_that_one_break_alone_would_stop_at(breaks: list[Break]) -> None:
    assert at(*breaks).keys() == {number for each in breaks for number in at(each)}


def test_in_a_recording_a_failure_is_when_the_command_ended_and_nothing_is_outside_it() -> None:
    session = TerminalSession()
    session.command(1, b"before", status=2)
    session.said(b"a", b"b", b"c", b"d")
    session.command(2, b"within", status=3)
    session.command(900, b"behind", status=4)
    numbers = [each.number for each in steps(session.archive, session.session)]
    found = stops_in(session.archive, session.tape, [Break(1, None, "error")])
    assert found == [
        (1.5 * SECOND, f"break 1: exit 2 at step {numbers[0]}"),
        (2.5 * SECOND, f"break 1: exit 3 at step {numbers[1]}"),
        (3 * SECOND, f"break 1: exit 4 at step {numbers[2]}"),
    ]
    before = stops_in(session.archive, session.tape, [Break(1, None, "pattern", pattern="within")])
    assert [at_ns for at_ns, _ in before] == [2 * SECOND]
    assert stops_in(session.archive, session.tape, []) == []
