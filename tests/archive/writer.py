"""A process that writes to an archive, for tests that kill it or run several at once.

python writer.py PATH SESSION COUNT      COUNT commits of a note and a body each (0: without end)
python writer.py PATH SESSION hold       begins a write transaction, writes, and never ends it
"""

from __future__ import annotations

import os
import sys
import time

from tapes.archive.base import Batch, Draft
from tapes.archive.cut import cut_once
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.record.digest import Digest

SIZES = (3_000, 200, 50_000, 12_000)
"""Of the bodies' random bytes: frames that build on others, and frames that have pages of their own."""


def main() -> None:
    path, session, what = sys.argv[1], Digest.parse(sys.argv[2]), sys.argv[3]
    archive = LmdbArchive.open(path)
    if what == "hold":

        def hold(txn, t):  # type: ignore[no-untyped-def]
            txn.put(b"never", b"seen", db=t["meta"])
            print("holding", flush=True)
            time.sleep(600)

        archive._run(hold, write=True)
    n = 0
    while what == "0" or n < int(what):
        cut = cut_once(os.urandom(SIZES[n % len(SIZES)]).hex().encode())
        note = Draft("note", {"text": f"{os.getpid()} {n}", "body": cut.ref.to_value()}, session)
        archive.commit(Batch([note], cut.objects))
        n += 1
        print(n, flush=True)


if __name__ == "__main__":
    main()
