"""A state from before the last commits is whole in itself: that it is not the last one, only the file's pages tell."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from archive.damage import PAGE, change, look_apart
from archive.test_damage import after, assert_found
from contract.archive_suite import an_exchange, open_session
from strategies import note
from tapes.archive.base import Batch
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.lmdb_file.accounts import Overtaken, check_pages
from tapes.archive.verify import verify, verify_structure

COMMIT = 16 + 128
"""Where the number of the commit stands in a meta page."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        session = open_session(archive)
        for n in range(12):
            archive.commit(an_exchange(session, os.urandom(200 + 9000 * (n % 2)))[1])
    return tmp_path / "a"


def test_a_changed_bit_in_the_number_of_a_commit_is_found(home: Path) -> None:
    places = [page + COMMIT + n for page in (0, PAGE) for n in range(8)]
    assert len(assert_found(home, "flip", places)) == len(places)


def test_meta_pages_that_changed_places_are_found(home: Path) -> None:
    assert assert_found(home, "swap", [f"0:{PAGE}"])
    change(home, "swap", f"0:{PAGE}")
    with LmdbArchive.open(home) as archive:
        assert not verify_structure(archive).ok


def test_no_two_pages_can_change_places_unnoticed(home: Path) -> None:
    with LmdbArchive.open(home) as archive:
        before = archive.last()
    pages = range((home / "data.mdb").stat().st_size // PAGE)
    pairs = [f"{one * PAGE}:{other * PAGE}" for one, other in itertools.combinations(pages[:24], 2)]
    said = after(home, "swap", pairs)
    assert {line.split()[1] for line in said if line.startswith("sound")} <= {str(before)}


def test_a_root_that_leads_to_an_older_state_is_found(tmp_path: Path) -> None:
    """All that the two meta pages say of roots, exchanged, and their numbers left as they are: the evil case."""
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        session = open_session(archive)
        archive.commit(Batch([note(session)]))
    with open(tmp_path / "a" / "data.mdb", "r+b") as file:
        roots = slice(16 + 24, 16 + 120)
        metas = [bytearray(os.pread(file.fileno(), PAGE, n * PAGE)) for n in (0, 1)]
        metas[0][roots], metas[1][roots] = metas[1][roots], metas[0][roots]
        for n, meta in enumerate(metas):
            os.pwrite(file.fileno(), meta, n * PAGE)
    assert not look_apart(tmp_path / "a").startswith("sound")


def test_a_commit_that_others_have_overtaken_twice_is_not_called_damaged(home: Path) -> None:
    with LmdbArchive.open(home) as archive, open(home / "data.mdb", "rb") as file:
        session = archive.sessions()[0]
        commit = archive._run(lambda txn, _: txn.id())
        assert not any(check_pages(file.fileno(), PAGE, commit))
        archive.commit(Batch([note(session)]))
        assert not any(check_pages(file.fileno(), PAGE, commit))
        archive.commit(Batch([note(session)]))
        with pytest.raises(Overtaken):
            list(check_pages(file.fileno(), PAGE, commit))
        assert archive.page_faults() == []


def test_pages_are_checked_while_others_write_and_nothing_is_made_up(home: Path) -> None:
    with LmdbArchive.open(home) as archive:
        script = str(Path(__file__).parent / "writer.py")
        command = [sys.executable, script, str(home), archive.sessions()[0].hex(), "0"]
        writers = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(2)]
        try:
            reports = [archive.page_faults() for _ in range(100)]
        finally:
            for writer in writers:
                writer.kill()
                writer.wait()
        assert not any(reports)
        assert verify(archive).ok
