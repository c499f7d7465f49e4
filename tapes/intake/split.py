"""Happenings of one session into drafts of records and the objects they name. No disk, no thread, no clock of its own.

Everything that will be stored passes here exactly once, and in this order: undo the content-encoding, redact, cut.
So each hash, length and offset in a record is that of decoded and redacted bytes. The wire's own length and hash are
noted where nothing was redacted; they would otherwise say something about the secret.

Only the writer's thread touches a `Splitter`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tapes.archive.base import Batch, Draft
from tapes.archive.cut import cut_once
from tapes.intake.lanes import Lanes
from tapes.intake.sockets import LINES, Aside, Socket, lengths
from tapes.record.digest import Digest, blob_digest
from tapes.wire import encoding, outcome
from tapes.wire.exchange import (
    Answered,
    Arrived,
    Egress,
    Finished,
    Happening,
    Headers,
    Moment,
    Opened,
    PassedBy,
    SocketClosed,
    SocketGap,
    SocketMessage,
)
from tapes.wire.redact import Redactor, Span, StreamRedactor

PART_BYTES = 256 * 1024
PART_AGE_NS = 500_000_000
"""A part is written when this much has gathered or its oldest byte is this old: with the commit, under 1 s."""

HEAD_BYTES = 4096

HeaderList = list[list[bytes]]


def header(headers: Headers, name: bytes) -> str:
    """All values of a header joined as RFC 9110 §5.3 allows; empty when absent."""
    return ", ".join(v.decode("latin-1") for k, v in headers if k.lower() == name)


def text(value: str) -> str:
    """A string that can be stored: bytes that were no UTF-8 on the wire stand as \\xNN."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


@dataclass(slots=True)
class Written:
    """An exchange record whose bytes are about to be safe, with what a reader needs to make tool events of it."""

    draft: Draft
    opened: Opened
    body: bytes
    """Decoded and redacted."""
    status: int | None = None
    content_type: str = ""
    is_end: bool = False


@dataclass(slots=True)
class _Live:
    """An exchange that has begun and not ended."""

    opened: Opened
    draft: Draft
    head: Answered | None = None
    decoder: encoding.StreamDecoder | None = None
    redactor: StreamRedactor | None = None
    wire: bytearray = field(default_factory=bytearray)
    body: bytearray = field(default_factory=bytearray)
    emitted: int = 0
    """How much of `body` stands in parts."""
    times: list[int] = field(default_factory=list)
    """Pairs: bytes of body this arrival released, microseconds since the arrival before (or the request)."""
    last_ns: int = 0
    oldest_ns: int = 0
    parts: list[Draft] = field(default_factory=list)
    spans_written: int = 0
    """How many of the body's redactions stand in parts."""
    feeds: list[int] = field(default_factory=list)
    """Of a WebSocket turn: the line feeds inside each message that has arrived."""
    held: bytes = b""
    """The line feed behind the last message: it stays out until another message follows."""

    @property
    def is_turn(self) -> bool:
        return bool(self.opened.within)


@dataclass(slots=True)
class _Connection:
    """A WebSocket, with the messages outside of its turns that no record has yet."""

    socket: Socket
    draft: Draft
    """The handshake's `exchange.open`."""
    asides: list[SocketMessage] = field(default_factory=list)
    aside_bytes: int = 0


class Splitter:
    """Turns the happenings of one session into batches; `batch` and `written` are taken by the writer."""

    def __init__(self, session: Digest | Draft, redactor: Redactor) -> None:
        self.session = session
        self.redactor = redactor
        self.batch = Batch()
        self.written: list[Written] = []
        self.passed_by: dict[str, int] = {}
        self._live: dict[str, _Live] = {}
        self._connections: dict[str, _Connection] = {}
        self._lanes = Lanes(redactor)

    def forget(self) -> None:
        """A batch was lost: what later bodies share with it must be given to the archive again."""
        self._lanes.forget()

    @property
    def live(self) -> bool:
        """Is there something that falls due by time?"""
        return bool(self._live) or any(connection.asides for connection in self._connections.values())

    @property
    def busy(self) -> bool:
        """Has an exchange begun and not ended, or a WebSocket?"""
        return bool(self._live or self._connections)

    def take(self, happening: Happening | Aside) -> None:
        """Take one happening in. Those of an exchange MUST come in order; strangers' pieces are ignored."""
        match happening:
            case Opened():
                self._open(happening)
            case Answered():
                self._answer(happening)
            case Arrived():
                self._arrive(happening)
            case Finished():
                self._finish(happening)
            case SocketMessage() | SocketGap() | SocketClosed():
                self._socket(happening)
            case Aside():
                self._aside(happening)
            case Egress():
                self._egress(happening)
            case PassedBy():
                where = f"{happening.method} {happening.host}{happening.path.split('?')[0]}"
                where = self._clean(where, "passed_by", [])
                self.passed_by[where] = self.passed_by.get(where, 0) + 1

    def take_batch(self) -> tuple[Batch, list[Written]]:
        """What has gathered, for one commit; the splitter starts a new batch."""
        batch, written = self.batch, self.written
        self.batch, self.written = Batch(), []
        return batch, written

    def write_parts(self, now_ns: int) -> None:
        """Draft parts for every live response that has waited long enough (`now_ns`: monotonic)."""
        for live in self._live.values():
            if len(live.body) > live.emitted and now_ns - live.oldest_ns >= PART_AGE_NS:
                self._part(live)
        for connection in self._connections.values():
            if connection.asides and now_ns - connection.asides[0].at.mono_ns >= PART_AGE_NS:
                self._write_asides(connection)

    def end_live(self, at: Moment) -> None:
        """The run is over: whatever has no end gets one, as if the agent had hung up."""
        for key in list(self._connections):
            self._socket(SocketClosed(key, at, by_agent=True, code=1006, reason="the agent exited"))
        for key in list(self._live):
            self._finish(Finished(key, at, "client_gone", "the agent exited"))

    def draft(self, type_: str, at: Moment, body: dict[str, object], parents: Sequence[Digest | Draft] = ()) -> Draft:
        """Add a record to the batch."""
        draft = Draft(
            type=type_,
            body=body,
            session=self.session,
            parents=tuple(parents),
            wall_ns=at.wall_ns,
            mono_ns=at.mono_ns,
        )
        self.batch.drafts.append(draft)
        return draft

    # -- requests

    def _open(self, opened: Opened) -> None:
        headers, spans = self._headers(opened.headers)
        url = self._url("url", opened.url, spans)
        coding = header(opened.headers, b"content-encoding")
        decoded = encoding.decode(coding, opened.body)
        body: dict[str, object] = {
            "method": text(opened.method),
            "url": url,
            "class": opened.cls,
            "provider": opened.provider,
            "http": opened.http,
            "headers": headers,
            "connection": opened.connection,
            "route": opened.route,
            "request": None,
        }
        stored = b""
        if opened.body:
            stored, reference, body_spans = self._lanes.store(decoded.data, self.batch.objects)
            if decoded.failed and not body_spans:
                # Only the wire's bytes are the whole story; but not where what could be read held a secret.
                stored, reference, body_spans = self._lanes.store(opened.body, self.batch.objects)
            body["request"] = reference.to_value()
            spans += body_spans
            body |= _wire_facts(coding, opened.body, bool(body_spans), decoded.error)
        if opened.sent_to:
            body["sent_to"] = self._url("sent_to", opened.sent_to, spans)
        if opened.trailers:
            body["trailers"], trailer_spans = self._headers(opened.trailers)
            spans += trailer_spans
        if spans:
            body["redactions"] = spans
        within = self._connections.get(opened.within)
        draft = self.draft("exchange.open", opened.at, body, [within.draft] if within else [])
        self._live[opened.key] = _Live(opened, draft, last_ns=opened.at.mono_ns)
        self.written.append(Written(draft, opened, stored))

    # -- responses

    def _answer(self, head: Answered) -> None:
        live = self._live.get(head.key)
        if live is None:
            return
        content_type = header(head.headers, b"content-type")
        live.head = head
        live.decoder = encoding.StreamDecoder(header(head.headers, b"content-encoding"))
        live.redactor = StreamRedactor(
            self.redactor, sse="event-stream" in content_type, lines=live.is_turn or "ndjson" in content_type
        )
        if head.status == 101 and not live.is_turn:
            self._connections[head.key] = _Connection(Socket(live.opened), live.draft)

    def _arrive(self, piece: Arrived) -> None:
        live = self._live.get(piece.key)
        if live is None or live.decoder is None or live.redactor is None:
            return
        if live.is_turn:
            released = self._message(live, live.redactor, piece.data)
        else:
            live.wire += piece.data
            released = live.redactor.feed(live.decoder.feed(piece.data))
        if len(live.body) == live.emitted:
            live.oldest_ns = piece.mono_ns
        live.body += released
        live.times += (len(released), max(0, (piece.mono_ns - live.last_ns) // 1000))
        live.last_ns = piece.mono_ns
        if len(live.body) - live.emitted >= PART_BYTES:
            self._part(live)

    @staticmethod
    def _message(live: _Live, redactor: StreamRedactor, data: bytes) -> bytes:
        """What a message of a turn releases: the redactor gives out whole lines, the body has line feeds between."""
        live.feeds.append(data.count(b"\n"))
        released = live.held + redactor.feed(data + b"\n")
        live.held = b"\n" if released.endswith(b"\n") else b""
        return released.removesuffix(b"\n")

    def _part(self, live: _Live) -> None:
        data = bytes(live.body[live.emitted :])
        body: dict[str, object] = {
            "n": len(live.parts),
            "offset": live.emitted,
            "length": len(data),
            "data": blob_digest(data),
            "times": live.times,
        }
        spans: list[list[object]] = []
        if live.head is not None and not live.parts:
            body |= self._head(live.head, spans)
        if live.redactor is not None:
            spans += _body_spans(live.redactor.spans[live.spans_written :])
            live.spans_written = len(live.redactor.spans)
        if spans:
            body["redactions"] = spans
        part = self.draft("exchange.part", Moment.now(), body, [live.draft])
        self.batch.tails[part] = data
        live.parts.append(part)
        live.emitted, live.times = len(live.body), []

    def _finish(self, end: Finished) -> None:
        live = self._live.pop(end.key, None)
        if live is None:
            return
        spans: list[list[object]] = []
        body: dict[str, object] = {"ended": end.ended, "response": None, "status": None}
        stored = b""
        if live.head is not None:
            body |= self._head(live.head, spans)
            stored = self._rest(live, body, spans)
        if stored:
            cut = cut_once(stored)
            self.batch.objects.update(cut.objects)
            body["response"] = cut.ref.to_value()
        if end.error:
            body["error"] = self._clean(end.error, "error", spans)
        if end.trailers:
            body["trailers"], trailer_spans = self._headers(end.trailers)
            spans += trailer_spans
        content_type = LINES if live.is_turn else header(live.head.headers, b"content-type") if live.head else ""
        sizes = lengths(stored, live.feeds) if live.feeds else None
        if sizes is not None:
            body["messages"] = sizes
        body["outcome"] = outcome.judge(
            provider=live.opened.provider,
            cls=live.opened.cls,
            status=live.head.status if live.head else None,
            content_type=content_type,
            head=stored[:HEAD_BYTES],
            tail=stored,
            ended=end.ended,
            framing_complete=end.ended == "eof",
        )
        body["times"] = live.times
        body["duration_us"] = max(0, (end.at.mono_ns - live.opened.at.mono_ns) // 1000)
        if live.head is not None:
            body["headers_us"] = max(0, (live.head.at.mono_ns - live.opened.at.mono_ns) // 1000)
        if spans:
            body["redactions"] = spans
        self.batch.drop_tails += live.parts
        draft = self.draft("exchange.end", end.at, body, [live.draft])
        status = live.head.status if live.head else None
        self.written.append(Written(draft, live.opened, stored, status, content_type, is_end=True))

    def _rest(self, live: _Live, body: dict[str, object], spans: list[list[object]]) -> bytes:
        """Finish decoding and redacting; the whole stored body."""
        assert live.head and live.decoder and live.redactor
        before = len(live.body)
        last = live.redactor.feed(live.decoder.finish()) + live.redactor.finish()
        live.body += (live.held + last).removesuffix(b"\n") if live.is_turn else last
        spans_now = live.redactor.spans
        if live.decoder.failed and not live.parts and not spans_now:
            # As for requests; and what stands in parts already is the beginning of the body for good.
            plain = self.redactor.redact(bytes(live.wire))
            live.body, spans_now = bytearray(plain.data), plain.spans
            before = len(live.body)
            live.times = [len(live.body), max(0, (live.last_ns - live.opened.at.mono_ns) // 1000)]
        if len(live.body) > before:
            live.times += (len(live.body) - before, 0)
        spans += _body_spans(spans_now)
        coding = header(live.head.headers, b"content-encoding")
        body |= _wire_facts(coding, live.wire, bool(spans_now), live.decoder.error)
        return bytes(live.body)

    def _head(self, head: Answered, spans: list[list[object]]) -> dict[str, object]:
        headers, header_spans = self._headers(head.headers)
        spans += header_spans
        return {"status": head.status, "reason": text(head.reason), "http": head.http, "headers": headers}

    # -- WebSockets

    def _socket(self, happening: SocketMessage | SocketGap | SocketClosed) -> None:
        connection = self._connections.get(happening.key)
        if connection is None:
            return
        match happening:
            case SocketMessage():
                told = connection.socket.take(happening)
            case SocketGap():
                told = connection.socket.hole(happening)
            case SocketClosed():
                told = connection.socket.close(happening)
        for item in told:
            self.take(item)
        if isinstance(happening, SocketClosed):
            self._close_socket(connection, happening)

    def _close_socket(self, connection: _Connection, closed: SocketClosed) -> None:
        self._write_asides(connection)
        del self._connections[closed.key]
        spans: list[list[object]] = []
        body: dict[str, object] = {
            "event": "closed",
            "by": "agent" if closed.by_agent else "provider",
            "code": closed.code,
            "reason": self._clean(closed.reason, "reason", spans),
            "turns": connection.socket.begun,
            "messages": connection.socket.messages,
        }
        if spans:
            body["redactions"] = spans
        self.draft("connection", closed.at, body, [connection.draft])

    def _aside(self, aside: Aside) -> None:
        connection = self._connections[aside.key]
        connection.asides.append(aside.message)
        connection.aside_bytes += len(aside.message.data)
        if connection.aside_bytes >= PART_BYTES:
            self._write_asides(connection)

    def _write_asides(self, connection: _Connection) -> None:
        messages, connection.asides, connection.aside_bytes = connection.asides, [], 0
        if not messages:
            return
        stream = StreamRedactor(self.redactor, sse=False, lines=True)
        joined = b"".join(stream.feed(message.data + b"\n") for message in messages) + stream.finish()
        stored = joined.removesuffix(b"\n")
        cut = cut_once(stored)
        self.batch.objects.update(cut.objects)
        body: dict[str, object] = {
            "event": "messages",
            "data": cut.ref.to_value(),
            "from": ["agent" if message.from_agent else "provider" for message in messages],
            "kinds": ["text" if message.is_text else "binary" for message in messages],
            "times": [max(0, (m.at.mono_ns - messages[0].at.mono_ns) // 1000) for m in messages],
        }
        sizes = lengths(stored, [message.data.count(b"\n") for message in messages])
        if sizes is not None:
            body["messages"] = sizes
        if stream.spans:
            body["redactions"] = _body_spans(stream.spans)
        self.draft("connection", messages[0].at, body, [connection.draft])

    # -- the rest

    def _clean(self, value: str, where: str, spans: list[list[object]]) -> str:
        redacted = self.redactor.redact(value.encode("utf-8", "surrogateescape"))
        spans += [[where, span.offset, span.length, span.rule] for span in redacted.spans]
        return redacted.data.decode("utf-8", "backslashreplace")

    def _url(self, where: str, value: str, spans: list[list[object]]) -> str:
        url, found = self.redactor.url(value)
        spans += [[where, span.offset, span.length, span.rule] for span in found]
        return text(url)

    def _headers(self, headers: Headers) -> tuple[HeaderList, list[list[object]]]:
        clean, spans = self.redactor.headers(list(headers))
        return [[k, v] for k, v in clean], [[f"header:{name}", 0, 0, rule] for _, name, rule in spans]

    def _egress(self, seen: Egress) -> None:
        body: dict[str, object] = {
            "host": text(seen.host),
            "port": seen.port,
            "how": seen.how,
            "bytes_up": seen.bytes_up,
            "bytes_down": seen.bytes_down,
            "started_ns": seen.started_ns,
        }
        if seen.error:
            body["error"] = self._clean(seen.error, "error", [])
        self.draft("egress", seen.at, body)


def _wire_facts(coding: str, wire: bytes | bytearray, redacted: bool, error: str | None) -> dict[str, object]:
    """What the record says of bytes that were encoded on the wire."""
    facts: dict[str, object] = {}
    if coding and coding != "identity":
        facts["encoding"] = coding
        if not redacted:
            facts["wire_length"] = len(wire)
            facts["wire_hash"] = blob_digest(bytes(wire))
    if error:
        facts["decode_error"] = error
    return facts


def _body_spans(spans: Sequence[Span]) -> list[list[object]]:
    return [["body", span.offset, span.length, span.rule] for span in spans]
