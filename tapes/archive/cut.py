"""A body to pieces: cut at its JSON string tokens, with no schema and no parser.

Agents send the whole conversation again with every call. What stays equal from call to call are the long
strings in it (prompts, answers, tool results), while markers between them come and go: `cache_control` moves
every turn, so cutting per message would store twice as much. So each string token of 256 bytes or more is a
blob, and what stands between two such tokens is a literal, kept inline in the tree. Only quotes are looked
for, by `bytes.find`; a body that is not JSON is cut just as correctly, only less cleverly.

The scan is an automaton that reads left to right and begins afresh at each piece boundary (a *joint*). Hence
both halves of the hint: joints of the previous body that lie in the common beginning are joints of this one
too, and once the scan meets a joint of the previous body in the common end, all that follows is the same. The
hint can never change the result; tests/archive/test_cut.py holds that for every edit it can think of.

A joint is not found by quotes alone: 4096 of them without a long token is a flood, and then content-defined
chunks (tapes.archive.chunk) carry the scan at least 256 KiB further, so that 100 MB of quotes take no time
worth naming. The state inside or outside of a string may be wrong after that, which costs nothing but some
deduplication.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

from tapes.archive import chunk, node, tree
from tapes.archive.base import Object
from tapes.record.digest import Digest, blob_digest
from tapes.record.kinds import BodyRef
from tapes.values import dataclass

TOKEN_MIN = 256
"""String tokens this long become a blob of their own."""
WHOLE_MAX = 4096
"""Smaller bodies are not cut: an answer or an error is never sent again, and a piece costs some 150 bytes of index."""
BLOB_MAX = chunk.LARGE.most
LITERAL_MAX = 512
"""Longer stretches between tokens are chunked; chunks of TOKEN_MIN and more become blobs."""
FLOOD = 4096
FLOOD_SKIP = 256 * 1024
_COMPARE = 256 * 1024
_BACKSLASH = 0x5C


@dataclass(frozen=True, slots=True)
class Cut:
    ref: BodyRef
    objects: dict[Digest, Object]
    """Those of the body that the hint did not have, and a node or two at the seams: what to put into the batch."""


@dataclass(slots=True)
class _Shape:
    """A body as cut, kept as the hint for the next."""

    data: bytes
    joints: list[int]
    """Where each piece of scanning began, ascending; the first is 0."""
    fresh: list[bool]
    """At that joint: False when the byte there is the closing quote of the token before it."""
    first: list[int]
    """Number of entries before that joint."""
    entries: list[bytes]
    sizes: list[int]
    tree: tree.Tree | None = None


class Cutter:
    """Cuts bodies that tend to extend one another. Not for use by two threads at once; keeps the last
    body."""

    def __init__(self) -> None:
        self._old: _Shape | None = None

    def cut(self, data: bytes) -> Cut:
        """The body's reference, and the objects that the body before it did not have.

        So the caller MUST commit each cut's objects before or together with those of the next cut, and call
        `forget` when a commit failed for good.
        """
        shape, objects = _cut(data, self._old)
        self._old = shape
        assert shape.tree is not None
        return Cut(BodyRef(shape.tree.root, len(data), blob_digest(data)), objects)

    def forget(self) -> None:
        """Drop the hint: the next cut gives all its objects."""
        self._old = None


def cut_once(data: bytes) -> Cut:
    """Cut without a hint."""
    return Cutter().cut(data)


def _cut(data: bytes, old: _Shape | None) -> tuple[_Shape, dict[Digest, Object]]:
    if len(data) <= WHOLE_MAX:
        return _whole(data)
    shape, objects = _Shape(data, [], [], [], [], []), dict[Digest, Object]()
    if old and not old.joints:
        old = None
    at, fresh = _take_head(shape, old) if old else (0, True)
    head, tail = len(shape.entries), 0
    same_end = len(data) - (_common_end(data, old.data, len(data) - at) if old else 0)
    while at < len(data):
        if old and at >= same_end:
            tail = _take_tail(shape, old, at, fresh)
            if tail:
                break
        shape.joints.append(at)
        shape.fresh.append(fresh)
        shape.first.append(len(shape.entries))
        spans, fresh = _scan(data, at, fresh)
        for start, end, inline in spans:
            _add(shape, data[start:end], inline, objects)
        at = spans[-1][1]
    shape.tree, nodes = tree.grow(shape.entries, shape.sizes, old.tree if old else None, head, tail)
    return shape, objects | nodes


def _whole(data: bytes) -> tuple[_Shape, dict[Digest, Object]]:
    """A small body: one literal in one node. Its shape has no joints, so it is no hint to anybody."""
    entries = [node.literal_entry(data)] if data else []
    grown, nodes = tree.grow(entries, [len(data)] if data else [])
    return _Shape(data, [], [], [], [], [], grown), nodes


def _add(shape: _Shape, piece: bytes, inline: bool, objects: dict[Digest, Object]) -> None:
    if inline:
        shape.entries.append(node.literal_entry(piece))
    else:
        digest = blob_digest(piece)
        objects[digest] = ("blob", piece)
        shape.entries.append(node.link_entry(digest, len(piece)))
    shape.sizes.append(len(piece))


# -- the scan. A span is (start, end, inline).

type _Span = tuple[int, int, bool]


def _scan(data: bytes, at: int, fresh: bool) -> tuple[list[_Span], bool]:
    """The spans from one joint to the next, and whether that next one is fresh. At least one span.

    MUST look at nothing before `at`, nor behind the byte at the next joint (unless that is the end of the
    data).
    """
    start, end = _long_token(data, at if fresh else at + 1)
    if end < 0:
        return _flood(data, at, start), True
    spans = _stretch(data, at, start)
    if start < end:
        spans += _chunks(data, start, end, chunk.LARGE) if end - start > BLOB_MAX else [(start, end, False)]
    return spans, False


def _long_token(data: bytes, at: int) -> tuple[int, int]:
    """Start and end of the inside of the first long token. Both are the end of the data where there is none,
    and the end is -1 in a flood (then the start is how far the search came)."""
    find = data.find
    opening = -1
    for _ in range(FLOOD):
        before, at = at, find(b'"', at) + 1
        if not at:
            break
        if opening < 0:
            opening = at
        elif data[at - 2] == _BACKSLASH and _escaped(data[before : at - 1]):
            continue
        elif at - 1 - opening >= TOKEN_MIN:
            return opening, at - 1
        else:
            opening = -1
    else:
        return at, -1
    return len(data), len(data)


def _escaped(run: bytes) -> bool:
    return (len(run) - len(run.rstrip(b"\\"))) % 2 == 1


def _stretch(data: bytes, start: int, end: int) -> list[_Span]:
    if end - start <= LITERAL_MAX:
        return [(start, end, True)]
    return _chunks(data, start, end, chunk.LARGE if end - start > BLOB_MAX else chunk.SMALL)


def _chunks(data: bytes, start: int, end: int, sizes: chunk.Sizes) -> list[_Span]:
    spans: list[_Span] = []
    while start < end:
        stop = chunk.chunk_end(data, start, end, sizes)
        spans.append((start, stop, stop - start < TOKEN_MIN))
        start = stop
    return spans


def _flood(data: bytes, start: int, reached: int) -> list[_Span]:
    """Chunks from the joint to at least FLOOD_SKIP behind where the search gave up."""
    spans: list[_Span] = []
    while start < min(reached + FLOOD_SKIP, len(data)):
        stop = chunk.chunk_end(data, start, len(data), chunk.LARGE)
        spans.append((start, stop, stop - start < TOKEN_MIN))
        start = stop
    return spans


# -- the hint


def _take_head(shape: _Shape, old: _Shape) -> tuple[int, bool]:
    """Take over what lies before the last joint in the common beginning; that joint and whether it is
    fresh."""
    # The byte *at* a joint takes part in finding it, so it must be common too.
    last = max(bisect_left(old.joints, _common_start(shape.data, old.data)) - 1, 0)
    count = old.first[last]
    shape.joints, shape.fresh, shape.first = old.joints[:last], old.fresh[:last], old.first[:last]
    shape.entries, shape.sizes = old.entries[:count], old.sizes[:count]
    return old.joints[last], old.fresh[last]


def _take_tail(shape: _Shape, old: _Shape, at: int, fresh: bool) -> int:
    """Take over all from the joint of the old body that corresponds to `at`, if it is one; how many
    entries."""
    shift = len(shape.data) - len(old.data)
    joint = bisect_left(old.joints, at - shift)
    if joint == len(old.joints) or old.joints[joint] != at - shift or old.fresh[joint] != fresh:
        return 0
    first = old.first[joint]
    moved = len(shape.entries) - first
    shape.joints += [place + shift for place in old.joints[joint:]]
    shape.fresh += old.fresh[joint:]
    shape.first += [index + moved for index in old.first[joint:]]
    shape.entries += old.entries[first:]
    shape.sizes += old.sizes[first:]
    return len(old.entries) - first


def _common_start(a: bytes, b: bytes) -> int:
    """Length of the longest common beginning."""
    return _bisect(min(len(a), len(b)), lambda low, high: a[low:high] == b[low:high])


def _common_end(a: bytes, b: bytes, most: int) -> int:
    """Length of the longest common end, at most `most`."""
    m, n = len(a), len(b)
    return _bisect(min(most, m, n), lambda low, high: a[m - high : m - low] == b[n - high : n - low])


def _bisect(size: int, equal: Callable[[int, int], bool]) -> int:
    """How far two byte strings are equal, at most `size`. In steps, so that no single compare keeps other
    threads waiting for the interpreter."""
    for start in range(0, size, _COMPARE):
        low, high = start, min(start + _COMPARE, size)
        if equal(low, high):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if equal(low, middle) else (low, middle)
        return low
    return size
