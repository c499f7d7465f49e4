"""A range of a body: the same slice of it, out of those pieces alone that hold any of it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies import opening
from tapes.archive.base import Batch, Draft
from tapes.archive.cut import Cut, cut_once
from tapes.archive.memory_archive import MemoryArchive
from tapes.errors import Damaged
from tapes.record.digest import Digest

TEXT = b",".join(b'"' + random.Random(n).randbytes(200).hex().encode() + b'"' for n in range(1500))


def stored(data: bytes) -> tuple[MemoryArchive, Cut]:
    archive, cut = MemoryArchive(), cut_once(data)
    first = opening()
    archive.commit(Batch([first, Draft("note", {"data": cut.ref.to_value()}, first)], dict(cut.objects)))
    return archive, cut


ARCHIVE, CUT = stored(TEXT)


class Counting(MemoryArchive):
    """Notes what was looked up."""

    def __init__(self, other: MemoryArchive) -> None:
        self.__dict__.update(other.__dict__)
        self.seen: list[Digest] = []

    def _stored(self, digests):  # type: ignore[no-untyped-def]
        self.seen += digests
        return super()._stored(digests)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, len(TEXT) + 5), st.integers(0, 40_000))
def test_any_range_is_the_same_slice(offset: int, length: int) -> None:
    assert ARCHIVE.body_range(CUT.ref, offset, length) == TEXT[offset : offset + length]


@settings(max_examples=20, deadline=None)
@given(st.binary(max_size=9000), st.integers(0, 9000), st.integers(0, 9000))
def test_any_range_of_any_body(data: bytes, offset: int, length: int) -> None:
    archive, cut = stored(data)
    assert archive.body_range(cut.ref, offset, length) == data[offset : offset + length]


def test_a_few_bytes_take_a_few_pieces() -> None:
    counting = Counting(ARCHIVE)
    assert counting.body_range(CUT.ref, len(TEXT) // 2, 10) == TEXT[len(TEXT) // 2 :][:10]
    assert len(CUT.objects) > 40 and len(counting.seen) < 16


def test_damage_counts_where_it_is_read_and_nowhere_else() -> None:
    archive, cut = stored(TEXT)
    blobs = [digest for digest, (kind, data) in cut.objects.items() if kind == "blob"]
    hit = max(blobs, key=lambda digest: TEXT.index(cut.objects[digest][1]))
    data = cut.objects[hit][1]
    start = TEXT.index(data)
    archive._objects[hit] = ("blob", b"?" + data[1:])
    assert archive.body_range(cut.ref, 0, start) == TEXT[:start]
    with pytest.raises(Damaged):
        archive.body_range(cut.ref, start + len(data) - 1, 1)
