"""LMDB's environment: one for all archives of this process on the same path, opened again when LMDB gave it up.

LMDB keeps the last committed state whole whatever happens during a commit, so there is no log to replay and nothing to
repair at opening: a crash before the commit's last page (the meta page) leaves the state before it, and one after it
leaves the state after it.

Several processes may have it open, each once: two environments of one file in one process would release each other's
locks (POSIX). Nothing is used after a fork. What is beside this file in its package is all that knows LMDB.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lmdb

from tapes.archive.claim import Claim
from tapes.archive.lmdb_file.errors import ours
from tapes.archive.lmdb_file.opening import LOCK_BYTES, open_archive
from tapes.archive.place import DATA_FILE
from tapes.archive.reserve import hold_locks
from tapes.errors import ArchiveError, ArchiveInUse, Damaged, UsageError

if TYPE_CHECKING:
    from tapes.archive.lookups import Tables, Txn

MAP_SIZE = 1 << 38


class Environment:
    """One environment, shared by all archives of this process on the same path; reopened when LMDB gave it
    up."""

    def __init__(self, path: Path, *, create: bool, readonly: bool) -> None:
        self.path, self.readonly, self.pid = path, readonly, os.getpid()
        self.holders = 0
        self.env: Any = None
        self.closed = False
        self._create = create
        self._inside = 0
        self._idle = threading.Condition()
        self._map_size = MAP_SIZE
        self.claim = Claim(path)
        try:
            self._open()
        except BaseException:
            self.claim.release()
            raise

    def _open(self) -> None:
        if self._create:
            from tapes.archive.lmdb_file.making import make  # most commands only read

            make(self.path)
        if not (self.path / DATA_FILE).stat().st_size:  # LMDB would make a new archive of it
            raise Damaged(f"the archive in {self.path} was cut short", where=DATA_FILE)
        hold_locks(self.path, LOCK_BYTES)
        self.env, self.tables, self._map_size = open_archive(self.path, self._map_size, readonly=self.readonly)

    def run[T](self, work: Callable[[Txn, Tables], T], *, write: bool = False) -> T:
        """Run `work` in a transaction of its own: committed when it returns, undone when it raises. When LMDB gives the
        environment up, once more on a fresh one."""
        try:
            return self.use(work, write=write)
        except lmdb.MapFullError as error:
            raise ours(error, self.path) from error
        except lmdb.Error as error:
            first = error
        with suppress(lmdb.Error):  # the first error is the one that says why
            self.reopen()
            return self.use(work, write=write)
        raise ours(first, self.path) from first

    def ask[T](self, work: Callable[[Any], T]) -> T:
        """Run `work` on LMDB's environment itself."""
        try:
            return self._inside_of(work)
        except lmdb.Error as error:
            raise ours(error, self.path) from error

    def last_change(self) -> int:
        """A number that every commit, by any process, makes higher."""
        number: int = self.ask(lambda env: env.info()["last_txnid"])
        return number

    def use[T](self, work: Callable[[Txn, Tables], T], *, write: bool = False) -> T:
        """`run`, once, and with LMDB's own errors."""

        def transact(env: Any) -> T:
            with env.begin(write=write) as txn:
                return work(txn, self.tables)

        return self._inside_of(transact)

    def _inside_of[T](self, work: Callable[[Any], T]) -> T:
        if os.getpid() != self.pid:
            raise ArchiveError("the archive was opened before a fork", hint="open it in the child")
        with self._idle:
            if self.closed:
                raise ArchiveError("the archive is closed")
            if self.env is None:
                self._open()
            env = self.env
            self._inside += 1
        try:
            return work(env)
        finally:
            with self._idle:
                self._inside -= 1
                if not self._inside:
                    self._idle.notify_all()

    def bury(self) -> None:
        """Free the slots of readers that were killed: each keeps all pages written since from being used again."""
        with self._idle:
            if self.env is not None:
                self.env.reader_check()

    def reopen(self, more: int = 0) -> None:
        """After LMDB refused to go on (a panic, another process's larger map), or with a map larger by `more`. Waits
        for the readers inside."""
        with self._idle:
            self._idle.wait_for(lambda: not self._inside)
            self._create = False
            self._map_size += more
            if self.env is not None:
                self.env.close()
            self.env = None  # should opening fail now, the next use tries again
            self._open()

    def close(self) -> None:
        with self._idle:
            self._idle.wait_for(lambda: not self._inside)
            if self.env is not None and os.getpid() == self.pid:
                self.env.close()
            self.closed, self.env = True, None
        self.claim.release()

    def retire(self, change: int) -> Claim | None:
        """As `LmdbArchive.retire`."""
        self.claim.alone()
        with _LOCK:
            if self.holders != 1:
                self.claim.share()
                raise ArchiveInUse(f"this process has {self.path} open once more")
            if self.last_change() != change:
                self.claim.share()
                return None
            with self._idle:
                self._idle.wait_for(lambda: not self._inside)
                self.env.close()
                self.closed, self.env = True, None
        return self.claim


_LOCK = threading.Lock()
_ENVIRONMENTS: dict[tuple[int, int], Environment] = {}
"""By device and inode of the directory. Module state, because LMDB's rule is one per process."""


def share(path: Path, *, create: bool, readonly: bool) -> Environment:
    found = path.stat()
    key = (found.st_dev, found.st_ino)
    with _LOCK:
        env = _ENVIRONMENTS.get(key)
        if env is not None and env.pid != os.getpid():
            if env.env is not None:
                env.env.close()  # inherited through a fork: this lets go of our copy only, the parent's goes on
            env.claim.release()
            env = None
        if env is None or env.closed:
            env = _ENVIRONMENTS[key] = Environment(path, create=create, readonly=readonly)
        elif env.readonly and not readonly:
            raise UsageError(f"this process has {path} open for reading only")
        env.holders += 1
        return env


def release(env: Environment) -> None:
    with _LOCK:
        env.holders -= 1
        if not env.holders:
            env.close()
            for key in [key for key, value in _ENVIRONMENTS.items() if value is env]:
                del _ENVIRONMENTS[key]
