"""A changed byte is found wherever it is, or it was in nothing that anybody reads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from contract.archive_suite import a_part, an_exchange
from strategies import note, opening
from tapes.archive import squeeze, tables
from tapes.archive.base import Batch
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.verify import Finding, verify
from tapes.errors import Damaged
from tapes.record.digest import Digest
from tapes.record.kinds import BodyRef

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


def after(home: Path, how: str, offsets: list[int]) -> list[str]:
    command = [sys.executable, HERE / "damage.py", home, home.parent / "copy", how, *map(str, offsets)]
    outcomes = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert [line for line in outcomes if line.startswith("raised")] == []
    return outcomes


def test_a_flipped_bit_anywhere_is_found_or_was_in_nothing_that_is_read(home: Path) -> None:
    size = (home / "data.mdb").stat().st_size
    untouched = after(home, "cut", [size])
    outcomes = after(home, "flip", list(range(37, size, size // 150)))
    assert untouched[0].startswith("sound")
    wrong = {line for line in outcomes if line.startswith("sound")} - set(untouched)
    assert not wrong
    found = [line for line in outcomes if not line.startswith("sound")]
    assert len(found) >= 10  # the rest hit pages that are free, or only half full


def test_a_zeroed_page_is_found_or_was_in_nothing_that_is_read(home: Path) -> None:
    size = (home / "data.mdb").stat().st_size
    untouched = after(home, "cut", [size])
    outcomes = after(home, "zero", list(range(0, size, 4096)))
    assert {line for line in outcomes if line.startswith("sound")} <= set(untouched)


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


def changed(data: bytes) -> bytes:
    return data[:-1] + bytes((data[-1] ^ 1,))


def test_a_changed_record_is_named_and_the_others_are_still_read(home: Path) -> None:
    with LmdbArchive.open(home) as archive:
        digest, _ = archive.at(5)
        raw = archive.record_raw(digest)
        put(
            archive,
            "log",
            tables.u64(5),
            squeeze.compress(raw.replace(b"fake", b"fate").replace(b"x" * 700, b"y" * 700)),
        )
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


def test_a_changed_blob_is_found_at_every_record_that_needs_it(home: Path) -> None:
    with LmdbArchive.open(home) as archive:
        key, frame = next(iter(_frames(archive)))
        put(archive, "pack", key, frame[:-40] + bytes(40))
        report = verify(archive)
        assert report.first_bad is not None and report.first_bad.pos == 3
        ref = BodyRef.of(archive.at(3)[1].body["request"])
        with pytest.raises(Damaged):
            archive.body(ref)


def _frames(archive: LmdbArchive) -> list[tuple[bytes, bytes]]:
    return archive._run(lambda txn, t: list(txn.cursor(db=t["pack"])))


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
        ("chain", tables.chain_key(b"\x07" * 32, 1), tables.u64(4000)),
        ("body", tables.body_key(b"\x07" * 32, 4000), b""),
        ("obj", b"\x07" * 32, tables.entry_value(tables.Entry(1, 0, 10, "blob"))),
        ("obj", b"\x07" * 32, tables.entry_value(tables.Entry(4000, 0, 10, "blob"))),
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
        assert [finding.where for finding in verify(archive).findings] == [wrong.hex()]


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
