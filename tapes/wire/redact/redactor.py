"""The redactor: everything it knows, and the whole bodies, headers and URLs it goes over."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence

from tapes.values import dataclass
from tapes.wire.markers import marker, rule_label
from tapes.wire.redact import credentials
from tapes.wire.redact.common import common_blocks
from tapes.wire.redact.horizon import horizon
from tapes.wire.redact.literals import strict_lines
from tapes.wire.redact.scan import RULES, vendor_keys
from tapes.wire.redact.shapes import LOOKBACK, Hit, Redacted, Span
from tapes.wire.redact.values import SHORTEST, Exact, exact_values
from tapes.wire.redact.weave import Cut, cuts, weave

_LEARNED_MOST = 64
_SLICE = 256 * 1024
_HITS_MOST = 4096
"""A body with more secrets than this is made of them, and is scanned anew."""
_LINES_MOST, _LINE_BYTES = 512, 1024
"""Header lines remembered as clean, and how long they may be."""


@dataclass(frozen=True, slots=True)
class BodyHint:
    """What the session's previous body was and where its secrets stood: never changes a result, only its price."""

    raw: bytes
    hits: tuple[Hit, ...]
    known: tuple[Exact, ...]


class Redactor:
    """Takes secrets out of bytes before anything is hashed. Threads may share one.

    `values` are (rule, secret) pairs as `secret_variables` gives them; secrets under 8 bytes are not sought. `strict`
    also takes what follows `password=` and its like on a line.
    """

    def __init__(self, values: Iterable[tuple[str, bytes]] = (), *, strict: bool = False) -> None:
        self._strict = strict
        self._lock = threading.Lock()
        self._values: tuple[Exact, ...] = ()
        self._learned: list[bytes] = []
        self._names = RULES
        self._clean: tuple[tuple[Exact, ...], set[tuple[bytes, bytes]]] = ((), set())
        """Header lines in which nothing was found, and the values that were sought in them: nearly every call of a
        session sends the same lines. Good for exactly those values."""
        for label, value in values:
            self._add(label, value, encoded=True)

    @property
    def values(self) -> tuple[Exact, ...]:
        """The exact values sought now."""
        return self._values

    def learn(self, label: str, value: bytes, *, encoded: bool = True) -> None:
        """Seek `value` from now on, as rule `label`. Learning one again, or one under 8 bytes, changes nothing.

        Only the 64 learned ones seen last are kept: under a long `serve` tokens and cookies are renewed for ever.
        """
        with self._lock:
            if not self._add(label, value, encoded=encoded) and value not in self._learned:
                return
            if value in self._learned:
                self._learned.remove(value)
            self._learned.append(value)
            if len(self._learned) > _LEARNED_MOST:
                oldest = self._learned.pop(0)
                self._values = tuple(exact for exact in self._values if exact.source != oldest)

    def _add(self, label: str, value: bytes, *, encoded: bool) -> bool:
        if len(value) < SHORTEST or any(exact.source == value for exact in self._values):
            return False
        rule = rule_label(label)
        self._names |= {rule}
        self._values += exact_values(rule, value, encoded=encoded)
        return True

    def redact(self, data: bytes) -> Redacted:
        """`data` with every secret replaced by a marker."""
        return self._woven(data, self.scan(data, 0, len(data)))

    def body(self, data: bytes, hint: BodyHint | None) -> tuple[Redacted, BodyHint]:
        """What `redact` gives, scanning only where `data` differs from the hint's body; and the hint for the next."""
        values = self._values
        useful = hint is not None and len(hint.hits) <= _HITS_MOST
        hits = self._hits_with(hint, data, values) if hint and useful else self.scan(data, 0, len(data), values)
        return self._woven(data, hits), BodyHint(data, tuple(hits), values)

    def _hits_with(self, hint: BodyHint, data: bytes, values: tuple[Exact, ...]) -> list[Hit]:
        """All hits in `data`: taken over from the hint's body where the two agree, sought in between."""
        known = {id(value) for value in hint.known}
        unseen = [value for value in values if id(value) not in known]
        hits: list[Hit] = []
        reached = 0
        for lo, hi, shift in self._unchanged(hint, data, values):
            hits += self.scan(data, reached, lo, values)
            # Hits of learned values that were dropped since stay: too much is redacted rather than too little.
            hits += [hit.moved(shift) for hit in hint.hits if lo <= hit.origin + shift < hi]
            hits += [hit for value in unseen for hit in value.hits(data, lo, hi)]
            reached = hi
        return sorted([*hits, *self.scan(data, reached, len(data), values)])

    def _unchanged(self, hint: BodyHint, data: bytes, values: tuple[Exact, ...]) -> Iterator[tuple[int, int, int]]:
        """Ranges of `data` in which hits begin where they began in the hint's body, and by how much they moved."""
        for old_at, new_at, size in common_blocks(hint.raw, data):
            shift = new_at - old_at
            at_start = old_at == new_at == 0
            at_end = old_at + size == len(hint.raw) and new_at + size == len(data)
            lo = 0 if at_start else new_at + LOOKBACK
            hi = len(data) if at_end else horizon(data, new_at + size, values)
            # One hit may be several places that overlap, so none is taken over in part.
            for hit in hint.hits:
                lo = hit.end + shift if hit.origin + shift < lo < hit.end + shift else lo
            for hit in reversed(hint.hits):
                hi = hit.origin + shift if hit.origin + shift < hi < hit.end + shift else hi
            if lo < hi:
                yield lo, hi, shift

    def scan(self, data: bytes, lo: int, hi: int, values: tuple[Exact, ...] | None = None) -> list[Hit]:
        """Hits with their origin in `[lo, hi)`, ascending; the same in however many parts `data` is scanned."""
        sought = self._values if values is None else values
        hits: list[Hit] = []
        # In slices, because one search holds the interpreter from its beginning to its end, and the proxy beside us
        # waits for it.
        for start in range(lo, hi, _SLICE):
            end = min(start + _SLICE, hi)
            hits += [hit for value in sought for hit in value.hits(data, start, end)]
            hits += vendor_keys(data, start, end)
            if self._strict:
                hits += strict_lines(data, start, end)
        return sorted(hits)

    def cuts(self, data: bytes, hits: Sequence[Hit]) -> list[Cut]:
        """The replacements that `hits` in `data` come to."""
        return cuts(data, hits, self._names) if hits else []

    def _woven(self, data: bytes, hits: Sequence[Hit]) -> Redacted:
        if not hits:
            return Redacted(data)
        out, spans = weave(data, 0, len(data), self.cuts(data, hits), 0)
        return Redacted(out, tuple(spans))

    def headers(
        self, headers: Sequence[tuple[bytes, bytes]]
    ) -> tuple[list[tuple[bytes, bytes]], tuple[tuple[str, str, str], ...]]:
        """Headers that may be stored, and ("header", name, rule) for each replacement.

        A credential header's whole value is replaced, and the credentials in it are sought from now on.
        """
        kept: list[tuple[bytes, bytes]] = []
        spans: list[tuple[str, str, str]] = []
        for name, value in headers:
            clean = self._clean_lines()
            if (name, value) in clean:
                kept.append((name, value))
                continue
            shown = name.decode("latin-1").lower()
            if credentials.is_credential_header(shown, value):
                for secret, encoded in credentials.in_header(shown, value):
                    self.learn(f"header:{shown}", secret, encoded=encoded)
                rule = rule_label(f"header:{shown}")
                with self._lock:
                    self._names |= {rule}
                spans.append(("header", shown, rule))
                kept.append((self.redact(name).data, marker(rule)))
                continue
            named = self.redact(name)
            if named.spans:
                name, shown = named.data, named.data.decode("latin-1").lower()
                spans += [("header", shown, span.rule) for span in named.spans]
            redacted = self._subprotocols(value) if shown == "sec-websocket-protocol" else self._url(value)
            spans += [("header", shown, span.rule) for span in redacted.spans]
            kept.append((name, redacted.data))
            if not named.spans and redacted.data is value and len(name) + len(value) <= _LINE_BYTES:
                clean.add((name, value))
        return kept, tuple(spans)

    def _clean_lines(self) -> set[tuple[bytes, bytes]]:
        """The lines known to be clean of all that is sought now. A line that is added late, when other values are
        sought already, goes to a set that nobody asks any more."""
        values, lines = self._clean
        if values is not self._values or len(lines) >= _LINES_MOST:
            values, lines = self._clean = (self._values, set())
        return lines

    def url(self, url: str) -> tuple[str, tuple[Span, ...]]:
        """A URL that may be stored: keys in the query, a password before the host, and everything `redact` finds."""
        redacted = self._url(url.encode("utf-8", "surrogateescape"))
        return redacted.data.decode("utf-8", "surrogateescape"), redacted.spans

    def _url(self, value: bytes) -> Redacted:
        found = credentials.in_url(value)
        for hit in found:
            if credentials.is_token(value[hit.start : hit.end]):
                self.learn(hit.rule, value[hit.start : hit.end])
        return self._with(found, value)

    def _subprotocols(self, value: bytes) -> Redacted:
        found = credentials.in_subprotocols(value)
        for hit in found:
            self.learn(hit.rule, value[hit.start : hit.end])
        return self._with(found, value)

    def _with(self, found: list[Hit], value: bytes) -> Redacted:
        return self._woven(value, sorted([*found, *self.scan(value, 0, len(value))]))
