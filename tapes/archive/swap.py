"""Put a new file in the place of an archive's old one, so that a crash leaves the one or the other.

The new file was written and synced in a directory of its own inside the archive's, and verified there. Then:

1. The caller keeps everybody else out (tapes.archive.claim). Refused while somebody has the archive open: a writer
   would go on committing into the old file, which then has no name. Refused too when somebody committed since the new
   file was begun. *A crash here leaves the old file, and the directory, which the next writer sweeps.*
2. Where the old file is to be kept, it gets a second name. *A crash leaves the old file under two names.*
3. The old lock file goes: it counts the old file's transactions. *A crash leaves the old file without a lock file;
   opening makes one.*
4. The new file is renamed over the old one. *A crash leaves one or the other; a power cut too, until the directory is
   synced, which is the last step.*
"""

from __future__ import annotations

import os
from pathlib import Path

from tapes.archive.fresh import Fresh
from tapes.archive.place import DATA_FILE, LOCK_FILE, sync_directory

KEPT = "damaged-"
"""How the names of old files begin that stay beside a rebuilt one."""


def swap(path: Path, fresh: Fresh, keep: str | None = None) -> None:
    """Let `fresh.file` take the place of the file of the archive in `path`, with which the caller is alone. `keep`: a
    name in the archive's directory under which the old file stays."""
    if keep is not None:
        os.link(path / DATA_FILE, path / keep)
    (path / LOCK_FILE).unlink(missing_ok=True)
    fresh.file.replace(path / DATA_FILE)
    sync_directory(path)
