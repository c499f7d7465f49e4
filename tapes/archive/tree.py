"""Pieces to one root: a content-defined tree, so that a growing body rewrites its edge and not its spine.

A flat list of a body's pieces would itself be quadratic over a session (ten times the content at 1,000
turns). Here the list is cut into nodes *by its content*: a node ends behind an entry whose CRC-32 is a
multiple of 4, after at least 4 and at most 256 entries. The list of nodes is cut the same way, until one
node, the root, is left. Equal stretches of two bodies therefore end in equal nodes, wherever they stand.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from zlib import crc32

from tapes.archive.base import Object
from tapes.archive.node import DIGEST, link_entry, written
from tapes.record.digest import Digest, node_digest
from tapes.values import dataclass, field

MIN_ENTRIES = 4
MAX_ENTRIES = 256
BOUNDARY_MASK = 3
"""Nodes of 7 entries on average. What a call adds is rewritten with its leaf and with every node above it, and most
of a node is hashes, which do not compress: at 31 (35 entries) a growing session took a fifth more room."""


@dataclass(slots=True)
class Row:
    """One level: its entries as written, and the nodes they are cut into."""

    entries: list[bytes]
    sizes: list[int]
    """Bytes of content of each entry."""
    ends: list[int] = field(default_factory=list)
    """Index behind the last entry of each node."""
    nodes: list[bytes] = field(default_factory=list)
    """Each node as an entry of the level above."""
    node_sizes: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Tree:
    """All levels of one body's tree; kept only as a hint for the next one."""

    rows: list[Row]
    root: Digest


def grow(
    entries: list[bytes],
    sizes: list[int],
    old: Tree | None = None,
    head: int = 0,
    tail: int = 0,
) -> tuple[Tree, dict[Digest, Object]]:
    """The tree over these entries, and those of its nodes that were made now: all that `old` has not.

    The first `head` and last `tail` entries MUST be equal to those of `old`; nodes that lie in them are taken
    over unread. That can never change the result: where a node ends depends on nothing before its first
    entry.
    """
    rows: list[Row] = []
    made: dict[Digest, Object] = {}
    while True:
        before = old.rows[len(rows)] if old and len(rows) < len(old.rows) else None
        row = Row(entries, sizes)
        head, tail = _cut_row(row, len(rows), before, head, tail, made)
        rows.append(row)
        if len(row.nodes) == 1:
            return Tree(rows, Digest(row.nodes[0][len(DIGEST) : len(DIGEST) + 32])), made
        entries, sizes = row.nodes, row.node_sizes


def _cut_row(
    row: Row, level: int, old: Row | None, head: int, tail: int, made: dict[Digest, Object]
) -> tuple[int, int]:
    """Cut one level into nodes; how many nodes at its beginning and end are the old ones."""
    kept = _take_head(row, old, head) if old else 0
    at = row.ends[-1] if row.ends else 0
    count = len(row.entries)
    while at < count or not row.nodes:
        if old and at >= count - tail:
            taken = _take_tail(row, old, at)
            if taken:
                return kept, taken
        end = _node_end(row.entries, at)
        _add_node(row, level, at, end, made)
        at = end
    return kept, 0


def _take_head(row: Row, old: Row, head: int) -> int:
    # The old last node may have ended only because the entries did: it is never taken over as a beginning.
    kept = min(bisect_right(old.ends, head), len(old.ends) - 1)
    row.ends, row.nodes, row.node_sizes = old.ends[:kept], old.nodes[:kept], old.node_sizes[:kept]
    return kept


def _take_tail(row: Row, old: Row, at: int) -> int:
    """Take over all old nodes from the one that begins where we stand, if one does; how many that were."""
    shift = len(row.entries) - len(old.entries)
    first = bisect_left(old.ends, at - shift) + 1 if at > shift else 0
    if first and old.ends[first - 1] != at - shift:
        return 0
    row.ends += [end + shift for end in old.ends[first:]]
    row.nodes += old.nodes[first:]
    row.node_sizes += old.node_sizes[first:]
    return len(old.nodes) - first


def _node_end(entries: list[bytes], at: int) -> int:
    stop = min(at + MAX_ENTRIES, len(entries))
    for index in range(at + MIN_ENTRIES - 1, stop):
        if crc32(entries[index]) & BOUNDARY_MASK == 0:
            return index + 1
    return stop


def _add_node(row: Row, level: int, at: int, end: int, made: dict[Digest, Object]) -> None:
    data = written(level, row.entries[at:end])
    digest, size = node_digest(data), sum(row.sizes[at:end])
    made[digest] = ("node", data)
    row.ends.append(end)
    row.nodes.append(link_entry(digest, size))
    row.node_sizes.append(size)
