"""A node of a body's tree.

It is canonical CBOR (tapes.record.canon): [level, [entry, …]]. An entry is, at level 0, either a byte string (the
content itself, a literal) or [digest, length] of a blob; above, it is [digest, length] of a node one level lower.
`length` counts bytes of content and is never 0, so no small tree can pretend to be a large or an endless one.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cbor2

from tapes.archive.base import Link
from tapes.errors import Damaged
from tapes.record import canon
from tapes.record.digest import Digest

MAX_LEVEL = 32

_UINT, _BYTES, _ARRAY = 0 << 5, 2 << 5, 4 << 5
_PAIR = canon.head(_ARRAY, 2)
DIGEST = _PAIR + canon.head(_BYTES, 32)
"""What an entry begins with that is not a literal; the digest follows."""


class Node(NamedTuple):
    level: int
    entries: tuple[bytes | Link, ...]
    """At level 0 literals and links to blobs; above, links to nodes."""
    length: int
    """Bytes of content below."""


def literal_entry(data: bytes) -> bytes:
    return canon.head(_BYTES, len(data)) + data


def link_entry(digest: Digest, length: int) -> bytes:
    return DIGEST + digest + canon.head(_UINT, length)


def read_node(data: bytes) -> Node:
    """Damaged unless the bytes are a node in its one written form."""
    try:
        level, rows = cbor2.loads(data, max_depth=4)
        if type(level) is not int or not 0 <= level <= MAX_LEVEL:
            raise Damaged("not a node: its level is out of range")
        entries = tuple([_entry(row, level) for row in rows])
        same = written(level, [_aswritten(entry) for entry in entries]) == data
    except (cbor2.CBORError, TypeError, ValueError, OverflowError, MemoryError) as error:
        raise Damaged(f"not a node: {error}") from error
    if not same:
        raise Damaged("not a node: not the one way of writing it")
    return Node(level, entries, sum([len(entry) if type(entry) is bytes else entry[1] for entry in entries]))


def children(data: bytes) -> list[bytes]:
    """The digests a node of ours names. Lax and quick: for nodes just made, not for stored ones."""
    return [row[0] for row in cbor2.loads(data)[1] if not isinstance(row, bytes)]


def _entry(row: Any, level: int) -> bytes | Link:
    if type(row) is bytes and level == 0 and row:
        return row
    digest, length = row
    if type(length) is not int or length <= 0:
        raise Damaged("not a node: an entry has no length")
    return Link(Digest(digest), length)


def _aswritten(entry: bytes | Link) -> bytes:
    return literal_entry(entry) if type(entry) is bytes else link_entry(*entry)


def written(level: int, entries: list[bytes]) -> bytes:
    """A node of entries that are written already."""
    return _PAIR + canon.head(_UINT, level) + canon.head(_ARRAY, len(entries)) + b"".join(entries)
