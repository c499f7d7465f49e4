"""A process that withholds a session and destroys it, for tests that kill it.

python forgetter.py PATH SESSION     prints `go` before it begins
"""

from __future__ import annotations

import sys
from pathlib import Path

from tapes.archive.base import Batch
from tapes.archive.destroy import carry_out
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.redaction import Withholding
from tapes.record.digest import Digest


def main() -> None:
    path, session = Path(sys.argv[1]), Digest.parse(sys.argv[2])
    print("go", flush=True)
    with LmdbArchive.open(path) as archive:
        wanted = Withholding(session, dict(archive.session_records(session)))
        archive.commit(Batch([wanted.draft(who="me", reason="test", what="session", tapes="0")]))
    carry_out(path)


if __name__ == "__main__":
    main()
