"""The snapshot process of one run.

Started by the capture process with a socket, before it is known what to look at, so that it is there when the session
is. Lines of JSON on that socket. To here: a `Task`, then {"command": hex}, {"request": true}, {"secret": [label,
base64]}, {"end": true}. From here: {"under_way": rows}, {"taken": {...}} after each snapshot, {"trouble": text},
{"missed": reason, "files": count} where nothing of that could be written, {"done": {...}}. When the socket closes, the
capture process has died: a last snapshot, and it leaves.

News that come while a snapshot is taken wait for the next one, which names all commands that ended meanwhile.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from tapes_addons.worktree.low import give_way

if __name__ == "__main__":
    # Before all else, and in this order: the thread that commits keeps the rights that this one gives up.
    COMMITTING = ThreadPoolExecutor(1, "tapes-commit")
    COMMITTING.submit(int).result()
    give_way()
    from tapes_addons.worktree.process import run

    sys.exit(run(int(sys.argv[1]), COMMITTING))
