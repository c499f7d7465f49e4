"""A recording whose disk fills up: python full_disk.py FOLDER stays|comes-back|no-reserve. Says what it kept."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from small_disk import fill
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.verify import verify
from tapes.intake.opening import Facts
from tapes.intake.recording import LAUNCH, Recording
from tapes.intake.writer import Writer
from tapes.wire.exchange import Answered, Arrived, Finished, Happening, Moment, Opened
from tapes.wire.redact import Redactor

URL = "https://api.anthropic.com/v1/messages"


def exchange(key: str, size: int) -> list[Happening]:
    body = b'{"messages": ["%s"]}' % os.urandom(size // 2).hex().encode()
    return [
        Opened(key, Moment.now(), "POST", URL, "HTTP/1.1", (), body, "anthropic", "model", "c", "proxy"),
        Answered(key, Moment.now(), 200, "OK", "HTTP/1.1", ()),
        Arrived(key, time.monotonic_ns(), b"{}"),
        Finished(key, Moment.now(), "eof"),
    ]


def main() -> None:
    folder, how = Path(sys.argv[1]), sys.argv[2]
    home = folder / "archive"
    archive = LmdbArchive.open(home, create=True)
    said: list[str] = []
    recording = Recording.begin(Facts("generic", [b"x"], b"/"), Redactor())
    writer = Writer(archive, lambda who: recording, queue_bytes=2 << 20, on_trouble=said.append)
    writer.expect(LAUNCH)
    writer.start()
    for happening in exchange("before", 1000):
        writer.put(happening)
    assert writer.wait_safe(20)
    reserved = (home / "reserve").stat().st_size
    if how == "no-reserve":
        archive._reserve.give_up()
    full = fill(folder)
    taken = [[writer.put(happening) for happening in exchange(str(n), 400_000)] for n in range(12)]
    while not writer.failing:
        time.sleep(0.01)
    if how == "comes-back":
        full.unlink()
        assert writer.wait_safe(20) or not all(map(all, taken))
    closed = writer.close({"how": "test"}, 0.5)
    room = os.statvfs(folder)
    archive.close()
    if full.exists():
        full.unlink()
    with LmdbArchive.open(home) as archive:
        records = [record for _, _, record in archive.log()]
        result = {
            "types": [record.type for record in records],
            "gaps": [record.body["exchanges"] for record in records if record.type == "gap"],
            "whole": sum(all(row) for row in taken),
            "closed": closed,
            "left": room.f_bavail * room.f_frsize,
            "reserve": [reserved, (home / "reserve").stat().st_size],
            "said": said,
            "sound": verify(archive).ok,
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
