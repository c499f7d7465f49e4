"""The screen that bytes make: whatever they are, however they are sliced."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapes.record import canon
from tapes.session.screen import sgr
from tapes.session.screen.cells import CLUSTER, RGB, Line, Pen, columns_of
from tapes.session.screen.parser import KEPT, Parser
from tapes.session.screen.vt import MOST_COLUMNS, MOST_ROWS, Screen

# Bytes that look like what terminals are told, cut and joined wrongly.
WORDS = [
    *(b"\x1b", b"[", b"]", b"P", b"?", b";", b":", b"0", b"1", b"9", b"38", b"48;5;", b"2;", b"65535", b"9" * 300),
    *(b"m", b"H", b"J", b"K", b"A", b"L", b"M", b"P", b"@", b"X", b"S", b"T", b"b", b"r", b"h", b"l", b"t", b"g", b"I"),
    *(b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?47h", b"\x1b[4h", b"\x1b[?6h", b"\x1b[?7l", b"\x1b[2;3r", b"\x1b[8;0;0t"),
    *(b"\x1bc", b"\x1b7", b"\x1b8", b"\x1bM", b"\x1b(0", b"\x0e", b"\x0f", b"\x1b[!p", b"\x1bH", b"\x1b[3g", b"\x9b"),
    *(
        b"\n",
        b"\r",
        b"\t",
        b"\b",
        b"\x07",
        b"\x18",
        b"\x1b\\",
        b"\x00",
        b"\x7f",
        b"\xff",
        b"\xe6",
        b"\xe6\xbc",
        b"text",
    ),
    *("漢".encode(), "👨\u200d👩".encode(), "e\u0301".encode(), "\u202e".encode(), "\u0301".encode() * 40),
]
hostile = st.lists(st.sampled_from(WORDS) | st.binary(max_size=3), max_size=60).map(b"".join)
sizes = st.tuples(st.sampled_from([0, 1, 2, 3, 8, 80, 10**6]), st.sampled_from([0, 1, 2, 5, 24, 10**6]))


def shown(data: bytes, columns: int = 12, rows: int = 4) -> list[str]:
    screen = Screen(columns, rows)
    screen.feed(data)
    return screen.text()


def everything(screen: Screen) -> dict[str, Any]:
    return screen.state()


@settings(max_examples=150, deadline=None)
@given(hostile, sizes, st.lists(sizes, max_size=4))
def test_no_bytes_and_no_size_can_break_it_nor_make_it_grow(
    data: bytes, size: tuple[int, int], later: list[tuple[int, int]]
) -> None:
    screen = Screen(*size)
    for new in [size, *later]:
        screen.resize(*new)
        screen.feed(data)
        assert 0 <= screen.x < screen.columns <= MOST_COLUMNS
        assert 0 <= screen.y < screen.rows <= MOST_ROWS
        for row in screen.lines():
            if isinstance(row, Line):
                assert len(row.chars) == len(row.pens) <= screen.columns
                assert all(len(cell) <= CLUSTER for cell in row.chars)
        assert len(screen.lines()) == len(screen.text()) == screen.rows


@settings(max_examples=150, deadline=None)
@given(hostile)
def test_nothing_that_is_shown_can_drive_a_terminal_or_turn_text_around(data: bytes) -> None:
    screen = Screen(20, 5)
    screen.feed(data)
    for text in [*screen.text(), screen.title]:
        assert all(columns_of(char) >= 0 for char in text)


@settings(max_examples=150, deadline=None)
@given(hostile, st.lists(st.integers(0, 200), max_size=6))
def test_any_slicing_gives_the_same_screen(data: bytes, cuts: list[int]) -> None:
    whole, sliced = Screen(10, 4), Screen(10, 4)
    whole.feed(data)
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in itertools.pairwise(places):
        sliced.feed(data[start:end])
    assert everything(sliced) == everything(whole)


@settings(max_examples=150, deadline=None)
@given(hostile, hostile, sizes)
def test_a_screen_goes_on_from_its_state_as_if_it_had_never_stopped(
    before: bytes, after: bytes, size: tuple[int, int]
) -> None:
    screen = Screen(9, 4)
    screen.feed(before)
    other = Screen.of_state(canon.decode(canon.encode(screen.state())))  # type: ignore[arg-type]
    for each in (screen, other):
        each.resize(*size)
        each.feed(after)
    assert canon.encode(everything(other)) == canon.encode(everything(screen))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"\x1b[2;3H\x1b[31m\x1b7\x1b[H\x1b[0m", b"\x1b8x"),
        (b"\x1b7\x1b[?1049h\x1b[3;3H\x1b7", b"\x1b[H\x1b8a\x1b[?1049lb"),
        (b"\x1b[3g\x1b[1;5H\x1bH\r", b"\tx"),
        (b"1\r\n2\r\n3\x1b[2;3r", b"\x1b[3;1H\n\nx"),
        (b"ab\x1b[4h\r", b"x"),
        (b"\x1b[20h", b"a\nb"),
        (b"\x1b[?7l", b"0123456789abc"),
        (b"\x1b[?6h\x1b[2;3r", b"\x1b[1;1Hx"),
        (b"\x1b(0", b"qqq"),
        (b"\x1b)0\x0e", b"qqq"),
        (b"012345678", b"x"),
        (b"x", b"\x1b[3b"),
        (b"\x1b[?25l\x1b]0;title\x07", b""),
        (b"\x1b]0;ti", b"tle\x07x"),
        (b"\x1bPqq", b"q\x1b\\x"),
        (b"\x1b[3", b"1mx"),
        (b"\xe6\xbc", b"\xa2"),
    ],
)
def test_nothing_that_matters_later_is_missing_in_a_state(before: bytes, after: bytes) -> None:
    screen = Screen(9, 4)
    screen.feed(before)
    other = Screen.of_state(screen.state())
    for each in (screen, other):
        each.feed(after)
    assert everything(other) == everything(screen)
    for name in ("title", "bells", "alternate", "cursor_shown", "x", "y", "pen"):
        assert getattr(other, name) == getattr(screen, name)
    assert other.lines() == screen.lines()


@pytest.mark.parametrize(
    ("said", "rows"),
    [
        ("one\r\ntwo", ["one", "two", "", ""]),
        ("a" * 14, ["a" * 12, "aa", "", ""]),
        ("a" * 12 + "\r\nb", ["a" * 12, "b", "", ""]),
        ("\x1b[?7l" + "a" * 13 + "z", ["a" * 11 + "z", "", "", ""]),
        ("1\r\n2\r\n3\r\n4\r\n5", ["2", "3", "4", "5"]),
        ("abcdef\x1b[3D\x1b[K", ["abc", "", "", ""]),
        ("abcdef\x1b[1G\x1b[2P", ["cdef", "", "", ""]),
        ("abcdef\x1b[1G\x1b[2@", ["  abcdef", "", "", ""]),
        ("abcdef\x1b[2G\x1b[3X", ["a   ef", "", "", ""]),
        ("\x1b[4hab\x1b[1Gxy", ["xyab", "", "", ""]),
        ("1\r\n2\r\n3\x1b[2;1H\x1b[L", ["1", "", "2", "3"]),
        ("1\r\n2\r\n3\x1b[1;1H\x1b[2M", ["3", "", "", ""]),
        ("1\r\n2\r\n3\r\n4\x1b[2;3r\x1b[3;1H\nx", ["1", "3", "x", "4"]),
        ("1\r\n2\x1b[1;1H\x1bM", ["", "1", "2", ""]),
        ("a\tb", ["a       b", "", "", ""]),
        ("\x1b(0lqk\x1b(Bq", ["┌─┐q", "", "", ""]),
        ("x\x1b[3b", ["xxxx", "", "", ""]),
        ("漢" * 6 + "字", ["漢" * 6, "字", "", ""]),
        ("a" * 11 + "漢", ["a" * 11, "漢", "", ""]),
        ("漢字\x1b[2Gx", [" x字", "", "", ""]),
        ("e\u0301!", ["e\u0301!", "", "", ""]),
        ("👨\u200d👩.", ["👨\u200d👩.", "", "", ""]),
        ("a\u202eb", ["ab", "", "", ""]),
        ("abc\x1b[2;2H\x1b7\x1b[Hx\x1b8y", ["xbc", " y", "", ""]),
        ("abc\x1bcd", ["d", "", "", ""]),
        ("\x1b[1;2;3zok", ["ok", "", "", ""]),
        ("\x1b]8;;http://example.test\x1b\\link\x1b]8;;\x1b\\", ["link", "", "", ""]),
        ("\x1b]52;c;aGk=\x07\x1bPq#0\x1b\\\x1b_Gx\x1b\\ok", ["ok", "", "", ""]),
        ("\x1b[?2026hframe\x1b[?2026l", ["frame", "", "", ""]),
        ("\x1b[8;100;300tstill", ["still", "", "", ""]),
    ],
)
def test_it_shows_what_a_terminal_shows(said: str, rows: list[str]) -> None:
    assert shown(said.encode()) == rows


def test_a_program_that_leaves_the_second_screen_finds_the_first_as_it_was() -> None:
    screen = Screen(12, 3)
    screen.feed(b"shell $ \x1b[?1049h\x1b[Heditor")
    assert screen.alternate
    assert screen.text() == ["editor", "", ""]
    assert screen.main_text() == ["shell $", "", ""]
    screen.feed(b"\x1b[?1049lls")
    assert not screen.alternate
    assert screen.text() == ["shell $ ls", "", ""]


def test_a_string_of_megabytes_is_read_past_and_not_kept() -> None:
    for begin in (b"\x1b]0;", b"\x1bP", b"\x1b_", b"\x1b["):
        screen = Screen(10, 2)
        screen.feed(begin)
        for _ in range(64):
            screen.feed(b"1" * 50_000)
            assert len(canon.encode(screen.state())) < 3 * KEPT
        screen.feed(b"\x07\x1b\\\x18\x1bcok")
        assert screen.text() == ["ok", ""]


def test_titles_bells_and_rows_that_scroll_away_are_told() -> None:
    told: list[tuple[str, str]] = []
    screen = Screen(10, 2, lambda what, text: told.append((what, text)))
    screen.feed(b"\x1b]0;first\x07\x07one\r\ntwo\r\n\x1b]2;se\x00\xe2\x80\xaecond\x1b\\\x1b]1;icon\x07")
    assert told == [("title", "first"), ("bell", ""), ("scrolled", "one"), ("title", "second")]
    assert (screen.title, screen.bells) == ("second", 1)


def test_a_second_screen_scrolls_nothing_away() -> None:
    told: list[str] = []
    screen = Screen(10, 2, lambda what, text: told.append(text))
    screen.feed(b"\x1b[?1049h" + b"x\r\n" * 9)
    assert told == []


def test_a_smaller_screen_keeps_the_cursors_row_and_a_larger_one_adds_empty_ones() -> None:
    screen = Screen(10, 4)
    screen.feed(b"1\r\n2\r\n3\r\n4567890")
    screen.resize(4, 2)
    assert screen.text() == ["3", "4567"]
    screen.resize(8, 3)
    assert screen.text() == ["3", "4567", ""]


def test_a_wide_character_that_a_narrower_screen_cuts_is_gone() -> None:
    screen = Screen(4, 1)
    screen.feed("ab漢".encode())
    screen.resize(3, 1)
    assert screen.text() == ["ab"]


@pytest.mark.parametrize(
    ("words", "pen"),
    [
        ("31", Pen(1)),
        ("97;104", Pen(15, 12)),
        ("38;5;200", Pen(200)),
        ("38;2;1;2;3", Pen(RGB | 0x010203)),
        ("48:2::1:2:3", Pen(-1, RGB | 0x010203)),
        ("48:2:1:2:3", Pen(-1, RGB | 0x010203)),
        ("58;5;9;31", Pen(1)),
        ("1;2;3;4;5;7;8;9", Pen(flags=255)),
        ("1;4;22", Pen(flags=8)),
        ("4:3;4:0", Pen()),
        ("31;", Pen()),
        ("38;5", Pen()),
        ("38;9;1", Pen(flags=1)),
        ("38;5;999", Pen()),
        ("99999999999;31", Pen(1)),
    ],
)
def test_colours_and_attributes_are_read(words: str, pen: Pen) -> None:
    assert sgr.apply(Pen(), words) == pen


@given(
    st.builds(
        Pen,
        st.integers(-1, 255) | st.integers(0, 0xFFFFFF).map(lambda n: n | RGB),
        st.integers(-1, 255) | st.integers(0, 0xFFFFFF).map(lambda n: n | RGB),
        st.integers(0, 255),
    )
)
def test_what_we_write_for_a_pen_reads_back_as_that_pen(pen: Pen) -> None:
    assert sgr.apply(Pen(3, 4, 5), sgr.sequence(pen)[2:-1]) == pen


def test_a_split_character_and_a_split_sequence_wait_for_their_rest() -> None:
    parser = Parser()
    assert list(parser.feed(b"\xe6\xbc")) == []
    assert list(parser.feed("漢".encode()[2:])) == [("text", "漢", "")]
    assert list(parser.feed(b"\x1b[3")) == []
    assert list(parser.feed(b"1m")) == [("csi", "31", "m")]
