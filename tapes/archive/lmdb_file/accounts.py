"""Whether each page of LMDB's file is used once, and the state that LMDB shows is the last one.

Most damage shows in what is read, because that is hashed. What does not show is a step back: when a bit of a meta page
is changed, or an old page stands in the place of a new one, LMDB reads a state from before the last commits, which is
whole in itself. So this asks what only the file can tell, as of one commit:

- the two meta pages follow one another: commit N is in page N mod 2, and the other is N - 1;
- each page that is reached from the root says that it is the one asked for, and is of the kind wanted there;
- each page is either reached or free, once. A page of an older state was freed, and is found by that.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

from tapes.archive.base import Fault
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


class Overtaken(Exception):
    """Others have committed twice since, and the meta page of this commit is that of a later one: nothing can be said
    of it. A new transaction can be looked at."""


def check_pages(handle: int, page_size: int, commit: int) -> Iterator[Fault | None]:
    """Faults in the state of this commit, and None now and then. `handle` is the data file; the caller MUST hold a
    reading transaction of that commit, so that nobody uses its pages again. Overtaken, before the first is given."""
    try:
        meta = _meta(handle, page_size, commit)
        walk = _Walk(PageFile(handle, page_size), meta.last)
        for free in walk.leaves(meta.free):
            walk.take_free(free)
        for table in walk.leaves(meta.main):
            yield None
            for n, row in enumerate(walk.leaves(walk.root_of(table)) if table.leads_to_table else ()):
                walk.take(row)
                if n % 1024 == 0:
                    yield None
        walk.finish()
    except BadPage as error:
        yield Fault(f"page {error.number}", f"page {error.number} of the file {error}")


def _meta(handle: int, page_size: int, commit: int) -> Meta:
    places = (commit % 2, (commit + 1) % 2)
    for _ in range(3):  # of a commit that is being written just now only half may be seen
        mine, other = (read_meta(os.pread(handle, META_BYTES, place * page_size)) for place in places)
        if mine and other and mine.commit == commit and abs(other.commit - commit) == 1:  # noqa: SIM102
            if (mine.page, other.page) == places:
                return mine
    if mine and mine.commit > commit and mine.commit % 2 == commit % 2:
        raise Overtaken
    raise BadPage(places[0], "and the other meta page do not follow one another: the last commit may be out of sight")


class _Walk:
    """Takes each page once: it is in use, or it is free."""

    def __init__(self, pages: PageFile, last: int) -> None:
        # LMDB need not write a page that was taken and given back, so the file may be a little shorter.
        if last > pages.count + 4096:
            raise BadPage(0, f"claims that there are {last + 1}")
        self._pages = pages
        self._taken = bytearray(last + 1)
        self._taken[:2] = b"\1\1"

    def leaves(self, root: int) -> Iterator[Node]:
        """What stands in the leaves of a table, in no order."""
        waiting = [root] if root != NO_ROOT else []
        while waiting:
            number = waiting.pop()
            self._take(number, 1)
            kind, page = self._pages.read(number, BRANCH | LEAF)
            if kind == BRANCH:
                waiting += branch(number, page)
            else:
                yield from leaf(number, page)

    def root_of(self, table: Node) -> int:
        if table.table is None:
            raise BadPage(0, "leads to a table that has no root")
        return table.table

    def take(self, node: Node) -> bytes:
        """Its value; taken are the pages that has for itself."""
        number, count = self._pages.value_pages(node)
        self._take(number, count)
        return self._pages.value(node)

    def take_free(self, node: Node) -> None:
        """A row of the free list: a count, then so many numbers of pages."""
        data = self.take(node)
        numbers = struct.unpack(f"={len(data) // 8}Q", data[: len(data) // 8 * 8])
        if not numbers or numbers[0] > len(numbers) - 1:
            raise BadPage(0, "leads to a list of free pages that is cut short")
        for number in numbers[1 : numbers[0] + 1]:
            self._take(number, 1)

    def finish(self) -> None:
        number = self._taken.find(0)
        if number >= 0:
            raise BadPage(number, "is neither in use nor free")

    def _take(self, number: int, count: int) -> None:
        if number + count > len(self._taken):
            raise BadPage(number, "is used, and lies behind the end")
        if any(self._taken[number : number + count]):
            raise BadPage(number, "is used twice, or used and free")
        self._taken[number : number + count] = b"\1" * count
