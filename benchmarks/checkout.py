"""How fast a working directory comes out of the archive, with every hash checked: every node, every piece, every file.

Claim: 150 MB/s or more. Files are source text, no two alike, of sizes as they are in a project (most a few kilobytes,
some of a megabyte), in parts of a megabyte as capture writes them. Beside it, in turns: the same bytes written to the
same number of files, without an archive. Where others keep the machine busy, the figure by processor time says more.

    python benchmarks/checkout.py [MEGABYTES]
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
import typing
from pathlib import Path

from tapes.archive.base import Batch, Draft
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.checkout.folder import Folder
from tapes.checkout.taking import Report, take
from tapes.record.digest import Digest, blob_digest
from tapes.record.listing import Entry
from tapes.session.transcript import moment
from tapes.session.view import view
from tapes_addons.worktree.parts import bodies

PART = 1024 * 1024
ROUNDS = 5
SIZES = (200, 1_500, 4_000, 9_000, 30_000, 90_000, 1_000_000)
WEIGHTS = (10, 20, 30, 20, 12, 7, 1)


def contents(megabytes: int) -> dict[str, bytes]:
    """Files by path, sorted."""
    made, source = random.Random(8), (Path(typing.__file__).read_text() + Path(argparse.__file__).read_text()).encode()
    files, total = {}, 0
    while total < megabytes * 10**6:
        size = made.choices(SIZES, WEIGHTS)[0] + made.randrange(200)
        data = b"".join(
            b"# %d\n%b" % (made.getrandbits(64), source[(at := made.randrange(len(source) - 700)) : at + 700])
            for _ in range(size // 700 + 1)
        )[:size]
        files[f"src/d{len(files) % 97}/f{len(files)}.py"] = data
        total += size
    return dict(sorted(files.items()))


def recorded(archive: LmdbArchive, files: dict[str, bytes]) -> Digest:
    """A session with one snapshot."""
    body = {"agent": "a", "argv": [], "cwd": b"/work", "scheme": "plain"}
    session = archive.commit(Batch([Draft("session.open", body, None)]))[0]
    parts: list[list[tuple[str, bytes]]] = [[]]
    for path, data in files.items():
        if parts[-1] and (len(parts[-1]) >= 256 or sum(len(d) for _, d in parts[-1]) + len(data) > PART):
            parts.append([])
        parts[-1].append((path, data))
    for n, part in enumerate(parts):
        batch = Batch()
        rows = [Entry(p.encode(), "file", 0o644, len(d), 1, blob_digest(d), len(d)) for p, d in part]
        facts = {"n": 0, "part": n, "root": b"/work", "cause": "start", "full": True, "took_us": 1}
        facts |= {"last": True} if n == len(parts) - 1 else {}
        cut = bodies(rows, [data for _, data in part])
        assert cut.content is not None
        batch.objects.update(cut.objects)
        facts |= {"listing": cut.listing.to_value(), "content": cut.content.to_value()}
        batch.drafts.append(Draft("snapshot", facts, session))
        archive.commit(batch)
    return session


def taken(archive: LmdbArchive, session: Digest, target: Path) -> tuple[float, float, Report]:
    """Seconds by the clock and of the processor."""
    start, used = time.perf_counter(), time.process_time()
    found = view(archive, session)
    with Folder(target) as folder:
        report = take(archive, found, moment(found, list(found.steps)), folder)
        folder.commit()
    return time.perf_counter() - start, time.process_time() - used, report


def written(files: dict[str, bytes], target: Path) -> float:
    """The same files, without an archive."""
    start = time.perf_counter()
    for path, data in files.items():
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return time.perf_counter() - start


def main(megabytes: int) -> None:
    files = contents(megabytes)
    size = sum(map(len, files.values()))
    rates, by_cpu, bare = [], [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with LmdbArchive.open(folder / "archive", create=True) as archive:
            session = recorded(archive, files)
            for n in range(ROUNDS):
                took, used, report = taken(archive, session, folder / f"out-{n}")
                assert report.files["known"] == len(files) and not report.lost
                rates.append(size / took / 1e6)
                by_cpu.append(size / used / 1e6)
                bare.append(size / written(files, folder / f"bare-{n}") / 1e6)
            assert all((folder / "out-0/files" / path).read_bytes() == data for path, data in files.items())
    print(
        json.dumps(
            {
                "megabytes": round(size / 1e6),
                "files": len(files),
                "checkout_mb_per_s": round(statistics.median(rates)),
                "best": round(max(rates)),
                "by_processor_time": round(statistics.median(by_cpu)),
                "written_alone_mb_per_s": round(statistics.median(bare)),
            }
        )
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
