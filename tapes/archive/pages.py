"""Rows out of a damaged LMDB file, without LMDB, which trusts its pages: a mangled one ends the process that meets it.

This reads LMDB's file format 1 (`mdb.c` of LMDB 0.9: MDB_page, MDB_node, MDB_meta, MDB_db; sizes of a 64-bit machine in
its byte order) and believes nothing: a page that is not the one it should be, or whose numbers lead out of it, is
passed over and told of, and the rest of the tree is read. Rows come as they lie there; whoever asked hashes them.

Leaves of `pack` that a damaged page above them no longer leads to are sought through the whole file. That may bring up
rows of pages that are free by now, which is why it is done only where something is missing, and never for a row that
the tree has: rows of packs are never changed, so an old page says nothing else than a newer one, unless a process died
while it wrote them. Two that differ are both left out.

The file must not be written to meanwhile; whoever reads compares `change` before and after.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tapes.errors import FormatError

_HEADER = struct.Struct("=QHHHH")  # number, pad, flags, lower, upper
_NODE = struct.Struct("=HHHH")  # low, high, flags, length of the key
_META = struct.Struct("=II16x96xQQ")  # magic, version, two MDB_db, last page, transaction
_DB = struct.Struct("=IHHQQQQQ")  # pad, flags, depth, branches, leaves, overflow, entries, root
_MAGIC, _VERSION = 0xBEEFC0DE, 1
_BRANCH, _LEAF, _OVERFLOW = 0x01, 0x02, 0x04
_KIND = _BRANCH | _LEAF | _OVERFLOW
_BIG, _TABLE = 0x01, 0x02
_NO_PAGE = (1 << 64) - 1
_MAIN = 16 + 24 + 48
"""Where a meta page has the MDB_db of the table of tables."""
_DEEPEST = 32
PACK_KEY = 10

type Row = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class _Meta:
    change: int
    page: int
    """Bytes of a page."""
    root: int


class _BadPage(Exception):
    """Not the page that was expected."""


class Pages:
    """A file, open for reading. `faults` tells, by table, what could not be read."""

    def __init__(self, path: Path) -> None:
        """FormatError when it has no page that begins an LMDB file."""
        self._file = os.open(path, os.O_RDONLY)
        self.faults: dict[str, list[str]] = {}
        try:
            meta = self._newest()
            if meta is None:
                raise FormatError(f"{path} has no page that begins an LMDB file")
            self._page = meta.page
            self._roots = self._tables(meta.root)
        except BaseException:
            os.close(self._file)
            raise

    @property
    def change(self) -> int:
        """The newest transaction, looked up now."""
        found = self._newest()
        return found.change if found else -1

    def has(self, table: str) -> bool:
        """Whether there is such a table, or was one before the table of tables was damaged."""
        return table in self._roots or "" in self.faults

    def rows(self, table: str) -> Iterator[Row]:
        """In order, as far as they can be read."""
        if table not in self._roots:
            self._fault(table, "the table is not there")
            return
        yield from self._walk(table, self._roots[table], _DEEPEST)

    def stray_packs(self) -> dict[bytes, bytes]:
        """Rows of `pack` in any page of the file that looks like a leaf of it."""
        found: dict[bytes, bytes | None] = {}
        for number in range(2, os.fstat(self._file).st_size // self._page):
            try:
                page = self._read(number, _LEAF)
                rows = list(self._leaf(page))
            except _BadPage:
                continue
            if not all(len(key) == PACK_KEY for key, _, _ in rows):
                continue
            for key, flags, data in rows:
                value = self._value(flags, data)
                found[key] = value if found.get(key, value) == value else None
        return {key: value for key, value in found.items() if value is not None}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def _fault(self, table: str, what: str) -> None:
        self.faults.setdefault(table, []).append(what)

    # -- where things are

    def _newest(self) -> _Meta | None:
        # The second one lies at the size of a page, which the first may not tell any more.
        offsets = [0, *(1 << n for n in range(9, 17))]
        return max(filter(None, map(self._meta_at, offsets)), key=lambda meta: meta.change, default=None)

    def _meta_at(self, offset: int) -> _Meta | None:
        data = os.pread(self._file, 16 + _META.size, offset)
        if len(data) < 16 + _META.size:
            return None
        magic, version, _, change = _META.unpack_from(data, 16)
        page = _DB.unpack_from(data, 16 + 24)[0]
        fits = 512 <= page <= 65536 and page & (page - 1) == 0 and offset in (0, page)
        if magic != _MAGIC or version != _VERSION or not fits:
            return None
        return _Meta(change, page, _DB.unpack_from(data, _MAIN)[-1])

    def _tables(self, root: int) -> dict[str, int]:
        found: dict[str, int] = {}
        for key, flags, data in self._nodes("", root, _DEEPEST):
            if flags & _TABLE and len(data) == _DB.size:
                found[key.decode("latin-1")] = _DB.unpack(data)[-1]
        return found

    # -- pages

    def _walk(self, table: str, root: int, depth: int) -> Iterator[Row]:
        for key, flags, data in self._nodes(table, root, depth):
            value = self._value(flags, data)
            if value is None:
                self._fault(table, f"the value of {key.hex()} lies in a damaged page")
            else:
                yield key, value

    def _nodes(self, table: str, number: int, depth: int) -> Iterator[tuple[bytes, int, bytes]]:
        if number == _NO_PAGE:
            return
        try:
            page = self._read(number, _BRANCH | _LEAF)
            if _HEADER.unpack_from(page)[2] & _LEAF:
                yield from list(self._leaf(page))
                return
            below = list(self._branch(page))
        except _BadPage as error:
            self._fault(table, f"page {number} {error}")
            return
        if not depth:
            self._fault(table, f"page {number} leads in circles")
            return
        for child in below:
            yield from self._nodes(table, child, depth - 1)

    def _read(self, number: int, kinds: int) -> bytes:
        page = b"" if number >= 1 << 48 else os.pread(self._file, self._page, number * self._page)
        if len(page) < self._page:
            raise _BadPage("is behind the end of the file")
        found, _, flags, lower, upper = _HEADER.unpack_from(page)
        if found != number or not flags & kinds:
            raise _BadPage("is not the page it should be")
        if not flags & _OVERFLOW and not _HEADER.size <= lower <= upper <= len(page):
            raise _BadPage("is damaged")
        return page

    def _places(self, page: bytes) -> Iterator[int]:
        _, _, _, lower, upper = _HEADER.unpack_from(page)
        for (place,) in struct.iter_unpack("=H", page[_HEADER.size : lower & ~1]):
            if not upper <= place <= len(page) - _NODE.size:
                raise _BadPage("is damaged")
            yield place

    def _branch(self, page: bytes) -> Iterator[int]:
        for place in self._places(page):
            low, high, flags, _ = _NODE.unpack_from(page, place)
            yield low | high << 16 | flags << 32

    def _leaf(self, page: bytes) -> Iterator[tuple[bytes, int, bytes]]:
        """Key, flags, and the data that lies in the page: of a large value its length and the page it is in."""
        for place in self._places(page):
            low, high, flags, length = _NODE.unpack_from(page, place)
            size, start = low | high << 16, place + _NODE.size + length
            inside = 8 if flags & _BIG else size
            if start + inside > len(page):
                raise _BadPage("is damaged")
            data = page[start : start + inside]
            yield page[place + _NODE.size : start], flags, data + struct.pack("=Q", size) if flags & _BIG else data

    def _value(self, flags: int, data: bytes) -> bytes | None:
        if not flags & _BIG:
            return data
        number, size = struct.unpack("=QQ", data)
        try:
            self._read(number, _OVERFLOW)
        except _BadPage:
            return None
        value = os.pread(self._file, size, number * self._page + _HEADER.size)
        return value if len(value) == size else None
