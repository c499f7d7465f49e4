"""The bytes of format 1 are what they were, and will be read for ever. See tests/golden/make_records.py."""

from __future__ import annotations

import gzip
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from contract.archive_suite import is_sound
from golden import make_archive, make_records
from strategies import note
from tapes.archive import dictionary, pack, squeeze, tables
from tapes.archive.audit import numbers
from tapes.archive.base import Batch
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.reading import object_digest
from tapes.archive.verify import verify
from tapes.errors import FormatError, Withheld
from tapes.record.chain import check_link
from tapes.record.digest import Digest, record_digest
from tapes.record.kinds import BodyRef, Record, read_record, record_bytes
from tapes.record.tomb import WITHHELD

FOLDER = Path(make_records.__file__).parent
GOLDEN: dict[str, Any] = json.loads((FOLDER / "records_1.json").read_text())
PAGES = pytest.mark.skipif(
    os.sysconf("SC_PAGE_SIZE") != 4096, reason="LMDB's pages are those of the machine that wrote it"
)


def test_records_are_written_byte_for_byte_as_ever() -> None:
    assert make_records.records() == GOLDEN["records"]


def test_old_records_are_read_and_their_chain_holds() -> None:
    before: tuple[Digest, Record] | None = None
    for row in GOLDEN["records"]:
        data = bytes.fromhex(row["bytes"])
        record = read_record(data)
        assert record_digest(data).hex() == row["hash"] and record_bytes(record) == data
        check_link(before, record)
        before = Digest.parse(row["hash"]), record


@pytest.mark.parametrize("row", GOLDEN["trees"], ids=lambda row: row["name"])
def test_bodies_are_cut_as_ever(row: dict[str, Any]) -> None:
    assert row in make_records.trees()


def test_an_old_group_of_packs_is_read() -> None:
    found = []
    for _, data in pack.unpack([(n, bytes.fromhex(frame)) for n, frame in enumerate(GOLDEN["pack"]["frames"], 1)]):
        for kind, offset, length in pack.table(data):
            item = data[offset : offset + length]
            digest = record_digest(item) if kind == "record" else object_digest(kind, item)
            found.append([digest.hex(), kind, item.hex()])
    assert found == GOLDEN["pack"]["objects"]


def test_old_compressed_bytes_are_read() -> None:
    data = squeeze.decompress(bytes.fromhex(GOLDEN["squeezed"]), 1000)
    assert data == b"a record, squeezed: " + b"exchange.open " * 9


def golden_archive(home: Path, version: int, what: str = "archive") -> Path:
    home.mkdir(mode=0o700)
    packed = (FOLDER / f"{what}_{version}.mdb.gz").read_bytes()
    (home / "data.mdb").write_bytes(gzip.decompress(packed))
    (home / "data.mdb").chmod(0o600)
    return home


def test_every_version_there_ever_was_has_golden_files() -> None:
    versions = list(range(1, tables.VERSION + 1))
    for pattern in ("archive_*.mdb.gz", "forgotten_*.mdb.gz", "records_*.json"):
        assert sorted(int(re.findall(r"\d+", path.name)[0]) for path in FOLDER.glob(pattern)) == versions


@PAGES
@pytest.mark.parametrize("version", range(1, tables.VERSION + 1))
def test_an_old_archive_is_read(tmp_path: Path, version: int) -> None:
    home = golden_archive(tmp_path / "a", version)
    with LmdbArchive.open(home, readonly=True) as archive:
        assert is_sound(archive) and archive.last() == 5
        session = archive.names()["kept"]
        records = [record for _, record in archive.session_records(session)]
        bodies = [archive.body(BodyRef.of(record.body["request"])) for record in records[1:4]]
        assert bodies == make_archive.REQUESTS
        assert archive.tail(archive.at(5)[0]) == make_archive.HALF
        assert archive.summary(session) == b"row"


@PAGES
@pytest.mark.parametrize("version", range(1, tables.VERSION + 1))
def test_an_old_archive_is_written_on(tmp_path: Path, version: int) -> None:
    home = golden_archive(tmp_path / "a", version)
    with LmdbArchive.open(home) as archive:
        archive.commit(Batch([note(archive.names()["kept"])]))
        assert is_sound(archive) and archive.last() == 6


@PAGES
@pytest.mark.parametrize("version", range(1, tables.VERSION + 1))
def test_an_old_archive_that_forgot_is_read_with_its_tombstones(tmp_path: Path, version: int) -> None:
    home = golden_archive(tmp_path / "a", version, "forgotten")
    with LmdbArchive.open(home) as archive:
        frames = [archive._run(lambda txn, t, n=n: tables.read_frame(txn, t["pack"], n)) for n in numbers(archive._run)]
        assert sum(pack.base(frame) == 0 for frame in frames) >= 3 and any(pack.base(frame) for frame in frames)
        assert not any(make_archive.FORGOTTEN in archive._packed(n) for n in numbers(archive._run))
        first, second = archive.sessions()
        assert archive.names() == {"kept": first}
        told = {
            session: [record.seq for _, record in archive.session_records(session) if record.type == WITHHELD]
            for session in (first, second)
        }
        assert told == {first: list(make_archive.SOME), second: [0, 1]}
        assert [record.type for _, record in archive.session_records(second)][-1] == "redaction"
        bodies = [BodyRef.of(archive.session_record(first, seq)[1].body["request"]) for seq in (1, 2, 3)]
        assert [archive.body(ref) for ref in bodies[:2]] == make_archive.REQUESTS[:2]
        with pytest.raises(Withheld):
            archive.body(bodies[2])
        report = verify(archive)
        assert report.ok and not report.pending
        assert sorted((gone.records, gone.bodies) for gone in report.withheld.values()) == [(2, 0), (3, 1)]
        archive.commit(Batch([note(first)]))
        assert is_sound(archive)


@PAGES
def test_an_archive_of_a_newer_version_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    home = golden_archive(tmp_path / "a", tables.VERSION)
    newer = tables.VERSION + 1
    with LmdbArchive.open(home) as archive:
        archive._run(lambda txn, t: txn.put(b"version", tables.u32(newer), db=t["meta"]), write=True)
    before = (home / "data.mdb").read_bytes()
    for options in ({}, {"readonly": True}, {"create": True}):
        with pytest.raises(FormatError, match=f"format {newer}"):
            LmdbArchive.open(home, **options)
    assert (home / "data.mdb").read_bytes() == before


def test_the_dictionary_of_format_1_is_kept_beside_the_code_that_holds_it() -> None:
    assert (FOLDER / "dictionary_1.bin").read_bytes() == dictionary.DICTIONARY
