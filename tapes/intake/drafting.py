"""Drafts of one session's records, and what goes into them clean.

Everything that will be stored passes a method here, and so the redactor. Each of them adds what it replaced to the
`spans` it is given, as [where, offset, length, rule].
"""

from __future__ import annotations

from collections.abc import Sequence

from tapes.archive.base import Batch, Draft
from tapes.archive.cut import cut_once
from tapes.record.digest import Digest, blob_digest
from tapes.wire.exchange import Headers, Moment
from tapes.wire.redact import Redactor, Span

Spans = list[list[object]]


class Drafting:
    """The batch being gathered. Only the writer's thread touches it."""

    def __init__(self, session: Digest | Draft, redactor: Redactor) -> None:
        self.session = session
        self.redactor = redactor
        self.batch = Batch()

    def draft(self, type_: str, at: Moment, body: dict[str, object], parents: Sequence[Digest | Draft] = ()) -> Draft:
        """Add a record to the batch."""
        draft = self.unplaced(type_, at, body, parents)
        self.batch.drafts.append(draft)
        return draft

    def unplaced(
        self, type_: str, at: Moment, body: dict[str, object], parents: Sequence[Digest | Draft] = ()
    ) -> Draft:
        """A record that is in no batch yet."""
        return Draft(
            type=type_,
            body=body,
            session=self.session,
            parents=tuple(parents),
            wall_ns=at.wall_ns,
            mono_ns=at.mono_ns,
        )

    def stored(self, redacted: bytes) -> dict[str, object]:
        """The reference to a body that has been redacted; its pieces go with the batch."""
        cut = cut_once(redacted)
        self.batch.objects.update(cut.objects)
        return cut.ref.to_value()

    def clean_bytes(self, value: bytes, where: str, spans: Spans) -> bytes:
        redacted = self.redactor.redact(value)
        spans += [[where, span.offset, span.length, span.rule] for span in redacted.spans]
        return redacted.data

    def clean(self, value: str, where: str, spans: Spans) -> str:
        redacted = self.redactor.redact(value.encode("utf-8", "surrogateescape"))
        spans += [[where, span.offset, span.length, span.rule] for span in redacted.spans]
        return redacted.data.decode("utf-8", "backslashreplace")

    def url(self, where: str, value: str, spans: Spans) -> str:
        url, found = self.redactor.url(value)
        spans += [[where, span.offset, span.length, span.rule] for span in found]
        return text(url)

    def headers(self, headers: Headers, spans: Spans) -> list[list[bytes]]:
        clean, found = self.redactor.headers(list(headers))
        spans += [[f"header:{name}", 0, 0, rule] for _, name, rule in found]
        return [[k, v] for k, v in clean]


def header(headers: Headers, name: bytes) -> str:
    """All values of a header joined as RFC 9110 §5.3 allows; empty when absent."""
    return ", ".join(v.decode("latin-1") for k, v in headers if k.lower() == name)


def text(value: str) -> str:
    """A string that can be stored: bytes that were no UTF-8 on the wire stand as \\xNN."""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def body_spans(spans: Sequence[Span]) -> Spans:
    return [["body", span.offset, span.length, span.rule] for span in spans]


def wire_facts(coding: str, wire: bytes | bytearray, redacted: bool, error: str | None) -> dict[str, object]:
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
