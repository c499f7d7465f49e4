"""Where the archive is, and how a command opens it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tapes.errors import NotFound
from tapes_addons.home import home as home

if TYPE_CHECKING:
    from tapes.archive.lmdb_archive import LmdbArchive


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


def cache_folder() -> Path:
    """Where what was derived from recorded screens is kept. Everything in it may be deleted at any time."""
    return home() / "cache"


def index_path() -> Path:
    """Where the index of `tapes search` is kept; it may be deleted at any time."""
    return home() / "index" / "search.sqlite"


def archive_path() -> Path:
    return home() / "archive"


def open_archive_for_writing() -> LmdbArchive:
    """The archive as it is, for writing. It is never made here: NotFound when there is none."""
    from tapes.archive.lmdb_archive import LmdbArchive

    return LmdbArchive.open(archive_path())
