"""What stands where a record stood whose bytes were destroyed: enough to check the chain, and nothing that was said.

A tombstone is canonical CBOR, an *array* (a record is a map, so the first byte tells them apart):

    [hash, type, session or null, seq, prev or null, parents, wall_ns, by]

`hash` is that of the destroyed record: the records around it go on naming it. `by` is the `redaction` record that asked
for it. Nobody can check a tombstone by hashing it; but the redaction record holds a digest over all the tombstones it
made, stands in the same chain, and so vouches for every field of them as it does for all that is before it. A record's
nonce is random, so its hash confirms no guess of what it said.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

from tapes.errors import Damaged
from tapes.record import canon
from tapes.record.digest import Digest, blob_digest, record_digest
from tapes.record.kinds import FORMAT, TYPES, Record, read_record
from tapes.values import dataclass

WITHHELD = "withheld"
"""The type of the `Record` that readers get for a tombstone. Never written, and no record can have it."""
NOTHING = bytes(16)


@dataclass(frozen=True, slots=True)
class Tombstone:
    """What stays of a record that was withheld."""

    hash: Digest
    type: str
    session: Digest | None
    seq: int
    prev: Digest | None
    parents: tuple[Digest, ...]
    wall_ns: int
    by: Digest

    @classmethod
    def over(cls, digest: Digest, record: Record, by: Digest) -> Self:
        """The one that takes a record's place."""
        kind, parents = record.type, record.parents
        return cls(digest, kind, record.session, record.seq, record.prev, parents, record.wall_ns, by)

    @classmethod
    def of(cls, digest: Digest, stand_in: Record) -> Self:
        """The one that a stand-in stands for."""
        body = stand_in.body
        place = stand_in.session, stand_in.seq, stand_in.prev, stand_in.parents, stand_in.wall_ns
        return cls(digest, body["type"], *place, Digest(body["by"]))

    def to_bytes(self) -> bytes:
        return canon.encode([*self._core(), self.by])

    def _core(self) -> list[Any]:
        return [self.hash, self.type, self.session, self.seq, self.prev, self.parents, self.wall_ns]

    def stand_in(self) -> Record:
        """A record for readers that go by type: of a type none of them knows, with the place it has in its chain."""
        return Record(
            v=FORMAT,
            type=WITHHELD,
            session=self.session,
            seq=self.seq,
            prev=self.prev,
            parents=self.parents,
            writer=NOTHING,
            wall_ns=self.wall_ns,
            mono_ns=0,
            boot="",
            nonce=NOTHING,
            body={"type": self.type, "by": self.by},
        )


def is_tombstone(data: bytes) -> bool:
    """Do these bytes of the log begin as an array?"""
    return bool(data) and data[0] >> 5 == 4


def read_tombstone(data: bytes) -> Tombstone:
    """Damaged when these bytes are none."""
    try:
        digest, type_, session, seq, prev, parents, wall_ns, by = canon.decode(data)  # type: ignore[misc]
        found = Tombstone(
            Digest(digest),  # type: ignore[arg-type]
            type_,  # type: ignore[arg-type]
            None if session is None else Digest(session),  # type: ignore[arg-type]
            seq,  # type: ignore[arg-type]
            None if prev is None else Digest(prev),  # type: ignore[arg-type]
            tuple(Digest(parent) for parent in parents),  # type: ignore[union-attr,arg-type]
            wall_ns,  # type: ignore[arg-type]
            Digest(by),  # type: ignore[arg-type]
        )
    except (TypeError, ValueError) as error:
        raise Damaged(f"not a tombstone: {error}") from error
    first = found.type == "session.open"
    counts = type(seq) is int and type(wall_ns) is int and seq >= 0
    if not counts or found.type not in TYPES or {first, seq == 0, session is None, prev is None} != {first}:
        raise Damaged("not a tombstone: its fields do not fit one another")
    return found


def read_logged(data: bytes) -> tuple[Digest, Record]:
    """What the log holds in a place, a record or a tombstone's stand-in, and the hash it goes by."""
    if is_tombstone(data):
        found = read_tombstone(data)
        return found.hash, found.stand_in()
    return record_digest(data), read_record(data)


def logged_digest(data: bytes) -> Digest:
    """The hash that what stands in the log goes by; of bytes that are neither, one that nothing goes by."""
    if is_tombstone(data):
        try:
            return read_tombstone(data).hash
        except Damaged:
            pass  # its own hash is asked for instead, and no index has that
    return record_digest(data)


def tombs_digest(tombs: Iterable[Tombstone]) -> Digest:
    """What a redaction record holds of its tombstones, in order of seq: plain BLAKE3 of them joined, each as written
    but for its last item."""
    return blob_digest(b"".join(canon.encode(tomb._core()) for tomb in tombs))
