"""A process that compacts or rebuilds an archive again and again, for tests that kill it.

python carer.py PATH compact|rebuild|backup     prints `go` before each round
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from tapes.archive.copy import backup, compact
from tapes.archive.rebuild import rebuild


def main() -> None:
    path, what = Path(sys.argv[1]), sys.argv[2]
    for n in itertools.count():
        print("go", flush=True)
        if what == "compact":
            compact(path)
        elif what == "rebuild":
            assert rebuild(path).whole
        else:
            backup(path, path.with_name(f"copy-{n}"))


if __name__ == "__main__":
    main()
