from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies import values
from tapes.errors import Damaged
from tapes.record import canon


@settings(max_examples=200, deadline=None)
@given(values)
def test_a_value_survives_and_is_written_as_a_known_encoder_writes_it(value: Any) -> None:
    data = canon.encode(value)
    assert canon.decode(data) == value
    assert data == cbor2.dumps(value, canonical=True)


@settings(max_examples=200, deadline=None)
@given(values, st.data())
def test_a_changed_byte_never_reads_as_the_same_value(value: Any, data: st.DataObject) -> None:
    written = bytearray(canon.encode(value))
    at = data.draw(st.integers(0, len(written) - 1))
    written[at] ^= data.draw(st.integers(1, 255))
    try:
        other = canon.decode(bytes(written))
    except Damaged:
        return
    assert canon.encode(other) == written != canon.encode(value)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_canonically_or_refused(data: bytes) -> None:
    try:
        value = canon.decode(data)
    except Damaged:
        return
    assert canon.encode(value) == data


@pytest.mark.parametrize(
    "data",
    [
        pytest.param("00 00", id="trailing bytes"),
        pytest.param("18 01", id="a number written longer than needed"),
        pytest.param("a2 61 61 00 61 61 01", id="a key twice"),
        pytest.param("a2 61 62 00 61 61 01", id="keys out of order"),
        pytest.param("9f ff", id="indefinite length"),
        pytest.param("f9 3c 00", id="a float"),
        pytest.param("c0 60", id="a tag"),
        pytest.param("a1 00 00", id="a key that is not text"),
        pytest.param("f7", id="undefined"),
        pytest.param("61 ff", id="text that is not UTF-8"),
        pytest.param("c2 49 01 00 00 00 00 00 00 00 00", id="a big integer"),
        pytest.param("3b ff ff ff ff ff ff ff ff", id="an integer below 64 bits"),
        pytest.param("81" * 100_000 + "00", id="nested without end"),
        pytest.param("9b 00 00 00 ff ff ff ff ff", id="a list longer than memory"),
        pytest.param("", id="nothing"),
    ],
)
def test_what_is_not_the_one_way_of_writing_is_damage(data: str) -> None:
    with pytest.raises(Damaged):
        canon.decode(bytes.fromhex(data))


@pytest.mark.parametrize("value", [1.5, {1: 2}, {b"a": 1}, object(), {"a": {1, 2}}, bytearray(b"x"), [float("nan")]])
def test_other_types_have_no_place_in_a_record(value: object) -> None:
    with pytest.raises(TypeError):
        canon.encode(value)


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, "\ud800", {"\ud800": 1}])
def test_values_out_of_range_are_refused(value: object) -> None:
    with pytest.raises(ValueError):
        canon.encode(value)


def test_depth_is_bounded_the_same_way_when_writing_and_reading() -> None:
    def nested(depth: int) -> list[Any]:
        value: list[Any] = []
        for _ in range(depth - 1):
            value = [value]
        return value

    deepest = nested(canon.MAX_DEPTH)
    assert canon.decode(canon.encode(deepest)) == deepest
    with pytest.raises(ValueError, match="nested deeper"):
        canon.encode(nested(canon.MAX_DEPTH + 1))


def test_a_tuple_is_written_as_a_list() -> None:
    assert canon.encode((1, (2,))) == canon.encode([1, [2]])
