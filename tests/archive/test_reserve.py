"""The room for last words: given up for an urgent commit alone, taken back, and never in anybody's way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from contract.archive_suite import an_exchange, is_sound, open_session
from small_disk import on_a_small_disk
from strategies import note
from tapes.archive import reserve
from tapes.archive.base import Batch
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.lmdb_file import environment
from tapes.archive.reserve import Reserve
from tapes.errors import ArchiveError, ArchiveFull


def test_an_archive_that_is_made_has_a_reserve_that_takes_up_room(tmp_path: Path) -> None:
    LmdbArchive.open(tmp_path / "a", create=True).close()
    found = (tmp_path / "a" / "reserve").stat()
    assert found.st_size == reserve.SIZE and found.st_blocks * 512 >= reserve.SIZE
    assert found.st_mode & 0o777 == 0o600


def test_a_reserve_that_a_crash_left_short_is_made_whole_by_the_next_writer_and_by_no_reader(tmp_path: Path) -> None:
    LmdbArchive.open(tmp_path / "a", create=True).close()
    os.truncate(tmp_path / "a" / "reserve", 5000)
    LmdbArchive.open(tmp_path / "a", readonly=True).close()
    assert (tmp_path / "a" / "reserve").stat().st_size == 5000
    LmdbArchive.open(tmp_path / "a").close()
    assert (tmp_path / "a" / "reserve").stat().st_size >= reserve.SIZE


def test_a_commit_makes_it_whole_once_there_is_room(tmp_path: Path) -> None:
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        archive._reserve.give_up()
        assert (tmp_path / "a" / "reserve").stat().st_blocks == 0
        open_session(archive)
        assert (tmp_path / "a" / "reserve").stat().st_size == reserve.SIZE


def test_no_reserve_is_made_where_it_would_be_what_fills_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reserve, "SPARE", 1 << 62)
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        archive.commit(Batch([note(open_session(archive))], urgent=True))
    assert not (tmp_path / "a" / "reserve").exists()


def test_a_reserve_that_can_not_be_made_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "reserve").mkdir()
    held = Reserve(tmp_path)
    held.take_back()
    held.give_up()
    assert not held.whole


def test_a_reserve_that_is_a_link_is_refused(tmp_path: Path) -> None:
    LmdbArchive.open(tmp_path / "a", create=True).close()
    (tmp_path / "a" / "reserve").unlink()
    (tmp_path / "target").write_bytes(b"of somebody else")
    (tmp_path / "a" / "reserve").symlink_to(tmp_path / "target")
    with pytest.raises(ArchiveError, match="symbolic link"):
        LmdbArchive.open(tmp_path / "a")
    assert (tmp_path / "target").read_bytes() == b"of somebody else"


def test_a_full_map_has_room_for_last_words_only_when_they_are_urgent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "MAP_SIZE", 1 << 18)
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        session = open_session(archive)
        with pytest.raises(ArchiveFull):
            while True:
                archive.commit(Batch([note(session, os.urandom(400).hex())]))
        words = Batch([note(session, "last words " + os.urandom(2000).hex())])
        with pytest.raises(ArchiveFull):
            archive.commit(words)
        before = archive.last()
        words.urgent = True
        archive.commit(words)
        assert archive.last() == before + 1
        assert is_sound(archive)


def test_an_urgent_commit_that_fits_leaves_the_reserve_alone(tmp_path: Path) -> None:
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        before = (tmp_path / "a" / "reserve").stat()
        archive.commit(Batch([note(open_session(archive))], urgent=True))
        after = (tmp_path / "a" / "reserve").stat()
        assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_large_batch_that_is_called_urgent_may_be_refused_and_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "MAP_SIZE", 1 << 20)
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        session = open_session(archive)
        _, batch = an_exchange(session, os.urandom(8 << 20))
        batch.urgent = True
        with pytest.raises(ArchiveFull):
            archive.commit(batch)
        assert (tmp_path / "a" / "reserve").stat().st_size == reserve.SIZE
        archive.commit(Batch([note(session)]))
        assert is_sound(archive)


def test_opening_on_a_full_disk_is_an_error_and_ends_no_process(tmp_path: Path) -> None:
    script = Path(__file__).parent / "open_when_full.py"
    said = on_a_small_disk(tmp_path / "disk", script).splitlines()
    assert said == ["made ArchiveFull", "without locks ArchiveFull", "with locks 1"]
