"""Another file in the archive's place: never under a writer, and never half of it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from archive.test_lmdb_archive import writing
from archive.test_rebuild import content, fill
from contract.archive_suite import is_sound
from strategies import note
from tapes.archive import claim
from tapes.archive.base import Batch
from tapes.archive.claim import Claim
from tapes.archive.copy import backup, compact
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.rebuild import rebuild
from tapes.errors import ArchiveError, ArchiveInUse, Damaged, NotFound
from tapes.record.digest import Digest

HERE = Path(__file__).parent


@pytest.fixture
def home(tmp_path: Path) -> Path:
    fill(tmp_path / "archive")
    return tmp_path / "archive"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim.Claim.alone, "__defaults__", (0.2,))


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def waste(path: Path) -> None:
    """Pages that are free afterwards."""
    with LmdbArchive.open(path) as archive:
        session = archive.sessions()[0]
        row = archive.summary(session) or b""
        archive.commit(Batch([], summaries={session: os.urandom(3_000_000)}))
        archive.commit(Batch([], summaries={session: row}))


def test_compacting_gives_free_pages_back_and_keeps_everything_else(home: Path) -> None:
    waste(home)
    before = content(home)
    done = compact(home)
    assert done.before - done.after > 2_900_000
    assert (home / "data.mdb").stat().st_size == done.after
    assert content(home) == before
    assert mode(home / "data.mdb") == 0o600
    assert sorted(path.name for path in home.iterdir()) == ["data.mdb", "lock.mdb", "reserve"]
    with LmdbArchive.open(home) as archive:
        archive.commit(Batch([note(archive.sessions()[0], "after")]))
        assert is_sound(archive)


@pytest.mark.parametrize("care", [compact, rebuild])
def test_while_another_process_writes_it_is_named_and_loses_nothing(home: Path, care) -> None:  # type: ignore[no-untyped-def]
    with LmdbArchive.open(home) as archive:
        session, before = archive.sessions()[0], archive.last()
    child = writing(home, session, "0")
    assert child.stdout
    child.stdout.readline()
    with pytest.raises(ArchiveInUse, match=f"pid {child.pid}: .*writer.py"):
        care(home)
    said = child.stdout.readline()
    child.kill()
    said = (child.stdout.read().splitlines() or [said])[-1]
    child.wait()
    with LmdbArchive.open(home) as archive:
        assert archive.last() >= before + int(said)
        assert is_sound(archive)
    care(home)


def test_a_reader_keeps_the_file_from_being_replaced_too(home: Path) -> None:
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from tapes.archive.lmdb_archive import LmdbArchive;"
            "a = LmdbArchive.open(sys.argv[1], readonly=True); print('open', flush=True); sys.stdin.read()",
            str(home),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert child.stdout and child.stdin
    child.stdout.readline()
    with pytest.raises(ArchiveInUse, match=f"pid {child.pid}"):
        compact(home)
    child.stdin.close()
    child.wait()
    compact(home)


@pytest.mark.slow
def test_writers_that_come_and_go_lose_no_commit_to_a_file_without_a_name(home: Path) -> None:
    with LmdbArchive.open(home) as archive:
        session, before = archive.sessions()[0], archive.last()
    carer = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from tapes.errors import ArchiveInUse\n"
            "from tapes.archive.copy import compact\n"
            "done = 0\n"
            "print('go', flush=True)\n"
            "while True:\n"
            "    try:\n"
            "        compact(Path(sys.argv[1])); done += 1; print(done, flush=True)\n"
            "    except ArchiveInUse: pass\n",
            str(home),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert carer.stdout
    carer.stdout.readline()
    acknowledged, until = 0, time.monotonic() + 6
    while time.monotonic() < until:
        writers = [writing(home, session, "3") for _ in range(2)]
        for writer in writers:
            acknowledged += len(writer.communicate()[0].splitlines())
            assert writer.returncode == 0
        time.sleep(random.random() / 5)
    carer.kill()
    rounds = carer.stdout.read().splitlines()
    carer.wait()
    assert rounds and acknowledged >= 12
    with LmdbArchive.open(home) as archive:
        assert archive.last() == before + acknowledged
        assert is_sound(archive)


def killed(home: Path, what: str, after: float) -> None:
    child = subprocess.Popen(
        [sys.executable, HERE / "carer.py", home, what], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout and child.stderr
    child.stdout.readline()
    time.sleep(after)
    assert child.poll() is None, child.stderr.read()
    child.send_signal(signal.SIGKILL)
    child.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("what", ["compact", "rebuild"])
def test_a_kill_at_any_time_leaves_the_old_file_or_the_new_one_and_nothing_else(home: Path, what: str) -> None:
    before, left = content(home), 0
    chance = random.Random()
    for _ in range(15):
        killed(home, what, chance.random() * 0.25)
        left += (home / "fresh").exists()
        assert content(home) == before
        assert mode(home / "data.mdb") == 0o600
        with LmdbArchive.open(home) as archive:  # for writing: sweeps
            assert is_sound(archive)
        assert sorted(path.name for path in home.iterdir()) == ["data.mdb", "lock.mdb", "reserve"]
    assert left, "no kill came while a copy was being made"


def test_what_a_dead_process_left_is_swept_and_what_a_living_one_makes_is_not(home: Path) -> None:
    left = home / "fresh"
    left.mkdir(mode=0o700)
    (left / "data.mdb").write_bytes(b"half")
    LmdbArchive.open(home, readonly=True).close()
    assert left.exists()
    living = Claim(left)
    LmdbArchive.open(home).close()
    with pytest.raises(ArchiveInUse):
        compact(home)
    assert (left / "data.mdb").read_bytes() == b"half"
    living.release()
    LmdbArchive.open(home).close()
    assert not left.exists()


def test_what_was_committed_while_it_was_copied_is_in_the_new_file(home: Path) -> None:
    with LmdbArchive.open(home) as archive:
        session, before = archive.sessions()[0], archive.last()
    tries = 0

    def progress(done: int, total: int) -> None:
        nonlocal tries
        if total and done and not tries:  # while the first copy is being verified: too late for that one
            tries += 1
            assert writing(home, session, "1").wait() == 0

    compact(home, progress)
    with LmdbArchive.open(home) as archive:
        assert tries and archive.last() == before + 1
        assert is_sound(archive)


def test_an_opening_waits_for_a_replacement_to_end_but_not_for_ever(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Claim(home)
    other.alone()
    threading.Timer(0.2, other.release).start()
    LmdbArchive.open(home).close()
    again = Claim(home)
    again.alone()
    monkeypatch.setattr(claim, "OPENING_S", 0.1)
    with pytest.raises(ArchiveInUse, match="is being replaced"):
        LmdbArchive.open(home)
    again.release()
    LmdbArchive.open(home).close()


def test_a_damaged_archive_is_not_compacted(home: Path) -> None:
    with LmdbArchive.open(home) as archive:
        archive._run(lambda txn, t: txn.delete(archive.sessions()[0], db=t["head"]), write=True)
    before = (home / "data.mdb").read_bytes()
    with pytest.raises(Damaged, match="nothing was changed"):
        compact(home)
    assert (home / "data.mdb").read_bytes() == before and not (home / "fresh").exists()


# -- backups


@pytest.mark.parametrize("name", ["copy", "copy.mdb"])
def test_a_backup_is_taken_while_others_write_and_says_what_it_holds(home: Path, tmp_path: Path, name: str) -> None:
    with LmdbArchive.open(home) as archive:
        session: Digest = archive.sessions()[-1]
    child = writing(home, session, "0")
    assert child.stdout
    child.stdout.readline()
    done = backup(home, tmp_path / name)
    assert child.poll() is None
    child.kill()
    child.communicate()
    assert mode(done.path) == 0o600
    assert not (tmp_path / f"{name}.part").exists()
    place = tmp_path / name
    if place.is_file():
        place = tmp_path / "restored"
        place.mkdir(mode=0o700)
        done.path.rename(place / "data.mdb")
    with LmdbArchive.open(place) as archive, LmdbArchive.open(home) as source:
        assert is_sound(archive)
        assert (archive.last(), len(archive.sessions())) == (done.records, done.sessions)
        assert done.last == (archive.last(), archive.at(archive.last())[0])
        assert done.head == (session, *(archive.head(session) or ()))
        assert [row[1] for row in archive.log()] == [
            row[1] for row, _ in zip(source.log(), archive.log(), strict=False)
        ]


def test_a_backup_never_goes_over_anything(home: Path, tmp_path: Path) -> None:
    for name in ("there", "there.mdb"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(ArchiveError, match="there already"):
            backup(home, tmp_path / name)
        assert (tmp_path / name).read_text() == "mine"
    with pytest.raises(NotFound):
        backup(home, tmp_path / "no such" / "place")


def test_a_killed_backup_leaves_no_backup_and_the_next_one_sweeps_it(home: Path, tmp_path: Path) -> None:
    part = tmp_path / "copy.part"
    part.mkdir(mode=0o700)
    (part / "data.mdb").write_bytes(b"half a copy")
    assert backup(home, tmp_path / "copy").records
    assert not part.exists()
