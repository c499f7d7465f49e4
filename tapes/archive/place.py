"""Where an archive may lie. It holds everything an agent was told, so its place is checked before it is
opened.

Refused are: a path that is a symbolic link (another user may turn it), a place that somebody else owns or
that others may write to, files that others may read, and network file systems, where neither locks nor memory
maps hold what LMDB builds on. Directories above the archive are not judged: whoever made them may replace us
anyway.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from tapes.errors import ArchiveError, NotFound

DATA_FILE = "data.mdb"
LOCK_FILE = "lock.mdb"
RESERVE_FILE = "reserve"

# fmt: off
NETWORK = frozenset((
    "9p", "afpfs", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fuse.ceph", "fuse.cephfs",
    "fuse.davfs", "fuse.gcsfuse", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs", "fuse.webdav",
    "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "pvfs2", "smb", "smb2",
    "smb3", "smbfs", "vboxsf", "webdav",
))
# fmt: on


def prepare(path: Path, *, create: bool) -> None:
    """Check an archive's directory, making it (and those above) when `create`. ArchiveError or NotFound, with
    a hint.

    A crash after the making leaves an empty directory, in which the next start makes the archive.
    """
    if create and not os.path.lexists(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        sync_directory(path.parent)
    if not os.path.lexists(path):
        raise NotFound(f"no archive at {path}", hint="`tapes run -- COMMAND` makes one, `tapes demo` too")
    _check(path, stat.S_ISDIR, "a directory", forbidden=0o022)
    for name in (DATA_FILE, LOCK_FILE, RESERVE_FILE):
        if os.path.lexists(path / name):
            _check(path / name, stat.S_ISREG, "a plain file", forbidden=0o077)
        elif name == DATA_FILE and not create:
            raise NotFound(f"no archive in {path}", hint="`tapes run -- COMMAND` makes one, `tapes demo` too")
    kind = file_system(path)
    if kind in NETWORK:
        raise ArchiveError(
            f"{path} lies on a network file system ({kind}), which cannot keep an archive safe",
            hint="choose a local directory with TAPES_HOME",
        )


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable; without it a power cut may lose a new file that was itself
    synced."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _check(path: Path, is_kind: Callable[[int], bool], kind: str, *, forbidden: int) -> None:
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise ArchiveError(f"{path} is a symbolic link", hint="give the path it points to")
    if not is_kind(found.st_mode):
        raise ArchiveError(f"{path} is not {kind}")
    if found.st_uid != os.geteuid():
        raise ArchiveError(f"{path} belongs to another user", hint="run as the user who owns the archive")
    if stat.S_IMODE(found.st_mode) & forbidden:
        raise ArchiveError(f"others may reach {path}", hint=f"chmod go= {path}")


def file_system(path: Path) -> str:
    """Type of the file system that holds an existing path; empty where the system does not say."""
    real = os.path.realpath(path)
    best, kind = "", ""
    for point, found in mounts():
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):  # of equals the later one lies on top
            best, kind = point, found
    return kind


def mounts() -> list[tuple[str, str]]:
    """Mount points and types, in the order mounted."""
    table = Path("/proc/self/mountinfo")
    if table.exists():
        return parse_mountinfo(table.read_text("utf-8", "surrogateescape"))
    if Path("/sbin/mount").exists():  # macOS, which has no such file to read
        import subprocess  # slow to import

        done = subprocess.run(["/sbin/mount"], capture_output=True, check=False)
        return parse_mount(os.fsdecode(done.stdout))
    return []


def parse_mountinfo(text: str) -> list[tuple[str, str]]:
    """Linux, proc(5): field 5 is the mount point (octal escapes), the type follows a lone hyphen."""
    rows = []
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        if after and len(before.split(" ")) > 4:
            point = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), before.split(" ")[4])
            rows.append((point, after.split(" ")[0]))
    return rows


def parse_mount(text: str) -> list[tuple[str, str]]:
    """macOS, mount(8): `what on POINT (type, option, …)`."""
    return [(m[1], m[2]) for m in re.finditer(r"^.* on (/.*) \((\w+)[,)]", text, re.MULTILINE)]
