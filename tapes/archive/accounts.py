"""The pages of LMDB's file, told apart without LMDB.

LMDB trusts its pages: none has a checksum, and it never asks whether a page is the one it wanted. Most damage shows in
what is read, because that is hashed. What does not show is a step back: when a bit of a meta page is changed, or an old
page stands in the place of a new one, LMDB reads a state from before the last commits, which is whole in itself. So
this asks what only the file can tell, as of one commit:

- the two meta pages follow one another: commit N is in page N mod 2, and the other is N - 1;
- each page that is reached from the root says that it is the one asked for, and is of the kind wanted there;
- each page is either reached or free, once. A page of an older state was freed, and is found by that.

The format is that of LMDB 0.9 (data version 1) on a machine of 64 bits: MDB_meta, MDB_db, MDB_page and MDB_node of its
mdb.c; integers have the machine's byte order.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

from tapes.archive.base import Fault
from tapes.errors import Damaged

BRANCH, LEAF, OVERFLOW, META = 1, 2, 4, 8
BIG, TREE = 1, 2
"""Flags of a node: its value lies in pages of its own; its value is another table."""
NO_ROOT = (1 << 64) - 1

_HEAD = struct.Struct("=QHHHH")
_META = struct.Struct("=IIQQ48s48sQQ")
_DB = struct.Struct("=IHHQQQQQ")
_NODE = struct.Struct("=HHHH")


class Meta(NamedTuple):
    """A meta page: of which commit, the roots of the free list and of all else, and the last page in use."""

    page: int
    flags: int
    commit: int
    free: int
    main: int
    last: int


class Node(NamedTuple):
    flags: int
    child: int
    """In a branch: the page below."""
    value: bytes
    size: int
    """Of the value, where it lies elsewhere."""


def check_pages(handle: int, page_size: int, commit: int) -> Iterator[Fault | None]:
    """Faults in the state of this commit, and None now and then. `handle` is the data file; the caller MUST hold a
    reading transaction of that commit, so that nobody uses its pages again."""
    try:
        meta = _meta(handle, page_size, commit)
        walk = _Walk(handle, page_size, meta.last)
        for free in walk.leaves(meta.free):
            walk.take_free(free)
        for table in walk.leaves(meta.main):
            yield None
            for n, row in enumerate(walk.leaves(walk.root_of(table)) if table.flags & TREE else ()):
                walk.value(row)
                if n % 1024 == 0:
                    yield None
        if (number := walk.unaccounted()) is not None:
            raise _bad(number, "is neither in use nor free")
    except Damaged as error:
        yield Fault(error.where, str(error))


def _bad(number: int, what: str) -> Damaged:
    return Damaged(f"page {number} of the file {what}", where=f"page {number}")


def _meta(handle: int, page_size: int, commit: int) -> Meta:
    for _ in range(3):  # of a commit that is being written just now only half may be seen
        metas = [_read_meta(os.pread(handle, page_size, n * page_size)) for n in (0, 1)]
        mine, other = metas[commit % 2], metas[(commit + 1) % 2]
        if (
            mine.commit == commit
            and abs(other.commit - commit) == 1
            and (mine.page, other.page)
            == (
                commit % 2,
                (commit + 1) % 2,
            )
        ):
            return mine
    raise _bad(commit % 2, "and the other meta page do not follow one another: the last commit may be out of sight")


def _read_meta(data: bytes) -> Meta:
    page, _, flags, _, _ = _HEAD.unpack_from(data)
    _, _, _, _, free, main, last, commit = _META.unpack_from(data, _HEAD.size)
    return Meta(page, flags, commit, _DB.unpack(free)[-1], _DB.unpack(main)[-1], last)


class _Walk:
    """Takes each page once: it is in use, or it is free."""

    def __init__(self, handle: int, page_size: int, last: int) -> None:
        if last * page_size > os.fstat(handle).st_size + (1 << 24):
            raise _bad(0, f"claims that there are {last + 1}")
        self._handle, self._page_size = handle, page_size
        self._taken = bytearray(last + 1)
        self._taken[:2] = b"\1\1"

    def leaves(self, root: int) -> Iterator[Node]:
        """What stands in the leaves of a table, in no order."""
        waiting = [root] if root != NO_ROOT else []
        while waiting:
            number = waiting.pop()
            data = self._page(number, 1)
            flags = _HEAD.unpack_from(data)[2]
            if flags & BRANCH:
                waiting += [node.child for node in _nodes(number, data, leaf=False)]
            elif flags & LEAF:
                yield from _nodes(number, data, leaf=True)
            else:
                raise _bad(number, "is of another kind than the table needs")

    def root_of(self, table: Node) -> int:
        if len(table.value) != _DB.size:
            raise _bad(0, "leads to a table that has no root")
        root: int = _DB.unpack(table.value)[-1]
        return root

    def value(self, node: Node) -> bytes:
        """Its bytes, from pages of their own where it is large."""
        if not node.flags & BIG:
            return node.value
        (number,) = struct.unpack("=Q", node.value)
        count = (_HEAD.size + node.size + self._page_size - 1) // self._page_size
        data = self._page(number, count)
        if not _HEAD.unpack_from(data)[2] & OVERFLOW:
            raise _bad(number, "does not hold a large value")
        return data[_HEAD.size : _HEAD.size + node.size]

    def take_free(self, node: Node) -> None:
        """A row of the free list: a count, then so many numbers of pages."""
        data = self.value(node)
        numbers = struct.unpack(f"={len(data) // 8}Q", data[: len(data) // 8 * 8])
        if not numbers or numbers[0] > len(numbers) - 1:
            raise _bad(0, "leads to a list of free pages that is cut short")
        for number in numbers[1 : numbers[0] + 1]:
            self._take(number, 1)

    def unaccounted(self) -> int | None:
        """A page that nobody took."""
        number = self._taken.find(0)
        return None if number < 0 else number

    def _page(self, number: int, count: int) -> bytes:
        self._take(number, count)
        data = os.pread(self._handle, self._page_size * count, number * self._page_size)
        if len(data) < self._page_size * count:
            raise _bad(number, "is missing")
        if _HEAD.unpack_from(data)[0] != number:
            raise _bad(number, "is another one")
        return data

    def _take(self, number: int, count: int) -> None:
        if number + count > len(self._taken):
            raise _bad(number, "is used, and lies behind the end")
        if any(self._taken[number : number + count]):
            raise _bad(number, "is used twice, or used and free")
        self._taken[number : number + count] = b"\1" * count


def _nodes(number: int, data: bytes, *, leaf: bool) -> Iterator[Node]:
    lower = _HEAD.unpack_from(data)[3]
    count = max(0, lower - _HEAD.size) // 2
    try:
        for place in struct.unpack_from(f"={count}H", data, _HEAD.size):
            low, high, flags, key = _NODE.unpack_from(data, place)
            size = low | high << 16
            if not leaf:
                yield Node(0, size | flags << 32, b"", 0)
                continue
            start = place + _NODE.size + key
            value = data[start : start + (8 if flags & BIG else size)]
            if len(value) < (8 if flags & BIG else size):
                raise _bad(number, "holds a value that reaches beyond it")
            yield Node(flags, 0, value, size)
    except struct.error as error:
        raise _bad(number, "holds rows that reach beyond it") from error
