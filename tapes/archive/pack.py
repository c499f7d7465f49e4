"""What a commit adds, objects and records, as one compressed frame: the archive's truth.

Stored one by one, small pieces waste 40 to 110 % of the file, and compress badly. A frame says itself what it holds, so
that the log and every index can be made again from the frames alone:

    "TPK1" · number of the dictionary u8 · base u32 · unpacked size u32 · piece of a zstd stream (tapes.archive.squeeze)

and unpacked

    count u32 · count × (kind u8, length u32) · the objects and records, joined

Kinds: 0 blob, 1 node, 2 record, 3 tombstone (tapes.record.tomb). Records and tombstones stand in the order of the log.

**Groups.** What one commit says, the next says again with other hashes. So the small frames of one writing process form
groups: the pieces of a group are one zstd stream, and each is unpacked behind those before it. `base` is the number of
the frame before in the group, 0 at its beginning, always less than the frame's own number; other processes' frames may
lie between. A group has at most GROUP frames and GROUP_BYTES: that bounds what a damaged frame can cost (itself and
those behind it in its group), and what reading one object unpacks. A group ends with its process, and with any commit
that failed, because its stream refers to bytes that are nowhere. A commit with more than JOINED bytes gets frames of
their own for its objects, so that reading records does not unpack bodies; and what is large alone stays out of groups.

There is no checksum: whatever is read is re-hashed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tapes.archive.tables import Stored, kind_number, kind_of
from tapes.errors import Damaged

if TYPE_CHECKING:
    from tapes.archive import squeeze

MAGIC = b"TPK1"
PAYLOAD = 1024 * 1024
"""A commit with more than this gets several packs, because reading one object unpacks its whole pack."""
PAYLOAD_MAX = 1 << 30
"""More than any pack of ours: the bound on what a damaged frame may ask us to unpack."""
JOINED = 64 * 1024
"""More than this of a commit stays out of groups."""
GROUP = 8
GROUP_BYTES = 256 * 1024
"""Most frames in a group, and most bytes of them, unpacked."""

_HEAD = struct.Struct(">4sBII")
HEAD = _HEAD.size
_COUNT = struct.Struct(">I")
_ROW = struct.Struct(">BI")


class Item(NamedTuple):
    """A blob, a node or a record, and its hash, which is not written: whoever reads it derives it again."""

    digest: bytes
    kind: Stored
    data: bytes


class Place(NamedTuple):
    """Where an object or a record lies in its pack."""

    kind: Stored
    offset: int
    """In the unpacked pack."""
    length: int


class Frame(NamedTuple):
    number: int
    data: bytes
    items: Sequence[Item]
    places: Sequence[Place]


class Group:
    """The group that a process is adding to. Used up by a failed commit, whatever it wrote."""

    def __init__(self) -> None:
        self.stream: squeeze.Stream | None = None
        self.last = self.count = self.size = 0

    def add(self, number: int, items: Sequence[Item]) -> Frame:
        data, places = _joined(items)
        if self.stream is None or self.count == GROUP or self.size + len(data) > GROUP_BYTES:
            from tapes.archive import squeeze  # late, as in all reading: a list of sessions opens no pack

            self.stream, self.last, self.count, self.size = squeeze.Stream(), 0, 0, 0
        head = _HEAD.pack(MAGIC, self.stream.number, self.last, len(data))
        frame = Frame(number, head + self.stream.add(data), items, places)
        self.last, self.count, self.size = number, self.count + 1, self.size + len(data)
        return frame


def frames(first: int, objects: Sequence[Item], records: Sequence[Item], group: Group) -> Iterator[Frame]:
    """Frames that hold all objects and all records, in order, numbered from `first` on."""
    number, together = first, [*objects, *records]
    for items in (together,) if _size(together) <= JOINED else (objects, records):
        apart = _size(items) > JOINED
        for some in _split(items):
            yield (Group() if apart else group).add(number, some)
            number += 1


def _size(items: Sequence[Item]) -> int:
    return sum(len(item.data) for item in items)


def _split(items: Sequence[Item]) -> Iterator[list[Item]]:
    some: list[Item] = []
    size = 0
    for item in items:
        if some and size + len(item.data) > PAYLOAD:
            yield some
            some, size = [], 0
        some.append(item)
        size += len(item.data)
    if some:
        yield some


def _joined(items: Sequence[Item]) -> tuple[bytes, list[Place]]:
    places: list[Place] = []
    written = [_COUNT.pack(len(items))]
    offset = _COUNT.size + len(items) * _ROW.size
    for item in items:
        places.append(Place(item.kind, offset, len(item.data)))
        written.append(_ROW.pack(kind_number(item.kind), len(item.data)))
        offset += len(item.data)
    return b"".join(written) + b"".join(item.data for item in items), places


def base(frame: bytes) -> int:
    """The number of the frame before it in its group. 0: it begins one, or is no frame, as unpacking will tell."""
    return _head(frame)[1] if _is_frame(frame) else 0


def size(frame: bytes) -> int | None:
    """Unpacked bytes that a frame, or its first part, claims to have; None when it is none."""
    return _head(frame)[2] if _is_frame(frame) else None


def unpack(group: Sequence[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """The frames of a group, with their numbers and from its beginning on, unpacked one after the other. Damaged at
    the first that cannot be."""
    return zip((number for number, _ in group), _unpacked(group), strict=True)


def _unpacked(group: Sequence[tuple[int, bytes]]) -> Iterator[bytes]:
    def pieces() -> Iterator[tuple[bytes, int]]:
        before = 0
        for number, frame in group:
            dictionary, base, size = _head(frame)
            if base != before:
                raise Damaged("not a pack: what it builds on is not there")
            if dictionary != first or size > PAYLOAD_MAX:
                raise Damaged("not a pack: its head cannot be")
            before = number
            yield frame[_HEAD.size :], size

    from tapes.archive import squeeze

    first = _head(group[0][1])[0]
    return squeeze.unpack(first, pieces())


def table(data: bytes) -> list[Place]:
    """What an unpacked pack says it holds; Damaged when that cannot be."""
    places: list[Place] = []
    try:
        (count,) = _COUNT.unpack_from(data)
        offset = _COUNT.size + count * _ROW.size
        if offset > len(data):
            raise Damaged("not a pack: its table is longer than it")
        for kind, length in _ROW.iter_unpack(data[_COUNT.size : offset]):
            places.append(Place(kind_of(kind), offset, length))
            offset += length
    except (struct.error, ValueError) as error:
        raise Damaged(f"not a pack: {error}") from error
    if offset != len(data):
        raise Damaged("not a pack: its table does not fit its length")
    return places


def _is_frame(frame: bytes) -> bool:
    return len(frame) >= _HEAD.size and frame.startswith(MAGIC)


def _head(frame: bytes) -> tuple[int, int, int]:
    """Dictionary, base, unpacked size."""
    if not _is_frame(frame):
        raise Damaged("not a pack of a version that can be read")
    _, dictionary, before, size = _HEAD.unpack_from(frame)
    return dictionary, before, size
