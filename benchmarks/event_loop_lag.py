"""How late the event loop gets to run while four 1.9 MB bodies a second are recorded beside it.

    python benchmarks/event_loop_lag.py [seconds]

The loop sleeps 1 ms again and again and notes how much later it wakes; the writer's thread redacts, cuts, reads and
commits a growing session of large requests meanwhile. Prints percentiles with and without the writer at work, from the
same run. To reach: p99 <= 2.5 ms.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from tapes.archive.lmdb_archive import LmdbArchive
from tapes.intake.opening import Facts, open_session
from tapes.intake.recording import Recording
from tapes.intake.split import Splitter
from tapes.intake.writer import Writer
from tapes.wire.agents import by_name
from tapes.wire.exchange import Answered, Arrived, Finished, Moment, Opened
from tapes.wire.redact import Redactor
from tapes_addons.proxy import SWITCH_S
from tapes_addons.simulators.growing import growing_session

PER_SECOND = 4
BODY_BYTES = 1_900_000
URL = "https://api.anthropic.com/v1/messages"


def bodies(count: int) -> list[tuple[bytes, bytes]]:
    """The last `count` turns of a session that has grown to about BODY_BYTES a request."""
    turns = BODY_BYTES // 8_300
    return [pair for n, pair in enumerate(growing_session(turns + count)) if n >= turns]


async def lags(seconds: float) -> list[float]:
    """Milliseconds by which each 1 ms sleep was too long."""
    late = []
    end = time.perf_counter() + seconds
    while (now := time.perf_counter()) < end:
        await asyncio.sleep(0.001)
        late.append((time.perf_counter() - now - 0.001) * 1e3)
    return late


async def feed(writer: Writer, pairs: list[tuple[bytes, bytes]]) -> None:
    for n, (request, response) in enumerate(pairs):
        key, at = str(n), Moment.now()
        writer.put(Opened(key, at, "POST", URL, "HTTP/1.1", (), request, "anthropic", "model", "c", "proxy"))
        writer.put(Answered(key, at, 200, "OK", "HTTP/1.1", ((b"content-type", b"text/event-stream"),)))
        writer.put(Arrived(key, time.monotonic_ns(), response))
        writer.put(Finished(key, Moment.now(), "eof"))
        await asyncio.sleep(1 / PER_SECOND)


def report(name: str, late: list[float]) -> None:
    late.sort()
    row = {f"p{p}": round(late[min(len(late) - 1, len(late) * p // 100)], 2) for p in (50, 90, 99)}
    print(f"{name:<18} {json.dumps(row)} max {late[-1]:.2f} ms, {len(late)} samples")


async def measure(seconds: float) -> None:
    sys.setswitchinterval(SWITCH_S)
    pairs = bodies(int(seconds * PER_SECOND))
    with tempfile.TemporaryDirectory() as folder:
        archive = LmdbArchive.open(Path(folder) / "archive", create=True)
        redactor = Redactor()
        session, summary = open_session(archive, Facts("claude", [b"claude"], b"/"), redactor)
        writer = Writer(archive, lambda who: Recording(Splitter(session, redactor), by_name("claude"), summary=summary))
        writer.start()
        report("loop alone", await lags(seconds / 2))
        feeding = asyncio.ensure_future(feed(writer, pairs))
        report("while recording", await lags(seconds))
        await feeding
        writer.close({}, 30)
        archive.close()


if __name__ == "__main__":
    asyncio.run(measure(float(sys.argv[1]) if len(sys.argv) > 1 else 10))
