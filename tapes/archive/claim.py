"""Who has the archive's file open, so that nobody replaces it under them.

Everybody who opens an archive, to read or to write, holds a shared lock (flock) on its directory for as long as it is
open. Whoever puts another file in the old one's place upgrades that lock to an exclusive one, and so knows that nobody
else has the old file: a writer that had would go on committing into a file without a name, and lose everything. The
lock is on the directory because that stays the same when the file in it does not, and because it needs no file of its
own. The system lets go of it when its process ends, however that ends.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from tapes.errors import ArchiveInUse

OPENING_S = 30.0
"""How long an opening waits for a replacement to end: that is a rename and a sync, of files written before."""
BRIEF_S = 5.0
"""How long a replacement waits for others to close: commands that read and go."""
_PAUSE_S = 0.02
_WORDS = 100
"""Characters of a command line that are shown."""


class Claim:
    """A lock on a directory; shared until `alone`."""

    def __init__(self, path: Path) -> None:
        """ArchiveInUse when somebody is alone with it for longer than OPENING_S."""
        self.path, self._pid = path, os.getpid()
        self._handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self._lock(fcntl.LOCK_SH, OPENING_S, "is being replaced")
        except BaseException:
            self.release()
            raise

    def alone(self, wait: float = BRIEF_S) -> None:
        """Wait until nobody else holds the claim, and keep them out. ArchiveInUse, naming them, when they stay; then
        the claim is shared as before."""
        try:
            self._lock(fcntl.LOCK_EX, wait, "is in use")
        except ArchiveInUse:
            # A conversion that fails may have let go of the shared lock; nobody can be alone for long now.
            self.share()
            raise

    def share(self) -> None:
        self._lock(fcntl.LOCK_SH, OPENING_S, "is being replaced")

    def release(self) -> None:
        """In a child of fork this closes the child's handle and leaves the parent's lock alone."""
        handle, self._handle = self._handle, -1
        if handle < 0:
            return
        if os.getpid() == self._pid:
            fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)

    def _lock(self, how: int, wait: float, state: str) -> None:
        # Asked again and again instead of blocking: a stopped holder would stop us for ever.
        until = time.monotonic() + wait
        while True:
            try:
                fcntl.flock(self._handle, how | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise self._in_use(state) from None
                time.sleep(_PAUSE_S)

    def _in_use(self, state: str) -> ArchiveInUse:
        others = holders(self.path)
        named = "".join(f"\n  {line}" for line in others) or "\n  another process"
        return ArchiveInUse(f"the archive in {self.path} {state} by{named}", hint="try again when it has ended")


def holders(path: Path) -> list[str]:
    """Processes that hold a lock on a directory, as `pid N: command line`, without this one. Linux shows them, as far
    as they are in the same namespace; elsewhere the list is empty."""
    table = Path("/proc/locks")
    if not table.exists():
        return []
    inode, found = path.stat().st_ino, set[int]()
    for line in table.read_text("ascii", "replace").splitlines():
        # `1: FLOCK  ADVISORY  READ 4711 08:01:131 0 EOF`; the device is not compared: some file systems show another.
        words = line.split()
        if len(words) > 5 and words[1] == "FLOCK" and words[5].rpartition(":")[2] == str(inode):
            found.add(int(words[4]))
    return [f"pid {pid}: {_command(pid)}" for pid in sorted(found - {os.getpid()}) if pid > 0]


def _command(pid: int) -> str:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return "gone by now, or not ours to see"
    text = line.replace(b"\0", b" ").decode("utf-8", "replace").strip()
    text = "".join(char if char.isprintable() else "?" for char in text)
    return text if len(text) <= _WORDS else text[: _WORDS - 1] + "…"
