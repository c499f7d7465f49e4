"""Random steps on the archive on disk and on the one in a dict must agree, and both must stay sound.

The steps of the disk are also taken by processes that end without closing anything, are killed in the middle of a
commit, or meet a disk that fails; the dict knows nothing of that.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import lmdb
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from archive.test_lmdb_archive import Failing
from contract.archive_suite import is_sound
from strategies import note, opening, stretches
from tapes.archive import destroy, writing
from tapes.archive.base import Archive, Batch, Draft
from tapes.archive.cut import Cutter
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.lookups import PackCache
from tapes.archive.memory_archive import MemoryArchive
from tapes.archive.redaction import Decided, Withholding
from tapes.archive.verify import verify
from tapes.archive.writing import carry_out
from tapes.errors import ArchiveError, TapesError
from tapes.record.digest import blob_digest
from tapes.record.kinds import BodyRef, body_refs


class Aborting(Failing):
    """Fails when all of a commit is written, and takes it back."""

    def use(self, work: Any, *, write: bool = False) -> Any:
        def aborted(txn: Any, t: Any) -> None:
            work(txn, t)
            raise self.errors.pop(0)

        return self.real.use(aborted if write and self.errors else work, write=write)


def _written_and_killed(*arguments: Any) -> None:
    carry_out(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)


bodies = stretches.map(b"".join)


class BothArchives(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.home = Path(tempfile.mkdtemp())
        self.disk = LmdbArchive.open(self.home / "a", create=True)
        self.memory = MemoryArchive(writer=self.disk.writer, boot=self.disk.boot)
        self.cutter = Cutter()
        self.stored: dict[BodyRef, bytes] = {}
        self.parts: list[tuple[int, bytes]] = []
        self.opened = 0

    def teardown(self) -> None:
        self.disk._packs = PackCache()
        assert is_sound(self.memory) and is_sound(self.disk)
        assert verify(self.memory).withheld == verify(self.disk).withheld
        self.disk.close()
        shutil.rmtree(self.home)

    def both(self, batch: Any) -> bool:
        """Commit the same batch, made twice, to both; they must agree on everything, errors included."""
        outcomes: list[Any] = []
        for archive in (self.memory, self.disk):
            try:
                outcomes.append(archive.commit(batch(archive)))
            except TapesError as error:
                outcomes.append((type(error), str(error)))
        assert outcomes[0] == outcomes[1]
        return isinstance(outcomes[0], list)

    @rule(name=st.sampled_from(["", "one", "two", "bad name"]), nonce=st.binary(min_size=16, max_size=16))
    def open(self, name: str, nonce: bytes) -> None:
        def batch(archive: Archive) -> Batch:
            first = opening()
            first.wall_ns = first.mono_ns = self.opened
            first.nonce = nonce
            return Batch([first], names={name: first} if name else {})

        self.opened += self.both(batch)

    @precondition(lambda self: self.opened)
    @rule(which=st.integers(0, 99), texts=st.lists(st.text("ab", max_size=5), min_size=1, max_size=4))
    def notes(self, which: int, texts: list[str]) -> None:
        def batch(archive: Archive) -> Batch:
            session = archive.sessions()[which % self.opened]
            drafts = [note(session, t, wall_ns=1, mono_ns=2, nonce=bytes(16)) for t in texts]
            return Batch(list(drafts), summaries={session: texts[0].encode()})

        assert self.both(batch)

    @precondition(lambda self: self.opened)
    @rule(which=st.integers(0, 99), data=bodies, forget=st.booleans())
    def exchange(self, which: int, data: bytes, forget: bool) -> None:
        if forget:
            self.cutter.forget()
        cut = self.cutter.cut(data)
        body = {"method": "", "url": "", "class": "model", "headers": [], "request": cut.ref.to_value()}

        def batch(archive: Archive) -> Batch:
            session = archive.sessions()[which % self.opened]
            return Batch([Draft("exchange.open", body, session, (), 1, 2, bytes(16))], dict(cut.objects))

        assert self.both(batch)
        self.stored[cut.ref] = data

    @precondition(lambda self: self.opened)
    @rule(data=st.binary(max_size=50))
    def part(self, data: bytes) -> None:
        body = {"n": 0, "offset": 0, "length": len(data), "data": blob_digest(data), "times": []}

        def batch(archive: Archive) -> Batch:
            session = archive.sessions()[0]
            part = Draft("exchange.part", body, session, (session,), 1, 2, bytes(16))
            return Batch([part], tails={part: data})

        assert self.both(batch)
        self.parts.append((self.memory.last(), data))

    @precondition(lambda self: self.opened)
    @rule(which=st.integers(0, 99), nonce=st.binary(min_size=16, max_size=16))
    def fork(self, which: int, nonce: bytes) -> None:
        """A session that begins at a record of another."""

        def batch(archive: Archive) -> Batch:
            first = opening()
            first.wall_ns = first.mono_ns = self.opened
            first.nonce = nonce
            first.parents = (archive.at(which % archive.last() + 1)[0],)
            return Batch([first, note(first, "forked", wall_ns=1, mono_ns=2, nonce=bytes(16))])

        self.opened += self.both(batch)

    @precondition(lambda self: self.opened)
    @rule(text=st.text("ab", max_size=300), ends=st.sampled_from(["without closing", "in the middle"]))
    def another_process(self, text: str, ends: str) -> None:
        """Commits and is gone; or is killed when all is written but the last page."""

        def batch(archive: Archive) -> Batch:
            return Batch([note(archive.sessions()[0], text, wall_ns=1, mono_ns=2, nonce=bytes(16))])

        child = os.fork()
        if not child:
            self._in_child(batch, ends)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status == (0 if ends == "without closing" else -signal.SIGKILL)
        if ends == "without closing":
            self.memory.commit(batch(self.memory))

    def _in_child(self, batch: Any, ends: str) -> None:
        try:
            archive = LmdbArchive.open(self.disk.path)
            archive.writer = self.disk.writer
            if ends == "in the middle":
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(writing, "carry_out", _written_and_killed)
                    archive.commit(batch(archive))
            archive.commit(batch(archive))
            os._exit(0)
        finally:
            os._exit(1)

    @precondition(lambda self: self.opened)
    @rule(text=st.text("ab", max_size=9), after=st.booleans(), tries=st.integers(1, 2))
    def failing_disk(self, text: str, after: bool, tries: int) -> None:
        """A commit that is reported as failed, took effect or not, and is tried again."""

        def batch(archive: Archive) -> Batch:
            return Batch([note(archive.sessions()[-1], text, wall_ns=1, mono_ns=2, nonce=bytes(16))])

        real, mine = self.disk._env, batch(self.disk)
        kind, errors = (Failing if after else Aborting), [lmdb.Error("failed")] * (1 if after else tries)
        self.disk._env = kind(real, errors, after=after)  # type: ignore[assignment]
        with suppress(ArchiveError):
            self.disk.commit(mine)
        if mine.drafts[0].hash is None:
            self.disk.commit(mine)
        self.disk._env = real
        self.memory.commit(batch(self.memory))

    @precondition(lambda self: self.opened)
    @rule(which=st.integers(0, 99), some=st.lists(st.integers(0, 9), max_size=3), bodies=st.booleans())
    def withhold(self, which: int, some: list[int], bodies: bool) -> None:
        """A whole session, some of its records, or all its bodies; carried out at once."""
        session = self.memory.sessions()[which % self.opened]
        records = list(self.memory.session_records(session))
        decided, wanted = Decided(records), Withholding(session)
        for digest, record in records:
            if decided.record(record):
                continue
            if bodies:
                wanted.bodies |= {ref.hash: None for ref in body_refs(record.body) if not decided.body(ref, record)}
            elif not some or record.seq in some:
                wanted.records[digest] = record

        def batch(archive: Archive) -> Batch:
            draft = wanted.draft(who="me", reason="", what="some", tapes="0")
            draft.wall_ns, draft.mono_ns, draft.nonce = 1, 2, bytes(16)
            return Batch([draft])

        assert self.both(batch)
        self.memory.destroy()
        path, writer = self.disk.path, self.disk.writer
        self.disk.close()
        destroy.carry_out(path)
        self.disk = LmdbArchive.open(path)
        self.disk.writer = writer
        self.cutter.forget()
        self.stored = {ref: data for ref, data in self.stored.items() if self.memory.has_object(ref.node)}
        self.parts = [(pos, data) for pos, data in self.parts if self.memory.at(pos)[1].type != "withheld"]

    @rule()
    def reopen(self) -> None:
        path, writer = self.disk.path, self.disk.writer
        self.disk.close()
        self.disk = LmdbArchive.open(path)
        self.disk.writer = writer

    @invariant()
    def they_agree(self) -> None:
        for read in (
            lambda a: list(a.log()),
            lambda a: a.sessions(),
            lambda a: a.names(),
            lambda a: [a.head(s) for s in a.sessions()],
            lambda a: [a.summary(s) for s in a.sessions()],
            lambda a: [list(a.session_records(s)) for s in a.sessions()],
            lambda a: a.find("a"),
            lambda a: [a.body_records(ref.hash) for ref in self.stored],
            lambda a: a.size()["objects"],
        ):
            assert read(self.memory) == read(self.disk)
        for archive in (self.memory, self.disk):
            assert all(archive.body(ref) == data for ref, data in self.stored.items())
            assert all(archive.tail(archive.at(pos)[0]) == data for pos, data in self.parts)


BothArchives.TestCase.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
TestBothArchives = pytest.mark.filterwarnings("default")(BothArchives.TestCase)
