"""What may happen to the index's file, and that no answer changes by it."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from index.told import tell
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.memory_archive import MemoryArchive
from tapes.errors import ArchiveError
from tapes.index import file
from tapes.index.index import Index
from tapes.search.find import Search, search
from tapes.search.query import parse
from witnessed import Session

STORY = [("say", "red green", "Blue v1"), ("run", "red", "green 12"), ("note", "größe", ""), ("late", "v1", "12 red")]


def answers(path: Path, archive: object, query: str = "red OR type:output") -> list[tuple[object, ...]]:
    with Index(path, archive) as index:  # type: ignore[arg-type]
        hits = index.answer(lambda: search(index, Search(parse(query)))).hits
        return [(hit.session, hit.record, hit.item, hit.type, hit.step, hit.text) for hit in hits]


def told(archive: object = None, sessions: int = 3) -> MemoryArchive:
    archive = archive or MemoryArchive()
    for n in range(sessions):
        session = Session(archive, agent="claude")  # type: ignore[arg-type]
        tell(session, STORY)
        session.close() if n % 2 else session.commit()
    return archive  # type: ignore[return-value]


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with Index(tmp_path / "index" / "search.sqlite", told()) as index:
            index.catch_up()
            paths = [tmp_path / "index", *(tmp_path / "index").iterdir()]
            assert len(paths) == 4
            assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in paths} == {0}
    finally:
        os.umask(before)


def test_a_file_of_another_version_is_made_anew(tmp_path: Path) -> None:
    path, archive = tmp_path / "index" / "search.sqlite", told()
    expected = answers(path, archive)
    assert expected
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
        db.execute("DELETE FROM items")
    assert answers(path, archive) == expected


def test_what_is_no_database_is_made_anew(tmp_path: Path) -> None:
    path, archive = tmp_path / "index" / "search.sqlite", told()
    expected = answers(path, archive)
    path.write_bytes(b"no database at all" * 1000)
    assert answers(path, archive) == expected


def test_damage_that_shows_while_it_is_written_makes_it_anew(tmp_path: Path) -> None:
    path, archive = tmp_path / "index" / "search.sqlite", told()
    answers(path, archive)
    size = path.stat().st_size
    with path.open("r+b") as handle:
        handle.seek(4096)
        handle.write(random.Random(1).randbytes(size - 4096))
    told(archive)
    assert answers(path, archive) == answers(tmp_path / "search.sqlite" / "search.sqlite", archive)


@pytest.mark.parametrize("seed", range(6))
def test_damage_that_shows_while_it_is_asked_makes_it_anew(tmp_path: Path, seed: int) -> None:
    path, archive = tmp_path / "index" / "search.sqlite", told()
    expected = answers(path, archive)
    draw, size = random.Random(seed), path.stat().st_size
    with path.open("r+b") as handle:
        for page in range(1 + seed % 2, size // 4096, 2):
            handle.seek(page * 4096)
            handle.write(draw.randbytes(4096))
    assert answers(path, archive) == expected


ASKED = ("red", "green type:note", "v1 -12", "gr*", "exit:0", '"12 red"', "red OR 12")


@pytest.mark.parametrize("seed", range(8))
def test_a_changed_bit_gives_no_wrong_answer(tmp_path: Path, seed: int) -> None:
    path, archive = tmp_path / "index" / "search.sqlite", told(sessions=6)
    expected = [answers(path, archive, query) for query in ASKED]
    whole, draw = path.read_bytes(), random.Random(seed)
    for _ in range(10):
        data = bytearray(whole)
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        file.remove(path)
        path.parent.mkdir()
        path.write_bytes(data)
        assert [answers(path, archive, query) for query in ASKED] == expected


CHANGES = (
    "UPDATE items SET text = 'red blue' WHERE text LIKE '%red%'",
    "UPDATE items SET wall_ns = wall_ns + 1",
    "UPDATE items SET facts = 'k1'",
    "UPDATE items SET hash = zeroblob(32)",
    "UPDATE sessions SET hash = randomblob(32)",
    "UPDATE words SET value = upper(value)",
    "DELETE FROM items WHERE id % 2",
    "DELETE FROM words",
    "INSERT INTO fts (rowid, text, facts) SELECT id, 'red', '' FROM items WHERE text NOT LIKE '%red%'",
)


@pytest.mark.parametrize("change", CHANGES)
def test_rows_that_are_not_as_they_were_written_are_made_anew(tmp_path: Path, change: str) -> None:
    path, archive = tmp_path / "index" / "search.sqlite", told()
    expected = [answers(path, archive, query) for query in ASKED]
    with sqlite3.connect(path) as db:
        db.execute(change)
    assert [answers(path, archive, query) for query in ASKED] == expected


def test_of_another_archive_nothing_is_found(tmp_path: Path) -> None:
    path, longer = tmp_path / "index" / "search.sqlite", told(sessions=4)
    answers(path, longer)
    other = told(sessions=4)
    sessions = {session for session, *_ in answers(path, other)}
    assert sessions and sessions <= set(other.sessions())


def test_a_place_that_can_not_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "index").write_text("a file")
    with pytest.raises(ArchiveError, match="can not be used"):
        answers(tmp_path / "index" / "search.sqlite", told())


def test_removing_it_takes_what_sqlite_keeps_beside_it_and_what_a_killed_removal_left(tmp_path: Path) -> None:
    path = tmp_path / "index" / "search.sqlite"
    left = tmp_path / f"index.0011{file.GONE}"
    left.mkdir()
    (left / "search.sqlite").write_text("old")
    with Index(path, told()) as index:
        index.catch_up()
        file.remove(path)
        assert list(tmp_path.iterdir()) == []
    file.remove(path)
    assert answers(path, told())


# -- with other processes


def test_whoever_waits_for_another_that_comes_no_further_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, archive = tmp_path / "index" / "search.sqlite", told()
    monkeypatch.setattr(file, "BUSY_SECONDS", 0.01)
    with Index(path, archive) as other, Index(path, archive) as index:
        with other.file.writing(), monkeypatch.context() as patched:
            patched.setattr("tapes.index.index.STANDSTILL_SECONDS", 0.1)
            with pytest.raises(ArchiveError, match="locked"):
                index.catch_up()
        index.catch_up()
        assert index.file.upto() == archive.last()


INDEXING = """
import sys
from pathlib import Path
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.index import follow
from tapes.index.index import Index
follow.CHUNK_RECORDS = 3
with LmdbArchive.open(Path(sys.argv[1]), readonly=True) as archive:
    with Index(Path(sys.argv[2]), archive) as index:
        print("at work", flush=True)
        index.catch_up()
"""
WRITING = """
import sys
from pathlib import Path
from index.test_index_file import STORY
from index.told import tell
from tapes.archive.lmdb_archive import LmdbArchive
from witnessed import Session
with LmdbArchive.open(Path(sys.argv[1])) as archive:
    print("at work", flush=True)
    for n in range(40):
        session = Session(archive, agent="claude")
        for happening in STORY:
            tell(session, [happening])
            session.commit()
        session.close()
"""


def other(program: str, *words: object) -> subprocess.Popen[bytes]:
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    found = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, words)], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": path}
    )
    assert found.stdout is not None
    assert found.stdout.readline() == b"at work\n"
    return found


def test_a_process_that_is_killed_while_it_indexes_changes_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "index" / "search.sqlite"
    with LmdbArchive.open(tmp_path / "archive", create=True) as archive:
        told(archive, sessions=30)
        come = [0]
        for n in range(8):
            process = other(INDEXING, tmp_path / "archive", path)
            time.sleep(0.02 * n)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            with Index(path, archive) as index:
                come.append(index.file.upto())
        assert come == sorted(come)
        assert answers(path, archive) == answers(tmp_path / "search.sqlite" / "search.sqlite", archive)


def test_two_may_index_while_a_third_records(tmp_path: Path) -> None:
    path = tmp_path / "index" / "search.sqlite"
    with LmdbArchive.open(tmp_path / "archive", create=True) as archive:
        told(archive)
        writer = other(WRITING, tmp_path / "archive")
        indexer = None
        seen = [0]
        while writer.poll() is None:
            if indexer is None or indexer.poll() is not None:
                assert indexer is None or indexer.returncode == 0
                indexer = other(INDEXING, tmp_path / "archive", path)
            seen.append(len(answers(path, archive)))
        assert writer.returncode == 0
        assert indexer is not None and indexer.communicate() and indexer.returncode == 0
        assert seen == sorted(seen)
        assert answers(path, archive) == answers(tmp_path / "search.sqlite" / "search.sqlite", archive)
        assert len(answers(path, archive, "type:note")) == 43
