"""Readers that are killed: nobody waits for them, and the pages they held are used again."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from contract.archive_suite import is_sound, open_session
from strategies import note
from tapes.archive import lmdb_archive
from tapes.archive.base import Batch
from tapes.archive.lmdb_archive import LmdbArchive


def killed_reader(path: Path) -> None:
    """A process that is killed in the middle of a reading transaction."""
    begun, ready = os.pipe()
    child = os.fork()
    if not child:
        archive = LmdbArchive.open(path, readonly=True)

        def read(txn, t):  # type: ignore[no-untyped-def]
            os.write(ready, b"x")
            signal.pause()

        archive._run(read)
        os._exit(1)
    os.read(begun, 1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(begun)
    os.close(ready)


def grown(archive: LmdbArchive, commits: int) -> int:
    """By how much the file grows with commits that replace one row again and again."""
    session = archive.sessions()[0]
    before = archive.size()["file_bytes"]
    for n in range(commits):
        archive.commit(Batch([], summaries={session: b"%d" % n * 2000}))
    return archive.size()["file_bytes"] - before


def test_a_killed_reader_does_not_make_the_file_of_a_long_lived_writer_grow(tmp_path: Path) -> None:
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        session = open_session(archive)
        archive.commit(Batch([note(session, "x" * 1000) for _ in range(100)]))
        grown(archive, lmdb_archive.BURY_EVERY)
        killed_reader(archive.path)
        grown(archive, 2 * lmdb_archive.BURY_EVERY)  # the dead are looked for meanwhile
        assert grown(archive, 300) < 200_000
        assert is_sound(archive)


def test_a_dead_reader_would_else_be_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lmdb_archive, "BURY_EVERY", 1_000_000)
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        open_session(archive)
        killed_reader(archive.path)
        assert grown(archive, 300) > 1_000_000
    with LmdbArchive.open(tmp_path / "a") as archive:  # who opens it looks too
        assert grown(archive, 300) < 200_000
