"""Makes small archives of format 1, to be read for ever by tests/archive/test_golden.py.

    python tests/golden/make_archive.py tests/golden/archive_1.mdb.gz
    python tests/golden/make_archive.py tests/golden/forgotten_1.mdb.gz forgotten

The second has two sessions, several groups of packs, and tombstones: some of its first session and all of its second
was forgotten. Run it once per format version. Nonces and times differ from run to run; what it holds does not.
"""

from __future__ import annotations

import gzip
import sys
import tempfile
from pathlib import Path

from tapes.archive.base import Batch, Draft
from tapes.archive.cut import Cutter, cut_once
from tapes.archive.destroy import carry_out
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.redaction import Withholding
from tapes.record.digest import blob_digest
from tapes.record.kinds import BodyRef

REQUESTS = [
    b'{"messages":[' + b",".join(b'"%d %s"' % (i, b"word " * 90) for i in range(n)) + b"]}" for n in (1, 15, 30)
]
HALF = b"data: half an answer"
FORGOTTEN = b"what was said here is gone "
SOME = (6, 7, 9)
"""Places of the first session whose records are forgotten."""


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


def fill_more(archive: LmdbArchive) -> None:
    """Enough commits for several groups; the last record of each session is the redaction of some, or all, of it."""
    first = archive.sessions()[0]
    for n in range(12):
        archive.commit(Batch([Draft("note", {"kind": "k", "text": f"note {n} of the first"}, first)]))
    opening = {"agent": "old", "argv": [FORGOTTEN], "cwd": b"/", "scheme": "plain", "name": "gone"}
    second = Draft("session.open", opening, None)
    archive.commit(Batch([second], names={"gone": second}))
    cut = cut_once(b'{"messages":["' + FORGOTTEN * 40 + b'"]}')
    body = {"method": "POST", "url": "u", "class": "model", "headers": [], "request": cut.ref.to_value()}
    archive.commit(Batch([Draft("exchange.open", body, second)], cut.objects))
    of_first = dict(archive.session_records(first))
    some = {digest: record for digest, record in of_first.items() if record.seq in SOME}
    request = BodyRef.of(next(record for record in of_first.values() if record.seq == 3).body["request"])
    sentences = (
        (Withholding(first, some, {request.hash: None}), "some"),
        (Withholding(second.hash or first, dict(archive.session_records(second.hash or first))), "session"),
    )
    for withholding, what in sentences:
        archive.commit(Batch([withholding.draft(who="old", reason="golden", what=what, tapes="1")]))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        with LmdbArchive.open(Path(folder) / "a", create=True) as archive:
            fill(archive)
        if sys.argv[2:] == ["forgotten"]:
            with LmdbArchive.open(Path(folder) / "a") as archive:  # anew: groups end with their process
                fill_more(archive)
            carry_out(Path(folder) / "a")
        data = (Path(folder) / "a" / "data.mdb").read_bytes()
    Path(sys.argv[1]).write_bytes(gzip.compress(data, mtime=0))


if __name__ == "__main__":
    main()
