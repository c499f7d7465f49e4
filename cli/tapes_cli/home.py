"""Where the archive is, and how a command opens it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tapes.errors import NotFound

if TYPE_CHECKING:
    from tapes.archive.lmdb_archive import LmdbArchive


def home() -> Path:
    """`$TAPES_HOME`, else the platform's data directory."""
    set_ = os.environ.get("TAPES_HOME")
    if set_:
        return Path(set_).expanduser().absolute()
    from platformdirs import user_data_path  # slow to import, and not needed when the variable is set

    return user_data_path("tapes", appauthor=False)


def open_archive() -> LmdbArchive:
    """The archive, for reading. NotFound says what to type when there is none yet."""
    from tapes.archive.lmdb_archive import LmdbArchive

    try:
        return LmdbArchive.open(home() / "archive", readonly=True)
    except NotFound as error:
        raise NotFound(
            f"nothing has been recorded yet in {home()}",
            hint="record something: tapes demo, or tapes run -- claude",
        ) from error
