"""How the simulators read: streams in any pieces, and from a history the place in the script."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapes_addons.simulators.apis.cue import ModelSaid, ResultCame, Step, UserSaid, place
from tapes_addons.simulators.clients.framing import array_elements, event_data, lines

VALUES = st.lists(st.dictionaries(st.text(max_size=4), st.text(max_size=12), max_size=3), max_size=6)
CUTS = st.lists(st.integers(0, 400), max_size=20)
TAGGED = ModelSaid(("call_other_T004N0_x",))


def cut(text: str, at: list[int]) -> list[str]:
    places = sorted({min(place, len(text)) for place in at} | {0, len(text)})
    return [text[a:b] for a, b in pairwise(places)]


@given(VALUES, CUTS, st.sampled_from(["\n", "\r\n"]))
@settings(max_examples=60)
def test_events_are_the_same_however_they_are_cut(values: list[Any], at: list[int], end: str) -> None:
    text = "".join(f"event: x{end}data: {json.dumps(v, ensure_ascii=False)}{end}{end}" for v in values)
    assert [json.loads(data) for data in event_data(cut(text, at))] == values


@given(VALUES, CUTS)
@settings(max_examples=60)
def test_lines_are_the_same_however_they_are_cut(values: list[Any], at: list[int]) -> None:
    text = "".join(json.dumps(v, ensure_ascii=False) + "\n" for v in values)
    assert [json.loads(data) for data in lines(cut(text, at))] == values


@given(VALUES, CUTS, st.sampled_from([None, 2]))
@settings(max_examples=60)
def test_elements_are_the_same_however_the_array_is_cut(values: list[Any], at: list[int], indent: int | None) -> None:
    text = "[" + ",\r\n".join(json.dumps(v, indent=indent, ensure_ascii=False) for v in values) + "]\n"
    assert [json.loads(data) for data in array_elements(cut(text, at))] == values


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], ("main", 0)),
        ([UserSaid("Go.")], ("main", 0)),
        ([UserSaid("Go."), ModelSaid(), ResultCame(), ResultCame(), ModelSaid(), UserSaid("")], ("main", 2)),
        ([ModelSaid(), ModelSaid(), ModelSaid()], ("main", 1)),
        ([UserSaid("[script:sub] Look."), ModelSaid()], ("sub", 1)),
        ([ModelSaid(), UserSaid("[script:sub]")], ("sub", 0)),
        ([TAGGED], ("other", 5)),
        ([ModelSaid(), TAGGED, ModelSaid()], ("other", 5)),
        ([TAGGED, TAGGED, ResultCame(), ModelSaid(("made-by-others",))], ("other", 6)),
    ],
    ids=str,
)
def test_the_place_in_a_script_is_read_from_the_history(steps: list[Step], expected: tuple[str, int]) -> None:
    assert place(steps, "main") == expected
