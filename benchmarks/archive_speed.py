"""How fast an archive takes records and gives bodies back.

Claims (DESIGN §9): durable commits of 8 KB records from 16 producers, drained into common transactions, at least 4
times those committed one by one (or 8,000 a second); reading bodies and verifying at 150 MB/s or more with every hash
checked. Prints ratios of measurements made in the same run.

    python benchmarks/archive_speed.py
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import random
import tempfile
import threading
import time
import typing
from collections.abc import Callable
from pathlib import Path

from blake3 import blake3

from tapes.archive.base import Batch, Draft
from tapes.archive.cut import Cutter, cut_once
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.verify import verify
from tapes.record.digest import Digest

PRODUCERS = 16
RECORDS = 8_000
ALONE = 1_000
TEXT = random.Random(4).randbytes(6000).hex()


def fresh(folder: str, name: str) -> tuple[LmdbArchive, Digest]:
    archive = LmdbArchive.open(Path(folder) / name, create=True)
    body = {"agent": "a", "argv": [], "cwd": b"/", "scheme": "plain"}
    return archive, archive.commit(Batch([Draft("session.open", body, None)]))[0]


def a_record(session: Digest, n: int) -> Draft:
    return Draft("note", {"text": TEXT[n % 4000 : n % 4000 + 8000]}, session)


def unique_texts(count: int) -> list[str]:
    """Strings of 300 to 7,000 characters of source code, no two alike."""
    made, source = random.Random(6), Path(typing.__file__).read_text() + Path(argparse.__file__).read_text()
    texts = []
    for n in range(count):
        size = made.randint(300, 7000)
        at = made.randrange(len(source) - size)
        texts.append(f"{n} {source[at : at + size]}")
    return texts


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def one_by_one(folder: str) -> float:
    """Records a second, each in a commit of its own."""
    archive, session = fresh(folder, "alone")
    took = timed(lambda: [archive.commit(Batch([a_record(session, n)])) for n in range(ALONE)])
    archive.close()
    return ALONE / took


def drained(folder: str) -> float:
    """Records a second, from producers that each wait until theirs is durable."""
    archive, session = fresh(folder, "drained")
    waiting: queue.SimpleQueue[tuple[Draft, threading.Event] | None] = queue.SimpleQueue()

    def produce(first: int) -> None:
        for n in range(first, RECORDS, PRODUCERS * 8):
            gates = [threading.Event() for _ in range(8)]  # a stream has several pieces on the way
            for i, gate in enumerate(gates):
                waiting.put((a_record(session, n + i), gate))
            for gate in gates:
                gate.wait()

    def write() -> None:
        while (item := waiting.get()) is not None:
            items = [item]
            while not waiting.empty() and len(items) < 2000:
                more = waiting.get()
                if more is None:
                    waiting.put(None)
                    break
                items.append(more)
            archive.commit(Batch([draft for draft, _ in items]))
            for _, gate in items:
                gate.set()

    def run() -> None:
        writer = threading.Thread(target=write)
        producers = [threading.Thread(target=produce, args=(n * 8,)) for n in range(PRODUCERS)]
        for thread in (writer, *producers):
            thread.start()
        for thread in producers:
            thread.join()
        waiting.put(None)
        writer.join()

    took = timed(run)
    count = archive.last() - 1
    archive.close()
    return count / took


def bodies(folder: str) -> tuple[float, float, float, float]:
    """MB/s: reading one large body; BLAKE3 alone over it; verifying unique data; cutting a first body."""
    archive, session = fresh(folder, "bodies")
    data = json.dumps(unique_texts(4000)).encode()
    cut_took = timed(lambda: Cutter().cut(data))
    cut = cut_once(data)
    request = {"method": "", "url": "", "class": "model", "headers": [], "request": cut.ref.to_value()}
    archive.commit(Batch([Draft("exchange.open", request, session)], cut.objects))
    read_took = min(timed(lambda: archive.body(cut.ref)) for _ in range(3))
    hash_took = min(timed(lambda: blake3(data).digest()) for _ in range(3))
    verify_took = timed(lambda: verify(archive))
    archive.close()
    mega = len(data) / 1e6
    return mega / read_took, mega / hash_took, mega / verify_took, mega / cut_took


def main() -> int:
    with tempfile.TemporaryDirectory(dir=os.environ.get("TAPES_BENCH_DIR")) as folder:
        alone, together = one_by_one(folder), drained(folder)
        read, hashed, verified, cut = bodies(folder)
    print(f"durable commits: {alone:,.0f}/s one by one, {together:,.0f}/s drained: {together / alone:.1f} times")
    print(
        f"bodies: read with every hash {read:.0f} MB/s, {read / hashed:.3f} of BLAKE3 alone ({hashed:.0f}); "
        f"first cut {cut:.0f} MB/s"
    )
    print(f"verify: {verified:.0f} MB/s of unique data, {verified / hashed:.3f} of BLAKE3 alone")
    held = (together >= 4 * alone or together >= 8000) and read >= 150 and verified >= 150
    return 0 if held else 1


if __name__ == "__main__":
    raise SystemExit(main())
