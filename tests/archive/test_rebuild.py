"""What is derived comes back from the packs, and what does not is named."""

from __future__ import annotations

import os
import random
from contextlib import suppress
from pathlib import Path

import lmdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archive.test_damage import change_pack, changed, packs, put_pack
from contract.archive_suite import a_part, an_end, an_exchange, is_sound
from strategies import note, opening
from tapes.archive import tables
from tapes.archive.base import Batch
from tapes.archive.claim import Claim
from tapes.archive.copy import compact
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.lmdb_file.salvage import Salvage
from tapes.archive.rebuild import rebuild
from tapes.archive.summary import Summary
from tapes.archive.verify import verify
from tapes.errors import ArchiveInUse, Damaged, FormatError, TapesError
from tapes.record.digest import Digest

DERIVED = ("log", "byhash", "chain", "head", "body", "obj")

type Content = dict[str, list[tuple[bytes, bytes]]]


def fill(path: Path, seed: int = 0) -> list[Digest]:
    """Sessions that take turns, bodies small and large, a part that became a body and one that did not, a name, a
    summary; two processes' worth of groups."""
    chance, drafts = random.Random(seed), [opening(), opening(), opening()]
    for _ in range(2):
        with LmdbArchive.open(path, create=True) as archive:
            archive.commit(Batch([draft for draft in drafts if draft.hash is None]))
            for n in range(12):
                of = chance.choice(drafts)
                text = b'["' + chance.randbytes(700).hex().encode() + b'","' + b"same " * 200 + b'"]'
                exchange, batch = an_exchange(of, text * chance.choice((1, 1, 90)))
                archive.commit(batch)
                part = a_part(of, exchange, text[:20])
                archive.commit(Batch([part, note(of, str(n))], tails={part: text[:20]}))
                if chance.random() < 0.6:
                    reply, whole = an_exchange(of, text)
                    archive.commit(whole)
                    end = an_end(of, exchange, None)
                    end.body = {**end.body, "response": reply.body["request"]}
                    archive.commit(Batch([end], drop_tails=[part]))
    sessions = [draft.hash for draft in drafts if draft.hash]
    with LmdbArchive.open(path) as archive:
        head = archive.head(sessions[0])
        assert head
        row = Summary(upto=head[1], agent="an agent").to_bytes()
        archive.commit(Batch([], names={"first": sessions[0]}, summaries={sessions[0]: row}))
        assert is_sound(archive)
    return sessions


@pytest.fixture
def home(tmp_path: Path) -> Path:
    fill(tmp_path / "archive")
    return tmp_path / "archive"


def content(path: Path) -> Content:
    with LmdbArchive.open(path, readonly=True) as archive:
        return archive._run(
            lambda txn, t: {name: [(bytes(k), bytes(v)) for k, v in txn.cursor(db=table)] for name, table in t.items()}
        )


def drop(path: Path, *names: str, whole: bool) -> None:
    """Remove all rows of tables, or the tables themselves."""
    with lmdb.open(str(path), max_dbs=32, lib_version=0) as env:
        for name in names:
            table = env.open_db(name.encode(), create=False)
            with env.begin(write=True) as txn:
                txn.drop(table, delete=whole)


@pytest.mark.parametrize("whole", [False, True], ids=["rows", "table"])
@pytest.mark.parametrize("names", [*((name,) for name in DERIVED), DERIVED], ids=lambda names: "+".join(names))
def test_a_derived_table_that_is_gone_comes_back_equal(home: Path, names: tuple[str, ...], whole: bool) -> None:
    before = content(home)
    drop(home, *names, whole=whole)
    if whole:
        with pytest.raises(FormatError):
            LmdbArchive.open(home)
    done = rebuild(home)
    assert done.whole and done.swapped and done.kept is None
    assert content(home) == before
    with LmdbArchive.open(home) as archive:
        assert is_sound(archive)


def test_summaries_that_are_gone_are_left_to_whoever_folds_them(home: Path) -> None:
    before = content(home)
    drop(home, "summary", whole=True)
    kept = before["summary"]

    def fold(archive: LmdbArchive) -> None:
        archive.commit(Batch([], summaries={Digest(key): value for key, value in kept}))

    assert rebuild(home, fold=fold).whole
    assert content(home) == before


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10_000), gone=st.sets(st.sampled_from(DERIVED), min_size=1))
def test_any_archive_comes_back_equal(tmp_path_factory: pytest.TempPathFactory, seed: int, gone: set[str]) -> None:
    path = tmp_path_factory.mktemp("any") / "archive"
    fill(path, seed)
    before = content(path)
    drop(path, *gone, whole=False)
    assert rebuild(path).whole
    assert content(path) == before


@pytest.mark.parametrize("table", ["byhash", "log", "chain", "head", "body", "obj"])
def test_rows_that_lead_astray_do_not_come_along(home: Path, table: str) -> None:
    before = content(home)
    with LmdbArchive.open(home) as archive:
        key, value = before[table][3 % len(before[table])]
        archive._run(lambda txn, t: txn.put(key, changed(value) if value else b"x", db=t[table]), write=True)
        archive._run(lambda txn, t: txn.put(changed(key), value, db=t[table]), write=True)
    done = rebuild(home)
    if table == "byhash":  # the changed pos of one row: what it leads to can be anything
        assert set(before["log"]) <= set(content(home)["log"])
    else:
        assert done.whole and content(home) == before


def test_a_dry_run_changes_nothing_and_says_the_same(home: Path) -> None:
    drop(home, *DERIVED, whole=False)
    before = (home / "data.mdb").read_bytes()
    dry = rebuild(home, dry_run=True)
    assert (home / "data.mdb").read_bytes() == before
    assert not dry.swapped and not (home / "fresh").exists()
    real = rebuild(home)
    assert (dry.whole, dry.records, dry.objects, dry.sessions) == (True, real.records, real.objects, real.sessions)


def records_in(archive: LmdbArchive, number: int) -> dict[Digest, tuple[Digest, int]]:
    """Records whose entries lead to a pack: hash to session and seq."""
    found = {}
    for pos, digest, record in archive.log():
        row = archive._run(lambda txn, t, pos=pos: txn.get(tables.u64(pos), db=t["log"]))
        if tables.read_entry(row).pack == number:
            found[digest] = (record.session or digest, record.seq)
    return found


@pytest.mark.parametrize("witnesses", [True, False], ids=["indexes there", "indexes gone"])
@pytest.mark.parametrize("place", [0, 3, 7, 20, -1])
def test_every_record_of_a_damaged_pack_is_named_and_all_others_are_kept(
    home: Path, place: int, witnesses: bool
) -> None:
    with LmdbArchive.open(home) as archive:
        frames = packs(archive)
        number = sorted(frames)[place]
        everything = {digest: (record.session or digest, record.seq) for _, digest, record in archive.log()}
        group = [n for n in sorted(frames) if n >= number]
        put_pack(archive, number, frames[number][:13] + bytes(len(frames[number]) - 13))
        readable = set()
        for digest in everything:
            try:
                archive.record(digest)
                readable.add(digest)
            except Damaged:
                pass
    assert group
    gone = {digest: of for digest, of in everything.items() if digest not in readable}
    if not witnesses:
        drop(home, *DERIVED, whole=False)
    done = rebuild(home)
    assert not done.whole and done.kept is not None and done.kept.stat().st_mode & 0o777 == 0o600
    assert number in done.losses.packs
    named = {(lost.session, record.seq) for lost in done.lost for record in lost.records}
    hashes = {record.hash for lost in done.lost for record in lost.records}
    if witnesses:
        assert hashes - {None} == set(gone) and named == set(gone.values())
    else:
        # The links tell of all that something was linked to; the last records of a session leave no trace of their own.
        assert named <= set(gone.values()) and hashes - {None} <= set(gone)
    with LmdbArchive.open(home) as archive:
        for digest in readable:
            assert archive.record(digest).session in (None, everything[digest][0])
            session, seq = everything[digest]
            assert archive.session_record(session, seq)[0] == digest
        for digest in hashes - {None}:
            with pytest.raises(Damaged, match=digest.short()):
                archive.record(digest)
        report = verify(archive)
        assert not report.ok
        found = {finding.where for finding in report.findings}
        assert {digest.hex() for digest in hashes if digest} <= found
        # It can be written to again.
        session = next(of for digest, (of, _) in everything.items() if digest in readable)
        archive.commit(Batch([note(session, "after")]))


def test_a_record_that_was_changed_breaks_its_chain_and_is_told(home: Path) -> None:
    with LmdbArchive.open(home) as archive:
        pos = next(pos for pos, _, record in archive.log() if record.type == "note" and pos > 20)
        digest, record = archive.at(pos)
        raw = archive.record_raw(digest)
        change_pack(archive, pos, raw, raw.replace(record.nonce, bytes(16)))
    done = rebuild(home)
    assert not done.whole
    assert digest in {row.hash for lost in done.lost for row in lost.records} or any(
        digest.short() in text for text in done.losses.breaks
    )


def test_an_object_that_is_lost_is_told_of_every_record_that_needs_it(home: Path) -> None:
    with LmdbArchive.open(home) as archive:
        pos, digest, record = next(row for row in archive.log() if row[2].type == "exchange.open")
        node = Digest(record.body["request"]["node"])
        data = archive.object(node)[1]
        change_pack(archive, pos, data, changed(data))
    done = rebuild(home)
    assert not done.whole
    assert digest in {bad for lost in done.lost for bad in lost.bodies}


# -- what LMDB itself dies of


def with_everything_said(home: Path) -> dict[Digest, bytes]:
    with LmdbArchive.open(home, readonly=True) as archive:
        return {digest: archive.record_raw(digest) for _, digest, _ in archive.log()}


def readable(home: Path) -> dict[Digest, bytes]:
    found = {}
    with LmdbArchive.open(home, readonly=True) as archive:
        for pos in range(1, archive.last() + 1):
            with suppress(Damaged):
                digest, _ = archive.at(pos)
                found[digest] = archive.record_raw(digest)
    return found


@pytest.mark.slow
def test_any_zeroed_page_costs_no_more_than_what_was_in_it(home: Path) -> None:
    whole, sound = (home / "data.mdb").read_bytes(), with_everything_said(home)
    frames_of_a_page, worst = 6, 0
    for start in range(0, len(whole), 4096):
        (home / "data.mdb").write_bytes(whole[:start] + bytes(4096) + whole[start + 4096 :])
        done = rebuild(home)
        found = readable(home)
        assert found.items() <= sound.items()
        lost = set(sound) - set(found)
        assert lost == {record.hash for record in done.losses.records}
        assert not lost or not done.whole
        worst = max(worst, len(done.losses.packs))
        for kept in home.glob("damaged-*"):
            assert kept.read_bytes() == whole[:start] + bytes(4096) + whole[start + 4096 :]
            kept.unlink()
    assert 0 < worst <= 2 * 8 + frames_of_a_page


def hurt(data: bytes, chance: random.Random) -> bytes:
    changed, start = bytearray(data), chance.randrange(len(data))
    how = chance.choice(("flip", "zero", "garbage"))
    if how == "flip":
        changed[start] ^= 1 << chance.randrange(8)
    else:
        start &= ~511
        changed[start : start + 512] = bytes(512) if how == "zero" else chance.randbytes(512)
    return bytes(changed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_a_rebuild_calls_nothing_whole_that_is_not_and_names_every_lost_record(home: Path, seed: int) -> None:
    whole, sound, chance = (home / "data.mdb").read_bytes(), with_everything_said(home), random.Random(seed)
    for _ in range(12):
        (home / "data.mdb").write_bytes(hurt(whole, chance))
        done = rebuild(home)
        found = readable(home)
        assert not done.whole or found == sound
        assert set(sound) - set(found) <= {record.hash for record in done.losses.records}
        for kept in home.glob("damaged-*"):
            kept.unlink()


def test_much_damage_at_once_ends_in_a_report_or_in_an_error_of_ours(home: Path) -> None:
    whole, chance = (home / "data.mdb").read_bytes(), random.Random(7)
    for _ in range(12):
        data = whole
        for _ in range(40):
            data = hurt(data, chance)
        (home / "data.mdb").write_bytes(data)
        with suppress(TapesError):
            assert not rebuild(home).whole
        assert not (home / "fresh").exists()


@pytest.mark.parametrize("eighths", [2, 4, 6, 7])
def test_of_a_file_that_was_cut_short_what_is_there_comes_back(home: Path, eighths: int) -> None:
    sound, size = with_everything_said(home), (home / "data.mdb").stat().st_size
    os.truncate(home / "data.mdb", size * eighths // 8)
    done = rebuild(home)
    assert not done.whole and readable(home).items() <= sound.items()
    assert done.kept is not None and done.kept.stat().st_size == size * eighths // 8
    with LmdbArchive.open(home) as archive:
        assert archive.path == home


def test_a_branch_that_is_gone_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    fill(path)
    sound = with_everything_said(path)
    with lmdb.open(str(path), max_dbs=32, readonly=True, lib_version=0) as env, env.begin() as txn:
        depth = txn.stat(env.open_db(b"pack", txn=txn, create=False))["depth"]
    assert depth > 1
    data = (path / "data.mdb").read_bytes()
    with Salvage(path / "data.mdb") as pages:
        root = pages._roots["pack"]
    (path / "data.mdb").write_bytes(data[: root * 4096] + bytes(4096) + data[(root + 1) * 4096 :])
    done = rebuild(path)
    assert readable(path) == sound
    assert done.losses.records == [] and done.losses.tables  # it cannot swear that this is all


@pytest.mark.parametrize("page", [0, 1])
def test_when_a_page_that_begins_the_file_is_gone_nothing_is_called_whole_and_the_last_commit_is_found(
    home: Path, page: int
) -> None:
    with LmdbArchive.open(home) as archive:
        archive.commit(Batch([note(archive.sessions()[0], "the last words")]))
    sound = with_everything_said(home)
    with open(home / "data.mdb", "r+b") as file:
        file.seek(page * 4096)
        file.write(bytes(4096))
    done = rebuild(home)
    assert not done.whole and done.kept is not None and "last commit" in done.losses.tables[0]
    assert readable(home) == sound


def test_a_compacted_file_is_rebuilt_without_a_word_of_loss(home: Path) -> None:
    compact(home)
    assert rebuild(home).whole


def test_a_file_that_is_no_archive_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.mkdir(mode=0o700)
    (path / "data.mdb").write_bytes(b"something else" * 1000)
    (path / "data.mdb").chmod(0o600)
    with pytest.raises(FormatError):
        rebuild(path)
    (path / "data.mdb").unlink()
    with lmdb.open(str(path), mode=0o600, max_dbs=2) as env, env.begin(write=True) as txn:
        txn.put(b"theirs", b"1")
    before = (path / "data.mdb").read_bytes()
    with pytest.raises(FormatError):
        rebuild(path)
    assert (path / "data.mdb").read_bytes() == before and not (path / "fresh").exists()


def test_an_archive_of_a_newer_format_is_left_alone(home: Path) -> None:
    with LmdbArchive.open(home) as archive:
        archive._run(lambda txn, t: txn.put(b"version", tables.u32(2), db=t["meta"]), write=True)
    with pytest.raises(FormatError, match="format 2"):
        rebuild(home)


def test_it_is_refused_while_others_have_the_archive_open(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Claim.alone, "__defaults__", (0.1,))
    with LmdbArchive.open(home, readonly=True), pytest.raises(ArchiveInUse):
        rebuild(home)
    assert not (home / "fresh").exists()
    assert rebuild(home).whole
