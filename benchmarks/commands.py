"""What the witness costs an agent's commands, against the same shell without it, in turns.

    python benchmarks/commands.py [rounds]

A fake agent starts shells as real ones do, with two pipes; a thread reads the run's FIFO and the reports in it, as
the capture process does. Prints medians and ratios of one run. To reach: <= 3 ms a command, <= 1.1 for a loop of 1,000
small commands inside one, and 50 MB of output at >= 0.5 of what script(1) passes.
"""

from __future__ import annotations

import os
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from tapes_addons.terminal.frames import FrameReader
from tapes_addons.terminal.install import Marked, Own, install

NONCE = b"benchmrk"
ONE = "true"
LOOP = "for ((i = 0; i < 1000; i++)); do /bin/true; done"
OUTPUT = "head -c 50000000 /dev/zero | tr '\\0' x"


def read_reports(pipe: int, stop: threading.Event, seen: list[int]) -> None:
    reader = FrameReader(NONCE)
    while not stop.is_set():
        if select.select([pipe], [], [], 0.05)[0]:
            seen[0] += len(reader.feed(os.read(pipe, 1 << 20)))


def timed(words: list[str], environment: dict[str, str]) -> float:
    began = time.perf_counter()
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        while process.stdout.read1(1 << 20):
            pass
    return time.perf_counter() - began


def compare(name: str, line: str, ours: dict[str, str], theirs: dict[str, str], rounds: int) -> None:
    with_us, without = [], []
    for number in range(rounds):
        with_us.append(timed(["bash", "-c", line], ours | {"BENCH_CALL": str(number)}))
        without.append(timed(["bash", "-c", line], theirs))
    ratios = statistics.quantiles([a / b for a, b in zip(with_us, without, strict=True)], n=4)
    more = (statistics.median(with_us) - statistics.median(without)) * 1e3
    print(
        f"{name:16} {statistics.median(with_us) * 1e3:7.2f} ms against {statistics.median(without) * 1e3:7.2f}: "
        f"{more:+.2f} ms, ratio {ratios[1]:.3f} ({ratios[0]:.3f} to {ratios[2]:.3f})"
    )


def against_script(ours: dict[str, str], theirs: dict[str, str], rounds: int) -> None:
    """script(1) records a terminal; both are measured until their reader has all."""
    if shutil.which("script") is None:
        print("50 MB            no script(1) here to compare with")
        return
    recorder = ["script", "-q", "-e", "-c", OUTPUT, "/dev/null"]
    pairs = [
        (timed(["bash", "-c", OUTPUT], ours | {"BENCH_CALL": f"o{n}"}), timed(recorder, theirs)) for n in range(rounds)
    ]
    ratio = statistics.median(theirs / ours for ours, theirs in pairs)
    us, them = (statistics.median(pair[side] for pair in pairs) for side in (0, 1))
    print(f"50 MB            {us:.2f} s, script(1) {them:.2f} s: speed {ratio:.2f} of script's")


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "run"
        folder.mkdir(mode=0o700)
        os.mkfifo(folder / "commands", 0o600)
        pipe = os.open(folder / "commands", os.O_RDWR | os.O_NONBLOCK)
        agents = [Marked("bench", ("BENCH_AGENT",), ("BENCH_CALL",))]
        installed = install(
            folder, agents=agents, launched="bench", launcher_pid=os.getpid(), nonce=NONCE, environ={}, own=Own()
        )
        print(f"level in force: {installed.force.level} {installed.force.why}")
        theirs = {"PATH": os.environ["PATH"], "BENCH_AGENT": "1"}
        ours = theirs | {"BASH_ENV": installed.bash_env}
        stop, seen = threading.Event(), [0]
        reader = threading.Thread(target=read_reports, args=[pipe, stop, seen])
        reader.start()
        try:
            compare("one command", ONE, ours, theirs, 40 * rounds)
            compare("loop of 1,000", LOOP, ours, theirs, rounds)
            compare("50 MB of output", OUTPUT, ours, theirs, rounds)
            against_script(ours, theirs, rounds)
        finally:
            stop.set()
            reader.join()
        print(f"{seen[0]} reports were read")


if __name__ == "__main__":
    main()
