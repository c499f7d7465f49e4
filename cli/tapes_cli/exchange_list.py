"""`tapes show --exchanges` and `--egress`: a session's model calls, and the hosts it spoke to past us."""

from __future__ import annotations

from typing import Any

from tapes.archive.base import Archive
from tapes.record.digest import Digest
from tapes.session.exchanges import Exchange, exchanges
from tapes_cli import output


def show_exchanges(archive: Archive, session: Digest, as_json: bool) -> None:
    found = exchanges(archive, session)
    if as_json:
        for exchange in found:
            output.show_json(exchange_object(exchange))
        return
    head = ("hash", "method", "url", "class", "status", "outcome", "request", "response", "took", "thread")
    output.page(output.table([exchange_cells(e) for e in found], head, stretch=2))


def exchange_cells(e: Exchange) -> tuple[str, ...]:
    retry = " (retry)" if e.retry_of else ""
    return (
        e.hash.short(8),
        str(e.body["method"]),
        str(e.body["url"]),
        str(e.body["class"]),
        str(e.status or "-"),
        e.outcome + retry,
        output.size(e.request.length if e.request else 0),
        output.size(e.response.length if e.response else 0),
        output.duration((e.duration_us or 0) * 1000),
        e.thread[:8],
    )


def exchange_object(e: Exchange) -> dict[str, Any]:
    return {
        "hash": e.hash.hex(),
        "end_hash": e.end_hash.hex() if e.end_hash else None,
        "time": output.iso(e.opened.wall_ns),
        "method": e.body["method"],
        "url": e.body["url"],
        "sent_to": e.body.get("sent_to"),
        "route": e.body.get("route"),
        "provider": e.body.get("provider"),
        "status": e.status,
        "class": e.body["class"],
        "outcome": e.outcome,
        "error": e.end.body.get("error") if e.end else None,
        "request_bytes": e.request.length if e.request else 0,
        "response_bytes": e.response.length if e.response else 0,
        "request_hash": e.request.hash.hex() if e.request else None,
        "response_hash": e.response.hash.hex() if e.response else None,
        "request_encoding": e.body.get("encoding"),
        "response_encoding": e.end.body.get("encoding") if e.end else None,
        "first_byte_us": e.first_byte_us,
        "duration_us": e.duration_us,
        "redactions": len(e.body.get("redactions", ())) + (len(e.end.body.get("redactions", ())) if e.end else 0),
        "retry_of": e.retry_of.hex() if e.retry_of else None,
        "agent_session": e.agent_session or None,
        "thread": e.thread,
    }


def show_egress(archive: Archive, session: Digest, as_json: bool) -> None:
    found = [(d, r) for d, r in archive.session_records(session) if r.type == "egress"]
    if as_json:
        for digest, record in found:
            b = record.body
            output.show_json(
                {
                    "hash": digest.hex(),
                    "host": b["host"],
                    "port": b["port"],
                    "how": b["how"],
                    "bytes_up": b["bytes_up"],
                    "bytes_down": b["bytes_down"],
                    "started": output.iso(b["started_ns"]),
                    "ended": output.iso(record.wall_ns),
                    "error": b.get("error"),
                }
            )
        return
    cells = [
        (
            digest.short(8),
            f"{r.body['host']}:{r.body['port']}",
            str(r.body["how"]),
            output.size(r.body["bytes_up"]),
            output.size(r.body["bytes_down"]),
            output.wall(r.body["started_ns"]),
            output.duration(r.wall_ns - r.body["started_ns"]),
            str(r.body.get("error", "")),
        )
        for digest, r in found
    ]
    output.page(output.table(cells, ("hash", "host", "how", "up", "down", "started", "length", "error"), stretch=1))
