"""JSON from strangers: odd things are read and named, bad ones are errors, nothing is raised."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapes.wire.dialects.json_body import MAX_DEPTH, joined, load, mend

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(value=_json)
def test_ordinary_json_is_read_as_it_is(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
        loaded = load(text.encode())
        assert (loaded.value, loaded.error, loaded.problems) == (value, None, ())


@pytest.mark.parametrize(
    ("body", "value", "problem"),
    [
        (b'\xef\xbb\xbf{"a":1}', {"a": 1}, "begins with a byte order mark"),
        (b'{"a":1,"a":2}', {"a": 2}, "holds duplicate keys"),
        (b"[NaN,-Infinity]", ["NaN", "-Infinity"], "holds NaN, which JSON has not"),
        (b"[1e999]", ["1e999"], "holds a number beyond all bounds"),
        (b'{"a":"\\ud83d x"}', {"a": "\ufffd x"}, "holds text that is no Unicode"),
        (b'{"\\udc00":["\xff"]}', {"\ufffd": ["\ufffd"]}, "holds text that is no Unicode"),
    ],
)
def test_what_is_odd_is_read_and_named(body: bytes, value: object, problem: str) -> None:
    loaded = load(body)
    assert (loaded.value, loaded.error) == (value, None)
    assert problem in loaded.problems


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"nul", b"[1,]", b"[" * 1_000_000, b'{"a":' * 100_000, b"9" * 5000, b"[[],[],[]," * 2_000_000, b"1 2"],
    ids=lambda body: repr(body[:10]),
)  # fmt: skip
def test_what_can_not_be_read_is_an_error_and_no_value(body: bytes) -> None:
    loaded = load(body)
    assert loaded.error and loaded.value is None


def test_nesting_is_bounded_well_before_python_is() -> None:
    assert load(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH).error is None
    assert load(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1)).error == "nested too deeply to read"


def test_a_surrogate_pair_in_two_pieces_becomes_whole_by_joining() -> None:
    halves = [load('"\\ud83d"', mended=False).value, load('"\\udcfc"', mended=False).value]
    assert mend(joined([str(half) for half in halves])) == "📼"
    assert mend(joined(["a\ud83d", "b"])) == "a\ufffdb"


@settings(max_examples=100, deadline=None)
@given(text=st.text(alphabet=st.characters(), max_size=30), low=st.text(alphabet="\ud83d\udcfc\udcffx", max_size=8))
def test_mended_text_always_encodes_and_good_text_stays(text: str, low: str) -> None:
    mend(text + low).encode()
    clean = text.encode("utf-8", "replace").decode()
    assert mend(clean) == clean
