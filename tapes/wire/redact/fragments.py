"""A key that a model says in pieces: `"text":"sk-an"`, then `"text":"t-api03-…"` in the next event.

The values of one field at one place of the answer form a channel. Their concatenation, still escaped as it came, is
scanned as it grows; a secret found in it is cut out of every fragment it lies in, with the marker in the first.
Nothing of a channel's end that may be the beginning of a secret is settled before more has come or the channel has
ended.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

from tapes.values import dataclass, field
from tapes.wire.redact.horizon import pending
from tapes.wire.redact.redactor import Redactor
from tapes.wire.redact.shapes import LOOKBACK
from tapes.wire.redact.weave import Cut

FIELD = re.compile(
    rb'"(text|partial_json|thinking|delta|content|arguments|input|output|reasoning_content|reasoning|refusal|code)"'
    rb'\s*:\s*"((?:[^"\\]|\\.)*+)',
    re.DOTALL,
)
PLACE = re.compile(rb'"((?:[a-z]+_)?index)"\s*:\s*(\d{1,9})')
_ENDS = re.compile(rb'"type"\s*:\s*"[a-z_.]*(?:_stop|\.done|\.completed)"')
_IDLE_MOST = 32
"""Events after which a channel that says nothing more holds nothing back: its answer has moved on."""

_MORE = re.compile(rb"(?:[A-Za-z0-9+/=_.-]|\\+[nr])*+")


def more_of_it(data: bytes) -> int:
    """How far `data` goes on with a key or a private-key block that was cut open-ended."""
    found = _MORE.match(data)
    return found.end() if found else 0


@dataclass(slots=True)
class _Channel:
    text: bytes = b""
    """What was said, from `LOOKBACK` before what is not settled."""
    fresh: list[bytes] = field(default_factory=list)
    """What was said since, to be joined when it is looked at."""
    size: int = 0
    """Length of `text` and `fresh` together."""
    settled: int = 0
    starts: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    """For each fragment, ascending: where it begins in the text, and in the stream."""
    seen: int = 0
    """Number of the event that spoke last."""
    open_rule: str = ""
    """The rule of a secret too long to hold back: it was cut out to the end of the text and may still go on."""

    def add(self, said: bytes, place: int, event: int) -> list[Cut]:
        """Append a fragment; the cut that removes what still belongs to an open secret."""
        cut = []
        if self.open_rule:
            size = more_of_it(said)
            cut.append(Cut(place, place + size, self.open_rule, b""))
            self.open_rule = self.open_rule if size == len(said) else ""
        self.starts.append(self.size)
        self.places.append(place)
        self.fresh.append(said)
        self.size += len(said)
        self.seen = event
        return cut

    def join(self) -> bytes:
        if self.fresh:
            self.text = b"".join((self.text, *self.fresh))
            self.fresh.clear()
        return self.text

    def spread(self, cut: Cut) -> Iterator[Cut]:
        """`cut`, in the channel's text, as cuts in the stream: the marker in the first fragment."""
        text = cut.text
        index = max(0, bisect_right(self.starts, cut.start) - 1)
        while index < len(self.starts) and self.starts[index] < cut.end:
            start = self.starts[index]
            end = self.starts[index + 1] if index + 1 < len(self.starts) else self.size
            first, last = max(start, cut.start), min(end, cut.end)
            if first < last:
                shift = self.places[index] - start
                yield Cut(first + shift, last + shift, cut.rule, text)
                text = b""
            index += 1

    def held(self) -> int:
        """The place in the stream of the first fragment that is not settled throughout."""
        return self.places[max(0, bisect_right(self.starts, self.settled) - 1)]

    def forget(self) -> None:
        """Drop what lies further back than any rule looks."""
        drop = self.settled - LOOKBACK
        if drop <= 0:
            return
        index = bisect_right(self.starts, drop) - 1
        self.places[index] += drop - self.starts[index]
        self.starts[index] = drop
        self.places = self.places[index:]
        self.starts = [start - drop for start in self.starts[index:]]
        self.text = self.text[drop:]
        self.size -= drop
        self.settled -= drop


class Channels:
    """The channels of one stream, fed with whole events."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._channels: dict[tuple[bytes, ...], _Channel] = {}
        self._events = 0

    def feed(self, event: bytes, place: int) -> list[Cut]:
        """Take in the event that stands at `place` of the stream; the cuts that this settles at once."""
        self._events += 1
        cuts: list[Cut] = []
        at = tuple(number for found in PLACE.finditer(event) for number in found.groups())
        for found in FIELD.finditer(event):
            if found[2]:
                channel = self._channels.setdefault((found[1], *at), _Channel())
                cuts += channel.add(found[2], place + found.start(2), self._events)
        return cuts + self._end(at) if _ENDS.search(event) else cuts

    def settle(self, *, force: bool = False) -> tuple[list[Cut], int | None]:
        """Cuts that nothing still to come can change, and the stream's first place that has to be held back.

        `force` holds nothing back: what may be an unfinished secret is judged as it stands.
        """
        cuts: list[Cut] = []
        held: list[int] = []
        for key, channel in list(self._channels.items()):
            text = channel.join()
            idle = self._events - channel.seen > _IDLE_MOST
            limit = len(text) if force or idle else pending(text, self._redactor.values)
            cuts += self._upto(channel, limit, cut_open=force)
            if channel.settled < channel.size:
                held.append(channel.held())
            if idle:
                del self._channels[key]
        return cuts, min(held, default=None)

    def _end(self, at: tuple[bytes, ...]) -> list[Cut]:
        ended = [self._channels.pop(key) for key in list(self._channels) if key[1:] == at]
        return [cut for channel in ended for cut in self._upto(channel, len(channel.join()))]

    def _upto(self, channel: _Channel, limit: int, *, cut_open: bool = False) -> list[Cut]:
        if limit <= channel.settled:
            return []
        hits = self._redactor.scan(channel.text, channel.settled, limit)
        cuts = self._redactor.cuts(channel.text, hits)
        if cuts and cuts[-1].end > limit:
            # This one is sure, but something still to come may overlap it and be one with it.
            limit = max(channel.settled, cuts.pop().start)
        if cut_open and cuts and cuts[-1].end >= channel.size:
            channel.open_rule = cuts[-1].rule
        channel.settled = limit
        spread = [piece for cut in cuts for piece in channel.spread(cut)]
        channel.forget()
        return spread
