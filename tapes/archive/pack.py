"""One commit's new objects as one compressed frame.

Stored one by one under their hashes, small pieces waste 40 to 110 % of the file, and compress badly. A frame
says itself what it holds, so that the index can be made again from the frames alone:

    "TPK1" · version u8 · count u32 · count × (kind u8, digest 32 bytes, length u32) · zstd of the payloads,
    joined

The table stays outside the compressed part: digests do not compress, and reading the table needs no
unpacking. There is no checksum: every object is re-hashed when it is read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tapes.archive.base import Kind, Object
from tapes.archive.squeeze import THOROUGH, compress, decompress
from tapes.archive.tables import kind_number, kind_of
from tapes.errors import Damaged
from tapes.record.digest import Digest

MAGIC = b"TPK1"
VERSION = 1
PAYLOAD = 1024 * 1024
"""A commit with more than this gets several packs, because reading one object unpacks its whole pack."""
PAYLOAD_MAX = 1 << 30
"""More than any pack of ours: the bound on what a damaged frame may ask us to unpack."""

_HEAD = struct.Struct(">4sBI")
_ROW = struct.Struct(">BI")


class Place(NamedTuple):
    """Where an object lies in its pack."""

    kind: Kind
    offset: int
    """In the unpacked payload."""
    length: int


def frames(objects: Mapping[Digest, Object]) -> Iterator[tuple[bytes, list[tuple[Digest, Place]]]]:
    """Frames that hold all objects, in order, and where in each of them every object lies."""
    group: list[tuple[Digest, Object]] = []
    size = 0
    for digest, (kind, data) in objects.items():
        if group and size + len(data) > PAYLOAD:
            yield _frame(group)
            group, size = [], 0
        group.append((digest, (kind, data)))
        size += len(data)
    if group:
        yield _frame(group)


def _frame(group: list[tuple[Digest, Object]]) -> tuple[bytes, list[tuple[Digest, Place]]]:
    rows: list[tuple[Digest, Place]] = []
    written = [_HEAD.pack(MAGIC, VERSION, len(group))]
    offset = 0
    for digest, (kind, data) in group:
        rows.append((digest, Place(kind, offset, len(data))))
        written.append(_ROW.pack(kind_number(kind), len(data)))
        offset += len(data)
    written.append(compress(b"".join(data for _, (_, data) in group), THOROUGH))
    return b"".join(written), rows


def table(frame: bytes) -> list[Place]:
    """What a frame says it holds; Damaged when it is not a frame."""
    rows: list[Place] = []
    offset = 0
    try:
        for place in range(_HEAD.size, _start(frame), _ROW.size):
            kind, length = _ROW.unpack_from(frame, place)
            rows.append(Place(kind_of(kind), offset, length))
            offset += length
    except (struct.error, ValueError) as error:
        raise Damaged(f"not a pack: {error}") from error
    return rows


def payload(frame: bytes) -> bytes:
    """The joined bytes of all its objects; Damaged when they cannot be unpacked."""
    return decompress(frame[_start(frame) :], PAYLOAD_MAX)


def _start(frame: bytes) -> int:
    """Where the compressed part begins."""
    if len(frame) < _HEAD.size:
        raise Damaged("not a pack: too short")
    magic, version, count = _HEAD.unpack_from(frame)
    if magic != MAGIC or version != VERSION:
        raise Damaged("not a pack of a version that can be read")
    start: int = _HEAD.size + count * _ROW.size
    if start > len(frame):
        raise Damaged("not a pack: its table is longer than it")
    return start
