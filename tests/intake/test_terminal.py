"""A terminal into records: bytes, sizes and losses in the order in which they came."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from command_tape import SECOND, CommandTape, at
from tapes.archive.verify import verify
from tapes.intake.terminal import RECORD_BYTES
from tapes.record.kinds import BodyRef
from tapes.wire.terminal import (
    TerminalClosed,
    TerminalHappening,
    TerminalInput,
    TerminalMissed,
    TerminalOpened,
    TerminalOutput,
    TerminalResized,
)

SECRET = b"ghp_" + b"a1B2" * 9


def shown(data: bytes, seconds: float) -> TerminalOutput:
    return TerminalOutput(int(seconds * SECOND), data)


def events(tape: CommandTape) -> list[list[Any]]:
    return [event for record in tape.records("terminal") for event in record.body["events"]]


def test_what_happens_stands_in_order_with_its_times() -> None:
    tape = CommandTape()
    tape.play(
        TerminalOpened(at(1), 80, 24, "xterm"),
        shown(b"hello ", 1.5),
        TerminalResized(int(1.6 * SECOND), 100, 30),
        TerminalInput(int(1.7 * SECOND), b"q"),
        TerminalMissed(int(1.8 * SECOND), 9),
        shown(b"bye", 1.9),
        TerminalClosed(at(2)),
    )
    first, second, last = (record.body for record in tape.records("terminal"))
    assert (first["columns"], first["rows"], first["term"], first["data"], first["events"]) == (
        80,
        24,
        "xterm",
        None,
        [],
    )
    assert second["events"] == [
        [0, "o", 6],
        [100_000, "r", 100, 30],
        [100_000, "i", 1],
        [100_000, "x", 9],
        [100_000, "o", 3],
    ]
    assert tape.output("terminal") == b"hello qbye"
    assert (last["columns"], last["rows"], last["last"], last["n"]) == (100, 30, True, 2)
    assert verify(tape.archive).ok


def test_a_record_is_written_by_the_second_and_by_size() -> None:
    tape = CommandTape()
    tape.play(TerminalOpened(at(0), 80, 24), shown(b"hello ", 1))
    tape.wait(1.5)
    assert tape.output("terminal") == b""
    tape.wait(2.1)
    assert tape.output("terminal") == b"hello "
    for n in range(100):
        tape.play(shown(b"\x1b[1mwords\x1b[0m " * 300, 3 + n))
    sizes = [BodyRef.of(record.body["data"]).length for record in tape.records("terminal") if record.body["data"]]
    assert max(sizes) <= RECORD_BYTES


def test_a_secret_that_is_typed_and_echoed_letter_by_letter_is_in_neither() -> None:
    tape = CommandTape()
    tape.play(TerminalOpened(at(0), 80, 24))
    for n in range(len(SECRET)):
        tape.play(TerminalInput(int((1 + n / 9) * SECOND), SECRET[n : n + 1]), shown(SECRET[n : n + 1], 1.05 + n / 9))
        tape.wait(1.06 + n / 9)
    tape.play(shown(b" \r\n", 20), TerminalInput(21 * SECOND, b"\r"), TerminalClosed(at(22)))
    data = tape.output("terminal")
    assert data.count(b"[REDACTED:github-token]") == 2
    assert b"a1B2" not in data
    for record in tape.records("terminal"):
        for _, offset, length, _ in record.body.get("redactions", ()):
            assert tape.archive.body(BodyRef.of(record.body["data"]))[offset : offset + length].startswith(
                b"[REDACTED:"
            )


def test_a_terminal_that_is_told_again_goes_on() -> None:
    tape = CommandTape()
    tape.play(
        TerminalOpened(at(0), 80, 24), shown(SECRET[:20], 1), TerminalOpened(at(1), 90, 20), shown(SECRET[20:], 1)
    )
    tape.play(TerminalClosed(at(5)))
    assert tape.output("terminal") == b"[REDACTED:github-token]"
    assert [event[1:] for record in tape.records("terminal") for event in record.body["events"] if event[1] == "r"] == [
        ["r", 90, 20]
    ]
    assert verify(tape.archive).ok


def test_a_successor_goes_on_counting() -> None:
    tape = CommandTape()
    tape.play(TerminalOpened(at(0), 80, 24), TerminalResized(SECOND, 90, 20), shown(b"one ", 1))
    tape.wait(3)
    tape.adopted()
    tape.play(shown(b"two", 4), TerminalClosed(at(5)))
    assert [record.body["n"] for record in tape.records("terminal")] == [0, 1, 2, 3]
    assert tape.output("terminal") == b"one two"
    assert verify(tape.archive).ok


told = st.lists(
    st.one_of(
        st.just(TerminalOpened(at(0), 80, 24)),
        st.builds(
            shown, st.sampled_from([b"word ", b" " + SECRET[:20], SECRET[20:], b"\x1b[2J", b"x\x08"]), st.integers(0, 9)
        ),
        st.builds(lambda data, n: TerminalInput(n * SECOND, data), st.binary(max_size=3), st.integers(0, 9)),
        st.builds(lambda n: TerminalResized(n * SECOND, n, n), st.integers(0, 9)),
        st.builds(lambda n: TerminalMissed(n * SECOND, n), st.integers(0, 9)),
    ),
    max_size=20,
)


@settings(max_examples=150, deadline=None)
@given(told, st.integers(1, 5))
def test_whatever_comes_every_record_is_sound(happenings: list[TerminalHappening], pause: int) -> None:
    tape = CommandTape()
    for n, happening in enumerate(happenings):
        tape.play(happening)
        if n % pause == 0:
            tape.wait(10 + n)
    tape.play(TerminalClosed(at(9)))
    tape.stop()
    assert verify(tape.archive).ok
    assert SECRET not in tape.output("terminal").replace(b"\x1b[2J", b"").replace(b"x\x08", b"")
    assert [record.body["n"] for record in tape.records("terminal")] == list(range(len(tape.records("terminal"))))
