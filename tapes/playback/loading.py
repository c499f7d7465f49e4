"""A session as a tape: its exchanges, the directories it had, and what of it can not be played as it was."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from tapes.archive.base import Archive
from tapes.errors import NotFound
from tapes.playback.recorded import OF_THE_WIRE, Answer, End, Kind, Piece, Recorded
from tapes.record.digest import Digest
from tapes.record.kinds import Record
from tapes.record.tomb import WITHHELD
from tapes.session.exchanges import Exchange, gather
from tapes.session.sockets import split
from tapes.values import dataclass

BROKEN = 1006
"""Close code: without a close frame (RFC 6455 §7.4.1)."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A session, ready to be played."""

    session: Digest
    recorded: tuple[Recorded, ...]
    places: Mapping[str, str]
    """`cwd` and `home`, as far as the session tells."""
    doubts: tuple[str, ...]
    """What a person must know before it is played."""


def load(archive: Archive, session: Digest) -> Loaded:
    """Reads records only, no bodies. NotFound for an unknown session or one without a call, Damaged as the archive."""
    records = list(archive.session_records(session))
    found = gather(iter(records))
    closed = _closed(records)
    turns = _turns(found)
    recorded = tuple(_recorded(archive, n, exchange, turns, closed) for n, exchange in enumerate(found.values()))
    if not any(one.cls == "model" for one in recorded):
        raise NotFound(
            f"session {session.short()} has no model call that could be played",
            hint=f"what it has: tapes show {session.short()}",
        )
    opened = archive.record(session)
    there = places(opened)
    doubts = [*_doubts(records, found.values())]
    if "cwd" not in there:
        doubts.append("it does not tell where its agent worked: paths in its answers stay what they were")
    return Loaded(session, recorded, there, tuple(doubts))


def places(opened: Record) -> dict[str, str]:
    """The directories of a session, by its `session.open`."""
    home = next((value for name, value in opened.body.get("environment", ()) if name == b"HOME"), b"")
    told = {"cwd": os.fsdecode(opened.body["cwd"]), "home": os.fsdecode(home)}
    return {name: path for name, path in told.items() if path.startswith("/") and "[REDACTED:" not in path}


def _doubts(records: Iterable[tuple[Digest, Record]], exchanges: Iterable[Exchange]) -> Iterator[str]:
    markers: Counter[str] = Counter()
    lost = []
    for one in exchanges:
        told = one.end.body.get("redactions", ()) if one.end else ()
        markers.update(rule for where, _, length, rule in told if where == "body" and length)
        if one.outcome in ("capture_lost", "open"):
            lost.append(one.hash.short())
    if markers:
        named = ", ".join(f"{rule} ({n})" for rule, n in sorted(markers.items()))
        yield f"its answers hold {markers.total()} markers in place of secrets, which stay markers: {named}"
    if withheld := sum(record.type == WITHHELD for _, record in records):
        yield f"{withheld} of its records are withheld, and no call of theirs can be answered"
    if lost:
        some = "an exchange was" if len(lost) == 1 else f"{len(lost)} exchanges were"
        yield f"{some} not recorded to the end, and will break off where the recording does: {', '.join(lost)}"


def _turns(exchanges: Mapping[Digest, Exchange]) -> dict[Digest, list[Digest]]:
    """By handshake, the turns on its WebSocket."""
    found: dict[Digest, list[Digest]] = {}
    for digest, one in exchanges.items():
        if one.body.get("http") == "websocket" and one.opened.parents:
            found.setdefault(one.opened.parents[0], []).append(digest)
    return found


def _closed(records: Iterable[tuple[Digest, Record]]) -> dict[Digest, int]:
    """By handshake, the code with which the *provider* closed it."""
    return {
        record.parents[0]: int(record.body.get("code", BROKEN))
        for _, record in records
        if record.type == "connection" and record.body["event"] == "closed" and record.body.get("by") == "provider"
    }


def _recorded(
    archive: Archive,
    number: int,
    exchange: Exchange,
    turns: Mapping[Digest, list[Digest]],
    closed: Mapping[Digest, int],
) -> Recorded:
    body = exchange.body
    is_turn = body.get("http") == "websocket"
    headers = {name.lower(): value for name, value in body["headers"]}
    is_handshake = not is_turn and headers.get(b"upgrade", b"").lower() == b"websocket"
    socket = exchange.opened.parents[0] if is_turn and exchange.opened.parents else None
    code = 0
    if socket is not None and turns[socket][-1] == exchange.hash:
        code = closed.get(socket, 0)
    kind: Kind = "turn" if is_turn else "handshake" if is_handshake else "http"

    def request() -> bytes:
        return archive.body(exchange.request) if exchange.request else b""

    return Recorded(
        name=exchange.hash.hex(),
        number=number,
        kind=kind,
        provider=body.get("provider", "raw"),
        cls=body["class"],
        method=body["method"],
        url=body["url"],
        hash=exchange.request.hash if exchange.request else None,
        request=request,
        answer=lambda: answer(archive, exchange, code),
        outcome=exchange.outcome,
        socket=socket.hex() if socket is not None else "",
    )


def answer(archive: Archive, exchange: Exchange, code: int = 0) -> Answer:
    """What was answered. Raises Withheld, Damaged and NotFound as the archive does."""
    end = exchange.end.body if exchange.end else {}
    head = end if "headers" in end or not exchange.parts else exchange.parts[0][1].body
    headers = tuple((name, value) for name, value in head.get("headers", ()) if name.lower() not in OF_THE_WIRE)
    sized = any(name.lower() == b"content-length" for name, _ in head.get("headers", ()))
    if exchange.response is not None:
        body = archive.body(exchange.response)
    elif exchange.end is None:
        body = b"".join(archive.tail(digest) or b"" for digest, _ in exchange.parts)
    else:
        body = b""
    times = [t for _, part in exchange.parts for t in part.body["times"]] + list(end.get("times", ()))
    arrivals = list(zip(times[::2], times[1::2], strict=False))
    if exchange.body.get("http") == "websocket":
        pieces = _messages(body, end.get("messages"), frozenset(end.get("binary", ())), arrivals)
    else:
        pieces = _pieces(body, arrivals)
    total = int(end.get("duration_us", 0)) - sum(piece.after_us for piece in pieces)
    return Answer(
        status=exchange.status,
        reason=str(head.get("reason", "")),
        headers=headers,
        pieces=tuple(pieces),
        end=_end(exchange),
        after_us=max(0, total),
        sized=sized,
        code=code,
    )


def _end(exchange: Exchange) -> End:
    ended = exchange.end.body.get("ended", "") if exchange.end else "capture_lost"
    if exchange.outcome == "aborted":
        return "held"
    return "cut" if ended in ("upstream_error", "capture_lost") and exchange.outcome != "complete" else "whole"


def _pieces(body: bytes, arrivals: Iterable[tuple[int, int]]) -> list[Piece]:
    """The body as it arrived; what no time is known of comes with the last piece."""
    found: list[Piece] = []
    at = waited = 0
    for size, after_us in arrivals:
        waited += after_us
        if size and at < len(body):
            found.append(Piece(waited, body[at : at + size]))
            at += size
            waited = 0
    if at < len(body):
        found.append(Piece(waited, body[at:]))
    return found


def _messages(
    body: bytes, sizes: list[int] | None, binary: frozenset[int], arrivals: list[tuple[int, int]]
) -> list[Piece]:
    """The messages, each when it came. There is one arrival for each; where redaction has changed their number, a
    message comes when its last byte was released."""
    parts = split(body, sizes) if body else []
    if len(parts) == len(arrivals):
        pairs = zip(parts, arrivals, strict=True)
        return [Piece(after_us, data, n not in binary) for n, (data, (_, after_us)) in enumerate(pairs)]
    moments: list[tuple[int, int]] = []
    at = waited = 0
    for size, after_us in arrivals:
        at, waited = at + size, waited + after_us
        moments.append((at, waited))
    found: list[Piece] = []
    end = told = 0
    for n, data in enumerate(parts):
        end += len(data) + (n > 0)
        when = next((moment for reached, moment in moments if reached >= end), moments[-1][1] if moments else 0)
        found.append(Piece(max(0, when - told), data, n not in binary))
        told = max(told, when)
    return found
