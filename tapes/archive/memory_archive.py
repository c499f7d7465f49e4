"""The reference archive: the protocol in a few dicts, for tests and for sessions that need no disk."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence

from tapes.archive.base import FIND_LIMIT, Batch, Fault, Object
from tapes.archive.plan import Plan, make_plan
from tapes.archive.reading import Reader
from tapes.archive.redaction import sentence
from tapes.errors import Damaged
from tapes.record.digest import Digest


class MemoryArchive(Reader):
    """Any thread may call it. Nothing outlives the process."""

    def __init__(self, *, writer: bytes | None = None, boot: str = "") -> None:
        self.writer = writer or os.urandom(16)
        self.boot = boot
        self._lock = threading.Lock()
        self._records: list[bytes] = []
        self._by_hash: dict[Digest, int] = {}
        self._chain: dict[Digest, list[int]] = {}
        self._heads: dict[Digest, tuple[Digest, int]] = {}
        self._objects: dict[Digest, Object] = {}
        self._names: dict[str, Digest] = {}
        self._bodies: dict[Digest, list[Digest]] = {}
        self._tails: dict[Digest, bytes] = {}
        self._summaries: dict[Digest, bytes] = {}

    def commit(self, batch: Batch) -> list[Digest]:
        with self._lock:
            plan = make_plan(batch, self, self.writer, self.boot)
            self._carry_out(plan)
        digests = [row.digest for row in plan.rows]
        for draft, digest in zip(batch.drafts, digests, strict=True):
            draft.hash = digest
        return digests

    def _carry_out(self, plan: Plan) -> None:
        self._objects |= plan.objects
        for row in plan.rows:
            self._records.append(row.data)
            self._by_hash[row.digest] = len(self._records)
            self._chain.setdefault(row.session, []).append(len(self._records))
            for body in row.bodies:
                self._bodies.setdefault(body, []).append(row.digest)
        self._heads |= plan.heads
        self._names |= plan.names
        self._tails |= plan.tails
        for part in plan.drop_tails:
            self._tails.pop(part, None)
        self._summaries |= plan.summaries

    def destroy(self) -> None:
        """Carry out what the redactions in the log ask for."""
        with self._lock:
            wanted = sentence(self)
            for digest, tomb in wanted.tombs.items():
                self._records[self._by_hash[digest] - 1] = tomb.to_bytes()
                self._tails.pop(digest, None)
            keeps = wanted.keeper(lambda digest: digest)
            self._objects = {digest: kept for digest, kept in self._objects.items() if keeps(digest)}
            self._names = {name: session for name, session in self._names.items() if session not in wanted.nameless}
            for body, records in self._bodies.items():
                self._bodies[body] = [digest for digest in records if digest not in wanted.tombs]
            for session in wanted.sessions:
                self._summaries.pop(session, None)

    # -- what a plan asks

    def has_record(self, digest: Digest) -> bool:
        return digest in self._by_hash

    def named(self, name: str) -> Digest | None:
        return self._names.get(name)

    # -- lookups for the reader

    def _positions(self, digests: Sequence[Digest]) -> list[int | None]:
        return [self._by_hash.get(digest) for digest in digests]

    def _hash_at(self, pos: int) -> Digest | None:
        return next((digest for digest, place in self._by_hash.items() if place == pos), None)

    def _logged(self, pos: int) -> bytes | None:
        return self._records[pos - 1] if 0 < pos <= len(self._records) else None

    def _log_from(self, pos: int, limit: int) -> list[tuple[int, bytes]]:
        return list(enumerate(self._records[pos - 1 : pos - 1 + limit], pos))

    def _chained(self, session: Digest, seq: int) -> int | None:
        places = self._chain.get(session, [])
        return places[seq] if 0 <= seq < len(places) else None

    def _chained_from(self, session: Digest, seq: int, limit: int) -> list[tuple[int, int, bytes | None]]:
        places = self._chain.get(session, [])[seq : seq + limit]
        return [(seq + n, pos, self._logged(pos)) for n, pos in enumerate(places)]

    def _stored(self, digests: Sequence[Digest]) -> list[Object | None]:
        return [self._objects.get(digest) for digest in digests]

    def _tail(self, part: Digest, length: int) -> bytes | None:
        return self._tails.get(part)

    # -- the rest

    def last(self) -> int:
        return len(self._records)

    def head(self, session: Digest) -> tuple[Digest, int] | None:
        return self._heads.get(session)

    def sessions(self) -> list[Digest]:
        return list(self._chain)

    def latest(self, back: int = 0) -> Digest | None:
        return self.sessions()[-1 - back] if back < len(self._chain) else None

    def names(self) -> dict[str, Digest]:
        return dict(sorted(self._names.items()))

    def find(self, prefix_hex: str) -> list[Digest]:
        return sorted(d for d in self._by_hash if d.hex().startswith(prefix_hex))[:FIND_LIMIT]

    def body_records(self, body_hash: Digest) -> list[Digest]:
        return list(self._bodies.get(body_hash, []))

    def summary(self, session: Digest) -> bytes | None:
        return self._summaries.get(session) or None

    def size(self) -> dict[str, int]:
        stored = sum(len(data) for _, data in self._objects.values()) + sum(map(len, self._records))
        return {
            "file_bytes": stored,
            "records": len(self._records),
            "objects": len(self._objects),
            "packs": 0,
            "sessions": len(self._chain),
        }

    def audit(self, packs: range | None = None, places: range | None = None) -> Iterator[Fault | None]:
        """Its tables are one another; what is left to check is that objects match their names. It has no packs."""
        for digest in list(self._objects):
            try:
                self.object(digest)
            except Damaged as error:
                yield Fault(digest.hex(), str(error))
            else:
                yield None

    def close(self) -> None:
        """Nothing to let go of."""
