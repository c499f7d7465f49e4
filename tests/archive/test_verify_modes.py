"""A quick look, a part at a time, and a run that goes on where another stopped: none of them misses what it is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archive.test_damage import change_pack, changed, packs, put, put_pack
from archive.test_rebuild import content, fill
from contract.archive_suite import a_part, an_exchange
from strategies import note, opening
from tapes.archive import tables, verify
from tapes.archive.base import Batch
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.verify import Mark, Report, verify_structure, verify_subset

PARTS = 4
DERIVED = ("log", "byhash", "chain", "head", "body", "obj")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    fill(tmp_path / "archive")
    return tmp_path / "archive"


def in_parts(archive: LmdbArchive, parts: int = PARTS) -> list[Report]:
    return [verify_subset(archive, part, parts) for part in range(1, parts + 1)]


def found(reports: list[Report]) -> set[str]:
    return {finding.where for report in reports for finding in report.findings}


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 500])
def test_all_parts_of_a_sound_archive_are_sound_and_are_all_of_it(home: Path, parts: int) -> None:
    with LmdbArchive.open(home) as archive:
        reports = in_parts(archive, parts)
        assert found(reports) == set()
        assert sum(report.records for report in reports) == archive.last()


def test_the_structure_of_a_sound_archive_agrees(home: Path) -> None:
    with LmdbArchive.open(home) as archive:
        report = verify_structure(archive)
        assert report.findings == [] and report.records == archive.last()


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("table", ["log", "byhash", "chain", "head", "body", "pack", "obj", "tail"])
def test_a_row_that_is_gone_is_found_in_some_part(home: Path, table: str, place: int) -> None:
    with LmdbArchive.open(home) as archive:
        keys = [key for key, _ in content(home)[table]]
        put(archive, table, keys[place * (len(keys) - 1) // 2], None)
        assert found(in_parts(archive))
        if table not in ("body", "obj", "tail", "pack"):
            assert not verify_structure(archive).ok


@pytest.mark.parametrize("table", DERIVED)
def test_a_stray_row_is_found_by_the_full_run_and_in_some_part(home: Path, table: str) -> None:
    key, value = content(home)[table][3 if table != "head" else 1]
    with LmdbArchive.open(home) as archive:
        put(archive, table, changed(key), value)
        assert not verify.verify(archive).ok
        assert found(in_parts(archive))


@pytest.mark.parametrize("table", ["log", "byhash", "chain", "obj"])
def test_a_row_that_leads_elsewhere_is_found_quickly(home: Path, table: str) -> None:
    key, _ = content(home)[table][3]
    wrong = {"log": tables.entry_value(tables.Entry(4000, 0, 9, "record")), "obj": b"x" * 12}
    with LmdbArchive.open(home) as archive:
        put(archive, table, key, wrong.get(table, tables.u64(4000)))
        assert not verify_structure(archive).ok


def test_a_changed_byte_is_in_exactly_the_parts_that_hash_it(home: Path) -> None:
    with LmdbArchive.open(home) as archive:
        pos = next(pos for pos, _, record in archive.log() if record.type == "note" and pos > 20)
        raw, digest = archive.record_raw(archive.at(pos)[0]), archive.at(pos)[0]
        change_pack(archive, pos, raw, raw.replace(archive.at(pos)[1].nonce, bytes(16)))
        assert verify_structure(archive).ok  # says nothing of bytes, and says that it does not
        assert digest.hex() in found(in_parts(archive))


@pytest.mark.parametrize("place", [0, 9, -1])
def test_a_damaged_pack_is_found_in_some_part(home: Path, place: int) -> None:
    with LmdbArchive.open(home) as archive:
        frames = packs(archive)
        number = sorted(frames)[place]
        put_pack(archive, number, frames[number][:20] + bytes(len(frames[number]) - 20))
        assert found(in_parts(archive)) >= {f"pack {number}"}


def test_a_part_of_a_response_is_followed_beyond_the_records_that_are_checked(tmp_path: Path) -> None:
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        session = opening()
        archive.commit(Batch([session]))
        exchange, batch = an_exchange(session, b'["half an answer"]')
        archive.commit(batch)
        part = a_part(session, exchange, b"gone")
        archive.commit(Batch([part], tails={part: b"gone"}))
        archive.commit(Batch([note(session, str(n)) for n in range(30)]))
        assert found(in_parts(archive)) == set()
        archive.commit(Batch([], drop_tails=[part]))
        assert part.hash and part.hash.hex() in found(in_parts(archive))


# -- going on


class Stop(Exception):
    pass


def stopped_at(archive: LmdbArchive, nth: int, start: Any = None) -> tuple[Mark, Report] | None:
    """A run that is broken off when it keeps its place for the n-th time; None: it came to its end."""
    places: list[tuple[Mark, Report]] = []

    def keep(mark: Mark, report: Report) -> None:
        places.append((mark, report))
        if len(places) == nth:
            raise Stop

    try:
        verify.verify(archive, start=start, keep=keep)
    except Stop:
        return places[-1]
    return None


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "SLICE", 1)


@pytest.mark.usefixtures("small_slices")
@pytest.mark.parametrize("every", [1, 5])
def test_a_run_in_many_pieces_finds_what_one_run_finds(home: Path, monkeypatch: pytest.MonkeyPatch, every: int) -> None:
    monkeypatch.setattr(verify, "EVERY", every)
    with LmdbArchive.open(home) as archive:
        part = next(digest for _, digest, record in archive.log() if record.type == "exchange.part")
        archive.commit(Batch([], drop_tails=[part]))
        for pos in (8, 40):
            raw = archive.record_raw(archive.at(pos)[0])
            change_pack(archive, pos, raw, changed(raw))
        once = verify.verify(archive)
        assert not once.ok
        state, pieces = None, 0
        while (reached := stopped_at(archive, 3, state)) is not None:
            assert reached[0] != (state or (None,))[0], "no progress"
            state, pieces = reached, pieces + 1
        assert pieces > 5
        last = verify.verify(archive, start=state)
    assert {(f.where, f.what) for f in last.findings} == {(f.where, f.what) for f in once.findings}
    assert (last.records, last.objects) == (once.records, once.objects)


@pytest.mark.usefixtures("small_slices")
def test_what_was_written_since_is_looked_at_too(home: Path) -> None:
    with LmdbArchive.open(home) as archive:
        state = stopped_at(archive, 6)
        assert state and state[0].packs
        session = archive.sessions()[0]
        archive.commit(Batch([note(session, "since")]))
        pos = archive.last()
        raw = archive.record_raw(archive.at(pos)[0])
        digest = archive.at(pos)[0]
        change_pack(archive, pos, raw, changed(raw))
        assert digest.hex() in found([verify.verify(archive, start=state)])
