"""The event-stream decoder, against the standard's own examples and in any slices."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tapes.wire.events import Event, EventDecoder


def events(stream: bytes, cuts: list[int] | None = None, *, max_event: int = 1 << 20) -> list[Event]:
    decoder = EventDecoder(max_event=max_event)
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts or []), len(stream)]
    found = [event for a, b in pairwise(places) for event in decoder.feed(stream[a:b])]
    return found + decoder.finish()


def data(stream: bytes) -> list[str]:
    return [event.data for event in events(stream)]


LINE = st.sampled_from(
    [b"data: x", b"data:y", b"data", b"data: {\xc3\xa9}", b": note", b"event: go", b"id: 7", b"id", b"retry: 5",
     b"", b"", b"", b"retry: no", b"x: y", b"\xff\xfe", b"id: \x00", b"data: " + b"z" * 40]
)  # fmt: skip
STREAM = st.lists(st.tuples(LINE, st.sampled_from([b"\n", b"\r\n", b"\r"])), max_size=14).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


@settings(max_examples=300, deadline=None)
@given(
    stream=st.one_of(STREAM, STREAM.map(lambda s: b"\xef\xbb\xbf" + s), st.binary(max_size=60)),
    cuts=st.lists(st.integers(0, 200), max_size=8),
)
@example(stream=b"data: x\r\n\r\ndata: y\r\n\r\n", cuts=list(range(24)))
@example(stream=b"data: x\r\r", cuts=[8])
@example(stream=b"\xef\xbb\xbfdata: x\n\n", cuts=[1, 2, 3])
def test_any_slicing_gives_the_same_events(stream: bytes, cuts: list[int]) -> None:
    assert events(stream, cuts) == events(stream)
    assert events(stream, cuts, max_event=20) == events(stream, max_event=20)


@settings(max_examples=200, deadline=None)
@given(stream=STREAM)
def test_offsets_lie_end_to_end_and_hold_the_event(stream: bytes) -> None:
    before = 0
    for event in events(stream):
        assert before <= event.start < event.end <= len(stream)
        alone = events(stream[event.start : event.end])
        assert [(e.event, e.data) for e in alone] == [(event.event, event.data)]
        before = event.end
    whole = [event for event in events(stream) if event.terminated]
    assert all(stream[: event.end].endswith((b"\n", b"\r")) for event in whole)


@pytest.mark.parametrize(
    ("stream", "said"),
    [
        (b"data: YHOO\ndata: +2\ndata: 10\n\n", ["YHOO\n+2\n10"]),
        (b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
         ["first event", "second event", " third event"]),
        (b"data\n\ndata\ndata\n\n", ["", "\n"]),
        (b"data:test\n\ndata: test\n\n", ["test", "test"]),
        (b"event: nothing\n\nid: 4\n\n", []),
        (b"\n\n\n\r\r\n", []),
        (b"Data: x\n\nxdata: y\n\n", []),
    ],
)  # fmt: skip
def test_the_standards_own_examples(stream: bytes, said: list[str]) -> None:
    assert data(stream) == said


def test_type_id_and_retry_are_read() -> None:
    first, second = events(b"event: go\nid: 7\nretry: 1500\ndata: a\n\ndata: b\n\n")
    assert (first.event, first.id, first.retry) == ("go", "7", 1500)
    assert (second.event, second.id, second.retry) == ("", "7", None), "an id holds until another is given"


def test_an_event_is_given_out_at_its_blank_line_and_not_later() -> None:
    decoder = EventDecoder()
    assert decoder.feed(b"data: a\n") == []
    assert [event.data for event in decoder.feed(b"\ndata: b")] == ["a"]


def test_an_event_without_its_blank_line_is_given_at_the_end_and_marked() -> None:
    for stream in (b"data: [DONE]", b"data: [DONE]\n", b"data: [DONE]\r"):
        (event,) = events(stream)
        assert (event.data, event.terminated, event.end) == ("[DONE]", False, len(stream))
    assert events(b"data: a\r\r")[0].terminated
    assert events(b"event: lonely\n") == []


def test_bytes_that_are_no_utf8_survive() -> None:
    (event,) = events(b"data: \xff\xc3\n\n")
    assert event.data.encode("utf-8", "surrogateescape") == b"\xff\xc3"


def test_an_event_over_the_limit_is_an_error_in_its_place_and_costs_no_memory() -> None:
    big = b"data: " + b"x" * 300_000 + b"\n\n"
    stream = b"data: before\n\n" + big + b"data: after\n\n"
    decoder = EventDecoder(max_event=100_000)
    found = []
    for at in range(0, len(stream), 7000):
        found += decoder.feed(stream[at : at + 7000])
        assert len(decoder._buffer) < 100_000 + 65_536
    before, over, after = found
    assert (before.data, after.data, over.data) == ("before", "after", "")
    assert over.error is not None and before.error is after.error is None
    assert stream[over.start : over.end] == big


def test_many_small_lines_count_towards_the_limit() -> None:
    (event,) = events(b"data: xxxxxxxx\n" * 100 + b"\n", max_event=1000)
    assert event.error is not None and event.data == ""
