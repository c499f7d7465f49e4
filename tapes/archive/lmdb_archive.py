"""The archive on disk: one LMDB environment (tapes.archive.lmdb_file).

Whether a commit that *reported* an error took effect is asked afterwards, by looking for its records. Reads are short
transactions, because an old reader keeps every page written since from being used again; one that was killed does too,
until somebody looks for the dead.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tapes.archive import pack, place, reserve
from tapes.archive.base import Batch, Fault
from tapes.archive.fresh import FRESH, sweep
from tapes.archive.lmdb_file.environment import Environment, release, share
from tapes.archive.lookups import PackCache, TableReader, Tables, Txn
from tapes.archive.machine import boot_id
from tapes.archive.reserve import Reserve
from tapes.errors import ArchiveError, ArchiveFull, TapesError, UsageError
from tapes.record.digest import Digest

if TYPE_CHECKING:
    from tapes.archive.claim import Claim
    from tapes.archive.plan import Plan
    from tapes.archive.writing import Known

ATTEMPTS = 100
"""To look at a commit before there are two later ones."""
BURY_EVERY = 64
"""Commits between two looks for readers that were killed."""


class LmdbArchive(TableReader):
    """Made by `open`. Any thread may call it; commits wait for one another."""

    def __init__(self, environment: Environment, *, readonly: bool, writer: bytes | None = None) -> None:
        self.path = environment.path
        self.writer = writer or os.urandom(16)
        self.boot = boot_id()
        self._readonly = readonly
        self._env: Environment | None = environment
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
        environment = share(directory, create=create, readonly=readonly)
        if create:
            place.sync_directory(directory)
        return cls(environment, readonly=readonly)

    def close(self) -> None:
        environment, self._env = self._env, None
        if environment is not None:
            release(environment)

    # -- the file as a whole

    def change(self) -> int:
        """A number that every commit, by any process, makes higher."""
        return self._environment().last_change()

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
            self._environment().ask(lambda env: env.copyfd(handle, compact=True))
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
        whole = self._environment().ask(lambda env: env.stat())
        last: int = self._environment().ask(lambda env: env.info()["last_pgno"])
        kinds = ("branch_pages", "leaf_pages", "overflow_pages")
        found = {name: (s["entries"], sum(s[kind] for kind in kinds)) for name, s in (stats | {"": whole}).items()}
        return whole["psize"], last + 1, found

    def _environment(self) -> Environment:
        if self._env is None:
            raise ArchiveError("the archive is closed")
        return self._env

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
        return self._environment().run(work, write=write)

    def audit(self, packs: range | None = None, places: range | None = None) -> Iterator[Fault | None]:
        yield from super().audit(packs, places)
        if places is None:
            yield from self.page_faults()

    def page_faults(self) -> list[Fault]:
        """What is wrong with the file's pages, as of the last commit. ArchiveError where others never let it be one."""
        from tapes.archive.lmdb_file.accounts import Overtaken  # for verify alone

        for _ in range(ATTEMPTS):
            with suppress(Overtaken):
                return self._run(self._page_faults)
        raise ArchiveError("others commit without a pause: the file's pages can not be looked at", hint="try again")

    def _page_faults(self, txn: Txn, t: Tables) -> list[Fault]:
        from tapes.archive.lmdb_file.accounts import check_pages  # for verify alone

        page_size = txn.stat(t["meta"])["psize"]
        with open(self.path / place.DATA_FILE, "rb") as file:
            return [fault for fault in check_pages(file.fileno(), page_size, txn.id()) if fault]

    def _file_bytes(self) -> int:
        return (self.path / place.DATA_FILE).stat().st_size


def _took_effect(plan: Plan, batch: Batch, known: Known) -> bool:
    rows = plan.rows
    return bool(rows) and len(rows) == len(batch.drafts) and known.has_record(rows[-1].digest)
