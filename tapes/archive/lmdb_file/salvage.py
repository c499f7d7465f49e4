"""Rows out of a damaged LMDB file, without LMDB. A page that can not be read is passed over and told of, and the rest
of the tree is read. Rows come as they lie there; whoever asked hashes them.

The newest of the two pages that begin the file says where the tables are. When it is damaged the other leads to the
state before the last commit, which is whole in itself; so what the two say of their commits must fit.

Leaves of `pack` that a damaged page above them no longer leads to are sought through the whole file. That may bring up
rows of pages that are free by now, which is why it is done only where something is missing, and never for a row that
the tree has: rows of packs are never changed, so an old page says nothing else than a newer one, unless a process died
while it wrote them. Two that differ are both left out.

The file must not be written to meanwhile; whoever reads compares `change` before and after.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from tapes.archive.lmdb_file.pages import (
    BRANCH,
    LEAF,
    META_BYTES,
    NO_ROOT,
    BadPage,
    Meta,
    Node,
    PageFile,
    branch,
    leaf,
    read_meta,
)
from tapes.errors import FormatError

_DEEPEST = 32
PACK_KEY = 10

type Row = tuple[bytes, bytes]


class Salvage:
    """A file, open for reading. `faults` tells, by table, what could not be read."""

    def __init__(self, path: Path) -> None:
        """FormatError when it has no page that begins an LMDB file."""
        self._file = os.open(path, os.O_RDONLY)
        self.faults: dict[str, list[str]] = {}
        try:
            meta = self._newest()
            if meta is None:
                raise FormatError(f"{path} has no page that begins an LMDB file")
            self._pages = PageFile(self._file, meta.page_size)
            other = self._meta_at((meta.page + 1) % 2 * meta.page_size)
            if other is None or meta.commit - other.commit != 1:
                self._fault(
                    "", "of the two pages that begin the file one is damaged: the last commit may be out of sight"
                )
            self._roots = self._tables(meta.main)
        except BaseException:
            os.close(self._file)
            raise

    @property
    def change(self) -> int:
        """The newest transaction, looked up now."""
        found = self._newest()
        return found.commit if found else -1

    def has(self, table: str) -> bool:
        """Whether there is such a table, or was one before the table of tables was damaged."""
        return table in self._roots or "" in self.faults

    def rows(self, table: str) -> Iterator[Row]:
        """In order, as far as they can be read."""
        if table not in self._roots:
            self._fault(table, "the table is not there")
            return
        for node in self._nodes(table, self._roots[table], _DEEPEST):
            try:
                yield node.key, self._pages.value(node)
            except BadPage:
                self._fault(table, f"the value of {node.key.hex()} lies in a damaged page")

    def stray_packs(self) -> dict[bytes, bytes]:
        """Rows of `pack` in any page of the file that looks like a leaf of it."""
        found: dict[bytes, bytes | None] = {}
        for number in range(2, self._pages.count):
            try:
                rows = leaf(number, self._pages.read(number, LEAF)[1])
            except BadPage:
                continue
            if not all(len(row.key) == PACK_KEY for row in rows):
                continue
            for row in rows:
                value = self._value(row)
                found[row.key] = value if found.get(row.key, value) == value else None
        return {key: value for key, value in found.items() if value is not None}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def _fault(self, table: str, what: str) -> None:
        self.faults.setdefault(table, []).append(what)

    def _newest(self) -> Meta | None:
        # The second one lies at the size of a page, which the first may not tell any more.
        offsets = [0, *(1 << n for n in range(9, 17))]
        return max(filter(None, map(self._meta_at, offsets)), key=lambda meta: meta.commit, default=None)

    def _meta_at(self, offset: int) -> Meta | None:
        meta = read_meta(os.pread(self._file, META_BYTES, offset))
        return meta if meta and offset == meta.page * meta.page_size and meta.page == meta.commit % 2 else None

    def _tables(self, root: int) -> dict[str, int]:
        nodes = self._nodes("", root, _DEEPEST)
        return {node.key.decode("latin-1"): node.table for node in nodes if node.table is not None}

    def _nodes(self, table: str, number: int, depth: int) -> Iterator[Node]:
        if number == NO_ROOT:
            return
        try:
            kind, page = self._pages.read(number, BRANCH | LEAF)
            if kind == LEAF:
                yield from leaf(number, page)
                return
            below = branch(number, page)
        except BadPage as error:
            self._fault(table, f"page {number} {error}")
            return
        if not depth:
            self._fault(table, f"page {number} leads in circles")
            return
        for child in below:
            yield from self._nodes(table, child, depth - 1)

    def _value(self, node: Node) -> bytes | None:
        try:
            return self._pages.value(node)
        except BadPage:
            return None
