"""What was withheld is in no file, whatever it stood in and whenever the process that destroyed it was killed."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import lmdb
import pytest

from archive.test_lmdb_archive import writing
from contract.archive_suite import a_part, an_end, an_exchange, is_sound, withhold
from strategies import note, opening
from tapes.archive import claim, destroy, squeeze, tables
from tapes.archive import swap as swapping
from tapes.archive.base import Batch, Draft
from tapes.archive.cut import Cutter
from tapes.archive.destroy import carry_out
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.rebuild import rebuild
from tapes.archive.redaction import Sentence, sentence
from tapes.archive.verify import verify
from tapes.errors import ArchiveInUse, Damaged
from tapes.record.digest import Digest
from tapes.record.kinds import BodyRef
from tapes.record.tomb import Tombstone

HERE = Path(__file__).parent
COMMON = b'"' + b"what every session is told " * 40 + b'"'


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim.Claim.alone, "__defaults__", (0.2,))


def secret(n: int) -> bytes:
    """What session `n` alone says, everywhere that something can be said."""
    return b"secret-of-%d-" % n


def fill(path: Path, sessions: int = 3) -> list[Digest]:
    """Sessions that take turns in the same groups, of two writers at a time, whose frames lie between one another."""
    drafts = [opening(argv=[secret(n)], name=f"secret-of-{n}-") for n in range(sessions)]
    cutters = [Cutter() for _ in drafts]
    chance = random.Random(1)
    histories = [[COMMON] for _ in drafts]
    for round_ in range(2):
        with LmdbArchive.open(path, create=True) as archive, LmdbArchive.open(path) as other:
            if not round_:
                archive.commit(Batch(list(drafts), names={f"secret-of-{n}-": draft for n, draft in enumerate(drafts)}))
            for _ in range(18):
                n = chance.randrange(sessions)
                histories[n].append(b'"' + secret(n) * chance.choice((1, 30, 3000)) + b"%d" % chance.random() + b'"')
                said = b"[" + b",".join(histories[n]) + b"]"
                cut = cutters[n].cut(said)
                body = {"method": "POST", "url": secret(n).decode(), "class": "model", "headers": []}
                exchange = Draft("exchange.open", body | {"request": cut.ref.to_value()}, drafts[n])
                chance.choice((archive, other)).commit(Batch([exchange], dict(cut.objects)))
                part = a_part(drafts[n], exchange, secret(n), said.index(secret(n)))
                archive.commit(Batch([part, note(drafts[n], secret(n).decode())], tails={part: secret(n)}))
                if chance.random() < 0.5:
                    end = an_end(drafts[n], exchange, cut.ref)
                    archive.commit(Batch([end], drop_tails=[part]))
            archive.commit(Batch([], summaries={draft: secret(n) for n, draft in enumerate(drafts)}))
    assert sound(path)
    return [draft.hash for draft in drafts if draft.hash]


def everything(path: Path) -> bytes:
    """Every byte of every file, and every row and item unpacked."""
    parts = [file.read_bytes() for file in path.rglob("*") if file.is_file()]
    with lmdb.open(str(path), readonly=True, max_dbs=32, lock=False) as env, env.begin() as txn:
        for name in tables.TABLES:
            for key, value in txn.cursor(db=env.open_db(name.encode(), txn=txn, create=False)):
                parts += [key, value]
                if name == "tail":
                    parts.append(squeeze.decompress(value, 1 << 20))
    with LmdbArchive.open(path, readonly=True) as archive:
        parts += [archive._packed(number) for number in range(1, archive.size()["packs"] + 1)]
    return b"\0".join(parts)


def content(path: Path, session: Digest) -> list[Any]:
    """A session as everybody reads it."""
    with LmdbArchive.open(path, readonly=True) as archive:
        found: list[Any] = []
        for digest, record in archive.session_records(session):
            found.append((digest, archive.record_raw(digest), archive.position(digest), archive.tail(digest)))
            reference = record.body.get("request")
            if reference:
                found.append(archive.body(BodyRef.of(reference)))
        return found


def sound(path: Path) -> bool:
    with LmdbArchive.open(path, readonly=True) as archive:
        return is_sound(archive)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    fill(tmp_path / "archive")
    return tmp_path / "archive"


def sessions_of(path: Path) -> list[Digest]:
    with LmdbArchive.open(path, readonly=True) as archive:
        return archive.sessions()


def decide(path: Path, session: Digest, **what: Any) -> Digest:
    with LmdbArchive.open(path) as archive:
        return withhold(archive, session, **what)


def test_no_file_row_or_item_holds_a_byte_of_a_withheld_session_and_the_others_are_as_they_were(home: Path) -> None:
    one, two, three = sessions_of(home)
    assert all(secret(n) in everything(home) for n in range(3))
    before = [content(home, session) for session in (one, three)]
    decide(home, two)
    done = carry_out(home)
    held = everything(home)
    assert secret(1) not in held and secret(0) in held and COMMON in held
    assert [content(home, session) for session in (one, three)] == before
    assert done.records and done.objects and done.after == (home / "data.mdb").stat().st_size
    assert sorted(file.name for file in home.iterdir()) == ["data.mdb", "lock.mdb", "reserve"]
    assert (home / "data.mdb").stat().st_mode & 0o777 == 0o600
    assert sound(home)
    for session in (one, three):
        decide(home, session)
    carry_out(home)
    assert b"secret-of" not in everything(home) and COMMON not in everything(home)
    assert sound(home) and sessions_of(home) == [one, two, three]


def test_what_was_in_pages_that_lmdb_had_freed_is_gone_too(home: Path) -> None:
    one = sessions_of(home)[0]
    with LmdbArchive.open(home) as archive:
        archive.commit(Batch([], summaries={one: b"once said " * 500}))
        archive.commit(Batch([], summaries={one: b""}))
    assert b"once said" in everything(home)
    decide(home, one)
    carry_out(home)
    assert b"once said" not in everything(home)


def test_what_a_withheld_body_alone_is_made_of_goes_and_its_record_stays(home: Path) -> None:
    one = sessions_of(home)[0]
    with LmdbArchive.open(home) as archive:
        draft, batch = an_exchange(one, b"[" + COMMON + b',"' + b"only here " * 900 + b'"]')
        archive.commit(batch)
    assert draft.hash
    decide(home, one, records=(), bodies=[BodyRef.of(draft.body["request"]).hash])
    assert b"only here" in everything(home)
    carry_out(home)
    held = everything(home)
    assert b"only here" not in held and COMMON in held and secret(0) in held and sound(home)


def test_nothing_is_written_when_nothing_is_to_be_done(home: Path) -> None:
    before = (home / "data.mdb").stat()
    assert carry_out(home) == destroy.Destroyed()
    after = (home / "data.mdb").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_while_another_process_has_it_open_nothing_is_destroyed_and_nothing_lost(home: Path) -> None:
    one, two, _ = sessions_of(home)
    decide(home, one)
    child = writing(home, two, "0")
    assert child.stdout
    child.stdout.readline()
    with pytest.raises(ArchiveInUse, match=f"pid {child.pid}"):
        carry_out(home)
    child.stdout.readline()
    child.kill()
    child.wait()
    assert secret(0) in everything(home)
    count = len(content(home, two))
    carry_out(home)
    assert secret(0) not in everything(home) and len(content(home, two)) == count and sound(home)


def test_the_indexes_are_made_again_from_the_packs_tombstones_too(home: Path) -> None:
    decide(home, sessions_of(home)[1])
    carry_out(home)
    with LmdbArchive.open(home, readonly=True) as archive:
        before = [(pos, digest, record) for pos, digest, record in archive.log()]
        places = [archive.body_records(ref.hash) for ref in map(BodyRef.match, _requests(before)) if ref]
    assert rebuild(home).whole
    with LmdbArchive.open(home, readonly=True) as archive:
        assert [(pos, digest, record) for pos, digest, record in archive.log()] == before
        assert [archive.body_records(ref.hash) for ref in map(BodyRef.match, _requests(before)) if ref] == places
    assert sound(home)


def _requests(rows: list[Any]) -> Iterator[Any]:
    return (record.body.get("request") for _, _, record in rows)


@pytest.mark.parametrize(
    "change",
    [
        lambda tomb: replace(tomb, wall_ns=tomb.wall_ns - 1),
        lambda tomb: replace(tomb, type="gap"),
        lambda tomb: replace(tomb, parents=()),
        lambda tomb: replace(tomb, by=tomb.hash),
    ],
    ids=["time", "type", "parents", "by"],
)
def test_a_changed_tombstone_is_found(
    home: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Tombstone], Tombstone]
) -> None:
    one = sessions_of(home)[0]
    decide(home, one)

    def forged(archive: LmdbArchive) -> Sentence:
        found = sentence(archive)
        digest = next(digest for digest, tomb in found.tombs.items() if tomb.type == "exchange.part")
        found.tombs[digest] = change(found.tombs[digest])
        return found

    monkeypatch.setattr(destroy, "sentence", forged)
    monkeypatch.setattr(destroy, "_no_worse", lambda after, before: None)
    carry_out(home)
    with LmdbArchive.open(home, readonly=True) as archive:
        assert not verify(archive).ok and not verify(archive, one).ok


def test_a_damaged_archive_can_forget_what_is_not_damaged(home: Path) -> None:
    one, two, _ = sessions_of(home)
    with LmdbArchive.open(home) as archive:
        lost = archive.session_record(two, 2)[0]
        archive._run(
            lambda txn, t: txn.put(
                tables.u64(archive.position(lost)), tables.entry_value(tables.Entry(0, 0, 0, "record")), db=t["log"]
            ),
            write=True,
        )
        before = verify(archive).findings
        assert before
    decide(home, one)
    carry_out(home)
    assert secret(0) not in everything(home)
    with LmdbArchive.open(home, readonly=True) as archive:
        assert verify(archive).findings == before


def test_a_file_that_would_be_damaged_is_not_put_in_place(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decide(home, sessions_of(home)[0])
    before = (home / "data.mdb").stat().st_ino

    def losing(source: Any, target: Any, wanted: Any) -> None:
        wanted.live.clear()
        destroy_rewrite(source, target, wanted)

    destroy_rewrite = destroy.rewrite
    monkeypatch.setattr(destroy, "rewrite", losing)
    with pytest.raises(Damaged, match="nothing was destroyed"):
        carry_out(home)
    assert (home / "data.mdb").stat().st_ino == before and not (home / "fresh").exists() and sound(home)


# -- crashes


def _die(*_: Any, **__: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _and_die(work: Callable[..., Any]) -> Callable[..., Any]:
    def then(*words: Any, **more: Any) -> None:
        work(*words, **more)
        _die()

    return then


STEPS: list[tuple[str, Any, str, Callable[..., Any]]] = [
    ("before the new file", destroy, "rewrite", _die),
    ("with the new file written", destroy, "rewrite", _and_die(destroy.rewrite)),
    ("with the new file verified", destroy, "swap", _die),
    ("without the lock file", Path, "replace", _die),
    ("with the new file in place, before the directory is synced", swapping, "sync_directory", _die),
    ("after the swap", destroy, "swap", _and_die(destroy.swap)),
]


@pytest.mark.parametrize(("where", "of", "name", "instead"), STEPS, ids=[step[0] for step in STEPS])
def test_a_run_that_dies_at_any_step_is_finished_by_the_next(
    home: Path, where: str, of: Any, name: str, instead: Callable[..., Any]
) -> None:
    one, two, _ = sessions_of(home)
    before = content(home, two)
    decide(home, one)
    child = os.fork()
    if not child:
        setattr(of, name, instead)
        carry_out(home)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert sound(home)
    carry_out(home)
    assert secret(0) not in everything(home) and content(home, two) == before and sound(home)
    assert not (home / "fresh").exists()


def test_a_process_killed_at_random_while_it_forgets_leaves_a_sound_archive_and_the_next_run_finishes(
    tmp_path: Path,
) -> None:
    chance = random.Random(7)
    one, two, _ = fill(tmp_path / "filled")
    before = content(tmp_path / "filled", two)
    for n in range(8):
        home = shutil.copytree(tmp_path / "filled", tmp_path / f"a{n}")
        child = subprocess.Popen(
            [sys.executable, str(HERE / "forgetter.py"), str(home), one.hex()], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout and child.stdout.readline() == "go\n"
        time.sleep(chance.uniform(0, 0.25))
        child.kill()
        child.wait()
        assert sound(home) and content(home, two) == before
        decide(home, one)
        carry_out(home)
        assert secret(0) not in everything(home) and content(home, two) == before and sound(home)


def test_a_sentence_read_twice_is_the_same(home: Path) -> None:
    decide(home, sessions_of(home)[0])
    with LmdbArchive.open(home, readonly=True) as archive:
        assert sentence(archive) == sentence(archive)
