"""Memory of the capture process while one agent says more and more.

    python benchmarks/memory.py [--dialect NAME] [turns]

The scripted agent runs one small command a turn under `tapes run`: by default over HTTP, where each call is a flow of
mitmproxy's with the whole history in it, which must be let go of; with `--dialect openai-websocket` on one WebSocket.
Prints what the capture process holds (resident, MiB) as the turns go by, its growth from a quarter of the way to the
end, and beside it the sizes of all request bodies and of the archive. To reach: flat over 1,000 turns (a few MiB, the
archive's own pages among them, which are mapped).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlsplit

from tapes.archive.lmdb_archive import LmdbArchive
from tapes.errors import NotFound
from tapes.session.exchanges import exchanges
from tapes.session.rows import rows
from tapes_addons.simulators.agent import DIALECTS
from tapes_addons.simulators.process import provider_process

LOOK_S = 0.5


def script(turns: int) -> dict[str, object]:
    steps = [
        {"text": f"Step {n}.", "tools": [{"tool": "bash", "input": {"command": f"echo {n}"}}]} for n in range(turns)
    ]
    return {"pace": {"first_ms": 0, "gap_ms": 0}, "scripts": {"main": [*steps, {"text": "Done."}]}}


def recorder_of(launcher: int) -> int | None:
    """The capture process that a launcher started (Linux)."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            if parent == launcher and b"tapes_addons.recorder" in (path.parent / "cmdline").read_bytes():
                return int(path.parent.name)
        except OSError:
            continue  # it ended while we looked
    return None


def resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def calls(home: Path) -> int:
    try:
        with LmdbArchive.open(home / "archive", readonly=True) as archive:
            return max((row.summary.ended for row in rows(archive)), default=0)
    except NotFound:
        return 0


def bodies(home: Path) -> int:
    """Bytes of all request bodies in the archive."""
    with LmdbArchive.open(home / "archive", readonly=True) as archive:
        (session,) = archive.sessions()
        return sum(exchange.request.length for exchange in exchanges(archive, session) if exchange.request)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("turns", type=int, nargs="?", default=1_000)
    parser.add_argument("--dialect", choices=DIALECTS, default="anthropic")
    options = parser.parse_args()
    turns, dialect = options.turns, DIALECTS[options.dialect]()
    host = urlsplit(dialect.base_url).netloc
    seen: list[tuple[int, float]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "script.json").write_text(json.dumps(script(turns)))
        with provider_process(folder / "script.json") as ports:
            kept = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
            env = kept | {"TAPES_HOME": str(folder / "home"), dialect.key_variable: "no-key"}
            words = [sys.executable, "-m", "tapes_cli", "run"]
            words += ["--map-host", f"{host}=http://127.0.0.1:{ports['http']}", "--"]
            words += [sys.executable, "-m", "tapes_addons.simulators.agent", "Go.", "--dialect", options.dialect]
            words += ["--max-turns", str(turns + 1), "--cwd", str(folder)]
            began = time.monotonic()
            run = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while run.poll() is None:
                pid = recorder_of(run.pid)
                if pid is not None and (done := calls(folder / "home")) > (seen[-1][0] if seen else 0):
                    seen.append((done, resident_mib(pid)))
                time.sleep(LOOK_S)
            took = time.monotonic() - began
        raw = bodies(folder / "home")
        size = (folder / "home" / "archive" / "data.mdb").stat().st_size
    shown = max(1, len(seen) // 10)
    for done, held in [*seen[::shown], seen[-1]]:
        print(f"{done:6} exchanges  {held:7.1f} MiB")
    quarter = next(held for done, held in seen if done >= turns // 4)
    print(f"{turns} turns in {took:.0f} s, {raw / 2**20:.0f} MiB of request bodies, archive {size / 2**20:.1f} MiB")
    print(f"memory from a quarter of the way to the end: {seen[-1][1] - quarter:+.1f} MiB")


if __name__ == "__main__":
    main()
