"""The archive on disk: one LMDB environment. The only file that imports lmdb.

Always full sync: anything less was damaged in most simulated power cuts. No writable map: that dies with
SIGBUS on a full disk. LMDB keeps the last committed state whole whatever happens during a commit, so there is
no log to replay and nothing to repair at opening: a crash before the commit's last page (the meta page)
leaves the state before it, and one after it leaves the state after it. Whether a commit that *reported* an
error took effect is asked afterwards, by looking for its records.

Several processes may have it open, each once: two environments of one file in one process would release each
other's locks (POSIX), so archives on the same path share one environment here. Nothing is used after a fork.

Reads are short transactions, because an old reader keeps every page written since from being used again; one that was
killed does too, until somebody looks for the dead.
"""

from __future__ import annotations

import errno
import os
import resource
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import lmdb

from tapes.archive import pack, place, reserve, tables
from tapes.archive.accounts import check_pages
from tapes.archive.base import Batch, Fault
from tapes.archive.claim import Claim
from tapes.archive.fresh import FRESH, sweep
from tapes.archive.lookups import PackCache, TableReader, Tables, Txn
from tapes.archive.machine import boot_id
from tapes.archive.reserve import Reserve
from tapes.errors import ArchiveError, ArchiveFull, ArchiveInUse, Damaged, FormatError, TapesError, UsageError
from tapes.record.digest import Digest

if TYPE_CHECKING:
    from tapes.archive.plan import Plan
    from tapes.archive.writing import Known

MAP_SIZE = 1 << 38
MAP_LEAST = 1 << 26
MAX_READERS = 512
FULL_BELOW = 16 * 1024 * 1024
"""A full disk shows as EIO too; with less than this free we believe that it is one."""
LOCK_BYTES = 64 * MAX_READERS + 128
"""What LMDB's file of locks has for so many readers; it takes a file that is there as it is."""
DAMAGE = (
    lmdb.CorruptedError,
    lmdb.PageNotFoundError,
    lmdb.PanicError,
    lmdb.BadTxnError,
    lmdb.CursorFullError,
    lmdb.BadValsizeError,
)
"""What a page that is not what it should be leads to: the last three too, in transactions and by keys of ours."""
BURY_EVERY = 64
"""Commits between two looks for readers that were killed."""
TRUNCATED_BY = 16
"""Pages a whole file may be short of: LMDB need not write a page that was taken and given back."""


class _Environment:
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
            _make(self.path)
        if not (self.path / place.DATA_FILE).stat().st_size:  # LMDB would make a new archive of it
            raise Damaged(f"the archive in {self.path} was cut short", where=place.DATA_FILE)
        reserve.hold_locks(self.path, LOCK_BYTES)
        env, size = None, self._map_size
        while env is None:
            try:
                env = self._open_mapped(size)
            except lmdb.MemoryError as error:
                # The address space is limited (ulimit -v): a smaller map does until it is full.
                size //= 2
                if size < MAP_LEAST:
                    raise ArchiveError(f"no address space for the map of {self.path}") from error
        try:
            _check_length(env, self.path)
            self.tables = _open_tables(env, self._create)
            env.reader_check()  # frees the slots of readers that were killed
        except lmdb.Error as error:
            env.close()
            raise _ours(error, self.path) from error
        except BaseException:
            env.close()
            raise
        self.env, self._map_size = env, size

    def _open_mapped(self, size: int) -> Any:
        try:
            return _lmdb(self.path, size, create=self._create, readonly=self.readonly)
        except (lmdb.InvalidError, lmdb.VersionMismatchError, lmdb.IncompatibleError) as error:
            raise FormatError(f"{self.path / place.DATA_FILE} is not an archive of ours: {error}") from error
        except lmdb.MemoryError:
            raise
        except lmdb.Error as error:
            raise ArchiveError(f"cannot open the archive: {error}") from error

    def use[T](self, work: Callable[[Txn, Tables], T], *, write: bool = False) -> T:
        """Run `work` in a transaction of its own: committed when it returns, undone when it raises."""

        def transact(env: Any) -> T:
            with env.begin(write=write) as txn:
                return work(txn, self.tables)

        return self.ask(transact)

    def ask[T](self, work: Callable[[Any], T]) -> T:
        """Run `work` on LMDB's environment itself."""
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
            if self.ask(_last_change) != change:
                self.claim.share()
                return None
            with self._idle:
                self._idle.wait_for(lambda: not self._inside)
                self.env.close()
                self.closed, self.env = True, None
        return self.claim


_LOCK = threading.Lock()
_ENVIRONMENTS: dict[tuple[int, int], _Environment] = {}
"""By device and inode of the directory. Module state, because LMDB's rule is one per process."""


def _share(path: Path, *, create: bool, readonly: bool) -> _Environment:
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
            env = _ENVIRONMENTS[key] = _Environment(path, create=create, readonly=readonly)
        elif env.readonly and not readonly:
            raise UsageError(f"this process has {path} open for reading only")
        env.holders += 1
        return env


def _release(env: _Environment) -> None:
    with _LOCK:
        env.holders -= 1
        if not env.holders:
            env.close()
            for key in [key for key, value in _ENVIRONMENTS.items() if value is env]:
                del _ENVIRONMENTS[key]


class LmdbArchive(TableReader):
    """Made by `open`. Any thread may call it; commits wait for one another."""

    def __init__(self, environment: _Environment, *, readonly: bool, writer: bytes | None = None) -> None:
        self.path = environment.path
        self.writer = writer or os.urandom(16)
        self.boot = boot_id()
        self._readonly = readonly
        self._env: _Environment | None = environment
        self._writing = threading.Lock()
        self._packs = PackCache()
        self._failed: tuple[Batch, Plan] | None = None
        self._group = pack.Group()
        self._commits = 0
        self._reserve = Reserve(self.path)
        if not readonly:
            self._reserve.keep()

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, create: bool = False, readonly: bool = False) -> Self:
        """The archive in a directory. NotFound when there is none and not `create`; FormatError when it is
        something else or newer than this program; ArchiveError when its place is not safe; ArchiveInUse when
        its file is being replaced; Damaged when it was cut short."""
        directory = Path(path)
        create = create and not readonly
        place.prepare(directory, create=create)
        if not readonly:
            sweep(directory / FRESH)
        environment = _share(directory, create=create, readonly=readonly)
        if create:
            place.sync_directory(directory)
        return cls(environment, readonly=readonly)

    def close(self) -> None:
        environment, self._env = self._env, None
        if environment is not None:
            _release(environment)

    # -- the file as a whole

    def change(self) -> int:
        """A number that every commit, by any process, makes higher."""
        return self._ask(_last_change)

    def alone(self) -> None:
        """ArchiveInUse, naming the processes, unless nobody else has it open right now."""
        environment = self._environment()
        environment.claim.alone()
        environment.claim.share()

    def retire(self, change: int) -> Claim | None:
        """Close it for good, and keep everybody out of its directory until the caller releases the claim that is
        returned. None when somebody committed since `change`, ArchiveInUse when others have it open: then it stays
        open."""
        claim = self._environment().retire(change)
        if claim is not None:
            self._env = None
        return claim

    def copy_to(self, path: Path) -> None:
        """Write a compact copy of the last committed state into a new file (0600), durably. Others may write
        meanwhile; their commits are not in it."""
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            self._ask(lambda env: env.copyfd(handle, compact=True))
            os.fsync(handle)
        except OSError as error:
            raise ArchiveError(f"cannot write {path}: {error.strerror}") from error
        finally:
            os.close(handle)

    def pages(self) -> tuple[int, int, dict[str, tuple[int, int]]]:
        """Bytes of a page; pages of the file; by table its rows and its pages. What is in no table is free, but for two
        pages and LMDB's own table of tables (``)."""

        def work(txn: Txn, t: Tables) -> dict[str, Any]:
            return {name: txn.stat(table) for name, table in t.items()}

        stats = self._run(work)
        whole = self._ask(lambda env: env.stat())
        last: int = self._ask(lambda env: env.info()["last_pgno"])
        kinds = ("branch_pages", "leaf_pages", "overflow_pages")
        found = {name: (s["entries"], sum(s[kind] for kind in kinds)) for name, s in (stats | {"": whole}).items()}
        return whole["psize"], last + 1, found

    def _environment(self) -> _Environment:
        if self._env is None:
            raise ArchiveError("the archive is closed")
        return self._env

    def _ask[T](self, work: Callable[[Any], T]) -> T:
        try:
            return self._environment().ask(work)
        except lmdb.Error as error:
            raise _ours(error, self.path) from error

    # -- writing

    def commit(self, batch: Batch) -> list[Digest]:
        if self._readonly:
            raise UsageError("the archive is open for reading only")
        with self._writing:
            digests = self._commit_at_last(batch) if batch.urgent else self._commit(batch)
            self._tidy()
        for draft, digest in zip(batch.drafts, digests, strict=True):
            draft.hash = digest
        return digests

    def _tidy(self) -> None:
        """What a process that lives for long has to see to."""
        self._commits += 1
        if not self._reserve.whole:
            self._reserve.keep()
        if self._env is not None and self._commits % BURY_EVERY == 0:
            self._env.bury()

    def _commit_at_last(self, batch: Batch) -> list[Digest]:
        """Commit, with the reserve where there is no room otherwise."""
        with suppress(ArchiveFull):
            return self._commit(batch)
        self._reserve.give_up()
        try:
            if self._env is not None:
                self._env.reopen(more=reserve.SIZE)  # it may be the map that is full
            return self._commit(batch)
        finally:
            self._reserve.take_back()

    def _commit(self, batch: Batch) -> list[Digest]:
        # A commit can report an error and have taken effect (the last page was written, its sync failed). So the plan
        # of a failed one is kept, and looked for before the same batch is planned again, by us or by the caller.
        from tapes.archive.plan import make_plan  # here, as most commands only read
        from tapes.archive.writing import Known, carry_out

        before, plan = self._failed or (None, None)
        planned = [plan] if plan and before is batch else []
        used: list[pack.Group] = []

        def work(txn: Txn, t: Tables) -> None:
            known = Known(txn, t)
            if planned and _took_effect(planned[-1], batch, known):
                return
            planned.append(make_plan(batch, known, self.writer, self.boot))
            # Put back when this took effect: a group that saw a failed commit refers to bytes that are nowhere.
            group, self._group = self._group, pack.Group()
            carry_out(txn, t, planned[-1], group)
            used.append(group)

        try:
            self._run(work, write=True)
        except TapesError:
            self._failed = (batch, planned[-1]) if planned else None
            raise
        self._failed = None
        # One: it is in the archive, even if a first try reported an error. Two: the first is not there.
        self._group = used[0] if len(used) == 1 else pack.Group()
        return [row.digest for row in planned[-1].rows]

    def _run[T](self, work: Callable[[Txn, Tables], T], *, write: bool = False) -> T:
        """`use`, with LMDB's errors as ours. When LMDB gave the environment up, once more on a fresh one."""
        environment = self._environment()
        try:
            return environment.use(work, write=write)
        except lmdb.MapFullError as error:
            raise ArchiveFull("the archive's map is full: no more address space") from error
        except lmdb.Error as error:
            first = error
        with suppress(lmdb.Error):  # the first error is the one that says why
            environment.reopen()
            return environment.use(work, write=write)
        raise _ours(first, self.path) from first

    def audit(self, packs: range | None = None, places: range | None = None) -> Iterator[Fault | None]:
        yield from super().audit(packs, places)
        if places is None:
            yield from self.page_faults()

    def page_faults(self) -> list[Fault]:
        """What is wrong with the file's pages, as of the last commit."""
        return self._run(self._page_faults)

    def _page_faults(self, txn: Txn, t: Tables) -> list[Fault]:
        page_size = txn.stat(t["meta"])["psize"]
        with open(self.path / place.DATA_FILE, "rb") as file:
            return [fault for fault in check_pages(file.fileno(), page_size, txn.id()) if fault]

    def _file_bytes(self) -> int:
        return (self.path / place.DATA_FILE).stat().st_size


def _lmdb(path: Path, size: int, *, create: bool, readonly: bool) -> Any:
    return lmdb.open(
        os.fspath(path),
        map_size=size,
        subdir=True,
        readonly=readonly,
        create=create,
        sync=True,
        metasync=True,
        writemap=False,
        mode=0o600,
        max_readers=MAX_READERS,
        max_dbs=tables.MAX_TABLES,
        lib_version=0,  # else an environment variable could choose another file format
    )


def _make(path: Path) -> None:
    """A new archive's file, where there is none. It is made aside and named when it is whole: LMDB refuses for ever a
    file whose first two pages were cut. Of two makers the second to name its own leaves it. A crash leaves the folder
    it was made in, which holds nothing."""
    if (path / place.DATA_FILE).exists():
        return
    aside = Path(tempfile.mkdtemp(prefix="making-", dir=path))
    try:
        reserve.hold_locks(aside, LOCK_BYTES)
        with _lmdb(aside, MAP_LEAST, create=True, readonly=False) as env:
            _open_tables(env, create=True)
        with suppress(FileExistsError):
            os.link(aside / place.DATA_FILE, path / place.DATA_FILE)
        place.sync_directory(path)
    except lmdb.Error as error:
        raise _ours(error, path) from error
    except OSError as error:
        kind = ArchiveFull if error.errno in reserve.FULL else ArchiveError
        raise kind(f"cannot make an archive in {path}: {error.strerror}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _took_effect(plan: Plan, batch: Batch, known: Known) -> bool:
    rows = plan.rows
    return bool(rows) and len(rows) == len(batch.drafts) and known.has_record(rows[-1].digest)


def _last_change(env: Any) -> int:
    number: int = env.info()["last_txnid"]
    return number


def _open_tables(env: Any, create: bool) -> Tables:
    """Handles of all tables; made, with the format's version, where the environment is empty and `create`."""
    try:
        if create and not env.stat()["entries"]:
            # One transaction: a crash leaves either nothing or a whole empty archive. Of two makers one is second.
            with env.begin(write=True) as txn:
                made = {name: env.open_db(name.encode(), txn=txn, create=True) for name in tables.TABLES}
                txn.put(b"format", tables.FORMAT_NAME, db=made["meta"], overwrite=False)
                txn.put(b"version", tables.u32(tables.VERSION), db=made["meta"], overwrite=False)
        # Without a transaction of ours: handles opened in a reading one do not outlive it.
        found = {name: env.open_db(name.encode(), create=False) for name in tables.TABLES}
        with env.begin() as txn:
            name, version = (txn.get(key, db=found["meta"]) for key in (b"format", b"version"))
    except (lmdb.NotFoundError, lmdb.IncompatibleError) as error:
        raise FormatError("this LMDB file is not an archive of ours") from error
    if name != tables.FORMAT_NAME or version is None:
        raise FormatError("this LMDB file is not an archive of ours")
    if tables.number(version) > tables.VERSION:
        raise FormatError(
            f"the archive has format {tables.number(version)}; this program reads up to {tables.VERSION}",
            hint="install a newer tapes",
        )
    return found


def _check_length(env: Any, path: Path) -> None:
    """Reading a page that a shortened file no longer has ends the process (SIGBUS); so ask before."""
    needed = (env.info()["last_pgno"] + 1 - TRUNCATED_BY) * env.stat()["psize"]
    if (path / place.DATA_FILE).stat().st_size < needed:
        raise Damaged(f"the archive in {path} was cut short", where=place.DATA_FILE)


def _ours(error: lmdb.Error, path: Path) -> TapesError:
    """LMDB's error as one of ours."""
    if isinstance(error, DAMAGE):
        return Damaged(f"the archive's tables are damaged: {error}", where=place.DATA_FILE)
    full = any(os.strerror(code) in str(error) for code in reserve.FULL)
    if not full and os.strerror(errno.EIO) in str(error):
        full = _no_room(path)
    if full:
        return ArchiveFull(f"no room for the archive in {path}", hint="free some disk space")
    return ArchiveError(f"the archive in {path} cannot be used: {error}")


def _no_room(path: Path) -> bool:
    """LMDB reports a write that was cut short, which is what a full disk or a limit does to it, as EIO."""
    left = os.statvfs(path)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    data = path / place.DATA_FILE
    size = data.stat().st_size if data.exists() else 0
    return left.f_bavail * left.f_frsize < FULL_BELOW or 0 <= limit < size + FULL_BELOW
