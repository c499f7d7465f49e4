"""Snapshots of a repository of 50,000 files: what the first costs, what later ones cost, and what the archive grows by.

    python benchmarks/worktree.py [files] [snapshots]

The snapshot process alone, told of commands as a capture process tells it; each "command" edits three files in place.
Processor time is that process's own (and git's below it), from /proc. Prints the times, and the archive's growth beside
the bytes that changed. To reach: a later snapshot <= 150 ms of one core; the archive grows by what changed only.
"""

from __future__ import annotations

import json
import os
import random
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tapes.archive.base import Batch, Draft
from tapes.archive.lmdb_archive import LmdbArchive
from tapes_addons.worktree.task import Task, line

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def words(chance: random.Random) -> list[bytes]:
    return [
        bytes(chance.choice(b"abcdefghijklmnopqrstuvwxyz") for _ in range(chance.randint(2, 9))) for _ in range(3000)
    ]


def text(chance: random.Random, known: list[bytes], size: int) -> bytes:
    found: list[bytes] = []
    while size > 0:
        found.append(chance.choice(known) + (b"\n" if chance.random() < 0.12 else b" "))
        size -= len(found[-1])
    return b"".join(found)


def repository(folder: Path, files: int, chance: random.Random, known: list[bytes]) -> list[Path]:
    made: list[Path] = []
    for number in range(files):
        path = folder / f"src/m{number // 50 % 40:02}/p{number // 50:04}/f{number % 50:02}.py"
        if number % 50 == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(text(chance, known, min(int(chance.lognormvariate(7.6, 1.0)), 200_000)))
        made.append(path)
    for command in (
        ["init", "-q"],
        ["add", "-A"],
        ["-c", "user.name=b", "-c", "user.email=b@example.test", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return made


class Taker:
    def __init__(self, home: Path, session: str, root: Path) -> None:
        ours, theirs = socket.socketpair()
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tapes_addons.worktree", str(theirs.fileno())], pass_fds=(theirs.fileno(),)
        )
        theirs.close()
        self.line, self._lines = ours, ours.makefile("rb")
        (home / "run").mkdir()
        self.line.sendall(Task(str(home), str(home / "run"), session, [str(root)]).to_line())

    def heard(self, key: str) -> dict[str, int]:
        return next(message for message in map(json.loads, self._lines) if key in message)

    def cpu(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) * TICK_S


def used(archive: LmdbArchive) -> int:
    """Bytes of pages that hold something."""
    page_bytes, _, tables = archive.pages()
    return page_bytes * sum(pages for _, pages in tables.values())


def main() -> None:
    files, snapshots = (int(sys.argv[n]) if len(sys.argv) > n else usual for n, usual in ((1, 50_000), (2, 200)))
    chance = random.Random(1)
    known = words(chance)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        home, root = Path(name, "home"), Path(name, "repo")
        root.mkdir()
        made = repository(root, files, chance, known)
        size = sum(path.stat().st_size for path in made)
        with LmdbArchive.open(home / "archive", create=True) as archive:
            draft = Draft("session.open", {"agent": "b", "argv": [b"b"], "cwd": b"/", "scheme": "plain"}, None)
            archive.commit(Batch(drafts=[draft]))
            assert draft.hash is not None
            began = time.perf_counter()
            taker = Taker(home, draft.hash.hex(), root)
            taker.heard("taken")
            first, first_cpu = time.perf_counter() - began, taker.cpu()
            stored = used(archive)
            print(f"first: {first:.1f} s, {first_cpu:.1f} s of processor")
            print(f"       {files} files, {size / 1e6:.0f} MB -> {stored / 1e6:.0f} MB")
            times: list[float] = []
            changed = 0
            began_cpu = taker.cpu()
            for number in range(snapshots):
                for path in chance.sample(made, 3):
                    data = path.read_bytes()
                    at = chance.randrange(len(data))
                    data = data[:at] + text(chance, known, 60) + data[at + 60 :]
                    path.write_bytes(data)
                    changed += len(data)
                began = time.perf_counter()
                taker.line.sendall(line(command=number.to_bytes(16).hex()))
                taker.heard("taken")
                times.append(time.perf_counter() - began)
            cpu = (taker.cpu() - began_cpu) / snapshots
            grown = used(archive) - stored
            times.sort()
            print(
                f"later: median {statistics.median(times) * 1e3:.0f} ms, slowest {times[-1] * 1e3:.0f} ms, "
                f"{cpu * 1e3:.1f} ms of processor each"
            )
            print(f"growth: {grown / snapshots:.0f} bytes a snapshot; {changed / snapshots:.0f} bytes of files changed")
            began = time.perf_counter()
            taker.line.sendall(line(end=True))
            taker.heard("done")
            print(f"last (everything looked at): {time.perf_counter() - began:.2f} s")
            taker.process.wait()
    print(f"memory: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
