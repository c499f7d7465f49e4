"""Rows and contents into the parts of a snapshot, and a part into the bodies of its record.

Where a part ends is decided by the path of its last row, within bounds: of two full snapshots the parts that lie before
and behind a change are the same bodies, also in another session. A content is cut at the borders of its files: a file
is one blob, a bigger one content-defined chunks, so what is stored already takes no room again, wherever it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from zlib import crc32

from tapes.archive import node, tree
from tapes.archive.base import Object
from tapes.archive.chunk import LARGE, chunk_end
from tapes.archive.cut import cut_once
from tapes.record import listing
from tapes.record.digest import Digest, blob_digest
from tapes.record.kinds import BodyRef
from tapes.record.listing import Entry
from tapes.values import dataclass, field

PART_BYTES = 1024 * 1024
"""Of content; a file that is bigger makes a part of its own."""
PART_ROWS = 256
WHOLE_MAX = 16 * 1024
"""Files up to here are one blob. Of larger ones an edit stores a chunk or two, about 10 KiB each."""
_BORDER_MASK = 63


@dataclass(slots=True)
class Gathered[T]:
    """Rows of one part, with what the caller needs to go on with them."""

    rows: list[T] = field(default_factory=list)
    bytes: int = 0


def gather[T](rows: Iterable[tuple[bytes, int, T]]) -> Iterator[Gathered[T]]:
    """Rows, each with its path and the size of its content, into parts. No part is empty."""
    part = Gathered[T]()
    for path, size, row in rows:
        if part.rows and part.bytes + size > PART_BYTES:
            yield part
            part = Gathered()
        part.rows.append(row)
        part.bytes += size
        if len(part.rows) >= PART_ROWS or crc32(path) & _BORDER_MASK == 0:
            yield part
            part = Gathered()
    if part.rows:
        yield part


@dataclass(frozen=True, slots=True)
class Bodies:
    """A part, cut."""

    listing: BodyRef
    content: BodyRef | None
    objects: dict[Digest, Object]


def bodies(entries: Sequence[Entry], contents: Sequence[bytes]) -> Bodies:
    """The two bodies of a part: its rows, and the contents of those that have one, in their order."""
    cut = cut_once(listing.write(entries))
    objects = dict(cut.objects)
    pieces: list[bytes] = []
    sizes: list[int] = []
    for content in contents:
        for piece in _pieces(content):
            digest = blob_digest(piece)
            objects[digest] = ("blob", piece)
            pieces.append(node.link_entry(digest, len(piece)))
            sizes.append(len(piece))
    if not pieces:
        return Bodies(cut.ref, None, objects)
    grown, nodes = tree.grow(pieces, sizes)
    whole = BodyRef(grown.root, sum(sizes), blob_digest(b"".join(contents)))
    return Bodies(cut.ref, whole, objects | nodes)


def _pieces(content: bytes) -> Iterator[bytes]:
    if len(content) <= WHOLE_MAX:
        if content:
            yield content
        return
    at = 0
    while at < len(content):
        end = chunk_end(content, at, len(content), LARGE)
        yield content[at:end]
        at = end
