"""What intake writes of a terminal, the reading side shows."""

from __future__ import annotations

from tapes.intake.drafting import Drafting
from tapes.intake.terminal import Terminal
from tapes.session.screen.playback import screen_at
from tapes.wire.exchange import Moment
from tapes.wire.redact import Redactor
from tapes.wire.terminal import (
    TerminalClosed,
    TerminalHappening,
    TerminalInput,
    TerminalMissed,
    TerminalOpened,
    TerminalOutput,
    TerminalResized,
)
from terminal_tape import SECOND, WALL, TerminalSession

START = 5 * SECOND
SECRET = b"sk-ant-api03-" + b"Ab1" * 20


def recorded(*told: TerminalHappening) -> TerminalSession:
    session = TerminalSession()
    drafting = Drafting(session.session, Redactor())
    terminal = Terminal(drafting)
    for each in told:
        terminal.take(each)
    terminal.end(Moment(WALL + 9 * SECOND, START + 9 * SECOND))
    session.archive.commit(drafting.batch)
    return session


def opened() -> TerminalOpened:
    return TerminalOpened(Moment(WALL, START), 40, 5, "xterm")


def test_bytes_times_sizes_and_losses_come_back() -> None:
    session = recorded(
        opened(),
        TerminalOutput(START + SECOND, b"$ "),
        TerminalInput(START + 2 * SECOND, b"ls\r"),
        TerminalResized(START + 3 * SECOND, 50, 6),
        TerminalMissed(START + 4 * SECOND, 99),
        TerminalOutput(START + 5 * SECOND, b"ls\r\nfile"),
        TerminalClosed(Moment(WALL + 6 * SECOND, START + 6 * SECOND)),
    )
    tape = session.tape
    assert [(event.at_ns // SECOND, event.kind) for event in tape.events()] == [
        *((0, "r"), (1, "o"), (2, "i"), (3, "r"), (4, "x"), (5, "o")),
    ]
    assert (tape.ended, tape.term, tape.upto_ns) == (True, "xterm", 6 * SECOND)
    assert screen_at(tape, None)[0].text()[:2] == ["$ ls", "file"]


def test_a_long_recording_is_the_same_bytes_and_the_same_screen() -> None:
    lines = [b"line %d \x1b[3%dmcolour\x1b[0m\r\n" % (n, n % 8) for n in range(9000)]
    session = recorded(opened(), *(TerminalOutput(START + n * 1000, line) for n, line in enumerate(lines)))
    assert len(session.tape.parts) > 3
    assert b"".join(event.data for event in session.tape.events() if event.kind == "o") == b"".join(lines)
    assert screen_at(session.tape, None)[0].text()[3] == "line 8999 colour"


def test_a_secret_that_was_shown_is_shown_as_redacted() -> None:
    session = recorded(
        opened(), TerminalOutput(START, b"key=" + SECRET[:9]), TerminalOutput(START + SECOND, SECRET[9:] + b" ok\r\n")
    )
    text = "".join(screen_at(session.tape, None)[0].text())
    assert SECRET.decode() not in text and SECRET[20:40].decode() not in text
    assert text.endswith("ok")


def test_a_terminal_whose_beginning_was_not_seen_has_the_usual_size() -> None:
    session = recorded(TerminalOutput(START, b"x" * 81))
    assert screen_at(session.tape, None)[0].text()[:2] == ["x" * 80, "x"]
