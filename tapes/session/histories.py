"""Requests read without what they repeat.

Nearly every request repeats the whole conversation, so a session of N turns holds bodies of N² size; to read each whole
takes minutes where N is a thousand. The archive cuts bodies by content: most leaves of a request are those of the one
before it, byte for byte. What stands in those was read then, so of each request its head and the messages that are not
in a known leaf are read, and a few before these. Where anything is odd the body is read whole; both give the same.

Checked: every leaf that is read, and the nodes above all. The hash over a whole body is checked by `tapes verify`.
"""

from __future__ import annotations

import json
import threading
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from operator import itemgetter

from tapes.archive.base import Archive, Link, Subtrees
from tapes.record.digest import blob_digest
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
BEFORE = (1, 12)
"""Messages read again before the first that may be new; with the second where the first did not do."""
FIRST = 2
"""Messages of a history's beginning that every reading has: they say what it is for."""
REMEMBERED = 8
"""Requests that the next may repeat: one for each conversation that goes on at the same time."""
SUBTREES = 4096
"""Nodes whose leaves are kept."""
PIECES = 1024 * 1024
"""Bytes of leaves that are kept."""


@dataclass(frozen=True, slots=True)
class History:
    """A request. Of `request.messages` those in the middle may be left out: they were read with an earlier one."""

    request: RequestReading
    turn: TurnReading
    """What is new in it, with the indexes that the messages have in the whole request."""
    marks: tuple[bytes, ...] = ()
    """One for each message of the whole history: equal for messages that say the same."""


@dataclass(frozen=True, slots=True)
class _Around:
    """What stands around a list of messages, system text and tools: mostly the same in the next request."""

    data: bytes
    dialect: str
    request: RequestReading
    """Without messages."""


class _Known:
    """A request that was read."""

    def __init__(
        self,
        leaves: Sequence[Link],
        ends: Sequence[int],
        places: Places,
        marks: tuple[bytes, ...],
        first: tuple[Message, ...],
        head: bytes,
        around: _Around | None,
    ) -> None:
        self.leaves, self.ends = leaves, ends
        self.places, self.marks, self.first = places, marks, first
        self.head = head
        """Up to its first message."""
        self.around = around
        self._where: dict[Link, int] = {}

    def start(self, leaf: int) -> int:
        return self.ends[leaf - 1] if leaf else 0

    def where(self, leaf: Link) -> int | None:
        """Where it stands in the list first."""
        if not self._where:
            self._where = {leaf: n for n, leaf in reversed(list(enumerate(self.leaves)))}
        return self._where.get(leaf)


class Histories:
    """Reads the requests of one session, in their order."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._known: list[_Known] = []
        self._subtrees: Subtrees = {}
        self._pieces: OrderedDict[Link, bytes] = OrderedDict()
        self._pieces_size = 0
        self._lock = threading.Lock()

    def read(self, ref: BodyRef, dialect: Dialect) -> History:
        """Raises Withheld, Damaged and NotFound as the archive does. Any thread may call it: whoever looks at one call
        does while the session's next ones are read."""
        if ref.length <= SMALL:
            return _whole(self._archive.body(ref), dialect)[0]
        with self._lock:
            return self._read(ref, dialect)

    def _read(self, ref: BodyRef, dialect: Dialect) -> History:
        for digest in list(self._subtrees)[: -SUBTREES // 2] if len(self._subtrees) > SUBTREES else ():
            del self._subtrees[digest]
        leaves = list(self._archive.leaves(ref, self._subtrees))
        ends = list(accumulate(map(itemgetter(1), leaves)))
        short = self._short(leaves, ends, dialect)
        if short is not None:
            return short
        body = self._archive.body(ref)
        history, found = _whole(body, dialect)
        if found is not None and found.starts and len(found.starts) == len(history.marks):
            first = history.request.messages[:FIRST]
            self._remember(_Known(leaves, ends, found, history.marks, first, body[: found.starts[0]], None))
        return history

    def _remember(self, known: _Known, instead: _Known | None = None) -> None:
        # The one that it goes on from is of no more use.
        others = [other for other in self._known if other is not instead]
        self._known = [known, *others[: REMEMBERED - 1]]

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
        for before in BEFORE:
            history = self._spliced(leaves, ends, dialect, *best, before)
            if history is not None:
                return history
        return None

    def _spliced(
        self,
        leaves: Sequence[Link],
        ends: Sequence[int],
        dialect: Dialect,
        start: int,
        end: int,
        shift: int,
        known: _Known,
        before: int,
    ) -> History | None:
        """A request that has the bytes from `start` to `end` of a known one, moved by `shift`."""
        # Messages that lie whole in the run; the sign behind the last of them is in it, too.
        first = bisect_left(known.places.starts, start)
        behind = bisect_left(known.places.ends, end)
        last = behind - before
        lead = known.first[first:]
        if last - first < len(lead):
            return None
        read = self._bytes(leaves, ends, 0, known.places.starts[first] + shift)
        rest_at = known.places.starts[last] + shift
        body = read + self._bytes(leaves, ends, rest_at, ends[-1])
        same = first == 0 and read == known.head
        found = places(body, known.places if same else None)
        if found is None:
            return None
        head = bisect_left(found.starts, len(read))
        request, around = _request(body, found, dialect, known.around)
        if len(request.messages) != len(found.starts):
            return None
        marks = (
            *map(mark, request.messages[:head]),
            *known.marks[first:behind],
            *map(mark, request.messages[head + before :]),
        )
        history = _history(request, lead, head, last - first, marks)
        if history is None or head + len(lead) < FIRST:
            return None

        def all_of(offsets: tuple[int, ...], old: tuple[int, ...]) -> tuple[int, ...]:
            kept = old[first:last]
            kept = tuple(at + shift for at in kept) if shift else kept
            moved = rest_at - len(read)
            return (*offsets[:head], *kept, *(at + moved for at in offsets[head:]))

        starts, stops = all_of(found.starts, known.places.starts), all_of(found.ends, known.places.ends)
        whole = replace(found, starts=starts, ends=stops)
        begin = known.head if same else body[: starts[0]]
        opening = history.request.messages[:FIRST]
        self._remember(_Known(leaves, ends, whole, marks, opening, begin, around), instead=known)
        return history

    def _bytes(self, leaves: Sequence[Link], ends: Sequence[int], start: int, stop: int) -> bytes:
        if start >= stop:
            return b""
        n, m = bisect_right(ends, start), bisect_left(ends, stop) + 1
        at = ends[n - 1] if n else 0
        return b"".join(self._contents(leaves[n:m]))[start - at : stop - at]

    def _contents(self, leaves: Sequence[Link]) -> list[bytes]:
        """Of each leaf. What is around the messages is in every request, and so are the last of them in two."""
        pieces = self._pieces
        new = [leaf for leaf in dict.fromkeys(leaves) if leaf not in pieces]
        for leaf, data in zip(new, self._archive.contents(new), strict=True):
            pieces[leaf] = data
            self._pieces_size += len(data)
        found = [pieces[leaf] for leaf in leaves]
        for leaf in leaves:
            pieces.move_to_end(leaf)
        while self._pieces_size > PIECES:
            self._pieces_size -= len(pieces.popitem(last=False)[1])
        return found


def _run(leaves: Sequence[Link], ends: Sequence[int], known: _Known) -> tuple[int, int, int] | None:
    """The first stretch of messages that a known request has too: its bytes there, and how far they have moved."""
    first = known.places.starts[0]
    alike = _alike(leaves, known.leaves)
    if alike and ends[alike - 1] > first:
        return known.start(bisect_right(ends, first)), ends[alike - 1], 0
    for n, leaf in enumerate(leaves):
        at = known.where(leaf)
        if at is not None and known.ends[at] > first:
            count = _alike(leaves[n:], known.leaves[at:])
            return known.start(at), known.ends[at + count - 1], (ends[n - 1] if n else 0) - known.start(at)
    return None


def _alike(some: Sequence[Link], others: Sequence[Link]) -> int:
    """How many of the first are the same."""
    low, high = 0, min(len(some), len(others))
    while low < high:
        middle = (low + high + 1) // 2
        if some[low:middle] == others[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _request(
    body: bytes, found: Places, dialect: Dialect, around: _Around | None
) -> tuple[RequestReading, _Around | None]:
    """The reading of a body; what is around its messages is not read again where it is known."""
    outside = body[: found.opened + 1] + body[found.closed :]
    key = json.dumps(found.key).encode()
    own = b"{%b:%b}" % (key, body[found.opened : found.closed + 1])
    if around is not None and around.data == outside and around.dialect == dialect.name:
        inner, outer = dialect.read_request(own), around.request
        tools = outer.tools + inner.tools  # a message can bring some
        return replace(
            outer, messages=inner.messages, tools=tools, errors=inner.errors, problems=inner.problems
        ), around
    request = dialect.read_request(body)
    if request.errors or request.problems:
        return request, None
    inner = dialect.read_request(own)
    if inner.messages != request.messages or inner.tools or inner.system or inner.params:
        return request, None
    return request, _Around(outside, dialect.name, replace(request, messages=()))


def _whole(body: bytes, dialect: Dialect) -> tuple[History, Places | None]:
    request = dialect.read_request(body)
    marks = tuple(mark(message) for message in request.messages)
    return History(request, new_tail(request), marks), places(body) if len(body) > SMALL else None


def _history(
    request: RequestReading, first: tuple[Message, ...], head: int, skipped: int, marks: tuple[bytes, ...]
) -> History | None:
    """A request of which `skipped` messages were left out behind the first `head`; `first` of them are at hand."""
    request = replace(request, messages=(*request.messages[:head], *first, *request.messages[head:]))
    head, skipped = head + len(first), skipped - len(first)
    turn = new_tail(request)
    if request.errors or not turn.messages or tail_start([m.role for m in request.messages]) <= head:
        return None  # what is new may begin before what was read
    moved = tuple((index + skipped, message) for index, message in turn.messages)
    return History(request, replace(turn, messages=moved), marks)


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
