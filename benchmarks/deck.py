"""What a person waits for in the deck: its first paint, a long session, and every key; and the memory it takes.

    python benchmarks/deck.py [--folder DIR] [--keys 500] [--size 120x40]

The real program runs on a terminal that is played by Python: on an archive with 10,000 sessions, and on one with a
session of 5,000 steps; both are made once and kept in the folder. A key's time is from its byte until the last byte of
the first frame that it brings, with a person's pause before the next one; what comes later (a page that is fetched) is
counted apart. The kernel tells how long the thread that draws waited for a core that others had: what is left without
it is printed as well, and is the most that a quiet machine would show. Prints figures of one run. To reach: first
paint, and a session's first step, <= 1 s; a key <= 50 ms at p95; 300 MB at most.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from large_archives import long, many

from tapes.archive.lmdb_archive import LmdbArchive
from tapes.session.view import view
from terminal import Terminal, clean_environ, terminal

SCRIPT = "import sys; from tapes_cli.entry import main; sys.exit(main())"
"""What the installed `tapes` is."""
ESCAPES = re.compile(rb"\x1b(?:\[[0-9;:?<=>]*[ -/]*[@-~]|\][^\x07]*\x07|[()].)|[\r\n]")
FRAME_S, QUIET_S, NOTHING_S = 0.012, 0.12, 0.3
"""Output that pauses for so long: a frame is drawn; all is drawn. And so long without any: the key changes nothing."""
LIST = {
    "j": b"j", "k": b"k", "page down": b"\x1b[6~", "page up": b"\x1b[5~", "last": b"$", "first": b"0",
    "sort": b"s", "reverse": b"r", "filter": b"/",
}  # fmt: skip
STEPS = {
    "j": b"j", "k": b"k", "page down": b"\x1b[6~", "page up": b"\x1b[5~", "next failure": b"]", "failure before": b"[",
    "next alike": b"n", "tab": b"v", "out": b"h", "in": b"l", "last": b"$", "first": b"0", "scroll": b"J",
    "commands": b"2", "files": b"3", "timeline": b"1",
}  # fmt: skip
ALONE = "without the time that others had the core"
OFTEN = {"j": 12, "k": 6, "page down": 6, "page up": 4, "first": 0, "timeline": 0}
NEXT = {"last": ("k", "page up", "first"), "commands": ("j", "page down", "timeline"), "files": ("j", "timeline")}
"""What is pressed behind some, so that the next key is not at an end."""


class Deck:
    """The program under way."""

    def __init__(self, seen: Terminal, began: float) -> None:
        self.seen, self.began = seen, began
        self._searched = 0

    def until(self, text: bytes, patience_s: float = 30) -> float:
        """Seconds since `began` until this is on the screen, however it is coloured."""
        deadline = time.perf_counter() + patience_s
        while text not in ESCAPES.sub(b"", bytes(self.seen.shown[self._searched :])):
            if time.perf_counter() > deadline or self.seen.process.poll() is not None:
                raise SystemExit(f"{text!r} is not shown: {bytes(self.seen.shown[-3000:])!r}")
            if not self.seen.look(0.02):
                self._searched = max(self._searched, len(self.seen.shown) - 20_000)
        return time.perf_counter() - self.began

    def used(self) -> float:
        """Seconds of processor time so far, of all threads."""
        fields = Path(f"/proc/{self.seen.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rest(self) -> None:
        while self.seen.look(QUIET_S):
            pass
        self.seen.shown.clear()
        self._searched = 0

    def waited(self) -> float:
        """Seconds that the thread which draws and answers keys was ready and had no core, so far."""
        return int(Path(f"/proc/{self.seen.pid}/schedstat").read_text().split()[1]) / 1e9

    def key(self, data: bytes) -> tuple[float, float, float] | None:
        """Seconds until the first frame is drawn, those of it that others had the core, and seconds until all is drawn;
        None where nothing came of it."""
        self.rest()
        waited = self.waited()
        began = self.began = time.perf_counter()
        self.seen.type(data)
        if not self.seen.look(NOTHING_S):
            assert self.seen.process.poll() is None, f"it has ended: {bytes(self.seen.shown[-3000:])!r}"
            return None
        first = drawn = time.perf_counter()
        while self.seen.look(FRAME_S):
            first = drawn = time.perf_counter()
        waited = self.waited() - waited
        while self.seen.look(QUIET_S):
            drawn = time.perf_counter()
        return first - began, min(waited, first - began), drawn - began

    def end(self) -> float:
        """Leave it; its memory at the most, in MB."""
        self.seen.type(b"\x11")
        while self.seen.look(1):
            pass
        _, status, used = os.wait4(self.seen.pid, 0)
        self.seen.process.returncode = os.waitstatus_to_exitcode(status)
        assert self.seen.process.returncode == 0, bytes(self.seen.shown[-3000:])
        return used.ru_maxrss * 1024 / 1e6


def run(home: Path, size: tuple[int, int], words: Sequence[str], drive: Callable[[Deck], None]) -> float:
    """Start the deck, drive it, leave it; its memory at the most."""
    with tempfile.TemporaryDirectory() as place:
        environ = clean_environ(Path(place), TAPES_HOME=str(home), TERM="xterm-256color", COLORTERM="truecolor")
        began = time.perf_counter()
        with terminal([sys.executable, "-c", SCRIPT, "deck", *words], environ) as seen:
            seen.resize(*size)
            deck = Deck(seen, began)
            drive(deck)
            return deck.end()


def first_paint(home: Path, size: tuple[int, int], row: bytes, rounds: int = 5) -> None:
    took: list[tuple[float, float, float]] = []
    for _ in range(rounds):
        run(home, size, [], lambda deck: took.append((deck.until(row), deck.waited(), deck.used())))
    low, middle, high = (1e3 * sorted(took)[n][0] for n in (0, rounds // 2, -1))
    alone = 1e3 * sorted(all_ - waited for all_, waited, _ in took)[rounds // 2]
    least = 1e3 * min(used for *_, used in took)
    print(f"  first paint: {middle:.0f} ms ({low:.0f} to {high:.0f}); {ALONE} {alone:.0f}; processor {least:.0f}")


def typed(deck: Deck, keys: dict[str, bytes], count: int, text: bytes) -> None:
    """Many keys of all kinds; a filter or search is filled with letters one by one, and left again."""
    rng = random.Random(1)
    names = list(keys)
    frames: dict[str, list[float]] = defaultdict(list)
    settled: dict[str, list[float]] = defaultdict(list)
    nothing: dict[str, int] = defaultdict(int)
    alone: list[float] = []

    def one(name: str, data: bytes) -> None:
        found = deck.key(data)
        if found is None:
            nothing[name] += 1
        else:
            frames[name].append(found[0])
            alone.append(found[0] - found[1])
            settled[name].append(found[2])

    while sum(map(len, frames.values())) + sum(nothing.values()) < count:
        name = rng.choices(names, [OFTEN.get(name, 1) for name in names])[0]
        for each in (name, *NEXT.get(name, ())):
            one(each, keys[each])
        if name == "filter":
            for letter in text:
                one("a letter", bytes((letter,)))
            for _ in text:
                one("a letter gone", b"\x7f")
            deck.seen.type(b"\x1b")  # which a terminal's reader waits behind: no key that is measured
            deck.rest()
    every = [took for found in frames.values() for took in found]
    print(f"  {len(every)} keys to their frame: {_told(every)}")
    print(f"  {ALONE}: {_told(alone)}")
    print(f"  until all of it is drawn: {_told([took for found in settled.values() for took in found])}")
    for name in sorted(frames, key=lambda name: -_at(frames[name], 0.95)):
        print(f"    {name:14} {len(frames[name]):4}: {_told(frames[name])}; all drawn {_told(settled[name])}")
    if nothing:
        print("    nothing came of: " + ", ".join(f"{name} {n}×" for name, n in nothing.items()))


def held(deck: Deck, data: bytes, seconds: float = 3, every_s: float = 0.033) -> None:
    """A key held down, as keyboards repeat it: how far the screen lags behind when it is let go."""
    deck.rest()
    began = last = time.perf_counter()
    frames = 0
    for n in range(int(seconds / every_s)):
        deck.seen.type(data)
        while (left := began + (n + 1) * every_s - time.perf_counter()) > 0:
            frames += deck.seen.look(left)
    let_go = time.perf_counter()
    while deck.seen.look(QUIET_S):
        last = time.perf_counter()
    behind = 1e3 * max(0, last - let_go)
    print(f"  {data.decode()} held for {seconds:.0f} s: {frames / seconds:.0f} writes a second, {behind:.0f} ms behind")


def _told(took: list[float]) -> str:
    if not took:
        return "-"
    return f"p50 {1e3 * _at(took, 0.5):.0f}, p95 {1e3 * _at(took, 0.95):.0f}, max {1e3 * max(took):.0f} ms"


def _at(took: list[float], share: float) -> float:
    return sorted(took)[min(len(took) - 1, int(len(took) * share))]


def newest(home: Path) -> tuple[bytes, bytes]:
    """What stands in the row of its last session; and what its title says when all of it was read."""
    with LmdbArchive.open(home / "archive", readonly=True) as archive:
        found = archive.latest()
        assert found is not None
        return found.short().encode(), f" {len(list(view(archive, found).steps))} steps ".encode()


def sessions(home: Path, size: tuple[int, int], keys: int) -> None:
    print(f"10,000 sessions ({(home / 'archive' / 'data.mdb').stat().st_size / 1e6:.0f} MB):")
    row, _ = newest(home)
    first_paint(home, size, row)

    def drive(deck: Deck) -> None:
        deck.until(row)
        print(f"  all 10,000 known: {1e3 * deck.until(b'10000 sessions'):.0f} ms")
        held(deck, b"j")
        typed(deck, LIST, keys, b"order ba")

    print(f"  memory: {run(home, size, [], drive):.0f} MB")


def steps(home: Path, size: tuple[int, int], keys: int) -> None:
    print(f"a session of 5,000 steps ({(home / 'archive' / 'data.mdb').stat().st_size / 1e6:.0f} MB):")

    row, whole = newest(home)

    def drive(deck: Deck) -> None:
        deck.until(row)
        deck.rest()
        used, waited = deck.used(), deck.waited()
        deck.began = time.perf_counter()
        deck.seen.type(b"\r")
        for what, text in (("opened, to its first steps", b"   2  "), ("all of it read", whole)):
            took = 1e3 * deck.until(text)
            alone, spent = took - 1e3 * (deck.waited() - waited), 1e3 * (deck.used() - used)
            print(f"  {what}: {took:.0f} ms; {ALONE} {alone:.0f}; processor {spent:.0f}", flush=True)
        held(deck, b"j")
        typed(deck, STEPS, keys, b"")

    print(f"  memory: {run(home, size, [], drive):.0f} MB")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "tapes-benchmark-deck")
    arguments.add_argument("--keys", type=int, default=500)
    arguments.add_argument("--size", default="120x40")
    arguments.add_argument("--only", choices=["sessions", "steps"])
    given = arguments.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    columns, rows = map(int, given.size.split("x"))
    if given.only != "steps":
        sessions(many(given.folder), (columns, rows), given.keys)
    if given.only != "sessions":
        steps(long(given.folder), (columns, rows), given.keys)


if __name__ == "__main__":
    main()
