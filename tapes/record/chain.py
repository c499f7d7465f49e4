"""The chain: each record names its session's previous record by hash, so that one head vouches for all before
it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapes.errors import Damaged
from tapes.record.digest import Digest
from tapes.record.kinds import FORMAT, Record
from tapes.record.tomb import WITHHELD

type Head = tuple[Digest, int]
"""Hash and seq of a session's last record."""


def link(
    *,
    type: str,
    body: Mapping[str, Any],
    session: Digest | None,
    head: Head | None,
    parents: tuple[Digest, ...],
    writer: bytes,
    wall_ns: int,
    mono_ns: int,
    boot: str,
    nonce: bytes,
) -> Record:
    """The record that follows `head`; with no head the one that opens a session (then `session` must be
    None)."""
    return Record(
        v=FORMAT,
        type=type,
        session=session,
        seq=0 if head is None else head[1] + 1,
        prev=None if head is None else head[0],
        parents=parents,
        writer=writer,
        wall_ns=wall_ns,
        mono_ns=mono_ns,
        boot=boot,
        nonce=nonce,
        body=body,
    )


def check_link(previous: tuple[Digest, Record] | None, record: Record) -> None:
    """Damaged unless `record` is what directly follows `previous` in its session (None: what begins one)."""
    if previous is None:
        type_ = record.body["type"] if record.type == WITHHELD else record.type
        if type_ != "session.open":
            raise Damaged(f"the chain begins with {type_}, not session.open")
        return
    digest, before = previous
    session = before.session or digest
    if record.session != session:
        raise Damaged("the record belongs to another session than the one before it")
    if record.seq != before.seq + 1:
        raise Damaged(f"seq {record.seq} follows seq {before.seq}")
    if record.prev != digest:
        raise Damaged("prev does not name the record before it")
