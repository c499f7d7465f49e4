"""The archive's place: can it be written, who else can read it, does it open, is there room, is our CA in order."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

from tapes.errors import NotFound, TapesError
from tapes_addons.trust import CA_KEY, CERTIFICATE
from tapes_cli import output
from tapes_cli.checks.finding import Finding, bad, note, ok

LITTLE_ROOM = 1024**3
SOON_S = 30 * 24 * 3600


def home(folder: Path) -> Iterator[Finding]:
    """`folder` is the archive's home, which need not be there yet."""
    if not folder.exists():
        above = next(parent for parent in folder.parents if parent.exists())
        if os.access(above, os.W_OK | os.X_OK):
            yield ok("home", f"{folder} (made by the first recording)")
        else:
            yield bad("home", f"{folder} can not be made: {above} is not yours to write", "set TAPES_HOME")
        return
    if not folder.is_dir():
        yield bad("home", f"{folder} is no directory", "set TAPES_HOME to one, or to a path that is free")
        return
    found = folder.stat()
    if found.st_uid != os.geteuid():
        yield bad("home", f"{folder} belongs to another user", "set TAPES_HOME to a directory of your own")
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield bad("home", f"{folder} can not be written", f"chmod u+rwx {folder}, or set TAPES_HOME")
    elif stat.S_IMODE(found.st_mode) & 0o022:
        yield bad("home", f"others may write to {folder}", f"chmod go-w {folder}")
    else:
        yield ok("home", str(folder))
    free = shutil.disk_usage(folder).free
    if free < LITTLE_ROOM:
        yield bad("room", f"{output.size(free)} left on the disk", "make room: without it there are gaps")
    else:
        yield ok("room", f"{output.size(free)} left on the disk")


def archive(folder: Path) -> Iterator[Finding]:
    """Opens it as a reader does: format, permissions, kind of file system."""
    from tapes.archive.lmdb_archive import LmdbArchive

    try:
        with LmdbArchive.open(folder / "archive", readonly=True) as found:
            size = found.size()
    except NotFound:
        yield ok("archive", "none yet; the first recording makes it")
    except TapesError as error:
        yield bad("archive", str(error), error.hint or "tapes verify says more")
    else:
        text = f"{size['sessions']} sessions, {size['records']} records, {output.size(size['file_bytes'])}"
        yield ok("archive", text)


def certificates(folder: Path) -> Iterator[Finding]:
    """Our CA: its key must be ours alone, and it must be valid for longer than an agent runs."""
    ca = folder / "ca"
    if not (ca / CERTIFICATE).exists():
        yield ok("CA", "none yet; the first recording makes it")
        return
    for path in (ca, ca / CA_KEY):
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield bad(
                "CA", f"others may read {path}: whoever has it can read your agents' traffic", f"chmod go= {path}"
            )
            return
    from cryptography import x509

    try:
        certificate = x509.load_pem_x509_certificate((ca / CERTIFICATE).read_bytes())
    except (OSError, ValueError) as error:
        yield bad("CA", f"{ca / CERTIFICATE} can not be read: {error}", f"remove {ca}: a new one is made")
        return
    until = certificate.not_valid_after_utc.astimezone(UTC)
    left = until.timestamp() - time.time()
    if left < 0:
        yield bad("CA", f"ran out on {until:%Y-%m-%d}", f"remove {ca}: a new one is made")
    elif left < SOON_S:
        yield note("CA", f"runs out on {until:%Y-%m-%d}", f"remove {ca}: a new one is made")
    else:
        yield ok("CA", f"valid until {until:%Y-%m-%d}, key readable by you alone; trusted by launched agents only")
