"""How large the archive of a whole session is, against the bytes of its bodies: through intake, tool events and all.

    python benchmarks/session_size.py [turns ...]

A growing Claude-like session (tapes_addons.simulators.growing) goes through splitter, redactor and writer into a new
LMDB archive. Prints the file's size as a ratio of all request and response bytes, and checks every tenth body byte for
byte. To reach: 6 % at 40 turns, 1.0 % at 200, 0.3 % at 1,000.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tapes.archive.lmdb_archive import LmdbArchive
from tapes.intake.opening import Facts, open_session
from tapes.intake.recording import Recording
from tapes.intake.split import Splitter
from tapes.intake.writer import Writer
from tapes.record.digest import blob_digest
from tapes.session.exchanges import exchanges
from tapes.wire.agents import by_name
from tapes.wire.exchange import Answered, Arrived, Finished, Moment, Opened
from tapes.wire.redact import Redactor
from tapes_addons.simulators.growing import growing_session

HEADERS = tuple(
    (name, value.encode())
    for name, value in {
        b"accept": "application/json",
        b"user-agent": "claude-cli/2.1.197 (external, sdk-cli)",
        b"content-type": "application/json",
        b"x-stainless-lang": "js",
        b"x-stainless-retry-count": "0",
        b"anthropic-version": "2023-06-01",
        b"accept-encoding": "gzip, deflate, br, zstd",
        b"x-claude-code-session-id": "6c0f7d0e-7e0c-4ac3-9c55-5d1a2f4a8e21",
    }.items()
)


def measure(turns: int, folder: Path) -> tuple[int, int]:
    """Bytes of all bodies, and of the archive's file."""
    archive = LmdbArchive.open(folder, create=True)
    redactor = Redactor()
    session, summary = open_session(archive, Facts("claude", [b"claude"], b"/work"), redactor)
    writer = Writer(archive, lambda who: Recording(Splitter(session, redactor), by_name("claude"), summary=summary))
    writer.start()
    raw, expected, began = 0, {}, time.perf_counter()
    for turn, (request, response) in enumerate(growing_session(turns)):
        key = str(turn)
        url = "https://api.anthropic.com/v1/messages?beta=true"
        writer.put(
            Opened(key, Moment.now(), "POST", url, "HTTP/1.1", HEADERS, request, "anthropic", "model", "c", "proxy")
        )
        writer.put(Answered(key, Moment.now(), 200, "OK", "HTTP/1.1", ((b"content-type", b"text/event-stream"),)))
        for at in range(0, len(response), 512):
            writer.put(Arrived(key, time.monotonic_ns(), response[at : at + 512]))
        writer.put(Finished(key, Moment.now(), "eof"))
        writer.wait_safe(60)
        raw += len(request) + len(response)
        if turn % 10 == 0:
            expected[turn] = (blob_digest(request), blob_digest(response))
    took = time.perf_counter() - began
    writer.close({"status": 0, "signal": None}, 60)
    for turn, exchange in enumerate(exchanges(archive, session)):
        if turn in expected:
            assert exchange.request and exchange.response
            kept = (blob_digest(archive.body(exchange.request)), blob_digest(archive.body(exchange.response)))
            assert kept == expected[turn], f"turn {turn} differs"
    archive.close()
    size = (folder / "data.mdb").stat().st_size
    print(
        f"{turns} turns: {raw / 1e6:.1f} MB raw, {size / 1e6:.2f} MB file, {100 * size / raw:.2f} %, "
        f"{1000 * took / turns:.1f} ms a turn, {len(expected)} exchanges compared byte for byte"
    )
    return raw, size


def main() -> None:
    for turns in [int(word) for word in sys.argv[1:]] or [40, 200, 1000]:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o700)
            measure(turns, Path(folder) / "archive")


if __name__ == "__main__":
    main()
