"""The archive's place: can it be written, who else can read it, does it open, is there room, is our CA in order."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tapes.errors import ArchiveError, Damaged, NotFound, TapesError
from tapes_addons import ca as authority
from tapes_addons.trust import CA_KEY
from tapes_cli import output
from tapes_cli.checks.finding import Finding, bad, note, ok

LITTLE_ROOM = 1024**3
SOON_S = 30 * 24 * 3600


def home(folder: Path) -> Iterator[Finding]:
    """`folder` is the archive's home, which need not be there yet."""
    if not os.path.lexists(folder):
        above = next(parent for parent in folder.parents if os.path.lexists(parent))
        if reason := refusal(above):
            yield bad("home", f"{folder} can not be made in {above}: {reason}", "set TAPES_HOME to a place of your own")
        else:
            yield ok("home", f"{folder} (made by the first recording)")
        return
    if not folder.is_dir():
        yield bad("home", f"{folder} is no directory", "set TAPES_HOME to one, or to a path that is free")
        return
    found = folder.stat()
    if found.st_uid != os.geteuid():
        yield bad("home", f"{folder} belongs to another user", "set TAPES_HOME to a directory of your own")
    elif reason := refusal(folder):
        yield bad("home", f"{folder} can not be written: {reason}", f"chmod u+rwx {folder}, or set TAPES_HOME")
    elif stat.S_IMODE(found.st_mode) & 0o022:
        yield bad("home", f"others may write to {folder}", f"chmod go-w {folder}")
    else:
        yield ok("home", str(folder))
    free = shutil.disk_usage(folder).free
    if free < LITTLE_ROOM:
        yield bad("room", f"{output.size(free)} left on the disk", "make room: without it there are gaps")
    else:
        yield ok("room", f"{output.size(free)} left on the disk")


def refusal(folder: Path) -> str:
    """Why no directory can be made in `folder`; empty when one can. Tried, as permissions alone do not tell: root has
    them all, and a read-only file system or /proc refuses nevertheless."""
    try:
        Path(tempfile.mkdtemp(prefix=".tapes-doctor-", dir=folder)).rmdir()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def archive(folder: Path) -> Iterator[Finding]:
    """Opens it as a reader does: format, permissions, kind of file system."""
    from tapes.archive.lmdb_archive import LmdbArchive

    where = folder / "archive"
    try:
        with LmdbArchive.open(where, readonly=True) as found:
            size = found.size()
    except NotFound:
        yield ok("archive", "none yet; the first recording makes it")
    except Damaged as error:
        todo = (
            "tapes verify says what can still be read; bring back a backup, or go on with an empty one: "
            f"mv {shlex.quote(str(where))} {shlex.quote(f'{where}.damaged')}"
        )
        yield bad("archive", str(error), todo)
    except TapesError as error:
        todo = f"tapes verify says more; or move {where} aside so that recording goes on, or set TAPES_HOME"
        yield bad("archive", str(error), error.hint or todo)
    else:
        text = f"{size['sessions']} sessions, {size['records']} records, {output.size(size['file_bytes'])}"
        yield ok("archive", text)


def certificates(folder: Path) -> Iterator[Finding]:
    """Our CA: whole, its key ours alone, valid for longer than an agent runs; and TLS works with it."""
    ca = folder / "ca"
    if not os.path.lexists(ca):
        yield ok("CA", "none yet; the first recording makes it")
        return
    for path in (ca, ca / CA_KEY):
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield bad(
                "CA", f"others may read {path}: whoever has it can read your agents' traffic", f"chmod go= {path}"
            )
            return
    try:
        until = authority.checked(ca)
    except ArchiveError as error:
        todo = "the next tapes run or tapes serve makes a new one; start a running tapes serve again"
        yield bad("CA", str(error), todo)
        return
    from tapes_cli.checks.handshake import handshake

    anew = f"move {ca} away while nothing runs: the next tapes run makes a new one"
    try:
        handshake(ca)
    except (OSError, ValueError) as error:
        yield bad("CA", f"no TLS with {ca}: {error}", anew)
        return
    if until.timestamp() - time.time() < SOON_S:
        yield note("CA", f"runs out on {until:%Y-%m-%d}", anew)
    else:
        yield ok("CA", f"valid until {until:%Y-%m-%d}, TLS works with it, key readable by you alone")
