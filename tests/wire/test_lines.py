"""The decoder for lines of JSON."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tapes.wire.events import Event
from tapes.wire.lines import LineDecoder


def lines(body: bytes, cuts: list[int] | None = None, max_line: int = 1000) -> list[Event]:
    decoder = LineDecoder(max_line=max_line)
    places = [0, *sorted(cut for cut in cuts or [] if cut <= len(body)), len(body)]
    found = [event for start, end in pairwise(places) for event in decoder.feed(body[start:end])]
    return found + decoder.finish()


def test_each_line_is_the_data_of_one_event_with_its_place() -> None:
    first, second = lines(b'{"a":1}\n{"b":2}\n')
    assert (first.data, first.start, first.end, first.terminated) == ('{"a":1}', 0, 8, True)
    assert (second.data, second.start, second.end, second.terminated) == ('{"b":2}', 8, 16, True)


def test_carriage_returns_blank_lines_and_a_byte_order_mark_are_no_data() -> None:
    assert [line.data for line in lines(b"\xef\xbb\xbf{}\r\n\r\n \n[]\r\n")] == ["{}", "[]"]


def test_a_line_without_an_end_is_returned_and_marked() -> None:
    assert [(line.data, line.terminated) for line in lines(b"{}\n[1")] == [("{}", True), ("[1", False)]


def test_a_line_that_is_too_long_is_named_and_the_next_one_is_whole() -> None:
    long, short = lines(b"x" * 11 + b"\n" + b"y" * 10 + b"\n", max_line=10)
    assert long.data == "" and "more than 10 bytes" in str(long.error)
    assert short.data == "y" * 10 and short.error is None


@given(body=st.text(alphabet="a\né\r ", max_size=40).map(str.encode), cuts=st.lists(st.integers(0, 60), max_size=6))
def test_any_slicing_gives_the_same_lines(body: bytes, cuts: list[int]) -> None:
    assert lines(body, cuts, max_line=5) == lines(body, max_line=5)
