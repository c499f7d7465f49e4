from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from record.test_kinds import a_record
from tapes.errors import Damaged
from tapes.record import canon
from tapes.record.chain import check_link
from tapes.record.digest import Digest, record_digest
from tapes.record.kinds import TYPES, record_bytes
from tapes.record.tomb import (
    Tombstone,
    is_tombstone,
    logged_digest,
    read_logged,
    read_tombstone,
    tombs_digest,
)

A, B = Digest(b"a" * 32), Digest(b"b" * 32)


@pytest.mark.parametrize("type_", TYPES)
def test_a_tombstone_keeps_the_place_of_its_record_and_survives_writing_and_reading(type_: str) -> None:
    record = a_record(type_)
    tomb = Tombstone.over(A, record, B)
    assert read_tombstone(tomb.to_bytes()) == tomb
    digest, stand_in = read_logged(tomb.to_bytes())
    assert (digest, stand_in.type, dict(stand_in.body)) == (A, "withheld", {"type": type_, "by": B})
    places = [(r.session, r.seq, r.prev, r.parents, r.wall_ns) for r in (record, stand_in)]
    assert places[0] == places[1] and Tombstone.of(digest, stand_in) == tomb


@pytest.mark.parametrize("type_", TYPES)
def test_a_record_is_never_taken_for_a_tombstone(type_: str) -> None:
    data = record_bytes(a_record(type_))
    assert not is_tombstone(data) and read_logged(data) == (record_digest(data), a_record(type_))
    assert is_tombstone(Tombstone.over(A, a_record(type_), B).to_bytes())


def test_a_stand_in_is_never_written() -> None:
    with pytest.raises(ValueError, match="type"):
        record_bytes(Tombstone.over(A, a_record(), B).stand_in())


def test_the_chain_is_checked_through_tombstones() -> None:
    opened = a_record("session.open")
    first = Tombstone.over(A, opened, B).stand_in()
    after = a_record("note", session=A, seq=1, prev=A)
    check_link(None, first)
    check_link((A, first), after)
    check_link((A, opened), Tombstone.over(B, after, B).stand_in())
    with pytest.raises(Damaged, match="follows"):
        check_link((A, first), replace(after, seq=2))
    with pytest.raises(Damaged, match="begins with note"):
        check_link(None, Tombstone.over(B, after, B).stand_in())


@pytest.mark.parametrize(
    "wrong",
    [
        {0: b"short"},
        {1: "unheard.of"},
        {1: "session.open"},
        {2: None},
        {3: 0},
        {3: -1},
        {3: True},
        {4: None},
        {5: [b"x"]},
        {5: 7},
        {6: "now"},
        {7: None},
    ],
)
def test_what_is_no_tombstone_is_refused(wrong: dict[int, Any]) -> None:
    row: Any = canon.decode(Tombstone.over(A, a_record(), B).to_bytes())
    for index, value in wrong.items():
        row[index] = value
    with pytest.raises(Damaged):
        read_tombstone(canon.encode(row))
    for other in (row[:-1], [*row, 1], []):
        with pytest.raises(Damaged):
            read_tombstone(canon.encode(other))


@given(st.binary(max_size=60))
def test_any_bytes_of_the_log_have_some_hash(data: bytes) -> None:
    assert isinstance(logged_digest(data), Digest)


def test_the_digest_over_tombstones_is_of_all_but_who_asked() -> None:
    tomb = Tombstone.over(A, a_record(), B)
    assert tombs_digest([tomb]) == tombs_digest([replace(tomb, by=A)])
    others = [replace(tomb, seq=9), replace(tomb, hash=B), replace(tomb, parents=()), replace(tomb, type="gap")]
    assert len({tombs_digest([other]) for other in (tomb, *others)}) == 5
    assert tombs_digest([tomb, others[0]]) != tombs_digest([others[0], tomb])


def test_the_worked_example_of_the_format_book() -> None:
    opened = Digest.parse("592f9685fcec7ab728ab32c01084459e63015098ee128a2527173484c1267303")
    tomb = Tombstone(opened, "session.open", None, 0, None, (), 1_767_225_600_000_000_000, Digest(b"\x11" * 32))
    written = "885820" + opened.hex() + "6c73657373696f6e2e6f70656e" + "f600f680"
    written += "1b18867251edfa0000" + "5820" + "11" * 32
    assert tomb.to_bytes().hex() == written and len(tomb.to_bytes()) == 95
    assert tombs_digest([tomb]).hex() == "3fef20b71cf834ca6097353e1de11203f5217ac01d4362a2f538c4840ea7ffe5"
