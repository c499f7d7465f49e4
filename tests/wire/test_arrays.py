"""A JSON array in pieces: the same elements however it is sliced, and all that had arrived when it is cut."""

from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tapes.wire.arrays import ArrayDecoder
from tapes.wire.events import Event

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(['"', "\\", "]},", '{"a":[']),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
_indents = st.sampled_from([None, 0, 2])


def decode(body: bytes, cuts: list[int], *, max_element: int = 1 << 20) -> tuple[list[Event], bool]:
    decoder = ArrayDecoder(max_element=max_element)
    events: list[Event] = []
    for start, end in pairwise([0, *sorted(cuts), len(body)]):
        events += decoder.feed(body[start:end])
    return events + decoder.finish(), decoder.closed


@settings(max_examples=200, deadline=None)
@given(values=st.lists(_json, max_size=4), indent=_indents, data=st.data())
def test_an_array_gives_its_elements_however_it_is_sliced(
    values: list[object], indent: int | None, data: st.DataObject
) -> None:
    body = (" \n" + json.dumps(values, indent=indent, ensure_ascii=data.draw(st.booleans())) + "\r\n").encode()
    cuts = data.draw(st.lists(st.integers(0, len(body)), max_size=6))
    events, closed = decode(body, cuts)
    assert closed
    assert [json.loads(event.data) for event in events] == values
    assert all(body[e.start : e.end].decode().strip() == e.data and e.terminated for e in events)
    assert decode(body, list(range(len(body)))) == (events, closed)


@settings(max_examples=100, deadline=None)
@given(values=st.lists(_json, min_size=1, max_size=4), data=st.data())
def test_of_a_cut_array_the_elements_that_had_arrived_are_kept(values: list[object], data: st.DataObject) -> None:
    body = json.dumps(values).encode()
    cut = data.draw(st.integers(0, len(body) - 1))
    events, closed = decode(body[:cut], [])
    assert not closed
    whole = [json.loads(event.data) for event in events if event.terminated]
    assert whole == values[: len(whole)]
    assert [event.terminated for event in events] == [True] * len(whole) + [False] * (len(events) - len(whole))
    assert len(values) - len(whole) <= 1 or cut < len(body) - 1


def test_what_comes_after_the_array_is_told() -> None:
    events, closed = decode(b"[1]\n] tail", [])
    assert closed
    assert [(event.data, event.terminated) for event in events] == [("1", True), ("] tail", False)]


def test_of_an_element_beyond_the_limit_only_its_place_is_kept() -> None:
    body = b'[1,"' + b"x\\\\" * 100 + b'",3]'
    for cuts in ([], list(range(len(body)))):
        events, closed = decode(body, cuts, max_element=64)
        assert closed
        assert [event.data for event in events] == ["1", "", "3"]
        assert events[1].error == "an element of more than 64 bytes"
        assert body[events[1].start : events[1].end] == body[3:-3]


def test_brackets_without_end_cost_no_more_than_their_length() -> None:
    for body in (b"[" * 200_000, b"[" + b"{" * 200_000, b'["' + b"\\" * 200_000, b"[" + b"," * 200_000):
        events, closed = decode(body, [])
        assert not closed and len(events) <= 1
