"""Linux's inotify: which paths below a root may have changed. It is only ever a hint to look; looking decides.

One watch a directory. Whatever it can not vouch for (a queue that ran over, too few watches, a directory that moved
away, an unmounted one) becomes `lost`: then everything is looked at once. No watch follows what is written in mapped
memory (mmap): such changes show at the next full look, at the latest the one at the end.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys

_MODIFY, _ATTRIB, _CLOSE_WRITE, _MOVED_FROM, _MOVED_TO = 0x2, 0x4, 0x8, 0x40, 0x80
_CREATE, _DELETE, _DELETE_SELF, _MOVE_SELF = 0x100, 0x200, 0x400, 0x800
_UNMOUNT, _OVERFLOW, _IGNORED, _IS_DIR = 0x2000, 0x4000, 0x8000, 0x40000000
_ONLY_DIR, _DONT_FOLLOW = 0x01000000, 0x02000000
_MASK = (
    (_MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE)
    | _DELETE_SELF
    | _ONLY_DIR
    | _DONT_FOLLOW
)
_EVENT = struct.Struct("iIII")
_BUFFER = 256 * 1024


class Watcher:
    """Of one root. OSError where there is no such thing."""

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise OSError(errno.ENOSYS, "no inotify here")
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._paths: dict[int, bytes] = {}
        """By watch, the directory relative to the root; b"" is the root."""
        self._watches: dict[bytes, int] = {}
        self.paths: set[bytes] = set()
        """What may have changed since `take`."""
        self.lost = False

    def close(self) -> None:
        os.close(self.fd)

    def add(self, path: bytes, full: bytes) -> None:
        """Watch a directory: before it is listed, so that nothing slips between. A directory that is gone is none."""
        watch = self._libc.inotify_add_watch(self.fd, full, _MASK)
        if watch >= 0:
            old = self._paths.get(watch)
            if old is not None and old != path:
                self._watches.pop(old, None)  # the directory has moved here
            self._paths[watch] = path
            self._watches[path] = watch
        elif ctypes.get_errno() == errno.ENOSPC:
            raise OSError(errno.ENOSPC, "no more watches (fs.inotify.max_user_watches)")

    def watches(self, path: bytes) -> bool:
        return path in self._watches

    def forget(self, path: bytes) -> None:
        """A directory, and all below it, is not there any more."""
        if path not in self._watches:
            return
        below = path + b"/"
        for name in [name for name in self._watches if name == path or name.startswith(below)]:
            watch = self._watches.pop(name)
            if self._paths.pop(watch, None) is not None:
                self._libc.inotify_rm_watch(self.fd, watch)

    def drain(self) -> None:
        """Take in what has happened; never waits."""
        while True:
            try:
                data = os.read(self.fd, _BUFFER)
            except BlockingIOError:
                return
            at = 0
            while at < len(data):
                watch, mask, _, length = _EVENT.unpack_from(data, at)
                at += _EVENT.size
                name = data[at : at + length].rstrip(b"\0") if length else b""
                at += length
                self._take(watch, mask, name)

    def _take(self, watch: int, mask: int, name: bytes) -> None:
        if mask & (_OVERFLOW | _UNMOUNT):
            self.lost = True
            return
        folder = self._paths.get(watch)
        if folder is None:
            return  # of a directory that is watched no more
        if mask & _IGNORED:
            del self._paths[watch]
            if self._watches.get(folder) == watch:
                del self._watches[folder]
            return
        if not name:
            if mask & _DELETE_SELF and not folder:
                self.lost = True  # the root itself
            if folder:
                self.paths.add(folder)
            return
        path = folder + b"/" + name if folder else name
        self.paths.add(path)
        if mask & _IS_DIR and mask & (_MOVED_FROM | _DELETE):
            self.forget(path)

    def take(self) -> tuple[set[bytes], bool]:
        """The paths that may have changed since the last time, and whether everything may have."""
        self.drain()
        paths, lost = self.paths, self.lost
        self.paths, self.lost = set(), False
        return paths, lost
