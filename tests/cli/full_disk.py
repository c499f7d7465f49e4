"""`tapes run` while its disk fills up: python full_disk.py HOME. Says as JSON how the run went and what is kept."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from support import Bench, bench
from tapes.archive.lmdb_archive import LmdbArchive


@dataclass
class OnSmallDisk(Bench):
    @property
    def home(self) -> Path:
        return Path(sys.argv[1]) / "home"


def script(size: int) -> dict[str, object]:
    """Answers that no compressor makes small, and a command that fills the disk."""
    turns = [
        {"text": os.urandom(size).hex(), "tools": [{"tool": "bash", "input": {"command": command}}]}
        for command in ["echo", f"cat /dev/zero >{sys.argv[1]}/fill", *["echo"] * 4]
    ]
    return {"pace": {"first_ms": 1, "gap_ms": 0, "chars": 20_000}, "scripts": {"main": [*turns, {"text": "Done."}]}}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, bench(Path(folder), script(40_000)) as plain:
        b = OnSmallDisk(Path(folder), plain.provider_url)
        done = b.run()
        Path(sys.argv[1], "fill").unlink()
        with LmdbArchive.open(b.home / "archive", readonly=True) as archive:
            records = [record.type for _, record in archive.session_records(archive.sessions()[-1])]
        said = {
            "status": done.returncode,
            "turns": len(b.said()),
            "stderr": done.stderr.decode(),
            "records": records,
            "row": b.rows("log")[0],
            "verify": b.tapes("verify").returncode,
        }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
