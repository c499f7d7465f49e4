"""A changed byte is found wherever it is, or it was in nothing that anybody reads."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from archive.damage import PAGE
from conftest import Faults
from contract.archive_suite import a_part, an_exchange
from strategies import note, opening
from tapes.archive import pack, squeeze, tables
from tapes.archive.base import Batch
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.lookups import PackCache, read_group
from tapes.archive.verify import Finding, verify
from tapes.errors import Damaged
from tapes.record.digest import Digest, blob_digest, record_digest
from tapes.record.kinds import BodyRef, body_refs

HERE = Path(__file__).parent


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An archive with two sessions, bodies small and large, a part that is still open, a name and a summary."""
    path = tmp_path / "archive"
    with LmdbArchive.open(path, create=True) as archive:
        one, two = opening(), opening()
        archive.commit(Batch([one, two], names={"first": one}, summaries={one: b"row"}))
        for n in range(6):
            text = b'["' + os.urandom(900).hex().encode() + b'","' + b"same " * 300 + b'"]'
            exchange, batch = an_exchange(one if n % 2 else two, text)
            archive.commit(batch)
            archive.commit(Batch([note(one, str(n)), note(two, "x" * 700)]))
        part = a_part(two, exchange, b"half an answer")
        archive.commit(Batch([part], tails={part: b"half an answer"}))
    return path


def after(home: Path, how: str, offsets: Sequence[int | str]) -> list[str]:
    command = [sys.executable, HERE / "damage.py", home, home.parent / "copy", how, *map(str, offsets)]
    outcomes = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert [line for line in outcomes if line.startswith("raised") or "ArchiveError" in line] == []
    return outcomes


def assert_found(home: Path, how: str, offsets: Sequence[int | str]) -> list[str]:
    """Each change is found or was in nothing that anybody reads: what is called sound is what it was, to the byte."""
    untouched = after(home, "cut", [(home / "data.mdb").stat().st_size])
    outcomes = after(home, how, offsets)
    assert untouched[0].startswith("sound")
    wrong = {line: where for line, where in zip(outcomes, offsets, strict=True) if line.startswith("sound")}
    assert wrong.keys() <= set(untouched), wrong
    return [line for line in outcomes if not line.startswith("sound")]


def test_a_flipped_bit_anywhere_is_found_or_was_in_nothing_that_is_read(home: Path, faults: Faults) -> None:
    size = (home / "data.mdb").stat().st_size
    found = assert_found(home, "flip", faults.some(range(size), 150))
    assert len(found) >= 10  # the rest hit pages that are free, or only half full


@pytest.mark.parametrize("how", ["zero", "noise"])
def test_a_page_overwritten_is_found_or_was_in_nothing_that_is_read(home: Path, how: str, faults: Faults) -> None:
    size = (home / "data.mdb").stat().st_size
    assert assert_found(home, how, faults.some(range(0, size, PAGE), 80))


def test_two_pages_that_changed_places_are_found_or_are_in_nothing_that_is_read(home: Path, faults: Faults) -> None:
    pages = range((home / "data.mdb").stat().st_size // PAGE)
    pairs = [f"{one * PAGE}:{other * PAGE}" for one, other in itertools.combinations(pages, 2)]
    assert assert_found(home, "swap", faults.some(pairs, 80))


def test_a_file_cut_short_is_refused_and_not_crashed_into(home: Path) -> None:
    size = (home / "data.mdb").stat().st_size
    for line in after(home, "cut", [size // 8, size // 3, 8192, 4096, 100, 0]):
        assert line.startswith("found None"), line


# -- damage placed by hand: which record, and what is said of it


def put(archive: LmdbArchive, table: str, key: bytes, value: bytes | None) -> None:
    def work(txn, t):  # type: ignore[no-untyped-def]
        return txn.delete(key, db=t[table]) if value is None else txn.put(key, value, db=t[table])

    assert archive._run(work, write=True)


def get(archive: LmdbArchive, table: str, key: bytes) -> bytes:
    data = archive._run(lambda txn, t: txn.get(key, db=t[table]))
    assert data is not None
    return bytes(data)


def packs(archive: LmdbArchive) -> dict[int, bytes]:
    """All frames, put together."""

    def work(txn, t):  # type: ignore[no-untyped-def]
        numbers = sorted({tables.number(key[:8]) for key, _ in txn.cursor(db=t["pack"])})
        return {number: tables.read_frame(txn, t["pack"], number) for number in numbers}

    return archive._run(work)


def put_pack(archive: LmdbArchive, number: int, frame: bytes) -> None:
    """In the place of another, or as a new one."""

    def work(txn, t):  # type: ignore[no-untyped-def]
        for key in [bytes(key) for key, _ in txn.cursor(db=t["pack"]) if key[:8] == tables.u64(number)]:
            txn.delete(key, db=t["pack"])
        for key, value in tables.frame_values(number, frame):
            txn.put(key, value, db=t["pack"])

    archive._run(work, write=True)
    archive._packs = PackCache()


def change_pack(archive: LmdbArchive, pos: int, old: bytes, new: bytes) -> None:
    """Write the group of the pack that holds a record once more, with other bytes in it, as an evil hand could."""
    assert len(old) == len(new)
    wanted = tables.read_entry(get(archive, "log", tables.u64(pos))).pack
    frames = archive._run(lambda txn, t: read_group(txn, t["pack"], wanted))
    stream = squeeze.Stream()
    for (number, frame), (_, payload) in zip(frames, list(pack.unpack(frames)), strict=True):
        assert number != wanted or old in payload
        put_pack(archive, number, frame[: pack.HEAD] + stream.add(payload.replace(old, new)))


def changed(data: bytes) -> bytes:
    return data[:-1] + bytes((data[-1] ^ 1,))


def test_a_changed_record_is_named_and_the_others_are_still_read(home: Path) -> None:
    with LmdbArchive.open(home) as archive:
        digest, _ = archive.at(5)
        raw = archive.record_raw(digest)
        change_pack(archive, 5, raw, raw.replace(b"fake", b"fate").replace(b"x" * 700, b"y" * 700))
        report = verify(archive)
        assert report.first_bad is not None
        assert (report.first_bad.pos, report.first_bad.where) == (5, digest.hex())
        assert "does not match its hash" in report.first_bad.what
        assert {finding.pos for finding in report.findings} == {5}
        assert report.records == archive.last()
        for read in (archive.record, archive.record_raw, lambda d: archive.at(5), lambda d: list(archive.log())):
            with pytest.raises(Damaged, match=digest.short()) as caught:
                read(digest)
            assert caught.value.where == digest.hex()


def test_a_changed_object_is_found_at_every_record_that_needs_it(home: Path) -> None:
    with LmdbArchive.open(home) as archive:
        ref = BodyRef.of(archive.at(3)[1].body["request"])
        data = archive.object(ref.node)[1]
        change_pack(archive, 3, data, changed(data))
        found = [(finding.pos, finding.where) for finding in verify(archive).findings]
        assert found == [(3, ref.node.hex()), (None, tables.obj_key(ref.node).hex())]
        with pytest.raises(Damaged):
            archive.body(ref)


def _keys(archive: LmdbArchive, table: str) -> list[bytes]:
    return archive._run(lambda txn, t: [bytes(key) for key, _ in txn.cursor(db=t[table])])


@pytest.mark.parametrize("table", ["log", "byhash", "chain", "head", "body", "pack", "obj", "tail"])
def test_a_row_that_is_gone_is_found(home: Path, table: str) -> None:
    with LmdbArchive.open(home) as archive:
        keys = _keys(archive, table)
        put(archive, table, keys[len(keys) // 2], None)
    with LmdbArchive.open(home) as archive:
        assert not verify(archive).ok


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("byhash", b"\x07" * 32, tables.u64(4)),
        ("byhash", b"\x07" * 32, tables.u64(4000)),
        ("chain", tables.chain_key(4000, 1), tables.u64(4000)),
        ("body", tables.body_key(b"\x07" * 32, 4000), b""),
        ("log", tables.u64(25), tables.entry_value(tables.Entry(1, 0, 10, "record"))),
        ("log", tables.u64(25), b"x"),
        ("obj", b"\x07" * tables.SHORT, tables.entry_value(tables.Entry(1, 0, 10, "blob"))),
        ("obj", b"\x07" * tables.SHORT, tables.entry_value(tables.Entry(1, 0, 10, "record"))),
        ("obj", b"\x07" * tables.SHORT, b"x"),
        ("obj", b"\x07" * tables.SHORT, tables.entry_value(tables.Entry(4000, 0, 10, "blob"))),
        ("ref", b"ghost", b"\x07" * 32),
        ("head", b"\x07" * 32, tables.head_value(b"\x07" * 32, 3)),
        ("tail", b"\x07" * 32, b"x"),
    ],
)
def test_a_row_that_belongs_to_nothing_is_found(home: Path, table: str, key: bytes, value: bytes) -> None:
    with LmdbArchive.open(home) as archive:
        put(archive, table, key, value)
        assert not verify(archive).ok


def test_a_head_that_lags_behind_is_found(home: Path) -> None:
    with LmdbArchive.open(home) as archive:
        session = archive.sessions()[0]
        before, _ = archive.session_record(session, 2)
        put(archive, "head", session, tables.head_value(before, 2))
        assert Finding(None, session.hex(), "the session has records behind its head") in verify(archive).findings


def test_an_object_that_no_record_needs_is_checked_too(home: Path) -> None:
    with LmdbArchive.open(home) as archive:
        wrong = Digest(b"\x09" * 32)
        archive.commit(Batch([], {wrong: ("blob", b"not what the name says")}))
        with pytest.raises(Damaged, match="does not match"):
            archive.blob(wrong)
        assert [finding.where for finding in verify(archive).findings] == [tables.obj_key(wrong).hex()]


def test_findings_are_bounded_and_the_rest_is_counted(home: Path) -> None:
    with LmdbArchive.open(home) as archive:
        archive.commit(Batch([], {Digest(bytes([n]) * 32): ("blob", b"%d" % n) for n in range(1, 120)}))
        report = verify(archive)
        assert (len(report.findings), report.more) == (100, 19)


def test_changed_bytes_of_a_part_kept_aside_are_found(home: Path) -> None:
    with LmdbArchive.open(home) as archive:
        key = Digest(_keys(archive, "tail")[0])
        for value in (
            changed(get(archive, "tail", key)),
            squeeze.compress(b"half an ANSWER"),
            squeeze.compress(b"x" * 99),
            b"",
        ):
            put(archive, "tail", key, value)
            with pytest.raises(Damaged):
                archive.tail(key)
            assert verify(archive).first_bad == verify(archive).findings[0]
            assert verify(archive).findings[0].pos == archive.position(key)


# -- packs, which stand on one another


def commits(path: Path, count: int) -> None:
    """Each of a note and a body; the group begins with the first of them."""
    with LmdbArchive.open(path, create=True) as archive:
        session = opening()
        archive.commit(Batch([session]))
        for n in range(count - 1):
            archive.commit(an_exchange(session, b'["%d", "%s"]' % (n, os.urandom(600).hex().encode()))[1])


def readable(archive: LmdbArchive) -> list[int]:
    """Records that are read with all their bodies."""
    found = []
    for pos in range(1, archive.last() + 1):
        try:
            record = archive.at(pos)[1]
            for ref in body_refs(record.body):
                archive.body(ref)
        except Damaged as error:
            assert error.where
            continue
        found.append(pos)
    return found


@pytest.mark.parametrize("bad", [9, 12, 16])
def test_a_damaged_pack_costs_at_most_what_is_behind_it_in_its_group(tmp_path: Path, bad: int) -> None:
    commits(tmp_path / "a", 24)
    with LmdbArchive.open(tmp_path / "a") as archive:
        assert readable(archive) == list(range(1, 25))
        put_pack(archive, bad, packs(archive)[bad][:40] + bytes(40))
        assert readable(archive) == [pos for pos in range(1, 25) if not bad <= pos <= 16]
        assert list(range(1, bad)) == [pos for pos, _, _ in itertools.islice(archive.log(), bad - 1)]
        report = verify(archive)
        assert report.first_bad is not None and report.first_bad.pos == bad
        places = {get(archive, "byhash", key): key for key in _keys(archive, "byhash")}
        assert report.first_bad.where == places[tables.u64(bad)].hex()
        assert {finding.pos for finding in report.findings} == {None, *range(bad, 17)}


@pytest.mark.parametrize("base", [5, 6, 7, 4000, 2**32 - 1, 0, 1])
def test_a_pack_that_stands_on_a_wrong_one_is_damage_and_no_endless_walk(tmp_path: Path, base: int) -> None:
    commits(tmp_path / "a", 12)
    with LmdbArchive.open(tmp_path / "a") as archive:
        frame = packs(archive)[5]
        assert pack.base(frame) == 4
        put_pack(archive, 5, frame[:5] + tables.u32(base) + frame[9:])
        with pytest.raises(Damaged):
            archive.at(5)
        assert set(readable(archive)) >= {1, 2, 3, 4, 9, 10, 11, 12}
        assert verify(archive).first_bad is not None and verify(archive).first_bad.pos == 5


def test_a_pack_whose_base_is_gone_is_damage(tmp_path: Path) -> None:
    commits(tmp_path / "a", 12)
    with LmdbArchive.open(tmp_path / "a") as archive:
        put_pack(archive, 3, b"")
        assert readable(archive) == [1, 2, 9, 10, 11, 12]


def test_a_chain_of_more_packs_than_a_group_has_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack, "GROUP", 12)
    commits(tmp_path / "a", 12)
    monkeypatch.undo()
    with LmdbArchive.open(tmp_path / "a") as archive:
        assert readable(archive) == list(range(1, 9))


def test_a_record_in_a_pack_that_the_log_does_not_lead_to_is_found(home: Path) -> None:
    with LmdbArchive.open(home) as archive:
        record = archive.record_raw(archive.at(4)[0])[:-1] + b"\x00"
        items = [pack.Item(record_digest(record), "record", record)]
        (frame,) = pack.frames(max(packs(archive)) + 1, [], items, pack.Group())
        put_pack(archive, frame.number, frame.data)
        assert [finding.where for finding in verify(archive).findings] == [record_digest(record).hex()]


def test_an_object_in_a_pack_that_the_index_does_not_lead_to_is_found(home: Path) -> None:
    with LmdbArchive.open(home) as archive:
        items = [pack.Item(blob_digest(b"of nobody"), "blob", b"of nobody")]
        (frame,) = pack.frames(max(packs(archive)) + 1, items, [], pack.Group())
        put_pack(archive, frame.number, frame.data)
        assert [finding.where for finding in verify(archive).findings] == [blob_digest(b"of nobody").hex()]
