from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapes.archive import pack, squeeze, tables
from tapes.archive.dictionary import DICTIONARY
from tapes.errors import Damaged
from tapes.record.digest import blob_digest

u32 = st.integers(0, 2**32 - 1)
kinds = st.sampled_from(["blob", "node", "record"])
items = st.lists(st.tuples(kinds, st.binary(max_size=300)), max_size=12).map(
    lambda found: [pack.Item(blob_digest(b"%d" % n), kind, data) for n, (kind, data) in enumerate(found)]  # type: ignore[arg-type]
)


def a_blob(data: bytes) -> pack.Item:
    return pack.Item(blob_digest(data), "blob", data)


def grouped(count: int, group: pack.Group, first: int = 1) -> list[tuple[int, bytes]]:
    """Frames of a commit each."""
    made = []
    for n in range(first, first + count):
        made += [(frame.number, frame.data) for frame in pack.frames(n, [a_blob(b"commit %d" % n)], [], group)]
    return made


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(items, items), max_size=12))
def test_frames_give_back_what_was_put_in(commits: list[tuple[list[pack.Item], list[pack.Item]]]) -> None:
    group, number = pack.Group(), 1
    written: dict[int, bytes] = {}
    for objects, records in commits:
        found: list[tuple[str, bytes]] = []
        for frame in pack.frames(number, objects, records, group):
            number = frame.number + 1
            written[frame.number] = frame.data
            chain = [frame.number]
            while before := pack.base(written[chain[0]]):
                chain.insert(0, before)
            *_, (_, data) = pack.unpack([(n, written[n]) for n in chain])
            assert pack.table(data) == list(frame.places)
            assert [item.digest for item in frame.items] == [i.digest for i in [*objects, *records]]
            found += [(place.kind, data[place.offset : place.offset + place.length]) for place in frame.places]
        assert found == [(item.kind, item.data) for item in [*objects, *records]]


def test_a_group_is_bounded_in_frames_and_in_bytes() -> None:
    frames = grouped(20, pack.Group())
    assert [pack.base(frame) for _, frame in frames] == [n if n % pack.GROUP else 0 for n in range(20)]
    group = pack.Group()
    large = [frame for n in range(1, 9) for frame in pack.frames(n, [a_blob(bytes((n,)) * 60_000)], [], group)]
    assert [pack.base(frame.data) for frame in large] == [0, 1, 2, 3, 0, 5, 6, 7]


def test_a_large_commit_becomes_several_packs_of_bounded_size_and_its_records_stay_apart() -> None:
    objects = [a_blob(b"%d" % n + bytes(60_000)) for n in range(60)]
    record = pack.Item(blob_digest(b"r"), "record", b"a record")
    group = pack.Group()
    frames = list(pack.frames(1, objects, [record], group))
    assert len(frames) == 5 and all(pack.base(frame.data) == 0 for frame in frames)
    sizes = [len(next(iter(pack.unpack([(frame.number, frame.data)])))[1]) for frame in frames]
    assert max(sizes) <= pack.PAYLOAD + 1000 and sizes[-1] < 100
    assert [item.kind for item in frames[-1].items] == ["record"]
    assert pack.base(next(pack.frames(6, [], [record], group)).data) == 5


@settings(max_examples=200, deadline=None)
@given(items.filter(bool), st.data())
def test_a_damaged_frame_is_damage_or_other_bytes_and_never_another_error(
    found: list[pack.Item], data: st.DataObject
) -> None:
    group = pack.Group()
    frames = [(n, bytearray(next(pack.frames(n, found, [], group)).data)) for n in (1, 2, 3)]
    bad = frames[data.draw(st.integers(0, 2))][1]
    bad[data.draw(st.integers(0, len(bad) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        for _, payload in pack.unpack([(n, bytes(frame)) for n, frame in frames]):
            pack.table(payload)
    except Damaged:
        return


def test_packs_before_a_damaged_one_are_still_unpacked() -> None:
    frames = grouped(8, pack.Group())
    for bad in range(1, 8):
        number, frame = frames[bad]
        damaged = [*frames[:bad], (number, frame[:13] + b"\xff" * 20), *frames[bad + 1 :]]
        read = pack.unpack(damaged)
        for n in range(bad):
            assert next(read)[1].endswith(b"commit %d" % (n + 1))
        with pytest.raises(Damaged):
            next(read)


@pytest.mark.parametrize("frame", [b"", b"TPK1", b"TPK2" + bytes(20), b"TPK1\xff" + bytes(8), b"TPK1\x01" + bytes(8)])
def test_what_is_no_frame_is_damage(frame: bytes) -> None:
    with pytest.raises(Damaged):
        for _, payload in pack.unpack([(1, frame)]):
            pack.table(payload)


@pytest.mark.parametrize("numbers", [[2], [1, 3], [2, 1], [1, 1], [1, 2, 2]])
def test_a_frame_that_does_not_stand_on_its_base_is_damage(numbers: list[int]) -> None:
    frames = dict(grouped(3, pack.Group()))
    with pytest.raises(Damaged, match="builds on"):
        list(pack.unpack([(n, frames[n]) for n in numbers]))


def test_a_bomb_in_a_pack_is_not_unpacked_beyond_what_it_says() -> None:
    frame = bytearray(next(pack.frames(1, [a_blob(bytes(50_000))], [], pack.Group())).data)
    assert len(frame) < 300
    frame[9:13] = (100).to_bytes(4)
    ((_, payload),) = pack.unpack([(1, bytes(frame))])
    assert len(payload) == 100
    with pytest.raises(Damaged):
        pack.table(payload)
    frame[9:13] = ((1 << 31) - 1).to_bytes(4)
    with pytest.raises(Damaged, match="head"):
        list(pack.unpack([(1, bytes(frame))]))


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
@given(st.integers(1, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**30 - 1), kinds)
def test_an_entry_of_the_index_survives(number: int, offset: int, length: int, kind: tables.Stored) -> None:
    entry = tables.Entry(number, offset, length, kind)
    assert tables.read_entry(tables.entry_value(entry)) == entry


def test_a_frame_is_laid_out_in_rows_that_sort_in_order() -> None:
    frame = bytes(range(256)) * 20
    rows = list(tables.frame_values(7, frame)) + list(tables.frame_values(8, b"x" * 70_000))
    assert rows == sorted(rows)
    assert b"".join(value for key, value in rows if key[:8] == tables.u64(7)) == frame
    assert len(rows[-1][1]) == 70_000
