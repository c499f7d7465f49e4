"""Marks in a terminal's stream: read in any slices, believed only with our nonce."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from tapes.wire.command import CommandEnded, CommandHappening, CommandLost, CommandOutput, CommandStarted
from tapes.wire.exchange import Moment
from tapes.wire.terminal import TerminalClosed, TerminalMissed, TerminalOutput
from tapes_addons.terminal.echoed import line_of
from tapes_addons.terminal.marks import LONGEST, Marks

NONCE = "5f" * 16


def mark(text: str, nonce: str = NONCE, end: bytes = b"\x07") -> bytes:
    return b"\x1b]" + text.replace("N!", nonce).encode() + end


def prompt(cwd: str = "/w") -> bytes:
    return mark("133;A;aid=N!") + mark(f"633;P;Cwd={cwd};N!") + b"$ " + mark("133;B;aid=N!")


def begin(line: str, key: str = "k1") -> bytes:
    return mark(f"633;E;{line};N!;{key}") + mark("133;C;aid=N!")


def end(status: int, key: str = "k1") -> bytes:
    return mark(f"133;D;{status};aid=N!;id={key}")


def read(*pieces: bytes, marks: Marks | None = None) -> list[CommandHappening]:
    marks = marks or Marks(NONCE, b"bash")
    found = []
    for number, piece in enumerate(pieces):
        found += marks.take(TerminalOutput(number, piece), 1000)
    return found


def told(happenings: list[CommandHappening]) -> list[tuple[object, ...]]:
    """Without times, and with output joined."""
    found: list[tuple[object, ...]] = []
    for item in happenings:
        match item:
            case CommandStarted():
                found.append(("start", item.key, item.argv[-1], item.cwd))
            case CommandOutput():
                before = found.pop()[2] if found[-1][:2] == ("output", item.key) else b""
                assert isinstance(before, bytes)
                found.append(("output", item.key, before + item.data))
            case CommandEnded():
                found.append(("end", item.key, item.status))
            case CommandLost():
                found.append(("lost", item.key))
    return found


TALK = (
    prompt()
    + b"echo hi\r\n"
    + begin("echo hi")
    + b"hi\r\n\x1b]0;title\x07"
    + mark("133;D;0")
    + mark("133;D;1;aid=N!;id=k1", "00" * 16)
    + b"\x1b]133;C\x1b\\\x1b"
    + end(3)
    + prompt("/a\\x3bb\\\\")
    + b"\r\n"
    + end(130, "k2")
    + prompt()
    + begin("for a\\x0ado", "k3")
    + end(0, "k3")
)
PRINTED = (
    b"hi\r\n\x1b]0;title\x07" + mark("133;D;0") + mark("133;D;1;aid=N!;id=k1", "00" * 16) + b"\x1b]133;C\x1b\\\x1b"
)
TOLD = [
    ("start", "k1", b"echo hi", b"/w"),
    (
        "output",
        "k1",
        b"hi\r\n\x1b]0;title\x07" + mark("133;D;0") + mark("133;D;1;aid=N!;id=k1", "00" * 16) + b"\x1b]133;C\x1b\\\x1b",
    ),
    ("end", "k1", 3),
    ("start", "k3", b"for a\ndo", b"/w"),
    ("end", "k3", 0),
]


@given(st.lists(st.integers(0, len(TALK))))
@example(list(range(len(TALK))))
def test_commands_are_told_whatever_the_slices(cuts: list[int]) -> None:
    at = [0, *sorted(cuts), len(TALK)]
    assert told(read(*(TALK[a:b] for a, b in pairwise(at)))) == TOLD


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=20), st.sampled_from([mark("133;D;0"), b"\x1b]133;", b"\x1b]633;E;x", b"\x1b", b"\\"])
        )
    )
)
def test_no_output_without_the_nonce_ends_a_command_or_gets_lost(pieces: list[bytes]) -> None:
    found = told(read(begin("x"), *pieces, end(0)))
    printed = b"".join(pieces)
    assert found[0] == ("start", "k1", b"x", b"")
    # An escape that stands open swallows the mark's own beginning, on a terminal as here; then nothing tells the end.
    assert [item for item in found if item[0] == "output"] in ([], [("output", "k1", printed)])
    assert found[-1] == ("end", "k1", 0)


def test_a_mark_without_end_is_output_once_it_is_too_long() -> None:
    endless = b"\x1b]133;" + b"x" * 1000
    found = told(read(begin("cat"), endless, *[b"y" * 50_000] * 7))
    (output,) = [item for item in found if item[0] == "output"]
    assert isinstance(output[2], bytes) and len(output[2]) > LONGEST


def test_bytes_that_were_left_out_are_the_running_commands() -> None:
    marks = Marks(NONCE)
    list(read(begin("x"), b"shown", marks=marks))
    list(marks.take(TerminalMissed(5, 700), 0))
    (ended,) = read(end(0), marks=marks)
    assert isinstance(ended, CommandEnded) and ended.dropped == 700


def test_a_command_whose_end_was_not_told_is_lost_when_the_next_one_begins() -> None:
    found = told(read(begin("one"), begin("two", "k2"), end(0, "k2")))
    assert found == [("start", "k1", b"one", b""), ("lost", "k1"), ("start", "k2", b"two", b""), ("end", "k2", 0)]


def test_the_command_with_which_the_shell_ends_ends_as_the_shell_does() -> None:
    for status, last in ((3, ("end", "k1", 3)), (-9, ("lost", "k1")), (None, ("lost", "k1"))):
        marks = Marks(NONCE)
        found = read(begin("exit 3"), b"exit\r\n", marks=marks)
        marks.shell_status = status
        found += marks.take(TerminalClosed(Moment(9, 9)), 0)
        assert told(found)[-1] == last


def test_a_line_that_history_did_not_take_is_read_off_the_screen() -> None:
    found = told(read(prompt() + b" secht\b \b\b \bret -x\r\n" + begin("")))
    assert found == [("start", "k1", b"secret -x", b"/w")]


def test_an_edited_line_is_read_as_it_stood_at_last() -> None:
    assert line_of(b"echo wrld\x1b[3D\x1b[1@o\x1b[C\x1b[C\x1b[C\r\n") == b"echo world"
    assert line_of("ls é漢x\b\x1b[K\r\n".encode()) == "ls é漢".encode()
    assert line_of(b"\x1b[?2004hls\x1b[?2004l\r\n") == b"ls"


def test_a_status_that_no_program_has_is_no_end() -> None:
    marks = Marks(NONCE, b"bash")
    found = told(read(prompt() + begin("ls") + mark(f"133;D;{'9' * 5000};aid=N!;id=k1") + end(0), marks=marks))
    assert [item[0] for item in found] == ["start", "end"] and found[-1][-1] == 0
