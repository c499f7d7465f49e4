"""Changes bytes of a copied archive and asks, each time in a process of its own, what reading makes of it.

    python damage.py ARCHIVE COPY CHANGE OFFSET …

A change is `flip` (one bit), `zero` (4 KiB from there on), `noise` (the same at random), `cut` (the file ends there) or
`swap` (two pages change places; OFFSET is FIRST:SECOND).

Prints a line per offset: `sound` (all records and bodies read, nothing found), `found POS WHERE`, `raised …` (a defect:
no error but ours may come out), or how the process ended. Damage inside LMDB's own pages may end a process (an
assertion, SIGBUS): hence the fork per offset.
"""

from __future__ import annotations

import faulthandler
import os
import shutil
import signal
import sys
import traceback
from pathlib import Path
from typing import IO

from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.verify import verify
from tapes.errors import TapesError

PAGE = 4096


def look(path: Path) -> str:
    try:
        with LmdbArchive.open(path, readonly=True) as archive:
            report = verify(archive)
    except TapesError as error:
        return f"found None {type(error).__name__}"
    bad = report.first_bad
    return f"found {bad.pos} {bad.where!a}" if bad else f"sound {report.records} {report.bytes}"


def look_apart(path: Path) -> str:
    """`look` in a child, which may die of it."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        faulthandler.disable()
        signal.alarm(10)  # damaged pages may lead LMDB in circles; whoever verifies gives up on a child that does
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            said = look(path)
        except BaseException as error:  # noqa: BLE001 - a child of fork must not return from here
            said = f"raised {error!r} {traceback.format_tb(error.__traceback__)[-1]!r}"
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return said or f"ended {status}"


def change(path: Path, how: str, where: str) -> None:
    offset, _, other = where.partition(":")
    with open(path / "data.mdb", "r+b") as file:
        if how == "cut":
            file.truncate(int(offset))
            return
        length = 1 if how == "flip" else PAGE
        places = [int(offset), *map(int, filter(None, [other]))]
        found = [_read(file, place, length) for place in places]
        match how:
            case "flip":
                found = [bytes((found[0][0] ^ 0x10,))]
            case "zero":
                found = [bytes(PAGE)]
            case "noise":
                found = [os.urandom(PAGE)]
            case "swap":
                found.reverse()
        for place, data in zip(places, found, strict=True):
            file.seek(place)
            file.write(data)


def _read(file: IO[bytes], place: int, length: int) -> bytes:
    file.seek(place)
    return file.read(length)


def main() -> None:
    source, copy, how, *offsets = sys.argv[1:]
    for offset in offsets:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(source, copy)
        os.chmod(copy, 0o700)
        change(Path(copy), how, offset)
        print(look_apart(Path(copy)), flush=True)


if __name__ == "__main__":
    main()
