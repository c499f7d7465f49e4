"""The archive's protocol: what every implementation MUST do, and the values that go in.

An archive is a log of records, the objects (blobs and nodes) that their bodies are made of, and tables that
find them. Every read re-hashes what it returns, so a changed byte is an error at the place where it is read,
and not only in `tapes verify`. tests/contract/archive_suite.py holds the duties written here against each
implementation.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, NamedTuple, Protocol, Self

from tapes.record.digest import Digest
from tapes.record.kinds import BodyRef, Record
from tapes.values import dataclass, field

type Kind = Literal["blob", "node"]
type Object = tuple[Kind, bytes]

FIND_LIMIT = 32
"""`find` returns at most this many."""


@dataclass(slots=True, eq=False)
class Draft:
    """A record before it has a place: the archive adds `seq`, `prev`, `writer` and `boot` when it commits.

    Compared by identity, so that a draft can be the session or a parent of others before its hash is known.
    """

    type: str
    body: Mapping[str, Any]
    session: Digest | Draft | None
    """None exactly for `session.open`."""
    parents: tuple[Digest | Draft, ...] = ()
    wall_ns: int = field(default_factory=time.time_ns)
    mono_ns: int = field(default_factory=time.monotonic_ns)
    nonce: bytes = field(default_factory=lambda: os.urandom(16))
    hash: Digest | None = None
    """Set by a successful commit, by nothing else."""


@dataclass(slots=True)
class Batch:
    """What one commit writes, all or nothing."""

    drafts: list[Draft] = field(default_factory=list)
    """In log order. A draft may name drafts before it here, or of an earlier batch, as session and
    parents."""
    objects: dict[Digest, Object] = field(default_factory=dict)
    """Those the archive already has are skipped."""
    names: dict[str, Draft | Digest] = field(default_factory=dict)
    """Session names to claim."""
    summaries: dict[Draft | Digest, bytes] = field(default_factory=dict)
    """By session; opaque, derived, may be lost; an empty one removes. A redaction removes its session's."""
    tails: dict[Draft, bytes] = field(default_factory=dict)
    """Bytes of an `exchange.part`, kept aside until the response body that contains them is stored.
    A part's first parent, and that of its `exchange.end`, MUST be the `exchange.open`: so they are found again."""
    drop_tails: list[Draft | Digest] = field(default_factory=list)
    """Parts whose bytes are now `body[offset:offset + length]` of the response in this batch's
    `exchange.end`."""
    urgent: bool = False
    """Small, and about what could not be kept: an archive that has set room aside for such MUST use it when there is no
    other."""


class Link(NamedTuple):
    """What names an object inside a tree: its hash, and how many bytes of content lie under it."""

    digest: Digest
    length: int


type Subtrees = dict[Digest, tuple[int, int, tuple[Link, ...]]]
"""Nodes of trees that were read and checked: by their hash, level, bytes of content, and the leaves below."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in the archive's own tables that does not agree with its log or packs."""

    where: str
    what: str
    pos: int | None = None
    """The record's place in the log, where it is a record."""


class Archive(Protocol):
    """Duties. Digests given to reading methods MUST be looked up exactly; NotFound when there is nothing by
    that name, Damaged (with `where`) when what is stored does not re-hash to it."""

    def commit(self, batch: Batch) -> list[Digest]:
        """Write the batch atomically and durably; the digests of its drafts, in order.

        MUST read every session's head inside its own transaction (other processes may write the same
        session), give each draft the next `seq` and `prev`, store the objects not yet present, and set every
        `Draft.hash`. On failure nothing of the batch may be visible and no `Draft.hash` may be set. MUST
        refuse the whole batch with UsageError when a name is taken by another session, or a draft names one
        that was never committed; with NotFound when a session, a parent, or an object that a record's body
        needs is in neither archive nor batch; with ArchiveFull when there is no room (the same batch may be
        tried again).
        """

    def record(self, digest: Digest) -> Record: ...

    def record_raw(self, digest: Digest) -> bytes:
        """The bytes that were hashed."""

    def position(self, digest: Digest) -> int:
        """The record's place in the log, from 1 on."""

    def at(self, pos: int) -> tuple[Digest, Record]:
        """The record at a place in the log."""

    def last(self) -> int:
        """The last place in the log; 0 when it is empty."""

    def log(self, after: int = 0) -> Iterator[tuple[int, Digest, Record]]:
        """All records behind a place, in log order. MUST NOT hold a transaction open between two items."""

    def sessions(self) -> list[Digest]:
        """In the order opened."""

    def head(self, session: Digest) -> tuple[Digest, int] | None:
        """Hash and seq of the session's last record; None for an unknown session."""

    def session_records(self, session: Digest, first: int = 0) -> Iterator[tuple[Digest, Record]]:
        """Those from `first` on, in `seq` order; NotFound for an unknown session. MUST NOT hold a transaction open
        between two items."""

    def session_record(self, session: Digest, seq: int) -> tuple[Digest, Record]: ...

    def latest(self, back: int = 0) -> Digest | None:
        """`sessions()[-1 - back]` without reading all of them; None where there are not so many. Damaged where the
        session's first record is."""

    def names(self) -> dict[str, Digest]:
        """Session by name, sorted by name."""

    def named(self, name: str) -> Digest | None:
        """`names().get(name)` without reading all of them."""

    def find(self, prefix_hex: str) -> list[Digest]:
        """Records whose hash begins with these lowercase hex digits (an odd number is fine), sorted, at most
        FIND_LIMIT."""

    def has_object(self, digest: Digest) -> bool: ...

    def object(self, digest: Digest) -> Object: ...

    def blob(self, digest: Digest) -> bytes: ...

    def body(self, ref: BodyRef) -> bytes:
        """The whole body. Every node, every blob and the whole hash MUST have been checked."""

    def body_chunks(self, ref: BodyRef) -> Iterator[bytes]:
        """As `body`, in pieces; a wrong whole hash or length shows only at the end."""

    def body_range(self, ref: BodyRef, offset: int, length: int) -> bytes:
        """`body(ref)[offset:offset + length]`, reading no more than the nodes and blobs that hold any of it. Each of
        those MUST have been checked; the hash over the whole body is not, and what lies outside may be damaged.
        UsageError for a negative offset or length."""

    def leaves(self, ref: BodyRef, known: Subtrees | None = None) -> Iterator[Link]:
        """The leaves of a body's tree, in order, unread; the nodes above them have been checked. `known`: what stands
        below the root is not read again where it is there, and is put there where it is read."""

    def leaf(self, leaf: Link) -> bytes:
        """The bytes under a leaf, each piece checked."""

    def contents(self, leaves: Sequence[Link]) -> Iterator[bytes]:
        """Those under each of several; they are looked up together, which is quicker."""

    def body_records(self, body_hash: Digest) -> list[Digest]:
        """Records that refer to a body of this hash, in log order."""

    def tail(self, part_record: Digest) -> bytes | None:
        """The bytes of an `exchange.part`, or None once they are in the response's body."""

    def summary(self, session: Digest) -> bytes | None: ...

    def size(self) -> dict[str, int]:
        """`file_bytes`, `records`, `objects`, `packs`, `sessions`."""

    def audit(self, packs: range | None = None, places: range | None = None) -> Iterator[Fault | None]:
        """Compare every table with the log and the packs, re-hashing every stored object, the unreferenced
        too; or only those in packs of these numbers, and the records at these places. None is yielded now and then
        where all is well, so that the caller can show progress or stop."""

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
