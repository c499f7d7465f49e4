"""How long it takes to see a screen late in a long recording: at first, again, and jumping inside the player.

Claim (docs/adr/0017): 20 MB are watched at 4 MB/s or more once; from then on a jump takes less than 100 ms.

    python benchmarks/screen_seek.py [MB]
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tapes.archive.base import Batch, Draft
from tapes.archive.cut import cut_once
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.record.digest import Digest
from tapes.session.screen.playback import Playback, screen_at
from tapes.session.screen.tape import tape_of

SIZE = 120, 40
STEP_US = 10_000


def record(archive: LmdbArchive, size: int) -> Digest:
    """A session whose terminal got so many bytes: coloured words all over the screen, and lines that scroll."""
    chance = random.Random(1)
    body = {"agent": "generic", "argv": [b"sh"], "cwd": b"/", "scheme": "plain"}
    session = archive.commit(Batch([Draft("session.open", body, None)]))[0]
    pieces: list[bytes] = []
    number = written = gathered = 0
    while written < size:
        place = f"\x1b[{chance.randrange(1, 40)};{chance.randrange(1, 100)}H\x1b[3{chance.randrange(8)}m"
        line = "plain text of a line that is long enough " * chance.randrange(1, 3)
        pieces.append(f"{place}word {chance.random()} \x1b[0m\x1b[K\r\n{line}\r\n".encode())
        gathered += len(pieces[-1])
        if gathered >= 60_000 or written + gathered >= size:
            cut = cut_once(b"".join(pieces))
            events = [[STEP_US, "o", len(piece)] for piece in pieces]
            told = {"n": number, "columns": SIZE[0], "rows": SIZE[1], "events": events, "data": cut.ref.to_value()}
            at = number * len(events) * STEP_US * 1000
            archive.commit(Batch([Draft("terminal", told, session, wall_ns=at, mono_ns=at)], cut.objects))
            number, written, gathered, pieces = number + 1, written + gathered, 0, []
    return session


def main() -> None:
    size = int(float(sys.argv[1]) * 1e6) if len(sys.argv) > 1 else 20_000_000
    with tempfile.TemporaryDirectory() as folder:
        archive = LmdbArchive.open(Path(folder) / "archive", create=True)
        session, cache = record(archive, size), Path(folder) / "cache"
        for what in ("first", "again"):
            start = time.perf_counter()
            tape = tape_of(archive, session)
            assert tape
            read = time.perf_counter()
            screen_at(tape, None, cache)
            print(f"{what}: records {read - start:.2f} s, screen {time.perf_counter() - read:.3f} s")
        playback, chance, jumps = Playback(tape, cache=cache), random.Random(2), []
        for _ in range(50):
            start = time.perf_counter()
            playback.go_to(chance.randrange(tape.upto_ns))
            jumps.append(time.perf_counter() - start)
        kept = sum(path.stat().st_size for path in cache.iterdir())
        median, worst = (round(seconds * 1e3) for seconds in (statistics.median(jumps), max(jumps)))
        print(f"jumps: median {median} ms, worst {worst} ms; cache {kept} bytes")
        archive.close()


if __name__ == "__main__":
    main()
