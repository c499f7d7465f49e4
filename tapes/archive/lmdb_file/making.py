"""A new archive's file, where there is none. It is made aside and named when it is whole: LMDB refuses for ever a file
whose first two pages were cut. Of two makers the second to name its own leaves it. A crash leaves the folder it was
made in, which holds nothing."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

import lmdb

from tapes.archive import reserve, tables
from tapes.archive.lmdb_file.errors import ours
from tapes.archive.lmdb_file.opening import LOCK_BYTES, MAP_LEAST, open_file
from tapes.archive.place import DATA_FILE, sync_directory
from tapes.errors import ArchiveError, ArchiveFull


def make(path: Path) -> None:
    if (path / DATA_FILE).exists():
        return
    aside = Path(tempfile.mkdtemp(prefix="making-", dir=path))
    try:
        reserve.hold_locks(aside, LOCK_BYTES)
        with open_file(aside, MAP_LEAST, create=True, readonly=False) as env, env.begin(write=True) as txn:
            made = {name: env.open_db(name.encode(), txn=txn, create=True) for name in tables.TABLES}
            txn.put(b"format", tables.FORMAT_NAME, db=made["meta"])
            txn.put(b"version", tables.u32(tables.VERSION), db=made["meta"])
        with suppress(FileExistsError):
            os.link(aside / DATA_FILE, path / DATA_FILE)
        sync_directory(path)
    except lmdb.Error as error:
        raise ours(error, path) from error
    except OSError as error:
        kind = ArchiveFull if error.errno in reserve.FULL else ArchiveError
        raise kind(f"cannot make an archive in {path}: {error.strerror}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
