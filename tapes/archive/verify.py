"""Derive every digest and every link again, through the reading that everybody uses.

A checker with a reader of its own would bless what the real reader cannot read. So this calls the archive's public
methods, and a defect there shows up as damage here. Structural checks alone miss flipped bits; re-hashing finds them.

For each record: its hash and form, its link to the one before, that its parents exist, that every body it refers to
comes out whole, that the bytes of a response's part are either kept aside or stand in the response, and that a
command's output is as long as it says. A full run
then compares the archive's tables with its log and packs (`Archive.audit`), which also re-hashes what no record needs.
It can be taken up where another stopped, or be done a part at a time.

Memory of one run: bodies that came out whole, by hash. A body of the same root, length and hash cannot come out
differently a moment later, so it is read once however many records name it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from tapes import errors
from tapes.archive.base import Archive
from tapes.archive.redaction import covers
from tapes.archive.rehash import BodyChecker
from tapes.archive.shape import check_shape
from tapes.archive.structure import EVERY as STRUCTURE_EVERY
from tapes.archive.structure import structure
from tapes.errors import Damaged, NotFound
from tapes.record.chain import check_link
from tapes.record.digest import Digest, blob_digest
from tapes.record.kinds import BodyRef, Record, body_refs
from tapes.record.tomb import WITHHELD, Tombstone, tombs_digest
from tapes.values import dataclass, field

if TYPE_CHECKING:
    from tapes.archive.lmdb_archive import LmdbArchive

FINDINGS = 100
"""More are counted and not kept."""
EVERY = 64
"""Records between two calls of `progress`."""

type Read = Callable[[], tuple[Digest, Record]]

type Progress = Callable[[int, int], None]
"""Called with (done, total) of all that is looked at, records and packs; (0, 0) where the total is not known."""
SLICES, SLICE = 8, 500
"""Slices of the packs at most, and packs in one at least. For each the index of objects is read through, and between
two a run can be taken up."""


@dataclass(frozen=True, slots=True)
class Finding:
    pos: int | None
    """Place in the log of the record that is bad or cannot be read in full; None where no record is concerned."""
    where: str
    """Hash of the record or object, or whatever else names the place."""
    what: str


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a run came, for another that goes on from there."""

    pos: int = 0
    """Places of the log that need not be looked at again."""
    waiting: Sequence[int] = ()
    """But for these: parts of responses whose ends have not been met."""
    slices: int = 0
    """Slices of the packs likewise."""
    packs: int = 0
    """How many packs there were when they were cut into slices; 0 before that."""


type Keep = Callable[[Mark, "Report"], None]


@dataclass(slots=True)
class Withheld:
    """How much one redaction record has taken."""

    records: int = 0
    bodies: int = 0
    """References to bodies that can not be read, each record's by itself."""


@dataclass(slots=True)
class Report:
    records: int = 0
    objects: int = 0
    """Blobs and nodes in the archive, all of them re-hashed; 0 where only one session was checked."""
    bytes: int = 0
    """Bytes of bodies that came out whole, each body once."""
    findings: list[Finding] = field(default_factory=list)
    more: int = 0
    """Findings beyond those kept."""
    withheld: dict[str, Withheld] = field(default_factory=dict)
    """What was found destroyed on purpose, by the hash of the redaction record that says so, in hex. No finding: the
    archive is sound."""
    pending: int = 0
    """Records that a redaction withholds and nobody has destroyed yet."""

    @property
    def ok(self) -> bool:
        return not self.findings

    @property
    def first_bad(self) -> Finding | None:
        """The one with the lowest place in the log; one without a place only when there is no other."""
        placed = [finding for finding in self.findings if finding.pos is not None]
        return min(placed, key=lambda finding: finding.pos or 0) if placed else next(iter(self.findings), None)

    def add(self, pos: int | None, where: str, what: str) -> None:
        finding = Finding(pos, where, what)
        if finding in self.findings:
            return
        if len(self.findings) < FINDINGS:
            self.findings.append(finding)
        else:
            self.more += 1


def verify(
    archive: Archive,
    session: Digest | None = None,
    progress: Progress | None = None,
    *,
    start: tuple[Mark, Report] | None = None,
    keep: Keep | None = None,
) -> Report:
    """Check one session, or (None) everything. NotFound when there is no such session; damage is in the report.
    `keep` is given what `start` takes, to go on with in another process."""
    run = _Run(archive, progress)
    if session is not None:
        return run.session(session)
    return run.everything(*(start or (Mark(), Report())), keep or (lambda mark, report: None))


def verify_subset(archive: LmdbArchive, part: int, parts: int, progress: Progress | None = None) -> Report:
    """Check the n-th of so many parts of the log and of the packs, from 1, and the structure of all tables. All parts
    together are everything."""
    return _Run(archive, progress).subset(part, parts, verify_structure(archive))


def verify_structure(archive: LmdbArchive, progress: Progress | None = None) -> Report:
    """Check that the tables agree with one another; nothing is hashed."""
    report, size = Report(), archive.size()
    total = 4 * size["records"] + 2 * size["objects"]
    try:
        for count, fault in enumerate(structure(archive), 1):
            if fault is not None:
                report.add(fault.pos, fault.where, fault.what)
            elif progress:
                progress(min(total, count * STRUCTURE_EVERY), total)
        for fault in archive.page_faults():
            report.add(fault.pos, fault.where, fault.what)
    except Damaged as error:
        report.add(None, error.where, str(error))
    report.records = size["records"]
    return report


def cut_range(count: int, part: int, parts: int) -> range:
    """The n-th of so many parts of the numbers from 1 to `count`, `part` from 1."""
    return range(count * (part - 1) // parts + 1, count * part // parts + 1)


class _Run:
    def __init__(self, archive: Archive, progress: Progress | None) -> None:
        self._archive = archive
        self._progress = progress or (lambda done, total: None)
        self._report = Report()
        self._bodies = BodyChecker(archive)
        self._done, self._total = 0, 0
        self._last: dict[Digest, tuple[Digest, Record]] = {}
        """By session, the record read before."""
        self._parts: dict[Digest, list[tuple[int, Digest, Record]]] = {}
        """By exchange.open, the parts whose bytes must stand in the response: place, hash, record."""

    def session(self, session: Digest) -> Report:
        head = self._archive.head(session)
        self._total = head[1] + 1 if head else 0
        for _ in self._records(self._one_session(session)):
            pass
        self._the_rest_unplaced()
        self._guarded(partial(self._head, session))
        return self._finish(0)

    def everything(self, mark: Mark, report: Report, keep: Keep) -> Report:
        self._report, counted = report, report.bytes
        report.records = pos = mark.pos
        self._total = 2 * self._end() + self._pack_count()
        self._done = mark.pos
        for place in mark.waiting:
            self._guarded(partial(self._wait_for, place))
        for done in self._records(self._whole_log(mark.pos)):
            pos = mark.pos + done
            if done % EVERY == 0:
                report.bytes = counted + self._bodies.bytes
                waiting = [place for parts in self._parts.values() for place, _, _ in parts]
                keep(Mark(pos, waiting), report)
        self._the_rest_unplaced()
        report.bytes = counted + self._bodies.bytes
        packs = mark.packs or self._pack_count()
        slices = min(SLICES, packs // SLICE + 1)
        for slice_ in range(mark.slices + 1, slices + 1):
            keep(Mark(pos, (), slice_ - 1, packs), report)
            # The last one takes what came since, and what claims to be further than there is.
            numbers = cut_range(packs, slice_, slices)
            numbers = range(numbers.start if slice_ > 1 else 0, numbers.stop if slice_ < slices else 1 << 64)
            self._audit(numbers, range(0))
        self._guarded(self._heads)
        self._audit(range(0), None)
        report.objects = self._archive.size()["objects"]
        return self._finish(counted)

    def subset(self, part: int, parts: int, structure: Report) -> Report:
        self._report.findings, self._report.more = structure.findings, structure.more
        places, packs = (cut_range(count, part, parts) for count in (self._end(), self._pack_count()))
        self._total = 2 * len(places) + len(packs)
        for _ in self._records(partial(self._archive.at, pos) for pos in places):
            pass
        self._look_ahead(places.stop)
        self._audit(packs, places)
        return self._finish(0)

    def _finish(self, counted: int) -> Report:
        self._report.bytes = counted + self._bodies.bytes
        return self._report

    def _records(self, reads: Iterable[Read]) -> Iterator[int]:
        """Check them one by one; how many so far."""
        for done, read in enumerate(reads, 1):
            self._report.records += 1
            self._done += 1
            self._check(read)
            if done % EVERY == 0:
                self._progress(self._done, max(self._done, self._total))
            yield done

    def _look_ahead(self, pos: int) -> None:
        """Find the ends of exchanges whose parts were met, behind the places that are checked."""
        while self._parts and pos <= self._end():
            with suppress(Damaged, NotFound):  # a finding when its own part is checked
                _, record = self._archive.at(pos)
                if record.type == "exchange.end" and record.parents:
                    self._place_parts(self._parts.pop(record.parents[0], []), record)
                elif record.type == WITHHELD:
                    self._end_withheld(record)
            pos += 1
        self._the_rest_unplaced()

    def _the_rest_unplaced(self) -> None:
        for parts in self._parts.values():
            self._unplaced(parts)
        self._parts = {}

    def _guarded(self, check: Callable[[], None]) -> None:
        try:
            check()
        except Damaged as error:
            self._report.add(None, error.where, str(error))

    def _pack_count(self) -> int:
        try:
            return self._archive.size()["packs"]
        except Damaged as error:
            self._report.add(None, error.where, str(error))
            return 1

    # -- which records. Each is read by itself, so that a bad one is one finding and the rest is still read. The end
    # is looked up again when it is reached: others may be writing, and where a part's bytes are no longer kept
    # aside, the end of its exchange must be met.

    def _whole_log(self, pos: int) -> Iterator[Read]:
        while pos < (end := self._end()):
            for pos in range(pos + 1, end + 1):  # noqa: B020 - goes on where it stopped
                yield partial(self._archive.at, pos)

    def _end(self) -> int:
        """The last place in the log, or where to give up: a damaged key may claim a place without end."""
        rows = self._archive.size()["records"]
        try:
            last = self._archive.last()
        except Damaged as error:
            self._report.add(None, error.where, str(error))
            return rows
        return min(last, rows + FINDINGS)

    def _one_session(self, session: Digest) -> Iterator[Read]:
        if self._archive.head(session) is None:
            raise NotFound(f"no session {session.short()}")
        seq = 0
        while (head := self._archive.head(session)) and seq <= head[1]:
            yield partial(self._archive.session_record, session, seq)
            seq += 1

    # -- one record

    def _check(self, read: Read) -> None:
        try:
            digest, record = read()
            pos = self._archive.position(digest)
        except (Damaged, NotFound) as error:
            where = error.where if isinstance(error, Damaged) else ""
            self._report.add(self._place(where), where, str(error))
            return
        self._try(pos, digest, lambda: self._link(digest, record))
        if record.type == WITHHELD:
            self._try(pos, digest, lambda: self._tombstone(digest, record))
        elif record.type == "redaction":
            self._try(pos, digest, lambda: self._carried_out(digest, record))
        for parent in record.parents:
            self._try(pos, digest, partial(self._archive.position, parent))
        for ref in body_refs(record.body):
            self._try(pos, digest, partial(self._bodies.check, ref))
        self._try(pos, digest, lambda: check_shape(self._archive, record))
        if record.type == "exchange.part":
            self._try(pos, digest, lambda: self._part(pos, digest, record))
        elif record.type == "exchange.end" and record.parents:
            self._place_parts(self._parts.pop(record.parents[0], []), record)
        self._last[record.session or digest] = (digest, record)

    def _try(self, pos: int, digest: Digest, check: Callable[[], object]) -> None:
        try:
            check()
        except errors.Withheld as error:
            self._report.withheld.setdefault(error.by, Withheld()).bodies += 1
        except (Damaged, NotFound) as error:
            where = error.where if isinstance(error, Damaged) and error.where else digest.hex()
            self._report.add(pos, where, str(error))

    def _place(self, where: str) -> int | None:
        """The place in the log of what an error names: a record's hash, or `pos N` where no index knows its hash."""
        if where.startswith("pos "):
            return int(where[4:])
        try:
            return self._archive.position(Digest.parse(where))
        except (ValueError, NotFound, Damaged):
            return None

    def _link(self, digest: Digest, record: Record) -> None:
        if record.prev is None:
            check_link(None, record)
            return
        before = self._last.get(record.session or digest)
        if before is None or before[0] != record.prev:
            try:
                before = record.prev, self._archive.record(record.prev)
            except Damaged:
                return  # a finding of its own, at its own place
        check_link(before, record)

    # -- what was withheld

    def _tombstone(self, digest: Digest, record: Record) -> None:
        by = Digest(record.body["by"])
        says = self._archive.record(by)
        if says.type != "redaction" or says.session != (record.session or digest) or not covers(says.body, record.seq):
            raise Damaged(f"record {by.short()} does not withhold what it is said to", where=digest.hex())
        self._report.withheld.setdefault(by.hex(), Withheld()).records += 1
        self._end_withheld(record)

    def _end_withheld(self, record: Record) -> None:
        """Where that was the end of an exchange, the bytes of its parts stood in what is withheld."""
        if record.body["type"] == "exchange.end" and record.parents:
            self._parts.pop(record.parents[0], None)

    def _carried_out(self, digest: Digest, record: Record) -> None:
        """The record vouches for the tombstones it made. While some of them are not made yet there is nothing to
        compare."""
        assert record.session is not None
        tombs: list[Tombstone] = []
        for first, last in record.body["records"]:
            for seq in range(first, min(last, record.seq) + 1):
                hash_, found = self._archive.session_record(record.session, seq)
                if found.type != WITHHELD:
                    self._report.pending += 1
                elif found.body["by"] == digest:
                    tombs.append(Tombstone.of(hash_, found))
        count = sum(last + 1 - first for first, last in record.body["records"])
        if len(tombs) == count and tombs_digest(tombs) != record.body["tombs"]:
            raise Damaged(f"the tombstones that record {digest.short()} made were changed", where=digest.hex())

    # -- parts of responses

    def _part(self, pos: int, digest: Digest, record: Record) -> None:
        if self._archive.tail(digest) is not None:
            return
        if not record.parents:
            raise Damaged("a part of a response names no exchange", where=digest.hex())
        self._parts.setdefault(record.parents[0], []).append((pos, digest, record))

    def _wait_for(self, pos: int) -> None:
        digest, record = self._archive.at(pos)
        self._part(pos, digest, record)

    def _place_parts(self, parts: list[tuple[int, Digest, Record]], end: Record) -> None:
        ref = BodyRef.match(end.body["response"])
        if not parts or ref is None:
            self._unplaced(parts)
            return
        try:
            body = self._archive.body(ref)
        except (Damaged, NotFound):
            return  # a finding already, at the exchange's end
        for pos, digest, record in parts:
            start = record.body["offset"]
            if blob_digest(body[start : start + record.body["length"]]) != record.body["data"]:
                self._report.add(pos, digest.hex(), "the bytes of this part are not those in the response")

    def _unplaced(self, parts: list[tuple[int, Digest, Record]]) -> None:
        for pos, digest, _ in parts:
            self._report.add(pos, digest.hex(), "the bytes of this part are in no response, nor kept aside")

    # -- the archive's own tables

    def _heads(self) -> None:
        for session in self._archive.sessions():
            self._head(session)

    def _head(self, session: Digest) -> None:
        head = self._archive.head(session)
        try:
            if head is not None and self._archive.session_record(session, head[1])[0] != head[0]:
                self._report.add(None, session.hex(), "the session's head is not its last record")
        except (Damaged, NotFound):
            return  # that record is a finding of its own

    def _audit(self, packs: range, places: range | None) -> None:
        self._guarded(partial(self._audited, packs, places))

    def _audited(self, packs: range, places: range | None) -> None:
        for count, fault in enumerate(self._archive.audit(packs, places)):
            if fault is not None:
                self._report.add(fault.pos, fault.where, fault.what)
                continue
            self._done = min(self._done + 1, self._total)
            if count % EVERY == 0:
                self._progress(self._done, self._total)
