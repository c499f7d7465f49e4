"""An asciicast plays what was recorded: to the byte where the format can hold it."""

from __future__ import annotations

import codecs
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cast_reader import read_cast
from tapes.export.asciicast import Version, asciicast
from terminal_tape import SECOND, TerminalSession

GOLDEN = Path(__file__).parents[1] / "golden" / "make_casts.py"


def cast_of(session: TerminalSession, version: Version = 3, idle_limit: float | None = None) -> str:
    return "".join(asciicast(session.archive, session.tape, version, title="t", idle_limit=idle_limit))


@pytest.mark.parametrize("version", [2, 3])
def test_an_export_is_the_golden_one(version: Version) -> None:
    spec = importlib.util.spec_from_file_location("make_casts", GOLDEN)
    assert spec and spec.loader
    maker = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    assert maker.cast(version) == maker.path(version).read_text("utf-8")


@pytest.mark.parametrize("version", [2, 3])
def test_the_golden_ones_are_what_the_format_describes(version: Version) -> None:
    cast = read_cast((GOLDEN.parent / f"session_v{version}.cast").read_text("utf-8"))
    codes = [code for _, code, _ in cast.events]
    assert set(codes) == set("oimrx") if version == 3 else set("oimr")
    assert [data for _, code, data in cast.events if code == "m"] == [
        *("$ ls -l", '$ echo "漢" \u2028', "[77 bytes are not there: more than could be kept up with]"),
    ]
    assert cast.events[-1] == ((6_200_000, "x", "3") if version == 3 else (6_200_000, "o", "\ufffd"))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 10**8), st.binary(max_size=8) | st.just("漢é👨".encode())), max_size=12),
    st.sampled_from([2, 3]),
)
def test_whatever_was_written_comes_back_as_a_decoder_would_have_shown_it(
    writes: list[tuple[int, bytes]], version: Version
) -> None:
    session = TerminalSession()
    session.terminal(0, [(delta, "o", data) for delta, data in writes])
    cast = read_cast(cast_of(session, version))
    said = "".join(data for _, code, data in cast.events if code == "o")
    assert said == codecs.decode(b"".join(data for _, data in writes), "utf-8", "replace")
    # Not to the byte, but to the microsecond: no rounding adds up, however many events there are.
    ends = {sum(delta for delta, _ in writes[: n + 1]) for n in range(len(writes))}
    assert {at for at, _, _ in cast.events} <= ends


def test_input_and_output_wait_for_the_rest_of_a_character_each_on_its_own() -> None:
    session = TerminalSession()
    session.terminal(0, [(0, "o", b"\xe6\xbc"), (5, "i", b"\xc3"), (5, "o", b"\xa2"), (5, "i", b"\xa9")])
    assert read_cast(cast_of(session)).events == [(10, "o", "漢"), (15, "i", "é")]


def test_a_file_is_ascii_so_that_printing_it_drives_no_terminal() -> None:
    session = TerminalSession(argv=[b"\x1b[2J"])
    session.said(b"\x1b[2J\x07\x9b\xe2\x80\xae")
    session.command(0.5, b"\x1b]0;x\x07")
    for version in (2, 3):
        assert all(" " <= char <= "~" or char == "\n" for char in cast_of(session, version))


def test_idle_times_are_cut_where_that_is_asked_for() -> None:
    session = TerminalSession()
    session.terminal(0, [(0, "o", b"a"), (3_600_000_000, "o", b"b"), (500_000, "o", b"c")])
    times = [at for at, _, _ in read_cast(cast_of(session, 2, idle_limit=2)).events]
    assert times == [0, 2_000_000, 2_500_000]


def test_a_signal_is_an_exit_status_as_shells_say_it() -> None:
    session = TerminalSession()
    session.said(b"a")
    session.record("session.close", 1, {"status": None, "signal": 9})
    assert read_cast(cast_of(session)).events[-1][1:] == ("x", "137")


def test_a_session_that_still_runs_has_no_exit() -> None:
    session = TerminalSession()
    session.said(b"a")
    assert [code for _, code, _ in read_cast(cast_of(session)).events] == ["o"]


def test_the_header_says_shell_terminal_and_command() -> None:
    session = TerminalSession(argv=[b"claude", b"say hi"])
    session.said(b"a", size=(0, 70_000))
    header = read_cast(cast_of(session)).header
    assert header["term"] == {"cols": 80, "rows": 65535}
    assert header["command"] == "claude 'say hi'"
    assert header["timestamp"] == session.tape.first.wall_ns // SECOND


def test_asciinemas_own_player_takes_the_second_version(tmp_path: Path) -> None:
    player = shutil.which("asciinema", path=str(Path(sys.executable).parent)) or shutil.which("asciinema")
    if player is None:
        pytest.skip("asciinema is not installed: its player was not asked")
    session = TerminalSession()
    session.terminal(0, [(0, "o", b"one "), (5, "i", b"k"), (0, "r", 90, 20), (5, "o", "漢".encode())])
    session.command(0, b"ls")
    path = tmp_path / "x.cast"
    path.write_text(cast_of(session, 2), "utf-8")
    done = subprocess.run([player, "cat", str(path)], capture_output=True, check=True, timeout=30)
    assert done.stdout.decode() == "one 漢"
