from __future__ import annotations

import pytest

from contract.archive_suite import ArchiveSuite
from tapes.archive.base import Archive
from tapes.archive.memory_archive import MemoryArchive


class TestMemoryArchive(ArchiveSuite):
    @pytest.fixture
    def archive(self) -> Archive:
        return MemoryArchive()

    def carried_out(self, archive: Archive) -> Archive:
        assert isinstance(archive, MemoryArchive)
        archive.destroy()
        return archive
