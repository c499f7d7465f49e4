from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tapes.errors import Damaged, UsageError
from tapes.record import canon, listing
from tapes.record.digest import blob_digest
from tapes.record.listing import Entry

names = st.binary(min_size=1, max_size=6).filter(lambda n: b"/" not in n and b"\0" not in n and n not in (b".", b".."))
paths = st.lists(names, min_size=1, max_size=3).map(b"/".join)
counts = st.integers(0, 2**40)


@st.composite
def entries(draw: st.DrawFn) -> list[Entry]:
    found = []
    for path in sorted(draw(st.sets(paths, max_size=6))):
        kind = draw(st.sampled_from(listing.KINDS))
        content = draw(st.none() | st.binary(max_size=9)) if kind in ("file", "link") else None
        facts = draw(st.sampled_from([{}, {"why": "large"}, {"redacted": 2}, {"from": b"a/\xff"}, {"newer": [1, "x"]}]))
        found.append(
            Entry(
                path,
                kind,
                draw(st.integers(0, 0o7777)),
                draw(counts),
                draw(st.integers(-(2**62), 2**62)),
                None if content is None else blob_digest(content),
                None if content is None else len(content),
                facts,
            )
        )
    return found


@settings(max_examples=100, deadline=None)
@given(entries())
def test_a_listing_survives_and_is_its_rows_put_together(rows: list[Entry]) -> None:
    data = listing.write(rows)
    assert list(listing.read(data)) == rows
    assert data == b"".join(canon.encode([getattr(row, name) for name in Entry.__slots__]) for row in rows)


@settings(max_examples=150, deadline=None)
@given(entries().filter(bool), st.data())
def test_a_changed_byte_is_damage_or_another_listing(rows: list[Entry], data: st.DataObject) -> None:
    written = bytearray(listing.write(rows))
    at = data.draw(st.integers(0, len(written) - 1))
    written[at] ^= data.draw(st.integers(1, 255))
    try:
        other = list(listing.read(bytes(written)))
    except Damaged:
        return
    assert listing.write(other) == written


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_listing_or_damaged(data: bytes) -> None:
    try:
        rows = list(listing.read(data))
    except Damaged:
        return
    assert listing.write(rows) == data


def test_the_bytes_of_a_listing_are_the_documented_ones() -> None:
    rows = [
        Entry(b"a", "file", 0o644, 2, 5, blob_digest(b"hi"), 2),
        Entry(b"d", "dir", 0o755, 0, 24, None, None, {"why": "ignored"}),
        Entry(b"gone", "gone", 0, 0, 0, None, None),
    ]
    assert listing.write(rows).hex() == (
        "884161" "6466696c65" "1901a4" "02" "05" "5820" + blob_digest(b"hi").hex() + "02" "a0"
        "884164" "63646972" "1901ed" "00" "1818" "f6f6" "a1" "63776879" "6769676e6f726564"
        "8844676f6e65" "64676f6e65" "000000f6f6a0"
    )  # fmt: skip


def row(**fields: object) -> list[object]:
    values = {"path": b"a", "kind": "file", "mode": 0, "size": 0, "mtime": 0, "hash": None, "length": None, "facts": {}}
    return list((values | fields).values())


BAD = [
    pytest.param(row(path=b""), id="an empty path"),
    pytest.param(row(path=b"/etc/passwd"), id="an absolute path"),
    pytest.param(row(path=b"a/../../b"), id="a path that leads out"),
    pytest.param(row(path=b"a//b"), id="an empty name"),
    pytest.param(row(path=b"a\0"), id="a NUL"),
    pytest.param(row(path="a"), id="a path of text"),
    pytest.param(row(kind="tree"), id="a kind nobody knows"),
    pytest.param(row(kind=b"file"), id="a kind of bytes"),
    pytest.param(row(mode=0o10000), id="a mode with a file type"),
    pytest.param(row(mode=True), id="a mode that is a truth"),
    pytest.param(row(size=-1), id="a size below zero"),
    pytest.param(row(mtime=None), id="no time"),
    pytest.param(row(hash=bytes(32)), id="a hash without a length"),
    pytest.param(row(length=1), id="a length without a hash"),
    pytest.param(row(hash=bytes(31), length=1), id="a short hash"),
    pytest.param(row(kind="dir", hash=bytes(32), length=1), id="a directory with content"),
    pytest.param(row(facts=None), id="no facts"),
    pytest.param(row()[:7], id="seven fields"),
]


@pytest.mark.parametrize("bad", BAD)
def test_a_row_that_is_none_is_damage(bad: list[object]) -> None:
    with pytest.raises(Damaged):
        list(listing.read(canon.encode(bad)))


def test_rows_out_of_order_or_twice_are_neither_written_nor_read() -> None:
    a, b = (Entry(path, "file", 0, 0, 0, None, None) for path in (b"a", b"b"))
    for rows in ([b, a], [a, a]):
        with pytest.raises(UsageError):
            listing.write(rows)
        with pytest.raises(Damaged):
            list(listing.read(b"".join(listing.write([row]) for row in rows)))


def test_what_has_no_place_in_a_row_is_not_written() -> None:
    good = Entry(b"a", "file", 0, 0, 0, None, None)
    for bad in (replace(good, path=b"../a"), replace(good, length=3), replace(good, facts={"x": 1.5})):
        with pytest.raises(UsageError):
            listing.write([bad])


def test_what_stands_before_the_damage_is_read() -> None:
    good = Entry(b"a", "file", 0, 0, 0, None, None)
    found = listing.read(listing.write([good]) + b"\xff")
    assert next(found) == good
    with pytest.raises(Damaged):
        next(found)
