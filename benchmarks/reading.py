"""What it takes to read a long session, and to read it again when it has grown.

    python benchmarks/reading.py [turns | archive's folder ...]

A growing Claude-like session is recorded as `session_size.py` does; it takes a while, so the folder of an archive that
is there can be given instead: its last session is read. Prints, by processor time of a process of its own: a whole
view with all its steps, and the memory that it holds; then, with another `Reading`, its first 200 records, all but the
last turn, and that turn after these.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from session_size import measure

from tapes.archive.lmdb_archive import LmdbArchive
from tapes.session.view import Reading, Step
from tapes.wire import dialects

RUNS = 3
FIRST = 200


def read(folder: Path) -> None:
    """Measure the last session of an archive."""
    assert dialects.DIALECTS  # they are imported, which is not to be measured
    gc.set_threshold(50_000)  # as all commands do
    with LmdbArchive.open(folder, readonly=True) as archive:
        session = archive.sessions()[-1]
        records = [record for _, record in archive.session_records(session)]
        last_turn = max(record.seq for record in records if record.type == "exchange.open")
        before = own_memory()
        reading = Reading(archive, session)
        whole, steps = timed(reading)
        print(f"{len(records)} records, {len(steps)} steps, whole: {whole * 1000:.0f} ms")
        print(f"  memory that it holds: {(own_memory() - before) / 1024:.0f} MiB")
        parts = Reading(archive, session)
        print(f"  the first {FIRST} records: {timed(parts, FIRST)[0] * 1000:.0f} ms")
        print(f"  then all but the last turn: {timed(parts, last_turn)[0] * 1000:.0f} ms")
        began = time.process_time()
        found = parts.read()
        read = time.process_time() - began
        list(found.steps)
        took = time.process_time() - began
        print(f"  then that turn: {read * 1000:.0f} ms, with all steps made anew {took * 1000:.0f} ms", flush=True)


def timed(reading: Reading, most: int | None = None) -> tuple[float, list[Step]]:
    """Seconds of processor time, and the steps."""
    began = time.process_time()
    steps = list(reading.read(most).steps)
    return time.process_time() - began, steps


def own_memory() -> int:
    """KiB that are no file's."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


def main() -> None:
    if sys.argv[1:2] == ["--once"]:
        read(Path(sys.argv[2]))
        return
    for word in sys.argv[1:] or ["200", "1250"]:
        with tempfile.TemporaryDirectory() as made:
            folder = Path(word)
            if word.isdigit():
                Path(made).chmod(0o700)
                folder = Path(made) / "archive"
                measure(int(word), folder)
            for _ in range(RUNS):
                subprocess.run([sys.executable, __file__, "--once", str(folder)], check=True)


if __name__ == "__main__":
    main()
