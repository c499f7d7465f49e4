"""What a commit will write, decided before anything is written.

Both archives decide here and only carry out themselves, so they cannot differ in what they accept, how
records are linked, or which objects are new. A plan is made inside the transaction that carries it out: the
heads it read are the heads it extends.
"""

from __future__ import annotations

from typing import Protocol

from tapes.archive import node
from tapes.archive.base import Batch, Draft, Object
from tapes.archive.refs import check_name
from tapes.errors import NotFound, UsageError
from tapes.record.chain import Head, link
from tapes.record.digest import Digest, record_digest
from tapes.record.kinds import body_hashes, body_refs, record_bytes
from tapes.values import dataclass, field


class Known(Protocol):
    """What a transaction sees."""

    def head(self, session: Digest) -> Head | None: ...
    def has_record(self, digest: Digest) -> bool: ...
    def has_object(self, digest: Digest) -> bool: ...
    def named(self, name: str) -> Digest | None: ...


@dataclass(frozen=True, slots=True)
class Row:
    """A record about to be written."""

    digest: Digest
    type: str
    data: bytes
    session: Digest
    seq: int
    bodies: tuple[Digest, ...]
    """Whole-body hashes it refers to, each once."""


@dataclass(slots=True)
class Plan:
    rows: list[Row] = field(default_factory=list)
    heads: dict[Digest, Head] = field(default_factory=dict)
    objects: dict[Digest, Object] = field(default_factory=dict)
    names: dict[str, Digest] = field(default_factory=dict)
    summaries: dict[Digest, bytes] = field(default_factory=dict)
    tails: dict[Digest, bytes] = field(default_factory=dict)
    drop_tails: list[Digest] = field(default_factory=list)


def make_plan(batch: Batch, known: Known, writer: bytes, boot: str) -> Plan:
    """Raises as `Archive.commit` says; changes nothing, not even the drafts."""
    return _Planner(batch, known, writer, boot).plan()


class _Planner:
    def __init__(self, batch: Batch, known: Known, writer: bytes, boot: str) -> None:
        self._batch, self._known, self._writer, self._boot = batch, known, writer, boot
        self._here: dict[Draft, Digest] = {}
        self._plan = Plan()
        self._seen: set[Digest] = set()

    def plan(self) -> Plan:
        batch, plan = self._batch, self._plan
        plan.objects = {d: o for d, o in batch.objects.items() if not self._known.has_object(d)}
        for draft in batch.drafts:
            self._add(draft)
        for kind, data in plan.objects.values():
            if kind == "node":
                self._need(*map(Digest, node.children(data)))
        for name, target in batch.names.items():
            self._claim(check_name(name), self._resolve(target))
        # What a session's row says may be what is withheld now: it is folded anew.
        plan.summaries = {row.session: b"" for row in plan.rows if row.type == "redaction"}
        plan.summaries |= {self._resolve(of): data for of, data in batch.summaries.items()}
        plan.tails = {self._resolve(part): data for part, data in batch.tails.items()}
        plan.drop_tails = [self._resolve(part) for part in batch.drop_tails]
        return plan

    def _resolve(self, target: Draft | Digest) -> Digest:
        if not isinstance(target, Draft):
            return target
        digest = self._here.get(target, target.hash)
        if digest is None:
            raise UsageError(f"a draft of {target.type} is referred to that was never committed")
        return digest

    def _add(self, draft: Draft) -> None:
        if draft.hash is not None or draft in self._here:
            raise UsageError(f"the draft of {draft.type} was committed before")
        session, head = self._place(draft)
        parents = tuple(self._resolve(parent) for parent in draft.parents)
        for parent in parents:
            if parent not in self._seen and not self._known.has_record(parent):
                raise NotFound(f"parent {parent.short()} of a {draft.type} is not in the archive")
        record = link(
            type=draft.type,
            body=draft.body,
            session=session,
            head=head,
            parents=parents,
            writer=self._writer,
            wall_ns=draft.wall_ns,
            mono_ns=draft.mono_ns,
            boot=self._boot,
            nonce=draft.nonce,
        )
        try:
            data = record_bytes(record)
        except (TypeError, ValueError) as error:
            raise UsageError(f"a draft of {draft.type} cannot be written: {error}") from error
        refs = list(body_refs(draft.body))
        self._need(*(ref.node for ref in refs))
        digest = record_digest(data)
        session = session or digest
        self._plan.rows.append(
            Row(digest, draft.type, data, session, record.seq, tuple(body_hashes(draft.type, draft.body)))
        )
        self._plan.heads[session] = (digest, record.seq)
        self._here[draft] = digest
        self._seen.add(digest)

    def _place(self, draft: Draft) -> tuple[Digest | None, Head | None]:
        if draft.session is None:
            return None, None
        session = self._resolve(draft.session)
        head = self._plan.heads.get(session) or self._known.head(session)
        if head is None:
            raise NotFound(f"session {session.short()} is not in the archive")
        return session, head

    def _need(self, *digests: Digest) -> None:
        """So that no record ever refers to a body with a hole, whatever the cut's hint assumed to be
        there."""
        for digest in digests:
            if digest not in self._plan.objects and not self._known.has_object(digest):
                raise NotFound(f"object {digest.short()} is neither in the archive nor in the batch")

    def _claim(self, name: str, session: Digest) -> None:
        if session not in self._plan.heads and self._known.head(session) is None:
            raise NotFound(f"session {session.short()} is not in the archive")
        holder = self._known.named(name)
        if holder is not None and holder != session:
            raise UsageError(
                f"the name {name!r} belongs to session {holder.short()}",
                hint="choose another name",
            )
        self._plan.names[name] = session
