"""Requests read without what they repeat.

Nearly every request repeats the whole conversation, so a session of N turns holds bodies of N² size; to read each whole
takes minutes where N is a thousand. The archive cuts bodies by content: most leaves of a request are those of the one
before it, byte for byte. What stands in those was read then, so of each request its head and the messages that are not
in a known leaf are read, and a few before these. Where anything is odd the body is read whole; both give the same.

Checked: every leaf that is read, and the nodes above all. The hash over a whole body is checked by `tapes verify`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate

from tapes.archive.base import Archive, Link
from tapes.record.digest import Digest, blob_digest
from tapes.record.kinds import BodyRef
from tapes.values import dataclass
from tapes.wire.dialects.base import Dialect
from tapes.wire.places import Places, places
from tapes.wire.turns import (
    Media,
    Message,
    RequestReading,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    TurnReading,
    new_tail,
    tail_start,
)

SMALL = 64 * 1024
"""Bytes of a body that is read whole in any case."""
BEFORE = 4
"""Messages read again before the first that may be new."""
REMEMBERED = 8
"""Requests that the next may repeat: one for each conversation that goes on at the same time."""


@dataclass(frozen=True, slots=True)
class History:
    """A request. Of `request.messages` those in the middle may be left out: they were read with an earlier one."""

    request: RequestReading
    turn: TurnReading
    """What is new in it, with the indexes that the messages have in the whole request."""
    marks: tuple[bytes, ...] = ()
    """One for each message of the whole history: equal for messages that say the same."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A request that was read."""

    leaves: dict[Digest, int]
    """Where each stands in the list."""
    order: Sequence[Digest]
    ends: Sequence[int]
    places: Places
    marks: tuple[bytes, ...]

    def start(self, leaf: int) -> int:
        return self.ends[leaf - 1] if leaf else 0


class Histories:
    """Reads the requests of one session, in their order."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._known: list[_Known] = []

    def read(self, ref: BodyRef, dialect: Dialect) -> History:
        """Raises Withheld, Damaged and NotFound as the archive does."""
        if ref.length <= SMALL:
            return _whole(self._archive.body(ref), dialect)[0]
        leaves = list(self._archive.leaves(ref))
        ends = list(accumulate(leaf.length for leaf in leaves))
        short = self._short(leaves, ends, dialect)
        if short is not None:
            return short
        body = self._archive.body(ref)
        history, found = _whole(body, dialect)
        if found is not None and len(found.starts) == len(history.marks):
            self._remember(leaves, ends, found, history.marks)
        return history

    def _remember(
        self,
        leaves: Sequence[Link],
        ends: Sequence[int],
        found: Places,
        marks: tuple[bytes, ...],
        instead: _Known | None = None,
    ) -> None:
        order = [leaf.digest for leaf in leaves]
        by_digest = {digest: n for n, digest in reversed(list(enumerate(order)))}
        # The one that it goes on from is of no more use.
        others = [known for known in self._known if known is not instead]
        self._known = [_Known(by_digest, order, ends, found, marks), *others[: REMEMBERED - 1]]

    def _short(self, leaves: Sequence[Link], ends: Sequence[int], dialect: Dialect) -> History | None:
        best: tuple[int, int, int, _Known] | None = None
        for known in self._known:
            run = _run(leaves, ends, known)
            if run is not None and (best is None or run[1] - run[0] > best[1] - best[0]):
                best = (*run, known)
                if (run[1] - run[0]) * 10 > ends[-1] * 9:
                    break  # no other has much more
        if best is None:
            return None
        start, end, shift, known = best
        # Messages that lie whole in the run; the sign behind the last of them is in it, too.
        first = bisect_left(known.places.starts, start)
        behind = bisect_left(known.places.ends, end)
        last = behind - BEFORE
        if last - first < BEFORE:
            return None
        read = self._bytes(leaves, ends, 0, known.places.starts[first] + shift)
        rest_at = known.places.starts[last] + shift
        body = read + self._bytes(leaves, ends, rest_at, ends[-1])
        found = places(body)
        if found is None:
            return None
        head = bisect_left(found.starts, len(read))
        history = _spliced(body, dialect, head, last - first, known.marks[first:last])
        if history is None or len(history.marks) != len(found.starts) + last - first:
            return None

        def all_of(offsets: Sequence[int], old: Sequence[int]) -> tuple[int, ...]:
            moved = rest_at - len(read)
            return (*offsets[:head], *(at + shift for at in old[first:last]), *(at + moved for at in offsets[head:]))

        whole = Places(all_of(found.starts, known.places.starts), all_of(found.ends, known.places.ends))
        self._remember(leaves, ends, whole, history.marks, instead=known)
        return history

    def _bytes(self, leaves: Sequence[Link], ends: Sequence[int], start: int, stop: int) -> bytes:
        n = bisect_right(ends, start)
        at = ends[n - 1] if n else 0
        parts = []
        while at < stop and n < len(leaves):
            data = self._archive.leaf(leaves[n])
            parts.append(data[max(0, start - at) : stop - at])
            at, n = ends[n], n + 1
        return b"".join(parts)


def _run(leaves: Sequence[Link], ends: Sequence[int], known: _Known) -> tuple[int, int, int] | None:
    """The first stretch of messages that a known request has too: its bytes there, and how far they have moved."""
    if not known.places.starts:
        return None
    first = known.places.starts[0]
    n = 0
    while n < len(leaves):
        at = known.leaves.get(leaves[n].digest)
        if at is None or known.ends[at] <= first:
            n += 1
            continue
        begin, m = at, n
        while m < len(leaves) and at < len(known.order) and known.order[at] == leaves[m].digest:
            at, m = at + 1, m + 1
        return known.start(begin), known.ends[at - 1], (ends[n - 1] if n else 0) - known.start(begin)
    return None


def _whole(body: bytes, dialect: Dialect) -> tuple[History, Places | None]:
    request = dialect.read_request(body)
    marks = tuple(mark(message) for message in request.messages)
    return History(request, new_tail(request), marks), places(body) if len(body) > SMALL else None


def _spliced(body: bytes, dialect: Dialect, head: int, skipped: int, marks: tuple[bytes, ...]) -> History | None:
    """The reading of a body from which messages were left out behind the first `head`."""
    request = dialect.read_request(body)
    turn = new_tail(request)
    if request.errors or not turn.messages or tail_start([m.role for m in request.messages]) <= head:
        return None  # what is new may begin before what was read
    own = tuple(mark(message) for message in request.messages)
    moved = tuple((index + skipped, message) for index, message in turn.messages)
    return History(request, replace(turn, messages=moved), (*own[:head], *marks, *own[head:]))


def mark(message: Message) -> bytes:
    """What a message says, for linking only: without cache marks, ids, signatures, and the form that text has."""
    parts: list[object] = [message.role]
    for block in message.blocks:
        match block:
            case Text():
                parts.append(("text", block.text))
            case Thinking():
                parts.append(("thinking", block.text))
            case ToolCall():
                parts.append(("call", block.name, block.input_raw if block.input is None else _sorted(block.input)))
            case ToolResult():
                parts.append(("result", block.text()))
            case Media():
                parts.append(("media", block.fingerprint, block.where))
            case _:
                parts.append(("other", _sorted(_plain(block.raw))))
    return blob_digest(repr(parts).encode("utf-8", "replace"))


def _plain(raw: object) -> object:
    if isinstance(raw, dict):
        return {key: value for key, value in raw.items() if key not in ("id", "cache_control") and value is not None}
    return raw


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return sorted((str(key), _sorted(inner)) for key, inner in value.items())
    if isinstance(value, list):
        return [_sorted(inner) for inner in value]
    return value
