from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lmdb
import pytest

from contract.archive_suite import TEXT, ArchiveSuite, an_exchange, is_sound, open_session
from strategies import note
from tapes.archive import pack, tables
from tapes.archive.base import Archive, Batch
from tapes.archive.cut import cut_once
from tapes.archive.destroy import carry_out
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.lmdb_file import environment
from tapes.archive.lmdb_file.environment import Environment
from tapes.archive.lookups import PackCache
from tapes.errors import ArchiveError, ArchiveFull, Damaged, FormatError, NotFound, UsageError
from tapes.record.digest import Digest


class TestLmdbArchive(ArchiveSuite):
    @pytest.fixture
    def archive(self, tmp_path: Path) -> Iterator[Archive]:
        self.opened = [LmdbArchive.open(tmp_path / "archive", create=True)]
        yield self.opened[0]
        for archive in self.opened:
            archive.close()

    def carried_out(self, archive: Archive) -> Archive:
        archive.close()
        carry_out(self.opened[0].path)
        self.opened.append(LmdbArchive.open(self.opened[0].path))
        return self.opened[-1]


# -- opening


def test_what_was_committed_is_there_after_reopening(tmp_path: Path) -> None:
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        draft, batch = an_exchange(open_session(archive))
        archive.commit(batch)
    with LmdbArchive.open(tmp_path / "a", readonly=True) as archive:
        assert archive.body(cut_once(TEXT).ref) == TEXT
        assert archive.sessions() == [archive.at(1)[0]] and draft.hash == archive.at(2)[0]
        assert is_sound(archive)


def test_an_archive_is_made_only_when_asked_for(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path):
        for options in ({}, {"readonly": True}, {"readonly": True, "create": True}):
            with pytest.raises(NotFound) as caught:
                LmdbArchive.open(path, **options)
            assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_only_its_owner_can_reach_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        LmdbArchive.open(tmp_path / "deep" / "a", create=True).close()
    finally:
        os.umask(old)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "deep").rglob("*")}
    assert modes == {"a": 0o700, "data.mdb": 0o600, "lock.mdb": 0o600, "reserve": 0o600}


def test_a_file_that_is_not_ours_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.mkdir(mode=0o700)
    file = path / "data.mdb"
    file.write_bytes(b"something else" * 1000)
    file.chmod(0o600)
    with pytest.raises(FormatError):
        LmdbArchive.open(path, create=True)
    assert file.read_bytes() == b"something else" * 1000


def test_another_programs_lmdb_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.mkdir(mode=0o700)
    with lmdb.open(str(path), mode=0o600, max_dbs=2) as env, env.begin(write=True) as txn:
        txn.put(b"theirs", b"1")
    for create in (False, True):
        with pytest.raises(FormatError):
            LmdbArchive.open(path, create=create)


def test_a_newer_format_is_refused_with_a_hint(tmp_path: Path) -> None:
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        archive._run(lambda txn, t: txn.put(b"version", tables.u32(2), db=t["meta"]), write=True)
    with pytest.raises(FormatError, match="format 2") as caught:
        LmdbArchive.open(tmp_path / "a")
    assert "newer" in caught.value.hint


def test_the_same_archive_opened_twice_in_a_process_is_shared(tmp_path: Path) -> None:
    one = LmdbArchive.open(tmp_path / "a", create=True)
    two = LmdbArchive.open(tmp_path / "a", readonly=True)
    session = open_session(one)
    assert two.sessions() == [session]
    with pytest.raises(UsageError, match="reading only"):
        two.commit(Batch([note(session)]))
    one.close()
    assert two.last() == 1
    two.close()
    two.close()
    with pytest.raises(ArchiveError, match="closed"):
        two.last()
    reader = LmdbArchive.open(tmp_path / "a", readonly=True)
    with pytest.raises(UsageError, match="for reading only"):
        LmdbArchive.open(tmp_path / "a")
    reader.close()


def test_nothing_is_used_after_a_fork_but_the_child_may_open_it_itself(tmp_path: Path) -> None:
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        session = open_session(archive)
        child = os.fork()
        if not child:
            code = 1
            try:
                archive.last()
            except ArchiveError:
                own = LmdbArchive.open(tmp_path / "a")
                own.commit(Batch([note(session, "child")]))
                own.close()
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        archive.commit(Batch([note(session, "parent")]))
        assert [r.body.get("text") for _, r in archive.session_records(session)] == [None, "child", "parent"]
        assert is_sound(archive)


# -- other processes


def writing(path: Path, session: Digest, what: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(Path(__file__).parent / "writer.py"), str(path), session.hex(), what]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_processes_that_write_one_session_make_one_chain(tmp_path: Path) -> None:
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        session = open_session(archive)
        writers = [writing(archive.path, session, "30") for _ in range(3)]
        for n in range(30):
            archive.commit(Batch([note(session, f"here {n}")]))
        assert [writer.communicate() and writer.returncode for writer in writers] == [0, 0, 0]
        texts = [record.body["text"] for _, record in archive.session_records(session) if record.seq]
        assert len(texts) == len(set(texts)) == 120
        assert is_sound(archive)


def test_a_reader_sees_what_another_process_commits(tmp_path: Path) -> None:
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        session = open_session(archive)
    with LmdbArchive.open(tmp_path / "a", readonly=True) as archive:
        assert archive.last() == 1
        assert writing(archive.path, session, "5").wait() == 0
        assert archive.last() == 6 and is_sound(archive)


def test_a_killed_writer_leaves_every_commit_it_reported(tmp_path: Path) -> None:
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        session = open_session(archive)
        for round_ in range(4):
            before = archive.last()
            writer = writing(archive.path, session, "0")
            assert writer.stdout
            said = [writer.stdout.readline() for _ in range(3 + 7 * round_)]
            writer.kill()
            said += writer.stdout.readlines()
            writer.wait()
            whole = sum(line.endswith("\n") for line in said)
            assert before + whole <= archive.last() <= before + whole + 1
            archive.commit(Batch([note(session, "still here")]))
            assert is_sound(archive)


def test_a_writer_killed_while_it_holds_the_lock_stops_nobody(tmp_path: Path) -> None:
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        session = open_session(archive)
        holder = writing(archive.path, session, "hold")
        assert holder.stdout and holder.stdout.readline() == "holding\n"
        holder.kill()
        holder.wait()
        archive.commit(Batch([note(session)]))
        assert archive._run(lambda txn, t: txn.get(b"never", db=t["meta"])) is None
        assert is_sound(archive)


# -- packs build on those before them, as far as this process wrote them


def bases(archive: LmdbArchive) -> list[int]:
    count = archive.size()["packs"]
    frames = archive._run(lambda txn, t: [tables.read_frame(txn, t["pack"], n + 1) for n in range(count)])
    return [pack.base(frame) for frame in frames]


def test_processes_that_write_in_turns_each_build_on_their_own_packs(tmp_path: Path) -> None:
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        session = open_session(archive)
        other = writing(archive.path, session, "0")
        try:
            for n in range(30):
                assert other.stdout and other.stdout.readline()
                archive.commit(an_exchange(session, b'["here", "%d", "%s"]' % (n, os.urandom(500).hex().encode()))[1])
        finally:
            other.kill()
            other.wait()
        found = bases(archive)
        assert any(0 < base < n for n, base in enumerate(found))  # frame n + 1, and not on frame n
    with LmdbArchive.open(tmp_path / "a", readonly=True) as archive:
        assert is_sound(archive)
        assert len(list(archive.session_records(session))) == archive.last() >= 61


def test_reopening_begins_a_new_group(tmp_path: Path) -> None:
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        session = open_session(archive)
        archive.commit(Batch([note(session)]))
    with LmdbArchive.open(tmp_path / "a") as archive:
        for n in range(9):
            archive.commit(Batch([note(session, str(n))]))
        assert bases(archive) == [0, 1, 0, 3, 4, 5, 6, 7, 8, 9, 0]
        assert is_sound(archive)


def test_a_commit_that_only_keeps_a_summary_writes_no_pack(tmp_path: Path) -> None:
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        session = open_session(archive)
        archive.commit(Batch([], summaries={session: b"row"}))
        archive.commit(Batch([note(session)]))
        assert bases(archive) == [0, 1]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("tries", [1, 2])
def test_no_pack_builds_on_one_that_may_not_be_there(tmp_path: Path, after: bool, tries: int) -> None:
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        session = open_session(archive)
        archive.commit(Batch([note(session, "before " * 50)]))
        real = archive._env
        archive._env = Failing(real, [lmdb.Error("sync failed")] * tries, after=after)  # type: ignore[assignment]
        batch = Batch([note(session, "failed " * 50 + os.urandom(300).hex())])
        if tries == 2:
            with pytest.raises(ArchiveError):
                archive.commit(batch)
        else:
            archive.commit(batch)
        archive._env = real
        for text in ("failed", "and after"):
            archive.commit(Batch([note(session, text * 50)]))
        archive._packs = PackCache()
        assert is_sound(archive)


def test_a_refused_batch_does_not_end_the_group(tmp_path: Path) -> None:
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        session = open_session(archive)
        with pytest.raises(NotFound):
            archive.commit(Batch([note(session), note(Digest(bytes(32)))]))
        archive.commit(Batch([note(session)]))
        assert bases(archive) == [0, 1]


# -- no room, and failing disks


def test_a_full_map_refuses_the_batch_and_takes_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "MAP_SIZE", 1 << 20)
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        session = open_session(archive)
        large, batch = an_exchange(session, os.urandom(3 << 20))
        for _ in range(2):
            with pytest.raises(ArchiveFull):
                archive.commit(batch)
        assert large.hash is None and archive.last() == 1
        archive.commit(Batch([note(session)]))
        assert is_sound(archive)


def test_a_file_that_cannot_grow_refuses_the_batch_which_can_be_tried_again(tmp_path: Path) -> None:
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        session = open_session(archive)
        large, batch = an_exchange(session, os.urandom(1 << 20))
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (archive.size()["file_bytes"] + 40_000, hard))
        try:
            for _ in range(2):
                with pytest.raises(ArchiveFull):
                    archive.commit(batch)
            assert archive.last() == 1 and large.hash is None
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        archive.commit(batch)
        assert large.hash and is_sound(archive)


def test_a_small_address_space_gets_a_small_map(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from tapes.archive.lmdb_archive import LmdbArchive;"
        "from tapes.archive.base import Batch; sys.path.insert(0, sys.argv[2]); from strategies import opening;"
        "resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30));"
        "a = LmdbArchive.open(sys.argv[1], create=True); a.commit(Batch([opening()])); print(a.last())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a"), str(Path(__file__).parents[1])]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "1\n"
    with LmdbArchive.open(tmp_path / "a", readonly=True) as archive:
        assert archive.last() == 1


class Failing:
    """Stands for the shared environment, and fails a commit before it took effect or after."""

    def __init__(self, real: Any, errors: list[Exception], *, after: bool) -> None:
        self.real, self.errors, self.after, self.reopened = real, errors, after, 0
        self.path = real.path

    run = Environment.run

    def use(self, work: Any, *, write: bool = False) -> Any:
        if write and self.errors:
            if self.after:
                self.real.use(work, write=True)
            raise self.errors.pop(0)
        return self.real.use(work, write=write)

    def reopen(self) -> None:
        self.reopened += 1
        self.real.reopen()


@pytest.mark.parametrize("after", [False, True])
def test_a_panic_is_survived_and_nothing_is_written_twice(tmp_path: Path, after: bool) -> None:
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        session = open_session(archive)
        real = archive._env
        failing = Failing(real, [lmdb.PanicError("panic")], after=after)
        archive._env = failing  # type: ignore[assignment]
        draft = note(session, "once")
        archive.commit(Batch([draft]))
        archive._env = real
        assert failing.reopened == 1
        assert archive.last() == 2 and archive.at(2)[0] == draft.hash
        assert is_sound(archive)


def test_a_batch_tried_again_is_not_written_twice_when_the_first_try_took_effect(tmp_path: Path) -> None:
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        session = open_session(archive)
        real = archive._env

        class Lost(Failing):
            def reopen(self) -> None:
                raise ArchiveError("the disk is away")

        archive._env = Lost(real, [lmdb.Error("sync failed")], after=True)  # type: ignore[assignment]
        batch = Batch([note(session, "once"), note(session, "and twice")])
        with pytest.raises(ArchiveError, match="away"):
            archive.commit(batch)
        assert [draft.hash for draft in batch.drafts] == [None, None]
        archive._env = real
        assert archive.commit(batch) == [draft.hash for draft in batch.drafts]
        assert archive.last() == 3
        assert is_sound(archive)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (lmdb.Error(f"write: {os.strerror(errno.ENOSPC)}"), ArchiveFull),
        (lmdb.DiskError(os.strerror(errno.ENOSPC)), ArchiveFull),
        (lmdb.Error(f"write: {os.strerror(errno.EIO)}"), ArchiveError),
        (lmdb.CorruptedError("page"), Damaged),
        (lmdb.PanicError("again"), Damaged),
    ],
)
def test_a_lasting_failure_has_the_right_name(tmp_path: Path, error: Exception, kind: type[Exception]) -> None:
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        session = open_session(archive)
        real = archive._env
        archive._env = Failing(real, [error, error], after=False)  # type: ignore[assignment]
        draft = note(session)
        with pytest.raises(kind):
            archive.commit(Batch([draft]))
        archive._env = real
        assert draft.hash is None and archive.last() == 1
        archive.commit(Batch([draft]))


def test_reading_goes_on_while_the_environment_is_reopened(tmp_path: Path) -> None:
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        session = open_session(archive)
        archive.commit(Batch([note(session, str(n)) for n in range(50)]))
        wrong: list[BaseException] = []

        def read() -> None:
            try:
                for _ in range(30):
                    assert len(list(archive.log())) == 51
            except BaseException as error:  # noqa: BLE001 - reported to the test's own thread
                wrong.append(error)

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for _ in range(10):
            assert archive._env
            archive._env.reopen()
        for reader in readers:
            reader.join()
        assert wrong == []


def test_no_reader_is_left_behind_that_would_make_the_file_grow(tmp_path: Path) -> None:
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        session = open_session(archive)
        archive.commit(Batch([note(session, "x" * 1000) for _ in range(300)]))
        started = [archive.log(), archive.session_records(session)]
        assert all(next(iterator) for iterator in started)
        before = archive.size()["file_bytes"]
        for _ in range(200):
            archive.commit(Batch([], summaries={session: b"s" * 3000}))
        assert archive.size()["file_bytes"] - before < 100_000
