"""The messages of a WebSocket, told apart again: of a turn, of a `connection` record, or of a whole connection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tapes.archive.base import Archive
from tapes.errors import UsageError
from tapes.record.digest import Digest
from tapes.record.kinds import BodyRef, Record
from tapes.values import dataclass


@dataclass(frozen=True, slots=True)
class SaidMessage:
    """One message, decoded and redacted."""

    record: Digest
    """The record that holds it."""
    from_agent: bool
    kind: str
    """`text` or `binary`."""
    data: bytes


def messages(archive: Archive, session: Digest, digest: Digest) -> Iterator[SaidMessage]:
    """The messages in the record `digest`; of a handshake, all of its connection, in the order of their records.

    Raises UsageError for a record that has none, Damaged and NotFound as the archive does.
    """
    record = archive.record(digest)
    if is_turn(record) or record.type == "connection":
        yield from _of(archive, digest, record)
        if record.type == "exchange.open":
            yield from _answers(archive, session, {digest})
        return
    if record.type == "exchange.end":
        yield from messages(archive, session, record.parents[0])
        return
    if record.type != "exchange.open" or not _upgraded(archive, session, digest):
        raise UsageError(
            f"{digest.short()} is no WebSocket, nor a turn of one",
            hint=f"exchanges of its session: tapes show {session.short()} --exchanges",
        )
    turns: set[Digest] = set()
    for hash_, later in archive.session_records(session):
        if digest in later.parents and (is_turn(later) or later.type == "connection"):
            turns.add(hash_)
            yield from _of(archive, hash_, later)
        elif later.type == "exchange.end" and later.parents[0] in turns:
            yield from _of(archive, hash_, later)


def is_turn(record: Record) -> bool:
    """Is this the request of a WebSocket turn?"""
    return record.type == "exchange.open" and record.body.get("http") == "websocket"


def split(data: bytes, sizes: Sequence[int] | None) -> list[bytes]:
    """The messages of a joined body; where their lengths are not known, its lines."""
    if sizes is None:
        return data.split(b"\n")
    found, at = [], 0
    for size in sizes:
        found.append(data[at : at + size])
        at += size + 1
    return found


def _answers(archive: Archive, session: Digest, turns: set[Digest]) -> Iterator[SaidMessage]:
    for hash_, later in archive.session_records(session):
        if later.type == "exchange.end" and later.parents[0] in turns:
            yield from _of(archive, hash_, later)


def _of(archive: Archive, digest: Digest, record: Record) -> Iterator[SaidMessage]:
    """The messages in this one record."""
    body = record.body
    match record.type:
        case "exchange.open":
            request = BodyRef.match(body["request"])
            yield SaidMessage(digest, True, "text", archive.body(request) if request else b"")
        case "exchange.end":
            response = BodyRef.match(body["response"])
            binary = set(body.get("binary", ()))
            for n, data in enumerate(split(archive.body(response), body.get("messages")) if response else ()):
                yield SaidMessage(digest, False, "binary" if n in binary else "text", data)
        case "connection" if body["event"] == "messages":
            said = split(archive.body(BodyRef.of(body["data"])), body.get("messages"))
            if len(said) == len(body["from"]):
                for data, who, kind in zip(said, body["from"], body["kinds"], strict=True):
                    yield SaidMessage(digest, who == "agent", kind, data)
            else:  # redaction has taken line feeds: which message is whose can no longer be told
                for data in said:
                    yield SaidMessage(digest, body["from"][0] == "agent", "text", data)


def _upgraded(archive: Archive, session: Digest, digest: Digest) -> bool:
    return any(
        later.type == "exchange.end" and later.parents[0] == digest and later.body["status"] == 101
        for _, later in archive.session_records(session)
    )
