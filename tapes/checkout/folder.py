"""A directory that comes into being whole: it is made beside its place, and renamed into it when all is there.

Whatever a path says, nothing is written outside: it must be names joined by `/`, none of them empty, `.` or `..`;
directories are only ever made by us, in a directory that nobody else can enter; and links are made last, when nothing
is written any more. A link that leads out of the tree is not made at all: what is done to the tree later should stay
there, too.

A kill leaves the directory beside the place. Its maker holds a lock on it, so the next one who comes to the same place
sees that it is left over, says so and removes it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tapes.errors import UsageError

BEFORE = "before"
"""Where `force` puts what is in the way: `before-1`, `before-2`, …, in the directory itself."""


class Folder:
    """Use as a context manager: `put`, `link`, `directory`, then `commit`. Without that nothing stays."""

    def __init__(self, target: Path, *, force: bool = False) -> None:
        """UsageError where the place can not be used: it is no directory, it is not empty (unless `force`), there is no
        directory for it to be in."""
        self.target = Path(os.path.realpath(target))
        self.left_over: list[str] = []
        """Names of directories that killed ones had left beside it, and that were removed."""
        self._force = force
        self._links: list[tuple[bytes, bytes]] = []
        """Paths and targets."""
        self._modes: dict[str, int] = {}
        self._made: set[bytes] = set()
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        try:
            self._check()
        except OSError as error:
            raise UsageError(f"cannot use {self.target}: {error.strerror}") from error

    def _check(self) -> None:
        if not os.path.lexists(self.target):
            if not self.target.parent.is_dir():
                raise UsageError(f"there is no directory {self.target.parent}", hint="make it first")
        elif not self.target.is_dir():
            raise UsageError(f"{self.target} is there already, and no directory")
        elif not self._force and any(self.target.iterdir()):
            raise UsageError(
                f"{self.target} is not empty",
                hint="choose another with -o, or --force: what is in the way is then moved into before-N there",
            )

    def __enter__(self) -> Self:
        self._clean()
        try:
            while True:
                self.beside = self.target.with_name(f".{self.target.name}.tapes-{secrets.token_hex(8)}")
                self.beside.mkdir(0o700)
                self._lock = os.open(self.beside, os.O_RDONLY | os.O_DIRECTORY)
                fcntl.flock(self._lock, fcntl.LOCK_EX)
                if self.beside.is_dir():  # nobody has taken it for a left-over before it was locked
                    break
                os.close(self._lock)
        except OSError as error:
            raise UsageError(f"cannot write beside {self.target}: {error.strerror}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.beside, ignore_errors=True)  # after a commit there is none
        os.close(self._lock)

    def _clean(self) -> None:
        pattern = re.compile(rf"\.{re.escape(self.target.name)}\.tapes-[0-9a-f]{{16}}")
        try:
            beside = [path for path in self.target.parent.iterdir() if pattern.fullmatch(path.name)]
        except OSError:
            return  # a directory that can be written and not listed
        for path in beside:
            with suppress(OSError):  # another's, or one at work
                handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    shutil.rmtree(path)
                    self.left_over.append(path.name)
                finally:
                    os.close(handle)

    # -- what goes in

    def put(self, path: bytes, data: bytes, mode: int = 0o644, mtime_ns: int = 0) -> str:
        """Write a file. "" or why it could not be: its path is none, or clashes with another's."""
        return self._try(path, lambda place: self._write(place, data, mode, mtime_ns))

    def directory(self, path: bytes, mode: int = 0o755) -> str:
        """Make a directory. "" or why not."""

        def make(place: str) -> None:
            self._parents(path + b"/x")
            self._modes[place] = mode

        return self._try(path, make)

    def link(self, path: bytes, target: bytes) -> str:
        """Make a symbolic link, when all else is there. "" or why not."""
        if leads_out(path, target):
            return f"a link to {os.fsdecode(target)!r}, which may lead out of the directory"
        return self._try(path, lambda _: self._links.append((path, target)))

    def _place(self, path: bytes) -> str:
        return f"{self.beside}/{os.fsdecode(path)}"

    def _try(self, path: bytes, do: Callable[[str], object]) -> str:
        if not is_inside(path):
            return "a path that leads out of the directory"
        try:
            self._parents(path)
            do(self._place(path))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS):
                raise UsageError(f"cannot write {self.target}: {error.strerror}") from error
            return error.strerror or str(error)
        return ""

    def _parents(self, path: bytes) -> None:
        parent = path.rpartition(b"/")[0]
        if parent and parent not in self._made:
            Path(self._place(parent)).mkdir(parents=True, exist_ok=True)
            self._made.add(parent)

    def _write(self, place: str, data: bytes, mode: int, mtime_ns: int) -> None:
        wanted = (mode & 0o777) | 0o600  # never set-uid; and its owner can always write it
        handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, wanted)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(handle, view) :]
            if wanted & self._umask:
                os.fchmod(handle, wanted)
            if mtime_ns:
                os.utime(handle, ns=(mtime_ns, mtime_ns))
        finally:
            os.close(handle)

    # -- and all of it into its place

    def finish(self) -> list[tuple[bytes, str]]:
        """Links and modes of directories; paths of links that could not be made, and why."""
        failed = []
        for path, target in self._links:
            try:
                Path(self._place(path)).symlink_to(os.fsdecode(target))
            except OSError as error:
                failed.append((path, error.strerror or str(error)))
        for place, mode in sorted(self._modes.items(), reverse=True):
            Path(place).chmod((mode & 0o777) | 0o700)
        return failed

    def commit(self) -> str:
        """Put it into its place. The name of the directory in it that holds what was in the way, or "". UsageError
        where something has come there meanwhile."""
        try:
            if not os.path.lexists(self.target) or (not self._is_here() and not any(self.target.iterdir())):
                self.beside.rename(self.target)
                return ""
            if not self._force and any(self.target.iterdir()):
                raise UsageError(f"{self.target} is no longer empty")
            return self._merge()
        except OSError as error:
            raise UsageError(f"cannot put it into {self.target}: {error.strerror}") from error

    def _is_here(self) -> bool:
        """Is it where we, or our shell, stand? A new directory under its name would not be."""
        return self.target == Path.cwd() or self.target.is_mount()

    def _merge(self) -> str:
        """One by one, each at once, the one that says what it is (REFS) last."""
        names = sorted((path.name for path in self.beside.iterdir()), key=lambda name: (name == "REFS", name))
        clashing = [name for name in names if os.path.lexists(self.target / name)]
        aside = ""
        if clashing:
            n = 1
            while os.path.lexists(self.target / f"{BEFORE}-{n}"):
                n += 1
            aside = f"{BEFORE}-{n}"
            (self.target / aside).mkdir(0o700)
            for name in clashing:
                (self.target / name).rename(self.target / aside / name)
        for name in names:
            (self.beside / name).rename(self.target / name)
        return aside


def is_inside(path: bytes) -> bool:
    """Is it names joined by `/`, none of them empty, `.` or `..`?"""
    return b"\0" not in path and not {b"", b".", b".."} & set(path.split(b"/"))


def leads_out(path: bytes, target: bytes) -> bool:
    """May a link at `path` lead out of the tree? `..` is only followed from real directories, at the beginning of the
    target: behind a name, which may be a link itself, nobody can tell where it leads."""
    if not target or target.startswith(b"/") or b"\0" in target:
        return True
    names = [name for name in target.split(b"/") if name not in (b"", b".")]
    up = next((n for n, name in enumerate(names) if name != b".."), len(names))
    # The first name is the folder of the tree itself, which a link must not leave either.
    return b".." in names[up:] or up > path.count(b"/") - 1
