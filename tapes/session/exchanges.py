"""The exchanges of a session: each request with how it ended, whose thread it is, and what it repeated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tapes.archive.base import Archive
from tapes.record.digest import Digest
from tapes.record.kinds import BodyRef, Record
from tapes.session.rows import header_map
from tapes.values import dataclass, field
from tapes.wire import agents
from tapes.wire.agents.base import Agent, Identity

if TYPE_CHECKING:
    from tapes.wire.dialects.base import Dialect

FAILED = frozenset({"partial", "error_event", "http_error", "no_response", "aborted", "capture_lost"})


@dataclass(slots=True)
class Exchange:
    """One exchange as its records tell it. `end` is None while it is open."""

    hash: Digest
    opened: Record
    thread: str
    agent_session: str
    identity: Identity = field(default_factory=Identity)
    end_hash: Digest | None = None
    end: Record | None = None
    parts: list[tuple[Digest, Record]] = field(default_factory=list)
    retry_of: Digest | None = None
    """An earlier exchange of the session that failed with the very same request, or with one that says the same."""

    @property
    def request(self) -> BodyRef | None:
        return BodyRef.match(self.opened.body["request"])

    @property
    def response(self) -> BodyRef | None:
        return BodyRef.match(self.end.body["response"]) if self.end else None

    @property
    def outcome(self) -> str:
        return str(self.end.body["outcome"]) if self.end else "open"

    @property
    def status(self) -> int | None:
        if self.end:
            return self.end.body["status"]  # type: ignore[no-any-return]
        return next((part.body["status"] for _, part in self.parts if "status" in part.body), None)

    @property
    def first_byte_us(self) -> int | None:
        """Microseconds from the request's start to the first byte of the body; None where nothing came."""
        times = [t for _, part in self.parts for t in part.body["times"]]
        times += list(self.end.body.get("times", ())) if self.end else []
        return int(times[1]) if times else None

    @property
    def duration_us(self) -> int | None:
        return self.end.body.get("duration_us") if self.end else None

    @property
    def body(self) -> Mapping[str, Any]:
        return self.opened.body

    @property
    def dialect(self) -> Dialect:
        """What reads its bodies."""
        from tapes.wire import dialects  # 40 ms that whoever reads no body need not wait

        return dialects.choose_for(self.body.get("provider", ""), self.body["method"], self.body["url"])

    @property
    def content_type(self) -> str:
        if self.body.get("http") == "websocket":
            return "application/x-ndjson"  # the form that messages have when they are joined
        head = self.end.body if self.end else self.parts[0][1].body if self.parts else {}
        return header_map(head.get("headers", ())).get("content-type", "")


def exchanges(archive: Archive, session: Digest) -> Iterator[Exchange]:
    """In the order they were opened, each once, complete with its end."""
    yield from gather(archive.session_records(session)).values()


def gather(records: Iterable[tuple[Digest, Record]]) -> dict[Digest, Exchange]:
    """Exchanges by the hash of their `exchange.open`."""
    return Gathering().take(records)


class Gathering:
    """Gathers the exchanges of a session that grows."""

    def __init__(self) -> None:
        self._found: dict[Digest, Exchange] = {}
        self._failed: dict[Digest, Digest] = {}
        self._agent = agents.by_name("")

    def take(self, records: Iterable[tuple[Digest, Record]]) -> dict[Digest, Exchange]:
        """All exchanges so far, with these further records; values of their own each time, as others write to them."""
        self._gather(records)
        return {digest: replace(one, parts=[*one.parts]) for digest, one in self._found.items()}

    def _gather(self, records: Iterable[tuple[Digest, Record]]) -> None:
        found, failed = self._found, self._failed
        for digest, record in records:
            if record.type == "session.open":
                self._agent = agents.by_name(record.body["agent"])
            elif record.type == "exchange.open":
                # A WebSocket turn has no headers of its own, but those of its handshake.
                handshake = next((found[parent].opened for parent in record.parents if parent in found), record)
                identity = _identity(self._agent, header_map(handshake.body["headers"]))
                exchange = Exchange(digest, record, identity.thread or "main", identity.session, identity)
                if exchange.request is not None:
                    exchange.retry_of = failed.get(exchange.request.hash)
                found[digest] = exchange
            elif record.type in ("exchange.part", "exchange.end") and record.parents[0] in found:
                exchange = found[record.parents[0]]
                if record.type == "exchange.part":
                    exchange.parts.append((digest, record))
                    continue
                exchange.end, exchange.end_hash = record, digest
                if exchange.request is not None and exchange.outcome in FAILED:
                    failed[exchange.request.hash] = digest_of_first(failed, exchange)


def _identity(agent: Agent, headers: Mapping[str, str]) -> Identity:
    """Whom a request belongs to: the session's agent says it, or one that runs within that."""
    found = agent.identity(headers)
    return found if found.session or found.thread else agents.speaking(headers).identity(headers)


def digest_of_first(failed: Mapping[Digest, Digest], exchange: Exchange) -> Digest:
    """Retries of retries all name the first attempt."""
    assert exchange.request is not None
    return failed.get(exchange.request.hash, exchange.hash)
