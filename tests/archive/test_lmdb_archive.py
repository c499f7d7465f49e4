from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.archive_suite import ArchiveSuite
from tapes.archive.base import Archive
from tapes.archive.lmdb_archive import LmdbArchive


class TestLmdbArchive(ArchiveSuite):
    @pytest.fixture
    def archive(self, tmp_path: Path) -> Iterator[Archive]:
        with LmdbArchive.open(tmp_path / "archive", create=True) as archive:
            yield archive
