"""How long `tapes log` and `tapes show` take from a cold interpreter, against that interpreter doing nothing.

    python benchmarks/cli_start.py [rounds] [sessions]

Both are started in turn, so that whatever else the machine does hits both; beside them `import click` alone, and the
libraries that no archive can be read without, which bound what is possible. Prints medians, and the quartiles of the
ratios of neighbouring runs; of processor time the least, which others on the machine hardly touch. The sessions hold
nothing, so that what is read is their list alone. To reach: 5 times, and the time of reading.
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
    "tapes log -n 20": [*PYTHON, "-c", SCRIPT, "log", "-n", "20"],
    "tapes show @": [*PYTHON, "-c", SCRIPT, "show", "@"],
    "tapes show NAME": [*PYTHON, "-c", SCRIPT, "show", "session-0"],
}


def timed(words: list[str], env: dict[str, str]) -> tuple[float, float]:
    """Seconds, and seconds of processor time."""
    began = time.perf_counter()
    process = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, words
    return time.perf_counter() - began, used.ru_utime + used.ru_stime


def main() -> None:
    rounds, count = [*map(int, sys.argv[1:]), *(25, SESSIONS)[len(sys.argv) - 1 :]]
    with tempfile.TemporaryDirectory() as name:
        home = Path(name) / "home"
        home.mkdir(mode=0o700)
        with LmdbArchive.open(home / "archive", create=True) as archive:
            for n in range(count):
                facts = Facts("claude", [b"claude"], b"/work", name=f"session-{n}")
                session, summary = open_session(archive, facts, Redactor())
                archive.commit(Batch(summaries={session: summary.to_bytes()}))
        # Installers compile to bytecode; a checkout run for the first time does so here.
        env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"TAPES_HOME": str(home)}
        took: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
        for _ in range(rounds + 1):
            for what, words in COMMANDS.items():
                took[what].append(timed(words, env))
    bare = took["python -c pass"][1:]  # the first round fills the caches
    least = min(cpu for _, cpu in bare)
    for what, runs in took.items():
        ratios = sorted(run[0] / beside[0] for run, beside in zip(runs[1:], bare, strict=True))
        low, middle, high = (ratios[len(ratios) * part // 4] for part in (1, 2, 3))
        cpu = min(run[1] for run in runs[1:])
        print(
            f"{what:16} {1e3 * statistics.median(run[0] for run in runs[1:]):6.1f} ms, ratio {middle:4.2f} "
            f"(quartiles {low:.2f} to {high:.2f}); processor {1e3 * cpu:.1f} ms, {cpu / least:.2f}"
        )


if __name__ == "__main__":
    main()
