"""Opens archives on a disk without room: python open_when_full.py FOLDER. LMDB maps its file of locks: touching a hole
in it then ends the process."""

from __future__ import annotations

import sys
from pathlib import Path

from contract.archive_suite import open_session
from small_disk import fill
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.errors import ArchiveFull


def opened(path: Path, **options: bool) -> str:
    try:
        with LmdbArchive.open(path, **options) as archive:
            return str(archive.last())
    except ArchiveFull:
        return "ArchiveFull"


def main() -> None:
    folder = Path(sys.argv[1])
    with LmdbArchive.open(folder / "a", create=True) as archive:
        open_session(archive)
    locks = (folder / "a" / "lock.mdb").read_bytes()
    fill(folder)
    print("made", opened(folder / "new", create=True), flush=True)
    (folder / "a" / "lock.mdb").unlink()
    fill(folder / "new")
    print("without locks", opened(folder / "a", readonly=True), flush=True)
    (folder / "fill").unlink()
    (folder / "a" / "lock.mdb").write_bytes(bytes(len(locks)))
    (folder / "a" / "lock.mdb").chmod(0o600)
    fill(folder)
    print("with locks", opened(folder / "a", readonly=True), flush=True)


if __name__ == "__main__":
    main()
