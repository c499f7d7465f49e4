"""Writes to an archive while calls on its file fail: LD_PRELOAD=failing_io.so python failing_io.py FOLDER SO CASE…

A case is AT:TIMES:ERROR:HOW, as failing_io.c says; `count` tells how many calls a run makes. Each case has a process
and an archive of its own, writes as the writer does (a failed batch is tried again), gives up after some tries, and
writes once more when the disk is well again. Prints a line per case: the texts that were reported as kept, and what
became of the archive, as JSON.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from archive.damage import look_apart
from contract.archive_suite import open_session
from strategies import note
from tapes.archive.base import Batch
from tapes.archive.cut import cut_once
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.errors import ArchiveError, Damaged

HOW = ("refuse", "half", "after", "short", "stuck")
SIZES = (300, 3_000, 90_000, 0, 700, 20_000)
TRIES = 4


class Work:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.kept: list[str] = []
        self.errors: set[str] = set()

    def tried[T](self, work: Callable[[], T]) -> T | None:
        for _ in range(TRIES):
            try:
                return work()
            except (ArchiveError, Damaged) as error:
                self.errors.add(type(error).__name__)
        return None

    def run(self, well_again: Callable[[], None]) -> None:
        archive = self.tried(lambda: LmdbArchive.open(self.home, create=True))
        session = archive and self.tried(lambda: open_session(archive))
        for n, size in enumerate(SIZES if session else ()):
            self._write(archive, session, f"{n}", size)
        well_again()
        archive = archive or LmdbArchive.open(self.home, create=True)
        session = session or open_session(archive)
        self._write(archive, session, "well again", 5_000)
        assert self.kept[-1] == "well again", self.errors
        archive.close()

    def _write(self, archive: Any, session: Any, text: str, size: int) -> None:
        cut = cut_once(os.urandom(size // 2).hex().encode())
        draft = note(session, text)
        draft.body = {"text": text, "body": cut.ref.to_value()}
        batch = Batch([draft], cut.objects)
        if self.tried(lambda: archive.commit(batch)):
            self.kept.append(text)


def case(shim: Any, home: Path, at: int, times: int, error: int, how: str) -> dict[str, Any]:
    work = Work(home)
    shim.arm(b"/data.mdb", at, times, error, HOW.index(how))
    work.run(lambda: shim.arm(b"", 0, 0, 0, 0))
    with LmdbArchive.open(home, readonly=True) as archive:
        stored = [record.body["text"] for _, _, record in archive.log() if record.type == "note"]
    return {"kept": work.kept, "stored": stored, "errors": sorted(work.errors)}


def apart(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """In a child, which the engine may end."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            said = work()
        except BaseException:  # noqa: BLE001 - a child of fork must not return from here
            said = {"raised": traceback.format_exc()}
        os.write(writer, json.dumps(said).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return json.loads(said) if said else {"raised": f"ended {status}"}


def main() -> None:
    folder, shim = Path(sys.argv[1]), ctypes.CDLL(sys.argv[2])

    def calls() -> dict[str, Any]:
        shim.arm(b"/data.mdb", 0, 0, 0, 0)
        seen: list[int] = []
        Work(folder / "counted").run(lambda: seen.append(shim.seen()))
        return {"calls": seen[0]}

    for word in sys.argv[3:]:
        if word == "count":
            print(json.dumps(apart(calls)), flush=True)
            continue
        at, times, error, how = word.split(":")
        home = folder / "archive"
        shutil.rmtree(home, ignore_errors=True)
        said = apart(lambda: case(shim, home, int(at), int(times), getattr(errno, error), how))  # noqa: B023
        print(json.dumps(said | {"look": look_apart(home)}), flush=True)


if __name__ == "__main__":
    main()
