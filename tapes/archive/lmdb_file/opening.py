"""How the file of an archive is opened.

Never with less than full sync: anything less was damaged in most simulated power cuts. Never with a writable map: that
dies with SIGBUS on a full disk. And never one that is not ours, newer than this program, or shorter than it should be.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import lmdb

from tapes.archive import tables
from tapes.archive.lmdb_file.errors import ours
from tapes.archive.place import DATA_FILE
from tapes.errors import ArchiveError, Damaged, FormatError

MAP_LEAST = 1 << 26
MAX_READERS = 512
LOCK_BYTES = 64 * MAX_READERS + 128
"""What LMDB's file of locks has for so many readers; it takes a file that is there as it is."""
TRUNCATED_BY = 16
"""Pages a whole file may be short of: LMDB need not write a page that was taken and given back."""


def open_archive(path: Path, size: int, *, readonly: bool) -> tuple[Any, dict[str, Any], int]:
    """LMDB's environment, the handles of its tables, and the size of its map, which is less than asked for where the
    address space is limited (ulimit -v): a smaller one does until it is full."""
    env = None
    while env is None:
        try:
            env = open_file(path, size, create=False, readonly=readonly)
        except lmdb.MemoryError as error:
            size //= 2
            if size < MAP_LEAST:
                raise ArchiveError(f"no address space for the map of {path}") from error
        except (lmdb.InvalidError, lmdb.VersionMismatchError, lmdb.IncompatibleError) as error:
            raise FormatError(f"{path / DATA_FILE} is not an archive of ours: {error}") from error
        except lmdb.Error as error:
            raise ArchiveError(f"cannot open the archive: {error}") from error
    try:
        _check_length(env, path)
        found = open_tables(env)
        env.reader_check()  # frees the slots of readers that were killed
    except lmdb.Error as error:
        env.close()
        raise ours(error, path) from error
    except BaseException:
        env.close()
        raise
    return env, found, size


def open_file(path: Path, size: int, *, create: bool, readonly: bool) -> Any:
    return lmdb.open(
        os.fspath(path),
        map_size=size,
        subdir=True,
        readonly=readonly,
        create=create,
        sync=True,
        metasync=True,
        writemap=False,
        mode=0o600,
        max_readers=MAX_READERS,
        max_dbs=tables.MAX_TABLES,
        lib_version=0,  # else an environment variable could choose another file format
    )


def open_tables(env: Any) -> dict[str, Any]:
    try:
        # Without a transaction of ours: handles opened in a reading one do not outlive it.
        found = {name: env.open_db(name.encode(), create=False) for name in tables.TABLES}
        with env.begin() as txn:
            name, version = (txn.get(key, db=found["meta"]) for key in (b"format", b"version"))
    except (lmdb.NotFoundError, lmdb.IncompatibleError) as error:
        raise FormatError("this LMDB file is not an archive of ours") from error
    if name != tables.FORMAT_NAME or version is None:
        raise FormatError("this LMDB file is not an archive of ours")
    if tables.number(version) > tables.VERSION:
        raise FormatError(
            f"the archive has format {tables.number(version)}; this program reads up to {tables.VERSION}",
            hint="install a newer tapes",
        )
    return found


def _check_length(env: Any, path: Path) -> None:
    """Reading a page that a shortened file no longer has ends the process (SIGBUS); so ask before."""
    needed = (env.info()["last_pgno"] + 1 - TRUNCATED_BY) * env.stat()["psize"]
    if (path / DATA_FILE).stat().st_size < needed:
        raise Damaged(f"the archive in {path} was cut short", where=DATA_FILE)
