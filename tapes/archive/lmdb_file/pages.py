"""The pages of LMDB's file, read without LMDB, which trusts its pages: none has a checksum, and a mangled one ends the
process that meets it. This believes nothing: a page that is not the one it should be, or whose numbers lead out of it,
is a `BadPage`. What the rows say is for the caller to check.

The format is that of LMDB 0.9 (data version 1) on a machine of 64 bits: MDB_meta, MDB_db, MDB_page and MDB_node of its
mdb.c; integers have the machine's byte order.
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

BRANCH, LEAF, OVERFLOW = 1, 2, 4
_BIG, _TREE = 1, 2
"""Flags of a node: its value lies in pages of its own; its value is another table."""
NO_ROOT = (1 << 64) - 1
_MAGIC, _VERSION = 0xBEEFC0DE, 1

_HEAD = struct.Struct("=QHHHH")  # number, pad, flags, lower, upper
_META = struct.Struct("=IIQQ48s48sQQ")  # magic, version, address, map size, free list, main table, last page, commit
_DB = struct.Struct("=IHHQQQQQ")  # pad (in a meta page's first: bytes of a page), flags, depth, …, root
_NODE = struct.Struct("=HHHH")  # two halves of the size, flags, length of the key
_PAGE_NUMBER = struct.Struct("=Q")
META_BYTES = _HEAD.size + _META.size


class BadPage(Exception):
    """Says what is wrong, behind "page N of the file"."""

    def __init__(self, number: int, what: str) -> None:
        super().__init__(what)
        self.number = number


class Meta(NamedTuple):
    """A meta page: where it says it lies, of which commit it is, the roots of the free list and of the table of tables,
    and the last page in use."""

    page: int
    page_size: int
    commit: int
    free: int
    main: int
    last: int


class Node(NamedTuple):
    """A row of a leaf."""

    key: bytes
    flags: int
    inside: bytes
    """The value; of a large one the number of its first page."""
    size: int
    """Of the value."""

    @property
    def table(self) -> int | None:
        """The root of the table that the value is."""
        root: int | None = None
        if self.flags & _TREE and len(self.inside) == _DB.size:
            root = _DB.unpack(self.inside)[-1]
        return root

    @property
    def leads_to_table(self) -> bool:
        return bool(self.flags & _TREE)


def read_meta(data: bytes) -> Meta | None:
    """The meta page that begins so, if one does."""
    if len(data) < META_BYTES:
        return None
    number, _, _, _, _ = _HEAD.unpack_from(data)
    magic, version, _, _, free, main, last, commit = _META.unpack_from(data, _HEAD.size)
    size = _DB.unpack(free)[0]
    if magic != _MAGIC or version != _VERSION or not (512 <= size <= 65536 and size & (size - 1) == 0):
        return None
    return Meta(number, size, commit, _DB.unpack(free)[-1], _DB.unpack(main)[-1], last)


class PageFile:
    """`handle` is the data file, open for reading; who opened it closes it."""

    def __init__(self, handle: int, page_size: int) -> None:
        self._handle, self._page_size = handle, page_size

    @property
    def count(self) -> int:
        """How many pages the file has room for now."""
        return os.fstat(self._handle).st_size // self._page_size

    def read(self, number: int, kinds: int) -> tuple[int, bytes]:
        """A page, and which of the kinds it is."""
        page = self._bytes(number, 1)
        found, _, flags, lower, upper = _HEAD.unpack_from(page)
        if found != number:
            raise BadPage(number, "is another one")
        if not flags & kinds:
            raise BadPage(number, "is of another kind than the table needs")
        if not flags & OVERFLOW and not _HEAD.size <= lower <= upper <= len(page):
            raise BadPage(number, "holds rows that reach beyond it")
        return flags & kinds, page

    def value_pages(self, node: Node) -> tuple[int, int]:
        """The first of the pages of a value that has pages of its own, and how many they are; (0, 0) where it has
        none."""
        if not node.flags & _BIG:
            return 0, 0
        (number,) = _PAGE_NUMBER.unpack(node.inside)
        return number, -(-(_HEAD.size + node.size) // self._page_size)

    def value(self, node: Node) -> bytes:
        number, count = self.value_pages(node)
        if not count:
            return node.inside
        self.read(number, OVERFLOW)
        return self._bytes(number, count)[_HEAD.size : _HEAD.size + node.size]

    def _bytes(self, number: int, count: int) -> bytes:
        if number + count > self.count:  # before so much is made room for
            raise BadPage(number, "is behind the end of the file")
        data = os.pread(self._handle, self._page_size * count, number * self._page_size)
        if len(data) < self._page_size * count:
            raise BadPage(number, "is behind the end of the file")
        return data


def branch(number: int, page: bytes) -> list[int]:
    """The pages below."""
    found = []
    for place in _places(number, page):
        low, high, flags, _ = _NODE.unpack_from(page, place)
        found.append(low | high << 16 | flags << 32)
    return found


def leaf(number: int, page: bytes) -> list[Node]:
    found = []
    for place in _places(number, page):
        low, high, flags, length = _NODE.unpack_from(page, place)
        size, start = low | high << 16, place + _NODE.size + length
        end = start + (_PAGE_NUMBER.size if flags & _BIG else size)
        if end > len(page):
            raise BadPage(number, "holds a value that reaches beyond it")
        found.append(Node(page[place + _NODE.size : start], flags, page[start:end], size))
    return found


def _places(number: int, page: bytes) -> tuple[int, ...]:
    _, _, _, lower, upper = _HEAD.unpack_from(page)
    places: tuple[int, ...] = struct.unpack_from(f"={(lower - _HEAD.size) // 2}H", page, _HEAD.size)
    if places and not upper <= min(places) <= max(places) <= len(page) - _NODE.size:
        raise BadPage(number, "holds rows that reach beyond it")
    return places
