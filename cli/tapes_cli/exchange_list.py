"""`tapes show --exchanges` and `--egress`: a session's model calls with what each took, and the hosts it spoke to past
us."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import Any

from tapes.archive.base import Archive
from tapes.record.digest import Digest
from tapes.session import prices
from tapes.session.exchanges import Exchange
from tapes.session.facts import Priced
from tapes.session.threads import Place
from tapes.session.usage import Call, call_of, retried
from tapes.session.view import View, view
from tapes_cli import output
from tapes_cli.story import label

WIDE = 140
"""Columns from which on all columns are shown."""
LEAST = ("method", "class", "request", "response", "took", "up", "down", "started")
LONGEST = 24
"""Columns for a thread's name, and for what went wrong with a connection."""


def model_calls(archive: Archive, found: View) -> dict[Digest, Priced]:
    """By the hash of their exchange."""
    exchanges = found.calls.exchanges
    again = retried(list(exchanges.values()))
    calls = {
        digest: call_of(archive, exchange, found.calls, retried=digest in again)
        for digest, exchange in exchanges.items()
        if exchange.body["class"] == "model"
    }
    return {digest: Priced(call, _price(call)) for digest, call in calls.items()}


def _price(call: Call) -> Decimal | None:
    return prices.price(call.tokens, call.model, call.url, call.wall_ns) if call.tokens else None


def show_exchanges(archive: Archive, session: Digest, as_json: bool) -> None:
    found = view(archive, session)
    calls = model_calls(archive, found)
    if as_json:
        for digest, exchange in found.calls.exchanges.items():
            output.show_json(exchange_object(exchange) | call_object(calls.get(digest), found.places.get(digest)))
        return
    head = ("hash", "method", "url", "class", "status", "outcome", "request", "response", "tokens", "took", "thread")
    shown = [n for n, name in enumerate(head) if output.width() >= WIDE or name not in LEAST]
    names = {thread.id: label(thread) for thread in found.threads.values()}
    cells = [exchange_cells(e, calls.get(d), names.get(e.thread, e.thread)) for d, e in found.calls.exchanges.items()]
    rows = [tuple(row[n] for n in shown) for row in cells]
    output.page(output.table(rows, [head[n] for n in shown], stretch=shown.index(2)))


def call_object(one: Priced | None, place: Place | None) -> dict[str, Any]:
    """What only a model call has; `cost` is text, as it is exact."""
    call = one.call if one else None
    return {
        "model": call.model if call else None,
        "purpose": place.purpose if place else None,
        "usage": asdict(call.tokens) if call and call.tokens else None,
        "usage_whole": call.whole if call and call.tokens else None,
        "warm_up": call.warm_up if call else None,
        "cost": str(one.cost) if one and one.cost is not None else None,
        "ttft_us": call.first_content_us if call else None,
    }


def tokens(one: Priced | None) -> str:
    counted = one.call.tokens if one else None
    return f"{output.count(counted.given)}→{output.count(counted.output)}" if counted else "-"


def exchange_cells(e: Exchange, one: Priced | None, thread: str) -> tuple[str, ...]:
    retry = " (retry)" if e.retry_of else ""
    return (
        e.hash.short(8),
        str(e.body["method"]),
        str(e.body["url"]).partition("://")[2],
        str(e.body["class"]),
        str(e.status or "-"),
        e.outcome + retry,
        output.size(e.request.length if e.request else 0),
        output.size(e.response.length if e.response else 0),
        tokens(one),
        output.duration((e.duration_us or 0) * 1000),
        output.fit(output.harmless(thread), LONGEST),
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
            output.fit(output.harmless(str(r.body.get("error", ""))), LONGEST),
        )
        for digest, r in found
    ]
    head = ("hash", "host", "how", "up", "down", "started", "length", "error")
    shown = [n for n, name in enumerate(head) if output.width() >= WIDE or name not in LEAST]
    rows = [tuple(row[n] for n in shown) for row in cells]
    output.page(output.table(rows, [head[n] for n in shown], stretch=1))
