"""How long `tapes log` takes from a cold interpreter, against that interpreter doing nothing.

    python benchmarks/cli_start.py [rounds]

Both are started in turn, so that whatever else the machine does hits both; beside them `import click` alone, and the
libraries that no archive can be read without, which bound what is possible. Prints medians, and the quartiles of the
ratios of neighbouring runs. To reach: `tapes log` at most 5 times.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tapes.archive.base import Batch
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.intake.opening import Facts, open_session
from tapes.wire.redact import Redactor

SESSIONS = 20
PYTHON = [sys.executable]
SCRIPT = "import sys; from tapes_cli.entry import main; sys.exit(main())"
"""What the installed `tapes` is."""
COMMANDS = {
    "python -c pass": [*PYTHON, "-c", "pass"],
    "import click": [*PYTHON, "-c", "import click"],
    "libraries": [*PYTHON, "-c", "import click, lmdb, cbor2, blake3, zstandard"],
    "tapes --version": [*PYTHON, "-c", SCRIPT, "--version"],
    "tapes log": [*PYTHON, "-c", SCRIPT, "log"],
}


def timed(words: list[str], env: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(words, env=env, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 25
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "home"
        home.mkdir(mode=0o700)
        with LmdbArchive.open(home / "archive", create=True) as archive:
            for n in range(SESSIONS):
                facts = Facts("claude", [b"claude"], b"/work", name=f"session-{n}")
                session, summary = open_session(archive, facts, Redactor())
                archive.commit(Batch(summaries={session: summary.to_bytes()}))
        # Installers compile to bytecode; a checkout run for the first time does so here.
        env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"TAPES_HOME": str(home)}
        took: dict[str, list[float]] = {name: [] for name in COMMANDS}
        for _ in range(rounds + 1):
            for what, words in COMMANDS.items():
                took[what].append(timed(words, env))
    bare = took["python -c pass"][1:]  # the first round fills the caches
    for what, times in took.items():
        ratios = sorted(time / beside for time, beside in zip(times[1:], bare, strict=True))
        low, middle, high = (ratios[len(ratios) * part // 4] for part in (1, 2, 3))
        print(
            f"{what:16} {1e3 * statistics.median(times[1:]):6.1f} ms, ratio {middle:4.2f} "
            f"(quartiles {low:.2f} to {high:.2f})"
        )


if __name__ == "__main__":
    main()
