"""Makes a small archive of format 1, to be read for ever by tests/archive/test_golden.py.

    python tests/golden/make_archive.py tests/golden/archive_1.mdb.gz

Run it once per format version. Nonces and times differ from run to run; what it holds does not.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
from pathlib import Path

from tapes.archive.base import Batch, Draft
from tapes.archive.cut import Cutter
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.record.digest import blob_digest

REQUESTS = [
    b'{"messages":[' + b",".join(b'"%d %s"' % (i, b"word " * 90) for i in range(n)) + b"]}" for n in (1, 15, 30)
]
HALF = b"data: half an answer"


def fill(archive: LmdbArchive) -> None:
    first, cutter = (
        Draft("session.open", {"agent": "old", "argv": [b"old"], "cwd": b"/", "scheme": "plain"}, None),
        Cutter(),
    )
    archive.commit(Batch([first], names={"kept": first}, summaries={first: b"row"}))
    for request in REQUESTS:
        cut = cutter.cut(request)
        body = {"method": "POST", "url": "u", "class": "model", "headers": [], "request": cut.ref.to_value()}
        exchange = Draft("exchange.open", body, first)
        archive.commit(Batch([exchange], cut.objects))
    part_body = {"n": 0, "offset": 0, "length": len(HALF), "data": blob_digest(HALF), "times": [len(HALF), 7]}
    part = Draft("exchange.part", part_body, first, (exchange,))
    archive.commit(Batch([part], tails={part: HALF}))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        with LmdbArchive.open(Path(folder) / "a", create=True) as archive:
            fill(archive)
        data = (Path(folder) / "a" / "data.mdb").read_bytes()
    Path(sys.argv[1]).write_bytes(gzip.compress(data, mtime=0))


if __name__ == "__main__":
    main()
