"""Whole and valid bytes in the wrong place: each hash is right, and the place is not. None of it goes unnoticed."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from archive.test_damage import _keys, commits, get, packs, put, put_pack
from contract.archive_suite import a_part, an_exchange
from strategies import note, opening
from tapes.archive import tables
from tapes.archive.base import Batch
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.verify import Report, verify


def found(path: Path) -> Report:
    with LmdbArchive.open(path) as archive:
        return verify(archive)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Of every table at least two rows with different values."""
    path = tmp_path / "archive"
    with LmdbArchive.open(path, create=True) as archive:
        for name in ("one", "two"):
            session = opening(name=name)
            archive.commit(Batch([session], names={name: session}))
            exchange, batch = an_exchange(session, b'["%s"]' % os.urandom(700).hex().encode())
            archive.commit(batch)
            data = f"half of {name}".encode()
            part = a_part(session, exchange, data)
            archive.commit(Batch([part, note(session, name)], tails={part: data}))
    return path


@pytest.mark.parametrize(
    ("one", "other"),
    [(2, 3), (3, 8), (7, 8), (8, 9), (9, 17), (4, 12), (10, 11), (1, 24)],
    ids=lambda n: str(n),
)
def test_two_packs_that_changed_places_are_found_at_the_first_record_of_them(
    tmp_path: Path, one: int, other: int
) -> None:
    commits(tmp_path / "a", 24)  # one record each, in groups of eight
    with LmdbArchive.open(tmp_path / "a") as archive:
        frames = packs(archive)
        put_pack(archive, one, frames[other])
        put_pack(archive, other, frames[one])
        report = verify(archive)
        places = {get(archive, "byhash", key): key for key in _keys(archive, "byhash")}
    assert report.first_bad is not None and report.first_bad.pos == one
    assert report.first_bad.where == places[tables.u64(one)].hex()


def test_two_groups_of_packs_that_changed_places_whole_are_found(tmp_path: Path) -> None:
    commits(tmp_path / "a", 24)
    with LmdbArchive.open(tmp_path / "a") as archive:
        frames = packs(archive)
        for number in range(1, 9):  # their bases too, so that each group still unpacks
            base = number - 1 if number > 1 else 0
            put_pack(archive, number, _on(frames[number + 8], base))
            put_pack(archive, number + 8, _on(frames[number], base and base + 8))
        report = verify(archive)
    assert report.first_bad is not None and report.first_bad.pos == 1


def _on(frame: bytes, base: int) -> bytes:
    return frame[:5] + tables.u32(base) + frame[9:]


@pytest.mark.parametrize("table", ["log", "byhash", "chain", "head", "obj", "ref", "tail"])
def test_two_rows_whose_values_changed_places_are_found(home: Path, table: str) -> None:
    with LmdbArchive.open(home) as archive:
        pairs = list(itertools.combinations(_keys(archive, table), 2))
        assert pairs and verify(archive).ok
        for one, other in pairs:
            first, second = get(archive, table, one), get(archive, table, other)
            put(archive, table, one, second)
            put(archive, table, other, first)
            archive._packs.__init__()  # type: ignore[misc]
            assert not verify(archive).ok, (table, one, other)
            put(archive, table, one, first)
            put(archive, table, other, second)
        assert verify(archive).ok


def test_records_of_two_sessions_that_changed_places_are_both_named(home: Path) -> None:
    with LmdbArchive.open(home) as archive:
        rows = [get(archive, "log", tables.u64(pos)) for pos in (4, 8)]
        digests = [archive.at(pos)[0] for pos in (4, 8)]
        put(archive, "log", tables.u64(4), rows[1])
        put(archive, "log", tables.u64(8), rows[0])
        report = verify(archive)
    assert report.first_bad is not None
    assert (report.first_bad.pos, report.first_bad.where) == (4, digests[0].hex())
    assert {4, 8} <= {finding.pos for finding in report.findings}
