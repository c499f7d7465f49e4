"""What an agent's own terminal costs: 50 MB drained and the latency of a key, with us, under script(1), and without.

    python benchmarks/screen.py [rounds] [megabytes]

A terminal is played by Python; on it runs a program that prints, or one that echoes each key. The three take turns in
each round, so that whatever else the machine does hits all of them. With us means the launcher, its relay and a capture
process that takes all it is told. Prints medians, ratios and quartiles of one run. To reach: >= 0.5 of the bytes per
second of script(1), and <= 1 ms more for a key.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from terminal import Run, Terminal, clean_environ, terminal

KEYS = 300
PRINT = "import sys; sys.stdout.buffer.write(b'begin\\n'); sys.stdout.flush()\n"
PRINT += "line = b'%070d\\n' % 7\nfor _ in range({count}): sys.stdout.buffer.write(line * 100)\nprint('the end')"
ECHO = "import os, tty; tty.setraw(0); os.write(1, b'begin')\nwhile (key := os.read(0, 1)) != b'q': os.write(1, key)"


def drain(seen: Terminal) -> float:
    """Seconds from the first line to the last."""
    seen.until("begin")
    began = time.perf_counter()
    seen.until("the end")
    return time.perf_counter() - began


def latency(seen: Terminal) -> float:
    """Median seconds from a key to its echo, with a person's pauses between keys."""
    seen.until("begin")
    found = []
    for _ in range(KEYS):
        time.sleep(0.005)
        began = time.perf_counter()
        seen.type(b"x")
        seen.until(b"x")
        found.append(time.perf_counter() - began)
    seen.type(b"q")
    return statistics.median(found)


def measure(words: list[str], folder: Path, what: Callable[[Terminal], float]) -> dict[str, float]:
    run, found = Run(folder), {}
    lines = {
        "us": run.words(run.plan(*words)),
        "script": ["script", "-qfc", _quoted(words), "/dev/null"],
        "bare": words,
    }
    for name, line in lines.items():
        if name == "script" and not shutil.which("script"):
            continue
        (folder / "kept").unlink(missing_ok=True)
        with terminal(line, clean_environ(folder), folder) as seen:
            found[name] = what(seen)
            seen.wait()
    missed = sum(fields["bytes"] for fields in run.named("TerminalMissed"))
    return found | {"missed": missed}


def _quoted(words: list[str]) -> str:
    import shlex

    return shlex.join(words)


def quartiles(values: list[float], digits: int = 2) -> str:
    values = sorted(values)
    low, middle, high = (values[(len(values) - 1) * part // 4] for part in (1, 2, 3))
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 50
    printer = [sys.executable, "-S", "-c", PRINT.format(count=size * 1_000_000 // 7200)]
    echoer = [sys.executable, "-S", "-c", ECHO]
    with tempfile.TemporaryDirectory() as name:
        drained = [measure(printer, Path(name), drain) for _ in range(rounds)]
        keyed = [measure(echoer, Path(name), latency) for _ in range(rounds)]
    for other in ("script", "bare"):
        if other in drained[0]:
            print(f"{size} MB, bytes per second against {other}: {quartiles([d[other] / d['us'] for d in drained])}")
    for who in ("us", "script", "bare"):
        if who in drained[0]:
            print(f"{who:7} {size} MB in {quartiles([d[who] for d in drained])} s", end="; ")
            print(f"a key in {quartiles([k[who] * 1e6 for k in keyed], 0)} us")
    print(f"a key takes {quartiles([(k['us'] - k['bare']) * 1e6 for k in keyed], 0)} us more with us than without")
    print(f"not recorded, because the capture process was slower: {quartiles([d['missed'] / 1e6 for d in drained])} MB")


if __name__ == "__main__":
    main()
