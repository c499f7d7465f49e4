"""What went over the wire for a step, and what the archive keeps of it: its request, its response, its records."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tapes.archive.base import Archive
from tapes.record.digest import Digest
from tapes.record.kinds import BodyRef, Record
from tapes.session.exchanges import Exchange
from tapes.session.view import Step, View
from tapes_cli import output
from tapes_cli.commands.cat import as_object
from tapes_cli.deck.model.document import Block
from tapes_cli.deck.model.json_text import readable
from tapes_cli.deck.model.styled import Line, joined, styled
from tapes_cli.step_page import decoded

NO_CALL = Block(empty="this step belongs to no model call")
ROW = 16
"""Bytes in a line of a record in hexadecimal."""


def request(archive: Archive, view: View, step: Step, raw: bool) -> Iterator[Block]:
    exchange = view.calls.exchanges.get(step.exchange) if step.exchange else None
    if exchange is None:
        yield NO_CALL
        return
    body = exchange.body
    yield Block(
        lines=[
            styled(f"{body['method']} {body['url']} {body.get('http', '')}".rstrip(), "bold"),
            *_facts(
                sent=output.wall(exchange.opened.wall_ns),
                to=body.get("sent_to"),
                provider=body.get("provider"),
                route=body.get("route"),
                thread=exchange.thread,
                encoding=body.get("encoding"),
                redactions=len(body.get("redactions", ())) or None,
            ),
            *_again(view, exchange),
        ]
    )
    handshake = next((view.calls.exchanges[d] for d in exchange.opened.parents if d in view.calls.exchanges), None)
    if handshake is not None and not body["headers"]:  # a turn of a socket, which has none of its own
        yield _headers(handshake.body["headers"], f" of the handshake {handshake.hash.short()}")
    else:
        yield _headers(body["headers"])
    yield from _body(archive, exchange.request, raw)


def response(archive: Archive, view: View, step: Step, raw: bool) -> Iterator[Block]:
    exchange = view.calls.exchanges.get(step.exchange) if step.exchange else None
    if exchange is None:
        yield NO_CALL
        return
    head: Mapping[str, Any] = exchange.end.body if exchange.end else exchange.parts[0][1].body if exchange.parts else {}
    status = "no response" if exchange.status is None else f"{exchange.status} {head.get('reason', '')}".rstrip()
    yield Block(
        lines=[
            styled(f"{head.get('http', '')} {status} · {exchange.outcome}".strip(), "bold"),
            *_facts(
                first_byte=_took(exchange.first_byte_us),
                took=_took(exchange.duration_us),
                error=head.get("error"),
                encoding=head.get("encoding"),
                messages=len(head["messages"]) if head.get("messages") else None,
                redactions=len(head.get("redactions", ())) or None,
            ),
        ]
    )
    yield _headers(head.get("headers", ()))
    if exchange.end is not None:
        yield from _body(archive, exchange.response, raw)
    else:
        text = decoded(_tails(archive, exchange), "backslashreplace")
        yield Block("body · as far as it has come", text=text if raw else readable(text), empty="(nothing yet)")


def _tails(archive: Archive, exchange: Exchange) -> Iterator[bytes]:
    for digest, _ in exchange.parts:
        yield archive.tail(digest) or b""


def _body(archive: Archive, ref: BodyRef | None, raw: bool) -> Iterator[Block]:
    if ref is None:
        yield Block("body", empty="(none)")
        return
    text = decoded(archive.body_chunks(ref), "backslashreplace")
    yield Block(
        f"body · {output.size(ref.length)} · {ref.hash.short()}" + (" · as stored" if raw else ""),
        text=text if raw else readable(text),
        size=ref.length,
        empty="(empty)",
    )


def _headers(headers: Iterable[tuple[bytes, bytes]], whose: str = "") -> Block:
    lines = [joined(styled(f"{_latin(name)}: ", "dim"), styled(_latin(value))) for name, value in headers]
    return Block(f"headers{whose} · {len(lines)}", lines=lines, empty="(none)")


def _again(view: View, exchange: Exchange) -> Iterator[Line]:
    """Attempts of the same request."""
    if exchange.retry_of:
        yield styled(f"tried again: the first attempt is {exchange.retry_of.short()}", "warn")
    for other in view.calls.exchanges.values():
        if other.retry_of == exchange.hash:
            yield styled(f"tried again as {other.hash.short()}: {other.outcome}", "warn")


def _facts(**facts: object) -> Iterator[Line]:
    said = [f"{name.replace('_', ' ')} {value}" for name, value in facts.items() if value not in (None, "", ())]
    if said:
        yield styled(" · ".join(said), "dim")


def _took(us: int | None) -> str:
    return "" if us is None else output.duration(us * 1000)


def _latin(data: bytes) -> str:
    return data.decode("latin-1")


# -- records


def record(archive: Archive, view: View, step: Step, raw: bool) -> Iterator[Block]:
    """The step's own record; its neighbours in the chain; then the other records of what it tells of, each in full."""
    records = dict(view.records)
    own = records[step.hash]
    before = next((digest for digest, one in view.records if one.seq == own.seq - 1), None)
    behind = next((digest for digest, one in view.records if one.prev == step.hash), None)
    yield _record(archive, step.hash, own, raw)
    others = related(view, step, records)
    lines = [_in_chain("previous in its chain", before, records), _in_chain("next in its chain", behind, records)]
    lines += [_in_chain(role, digest, records) for digest, role in others.items()]
    yield Block("other records", lines=[line for line in lines if line])
    for digest, role in others.items():
        if digest in records:
            yield _record(archive, digest, records[digest], raw, role)


def related(view: View, step: Step, records: Mapping[Digest, Record]) -> dict[Digest, str]:
    """The records that a step's own one is read together with, and what each is to it."""
    own = records[step.hash]
    found = dict.fromkeys(own.parents, "parent")
    found |= {digest: "names it as a parent" for digest, one in view.records if step.hash in one.parents}
    exchange = view.calls.exchanges.get(step.exchange) if step.exchange else None
    if exchange is not None:
        of_call = [exchange.hash, *(digest for digest, _ in exchange.parts), exchange.end_hash]
        found |= {digest: "of its model call" for digest in of_call if digest and digest not in found}
    for command in view.commands:
        of_command = list(command.records)
        if step.hash in of_command:
            found |= {digest: "of its command" for digest in of_command if digest not in found}
    found.pop(step.hash, None)
    return found


def _in_chain(role: str, digest: Digest | None, records: Mapping[Digest, Record]) -> Line:
    if digest is None:
        return ()
    one = records.get(digest)
    told = f"{one.type} · seq {one.seq} · {output.wall(one.wall_ns)}" if one else "of another session"
    return joined(styled(f"{digest.short()} ", "accent"), styled(f"{told} · ", ""), styled(role, "dim"))


def _record(archive: Archive, digest: Digest, one: Record, raw: bool, role: str = "") -> Block:
    named = f"{one.type} · seq {one.seq}" + (f" · {role}" if role else "")
    if raw:
        return Block(f"{named} · the bytes that were hashed", text=_dump(archive, digest))
    return Block(named, text=_fields(digest, one))


def _fields(digest: Digest, one: Record) -> Iterator[str]:
    yield json.dumps(as_object(digest, one), indent=2, ensure_ascii=False, default=str)


def _dump(archive: Archive, digest: Digest) -> Iterator[str]:
    data = archive.record_raw(digest)
    for at in range(0, len(data), ROW):
        some = data[at : at + ROW]
        seen = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in some)
        yield f"{at:06x}  {some.hex(' '):<{3 * ROW}} {seen}\n"
