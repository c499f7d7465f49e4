"""An exchange that has begun and not ended: its response as it arrives, into parts and an end.

A part is committed while the answer is still arriving, so that a killed capture loses at most the last second; the end
names the whole body. The order is fixed: undo the content-encoding, redact, cut.
"""

from __future__ import annotations

from tapes.archive.base import Draft
from tapes.intake.drafting import Drafting, Spans, body_spans, header, text, wire_facts
from tapes.intake.sockets import LINES, lengths
from tapes.record.digest import blob_digest
from tapes.wire import encoding, outcome
from tapes.wire.exchange import Answered, Arrived, Finished, Moment, Opened
from tapes.wire.redact import StreamRedactor

PART_BYTES = 256 * 1024
PART_AGE_NS = 500_000_000
"""A part is written when this much has gathered or its oldest byte is this old: with the commit, under 1 s."""

HEAD_BYTES = 4096


class Answer:
    """One response. Only the writer's thread touches it."""

    def __init__(self, opened: Opened, draft: Draft, drafting: Drafting) -> None:
        self.opened = opened
        self.draft = draft
        """The `exchange.open`."""
        self.head: Answered | None = None
        self._drafting = drafting
        self._decoder = encoding.StreamDecoder("")
        self._redactor = StreamRedactor(drafting.redactor, sse=False)
        self._wire = bytearray()
        self._body = bytearray()
        self._emitted = 0  # how much of the body stands in parts
        self._times: list[int] = []
        self._last_ns = opened.at.mono_ns
        self._oldest_ns = 0
        self._parts: list[Draft] = []
        self._spans_written = 0  # how many of the body's redactions stand in parts
        self._feeds: list[int] = []
        self._binary: list[int] = []
        self._held = b""

    @property
    def is_turn(self) -> bool:
        """Is this a turn of a WebSocket? Then what arrives is whole messages."""
        return bool(self.opened.within)

    @property
    def content_type(self) -> str:
        return LINES if self.is_turn else header(self.head.headers, b"content-type") if self.head else ""

    def begin(self, head: Answered) -> None:
        """The status line and the headers."""
        self.head = head
        kind = self.content_type
        self._decoder = encoding.StreamDecoder(header(head.headers, b"content-encoding"))
        # Gemini's stream that is no event stream is an array with line feeds between its elements.
        array = "json" in kind and ":streamGenerateContent" in self.opened.url
        lines = self.is_turn or "ndjson" in kind or array
        self._redactor = StreamRedactor(self._drafting.redactor, sse="event-stream" in kind, lines=lines)

    def arrive(self, piece: Arrived) -> None:
        """A piece of the body."""
        if self.head is None:
            return
        if self.is_turn:
            released = self._message(piece)
        else:
            self._wire += piece.data
            released = self._redactor.feed(self._decoder.feed(piece.data))
        if len(self._body) == self._emitted:
            self._oldest_ns = piece.mono_ns
        self._body += released
        self._times += (len(released), max(0, (piece.mono_ns - self._last_ns) // 1000))
        self._last_ns = piece.mono_ns
        if len(self._body) - self._emitted >= PART_BYTES:
            self._part()

    def write_due(self, now_ns: int) -> None:
        """Draft a part when what has arrived has waited long enough (`now_ns`: monotonic)."""
        if len(self._body) > self._emitted and now_ns - self._oldest_ns >= PART_AGE_NS:
            self._part()

    def finish(self, end: Finished) -> tuple[Draft, bytes]:
        """Draft the `exchange.end`; it and the stored body."""
        drafting, spans = self._drafting, Spans()
        body: dict[str, object] = {"ended": end.ended, "response": None, "status": None}
        stored = b""
        if self.head is not None:
            body |= self._head(self.head, spans)
            stored = self._rest(self.head, body, spans)
        if stored:
            body["response"] = drafting.stored(stored)
        if end.error:
            body["error"] = drafting.clean(end.error, "error", spans)
        if end.trailers:
            body["trailers"] = drafting.headers(end.trailers, spans)
        sizes = lengths(stored, self._feeds) if self._feeds else None
        if sizes is not None:
            body["messages"] = sizes
        if self._binary:
            body["binary"] = self._binary
        body["outcome"] = outcome.judge(
            provider=self.opened.provider,
            cls=self.opened.cls,
            status=self.head.status if self.head else None,
            content_type=self.content_type,
            head=stored[:HEAD_BYTES],
            tail=stored,
            ended=end.ended,
            framing_complete=end.ended == "eof",
        )
        # Pairs: bytes of body that an arrival released, microseconds since the arrival before (or the request).
        body["times"] = self._times
        body["duration_us"] = max(0, (end.at.mono_ns - self.opened.at.mono_ns) // 1000)
        if self.head is not None:
            body["headers_us"] = max(0, (self.head.at.mono_ns - self.opened.at.mono_ns) // 1000)
        if spans:
            body["redactions"] = spans
        drafting.batch.drop_tails += self._parts
        return drafting.draft("exchange.end", end.at, body, [self.draft]), stored

    def _message(self, message: Arrived) -> bytes:
        """What a message of a turn releases: the redactor gives out whole lines, the body has line feeds between."""
        if not message.is_text:
            self._binary.append(len(self._feeds))
        self._feeds.append(message.data.count(b"\n"))
        released = self._held + self._redactor.feed(message.data + b"\n")
        self._held = b"\n" if released.endswith(b"\n") else b""
        return released.removesuffix(b"\n")

    def _part(self) -> None:
        data = bytes(self._body[self._emitted :])
        body: dict[str, object] = {
            "n": len(self._parts),
            "offset": self._emitted,
            "length": len(data),
            "data": blob_digest(data),
            "times": self._times,
        }
        spans = Spans()
        if self.head is not None and not self._parts:
            body |= self._head(self.head, spans)
        spans += body_spans(self._redactor.spans[self._spans_written :])
        self._spans_written = len(self._redactor.spans)
        if spans:
            body["redactions"] = spans
        part = self._drafting.draft("exchange.part", Moment.now(), body, [self.draft])
        self._drafting.batch.tails[part] = data
        self._parts.append(part)
        self._emitted, self._times = len(self._body), []

    def _rest(self, head: Answered, body: dict[str, object], spans: Spans) -> bytes:
        """Finish decoding and redacting; the whole stored body."""
        before = len(self._body)
        last = self._redactor.feed(self._decoder.finish()) + self._redactor.finish()
        self._body += (self._held + last).removesuffix(b"\n") if self.is_turn else last
        spans_now = self._redactor.spans
        if self._decoder.failed and not self._parts and not spans_now:
            # As for requests; and what stands in parts already is the beginning of the body for good.
            plain = self._drafting.redactor.redact(bytes(self._wire))
            self._body, spans_now = bytearray(plain.data), plain.spans
            before = len(self._body)
            self._times = [len(self._body), max(0, (self._last_ns - self.opened.at.mono_ns) // 1000)]
        if len(self._body) > before:
            self._times += (len(self._body) - before, 0)
        spans += body_spans(spans_now)
        coding = header(head.headers, b"content-encoding")
        body |= wire_facts(coding, self._wire, bool(spans_now), self._decoder.error)
        return bytes(self._body)

    def _head(self, head: Answered, spans: Spans) -> dict[str, object]:
        headers = self._drafting.headers(head.headers, spans)
        return {"status": head.status, "reason": text(head.reason), "http": head.http, "headers": headers}
