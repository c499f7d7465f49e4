from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapes.archive import pack, squeeze, tables
from tapes.archive.base import Object
from tapes.archive.dictionary import DICTIONARY
from tapes.errors import Damaged
from tapes.record.digest import Digest, blob_digest

u32 = st.integers(0, 2**32 - 1)
objects = st.lists(st.tuples(st.sampled_from(["blob", "node"]), st.binary(max_size=300)), max_size=12).map(
    lambda items: {blob_digest(b"%d" % n): item for n, item in enumerate(items)}
)


@settings(max_examples=100, deadline=None)
@given(objects)
def test_a_frame_gives_back_its_objects(items: dict[Digest, Object]) -> None:
    found: dict[Digest, Object] = {}
    for frame, rows in pack.frames(items):
        payload = pack.payload(frame)
        assert pack.table(frame) == [place for _, place in rows]
        for digest, place in rows:
            found[digest] = (place.kind, payload[place.offset : place.offset + place.length])
    assert found == items


def test_a_large_commit_becomes_several_packs_of_bounded_size() -> None:
    items: dict[Digest, Object] = {blob_digest(b"%d" % n): ("blob", bytes(60_000)) for n in range(60)}
    frames = list(pack.frames(items))
    assert len(frames) == 4
    assert all(len(pack.payload(frame)) <= pack.PAYLOAD for frame, _ in frames)


@settings(max_examples=150, deadline=None)
@given(objects.filter(bool), st.data())
def test_a_damaged_frame_is_damage_or_other_bytes_and_never_another_error(
    items: dict[Digest, Object], data: st.DataObject
) -> None:
    frame = bytearray(next(pack.frames(items))[0])
    at = data.draw(st.integers(0, len(frame) - 1))
    frame[at] ^= data.draw(st.integers(1, 255))
    for read in (pack.table, pack.payload):
        try:
            read(bytes(frame))
        except Damaged:
            continue


@pytest.mark.parametrize(
    "frame", [b"", b"TPK1", b"TPK2" + bytes(20), b"TPK1\x01\xff\xff\xff\xff", b"TPK1\x01" + bytes(4)]
)
def test_what_is_no_frame_is_damage(frame: bytes) -> None:
    with pytest.raises(Damaged):
        pack.payload(frame)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=2000))
def test_what_was_squeezed_comes_back(data: bytes) -> None:
    assert squeeze.decompress(squeeze.compress(data), len(data)) == data


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    squeezed = squeeze.compress(bytes(10_000_000))
    assert len(squeezed) < 2000
    with pytest.raises(Damaged, match="size"):
        squeeze.decompress(squeezed, 9_999_999)


def test_the_dictionary_of_the_format_has_not_changed() -> None:
    # A change makes every archive written so far unreadable. Never adapt this line: add a dictionary.
    assert blob_digest(DICTIONARY).hex() == "f4662dd13d03f3dde42866d172294cbceeeef5327f137ff4a8144a4d37cc0b59"


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**31 - 1), st.sampled_from(["blob", "node"])
)
def test_an_entry_of_the_index_survives(number: int, offset: int, length: int, kind: tables.Kind) -> None:
    entry = tables.Entry(number, offset, length, kind)
    assert tables.read_entry(tables.entry_value(entry)) == entry


def test_a_frame_is_laid_out_in_rows_that_sort_in_order() -> None:
    frame = bytes(range(256)) * 20
    rows = list(tables.frame_values(7, frame)) + list(tables.frame_values(8, b"x" * 70_000))
    assert rows == sorted(rows)
    assert b"".join(value for key, value in rows if key[:8] == tables.u64(7)) == frame
    assert len(rows[-1][1]) == 70_000
