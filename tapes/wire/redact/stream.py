"""Redaction of what arrives in pieces: given out as soon as, and only when, no later byte can make it secret.

The output of all calls together is what may be stored. Raw bytes are searched as in a whole body; in an event stream
the contents of the events are also searched across events (fragments.py), and only whole events are given out.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from tapes.wire.redact.fragments import Channels, more_of_it
from tapes.wire.redact.horizon import horizon
from tapes.wire.redact.redactor import Redactor
from tapes.wire.redact.shapes import LONGEST, LOOKBACK, Redacted, Span
from tapes.wire.redact.weave import Cut, joined, weave

_BLANK_LINE = re.compile(rb"\r\n\r\n|\n\r?\n|\r\r")
_LINE_END = re.compile(rb"\n")
_HELD_MOST = 1024 * 1024
"""A private key said word by word costs some 250 bytes of events for 4 of its own. More is cut as it stands."""


class StreamRedactor:
    """One stream's redaction. Not to be shared between threads.

    `sse`: the bytes are an event stream (WHATWG HTML, server-sent events), and are given out in whole events. With
    `lines`, they are JSON messages that each end in a line feed, treated likewise. Otherwise any bytes.
    """

    def __init__(self, redactor: Redactor, *, sse: bool, lines: bool = False) -> None:
        self._redactor = redactor
        self._boundary = _LINE_END if lines else _BLANK_LINE
        self._channels = Channels(redactor) if sse or lines else None
        self._buffer = b""
        # All that follow are places in the whole stream, not in the buffer, which begins at `_base`.
        self._base = self._done = self._searched = 0
        self._events: list[int] = [0]
        """Starts of the events not yet given out, the last of them unfinished."""
        self._cuts: list[Cut] = []
        self._open_rule = ""
        """The rule of a secret too long to hold back: it was cut out to the end of the bytes and may still go on."""
        self._written = 0
        self._spans: list[Span] = []

    @property
    def spans(self) -> tuple[Span, ...]:
        """What was replaced so far, by place in the output of all calls together."""
        return tuple(self._spans)

    def feed(self, data: bytes) -> bytes:
        """The redacted bytes that are final now that `data` has arrived."""
        if self._open_rule:
            self._swallow(data)
        self._buffer += data
        if self._channels is None:
            return self._feed_plain()
        whole = self._read_events(self._channels)
        cuts, held = self._channels.settle()
        self._cuts += cuts
        limit = whole if held is None else self._events[bisect_right(self._events, held) - 1]
        if self._end - limit > _HELD_MOST:
            cuts, _ = self._channels.settle(force=True)
            self._cuts += cuts
            limit = whole if self._end - whole <= _HELD_MOST else self._horizon()
        return self._give(limit)

    def finish(self) -> bytes:
        """The rest, when nothing more will come."""
        if self._channels is not None:
            last = self._events[-1]
            self._cuts += self._channels.feed(self._buffer[max(last, self._done) - self._base :], max(last, self._done))
            self._cuts += self._channels.settle(force=True)[0]
        return self._give(self._end)

    @property
    def _end(self) -> int:
        return self._base + len(self._buffer)

    def _horizon(self) -> int:
        return max(self._done, self._base + horizon(self._buffer, len(self._buffer), self._redactor.values))

    def _feed_plain(self) -> bytes:
        limit = self._horizon()
        return self._give(limit, keep_whole=True) if limit > self._done else b""

    def _swallow(self, data: bytes) -> None:
        """Cut the part of `data`, about to be appended, that goes on with the open secret."""
        size = more_of_it(data)
        self._cuts.append(Cut(self._end, self._end + size, self._open_rule, b""))
        self._open_rule = self._open_rule if size == len(data) else ""

    def _read_events(self, channels: Channels) -> int:
        """Hand the events that became whole to the channels; where the last of them ends."""
        start = self._events[-1]
        for found in self._boundary.finditer(self._buffer, max(0, self._searched - self._base)):
            end = self._base + found.end()
            begin = max(start, self._base)
            self._cuts += channels.feed(self._buffer[begin - self._base : found.end()], begin)
            self._events.append(end)
            start = end
        self._searched = max(start, self._end - 3)
        return start

    def _give(self, limit: int, *, keep_whole: bool = False) -> bytes:
        """Redact and forget what stands before `limit`; `keep_whole` leaves a secret that crosses it for later."""
        done, stop = self._done - self._base, limit - self._base
        if stop <= done:
            return b""
        raw = self._redactor.cuts(self._buffer, self._redactor.scan(self._buffer, done, stop))
        told = [cut._replace(start=cut.start - self._base, end=cut.end - self._base) for cut in self._cuts]
        pieces = joined(sorted([*raw, *(cut for cut in told if cut.start < stop)]))
        pieces = [piece._replace(start=max(piece.start, done)) for piece in pieces if piece.end > done]
        if pieces and pieces[-1].end > stop:
            # What was found is sure, but something still to come may overlap it.
            if keep_whole and len(self._buffer) - pieces[-1].start < LONGEST:
                stop = max(done, pieces.pop().start)
            else:
                stop = pieces[-1].end
                if keep_whole and stop == len(self._buffer):
                    self._open_rule = pieces[-1].rule
        out, spans = weave(self._buffer, done, stop, pieces, self._written)
        self._spans += spans
        self._written += len(out)
        self._forget(self._base + stop)
        return out

    def _forget(self, done: int) -> None:
        """Keep, of what was given out, only what rules may still look back at."""
        self._done = done
        self._cuts = [cut for cut in self._cuts if cut.end > done]
        self._events = self._events[max(0, bisect_right(self._events, done) - 1) :]
        keep = done - self._base - LOOKBACK
        if any(value.numeric for value in self._redactor.values):
            keep = self._buffer.rfind(b"\n", 0, max(0, keep)) + 1  # whether a number stands bare, its whole line tells
        if keep > 0:
            self._buffer = self._buffer[keep:]
            self._base += keep


def redact_sse(redactor: Redactor, data: bytes) -> Redacted:
    """A whole event stream, redacted also across its events."""
    stream = StreamRedactor(redactor, sse=True)
    out = stream.feed(data) + stream.finish()
    return Redacted(out, stream.spans)
