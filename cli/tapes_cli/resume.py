"""How far an interrupted `tapes verify` came: a small file beside the archive, removed when a run ends.

It says nothing that is believed: the record at its place is compared with the archive's, so that a file of another
archive, or of a state that has been rolled back since, is ignored.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tapes.archive.base import Archive
from tapes.archive.verify import Finding, Keep, Mark, Report, Withheld
from tapes.errors import Damaged, NotFound

EVERY_S = 2.0


class Kept:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.begun = time.time()
        self._latest: dict[str, Any] | None = None

    def load(self, archive: Archive) -> tuple[Mark, Report] | None:
        """None where there is nothing that fits the archive."""
        try:
            data = json.loads(self.path.read_bytes())
            mark, report = Mark(**data["mark"]), Report(**data["report"])
            report.findings = [Finding(**finding) for finding in data["report"]["findings"]]
            report.withheld = {by: Withheld(**gone) for by, gone in data["report"]["withheld"].items()}
            if (mark.pos and archive.at(mark.pos)[0].hex() != data["hash"]) or mark.packs > archive.size()["packs"]:
                return None
            self.begun = float(data["begun"])
        except (OSError, ValueError, KeyError, TypeError, NotFound, Damaged):
            return None  # none, or none of ours: from the beginning, which is said
        return mark, report

    @contextmanager
    def keeping(self, archive: Archive) -> Iterator[Keep]:
        """While it lasts, what is given is written now and then; the file stays when the run is broken off."""
        written = time.monotonic()

        def keep(mark: Mark, report: Report) -> None:
            nonlocal written
            self._latest = {"mark": asdict(mark), "report": asdict(report)}
            if time.monotonic() - written > EVERY_S:
                written = time.monotonic()
                self._write(archive)

        try:
            yield keep
        except KeyboardInterrupt:
            self._write(archive)
            raise
        with suppress(OSError):  # as below; what it says is compared before it is believed
            self.path.unlink(missing_ok=True)

    def _write(self, archive: Archive) -> None:
        if self._latest is None:
            return
        pos, digest = self._latest["mark"]["pos"], None
        with suppress(Damaged, NotFound):  # then it cannot be gone on from there
            digest = archive.at(pos)[0].hex() if pos else None
        part = self.path.with_name(self.path.name + ".part")
        # On a full disk, or one that can only be read, a run that is broken off begins anew; it is no reason to end it.
        with suppress(OSError):
            part.unlink(missing_ok=True)
            handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as file:
                json.dump(self._latest | {"hash": digest, "begun": self.begun}, file)
            part.replace(self.path)
