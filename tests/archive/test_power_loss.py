"""A power cut at any moment leaves every commit that was reported, and nothing half-done.

A real writer runs under strace, which logs each write to the archive's file and each sync. From the log, images of
the disk are made as a cut would leave them: everything synced is there; of what was written since, any part may be,
in any order, down to single sectors. Each image is opened, verified, and must hold what the writer had reported by
then. The same images with the syncs ignored must fail, or this test would prove nothing.

A run takes a sample; 1,000 others: pytest tests/archive/test_power_loss.py --fault-cases 1000 --fault-seed 7
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from archive.damage import look_apart
from conftest import Faults
from contract.archive_suite import open_session
from tapes.archive.lmdb_archive import LmdbArchive

SECTOR = 512
COMMITS = 12
SAMPLE = 80

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


@dataclass(frozen=True)
class Write:
    offset: int
    data: bytes
    durable: bool
    """Through a descriptor opened with O_DSYNC: on the disk when the call returns."""


class Sync:
    """fdatasync or fsync of the archive's file."""


@dataclass(frozen=True)
class Reported:
    """The writer said that this many commits are done."""

    count: int


type Event = Write | Sync | Reported

_CALL = re.compile(r"^\d+ +(\w+)\((.*)\) += +(-?\d+)", re.DOTALL)


def raw(text: str) -> bytes:
    """A string as strace -xx prints it."""
    return bytes.fromhex(text.replace("\\x", ""))


def events(log: Path) -> Iterator[Event]:
    """What a traced writer did to its data file, and what it said."""
    files: dict[str, bool] = {}
    places: dict[str, int] = {}
    for line in log.read_text().splitlines():
        found = _CALL.match(line)
        if not found:
            continue
        call, arguments, result = found.groups()
        strings = [raw(part) for part in re.findall(r'"((?:\\x[0-9a-f]{2})*)"', arguments)]
        number = arguments.split(",")[0].split("<")[0]
        if call == "openat" and strings and strings[0].endswith(b"/data.mdb"):
            files[result] = "O_DSYNC" in arguments or "O_SYNC" in arguments
        elif call == "close":
            files.pop(number, None)
        elif call == "lseek":
            places[number] = int(result)
        elif call in ("pwrite64", "pwritev", "writev") and number in files:
            offset = places[number] if call == "writev" else int(arguments.rsplit(",", 1)[1])
            data = b"".join(strings)
            assert len(data) == int(result)
            yield Write(offset, data, files[number])
        elif call in ("fdatasync", "fsync", "msync") and number in files:
            yield Sync()
        elif call == "write" and number == "1" and strings[0].strip():
            yield Reported(int(strings[0]))


@dataclass
class Disk:
    """What is surely on the disk, and what may be."""

    image: bytearray
    pending: list[tuple[int, bytes]] = field(default_factory=list)
    reported: int = 0

    def put(self, image: bytearray, offset: int, data: bytes) -> None:
        image.extend(bytes(max(0, offset + len(data) - len(image))))
        image[offset : offset + len(data)] = data

    def settle(self) -> None:
        for offset, data in self.pending:
            self.put(self.image, offset, data)
        self.pending.clear()

    def after_a_cut(self, chance: random.Random) -> bytes:
        image = bytearray(self.image)
        keep = chance.choice([0.0, 0.5, 0.9, 1.0])
        for offset, data in self.pending:
            for start in range(0, len(data), SECTOR):
                if chance.random() < keep:
                    self.put(image, offset + start, data[start : start + SECTOR])
        return bytes(image)


def cuts(log: Path, before: bytes, faults: Faults, *, synced: bool) -> Iterator[tuple[bytes, int]]:
    """Images after a power cut, each with the number of commits reported before it. Every moment is one between two
    calls; the last is among them always."""
    disk, chance, happened = Disk(bytearray(before)), faults.chance(), list(events(log))
    last = len(happened) - 1
    moments = Counter([last, *(chance.randint(0, last) for _ in range(faults.count(SAMPLE) - 1))])
    for moment, event in enumerate(happened):
        if isinstance(event, Write):
            disk.pending.append((event.offset, event.data))
        elif isinstance(event, Reported):
            disk.reported = event.count
        for _ in range(moments[moment]):
            yield disk.after_a_cut(chance), disk.reported
        if isinstance(event, Sync) and synced:
            disk.settle()
        elif isinstance(event, Write) and event.durable and synced:
            disk.put(disk.image, *disk.pending.pop())


@pytest.fixture
def trace(tmp_path: Path) -> tuple[Path, Path]:
    """A traced writer's log, and the archive's file from before it started."""
    with LmdbArchive.open(tmp_path / "a", create=True) as archive:
        session = open_session(archive)
    shutil.copy(tmp_path / "a" / "data.mdb", tmp_path / "before")
    calls = "openat,close,lseek,pwrite64,pwritev,writev,fdatasync,fsync,msync,write"
    command = ["strace", "-f", "-v", "-xx", "-s", "99999999", "-e", f"trace={calls}", "-o", str(tmp_path / "log")]
    writer = [sys.executable, str(Path(__file__).parent / "writer.py"), str(tmp_path / "a"), session.hex()]
    done = subprocess.run([*command, *writer, str(COMMITS)], capture_output=True, text=True)
    if done.returncode and "ptrace" in done.stderr:
        pytest.skip("tracing is not allowed here")
    assert done.returncode == 0, done.stderr
    return tmp_path / "log", tmp_path / "before"


def outcome(home: Path, image: bytes, reported: int) -> bool:
    """Whether an image opens, is sound, and holds at least the session and the commits reported."""
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(mode=0o700)
    (home / "data.mdb").write_bytes(image)
    os.chmod(home / "data.mdb", 0o600)
    said = look_apart(home).split()
    return said[0] == "sound" and int(said[1]) >= 1 + reported


def test_every_reported_commit_outlives_a_power_cut(trace: tuple[Path, Path], tmp_path: Path, faults: Faults) -> None:
    log, before = trace
    seen, wrong = 0, []
    for image, reported in cuts(log, before.read_bytes(), faults, synced=True):
        if not outcome(tmp_path / "cut", image, reported):
            wrong.append((seen, reported))
        seen += 1
    assert reported == COMMITS and seen == faults.count(SAMPLE)
    assert wrong == []


def test_without_syncs_the_same_cuts_do_harm(trace: tuple[Path, Path], tmp_path: Path, faults: Faults) -> None:
    log, before = trace
    images = cuts(log, before.read_bytes(), faults, synced=False)
    assert not all(outcome(tmp_path / "cut", image, reported) for image, reported in images)
