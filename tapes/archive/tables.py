"""Names and layouts of the archive's tables. All integers are big-endian, so that keys sort as numbers do.

| table   | key                                            | value                                              |
|---------|------------------------------------------------|----------------------------------------------------|
| meta    | `format`, `version`                            | FORMAT_NAME; version u32                           |
| log     | pos u64, from 1                                | entry: where the record or its tombstone lies      |
| byhash  | record hash                                    | pos u64                                            |
| chain   | pos u64 of the session's first record, seq u32 | pos u64                                            |
| head    | session hash                                   | record hash, seq u64                               |
| ref     | session name, UTF-8                            | session hash                                       |
| body    | short whole-body hash, pos u64                 | (empty)                                            |
| pack    | number u64 from 1, part u16                    | a frame (tapes.archive.pack), or part of one       |
| obj     | short blob or node hash                        | entry: where the object lies                       |
| tail    | record hash of a part                          | its bytes, compressed, until the response has them |
| summary | session hash                                   | the row of `tapes log`; may be lost                |

An entry is pack u32, offset u32 in the unpacked pack, length u32 with the kind in the two top bits. `pack`, `ref` and
`tail` are the truth; log, byhash, chain, head, body and obj can be made again from the packs.

A short hash is the first SHORT bytes of one. What is read is re-hashed and compared with all of it, so two objects with
the same short hash could never be taken for one another: the second would not be stored, and reading it be Damaged. To
make such a pair takes 2**80 hashes, whoever chooses the bytes; 16 bytes would take 2**64, which can be bought.

Growing tables have ascending keys and are only appended to, so their pages are full and written once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from tapes.archive.base import Kind
from tapes.errors import Damaged
from tapes.record.digest import Digest

FORMAT_NAME = b"tapes archive"
VERSION = 1

TABLES = ("meta", "log", "byhash", "chain", "head", "ref", "body", "pack", "obj", "tail", "summary")
MAX_TABLES = 32
"""Room for tables of later versions."""

LAST_MAX = 1 << 48
SEQ_MAX = (1 << 32) - 1
SHORT = 20
"""Bytes of a short hash."""
PACK_MAX = (1 << 32) - 1
"""What an entry can name."""
FRAME_PART = 660
FRAME_WHOLE = 64 * 1024

_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")
_ENTRY = struct.Struct(">III")
_CHAIN = struct.Struct(">QI")
NUMBER = 8
"""Bytes of a number in a table."""
NAME_MAX = 4 * 64
"""Bytes of a name (archive/refs.py); LMDB takes no key much longer."""
type Stored = Kind | Literal["record", "tombstone"]
_KINDS: tuple[Stored, ...] = ("blob", "node", "record", "tombstone")


class Entry(NamedTuple):
    """Where an object or a record lies: in which pack, and where in that, unpacked."""

    pack: int
    offset: int
    length: int
    kind: Stored


def u32(n: int) -> bytes:
    return _U32.pack(n)


def u64(n: int) -> bytes:
    return _U64.pack(n)


def number(data: bytes) -> int:
    """Damaged when it is longer than any number of ours."""
    if len(data) > 8:
        raise Damaged(f"a table holds {data[:40].hex()} for a number")
    return int.from_bytes(data)


def chain_key(first: int, seq: int) -> bytes:
    """`first`: the place in the log of the session's first record. Damaged when no session is that long."""
    if seq > SEQ_MAX:
        raise Damaged(f"a session claims to have {seq} records")
    return _CHAIN.pack(first, seq)


def obj_key(digest: bytes) -> bytes:
    return digest[:SHORT]


def digest_of(data: bytes) -> Digest:
    """A digest out of a table; Damaged when it can not be one."""
    try:
        return Digest(data)
    except ValueError as error:
        raise Damaged(f"a table holds {data[:40].hex()} for a hash") from error


def head_value(digest: bytes, seq: int) -> bytes:
    return digest + _U64.pack(seq)


def read_head(data: bytes) -> tuple[Digest, int]:
    if len(data) != 40:
        raise Damaged("the head of a session is damaged")
    return Digest(data[:32]), number(data[32:])


def body_key(body: bytes, pos: int) -> bytes:
    return body[:SHORT] + _U64.pack(pos)


def frame_values(number: int, frame: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The rows that hold a frame. LMDB gives a large value whole pages of its own, which for a commit's usual frame of
    a few KB wastes a third; so frames are cut into values of which six fill a page. Large ones stay whole."""
    size = FRAME_PART if len(frame) <= FRAME_WHOLE else len(frame)
    for part, start in enumerate(range(0, len(frame), size)):
        yield _U64.pack(number) + _U16.pack(part), frame[start : start + size]


def read_frame(txn: Any, table: Any, number: int) -> bytes:
    """A frame put together again; empty when there is none."""
    start = _U64.pack(number)
    cursor = txn.cursor(db=table)
    more = cursor.set_range(start)
    parts: list[bytes] = []
    while more and cursor.key()[:8] == start:
        parts.append(cursor.value())
        more = cursor.next()
    return b"".join(parts)


def last_number(txn: Any, table: Any) -> int:
    """The highest number that begins a key of this table; 0 when it is empty. Damaged when nobody counted that far."""
    cursor = txn.cursor(db=table)
    last = number(cursor.key()[:8]) if cursor.last() else 0
    if last > LAST_MAX:
        raise Damaged(f"a table claims to have {last} rows", where=f"pos {last}")
    return last


def kind_number(kind: Stored) -> int:
    return _KINDS.index(kind)


def kind_of(n: int) -> Stored:
    """ValueError for a number that is no kind."""
    if n >= len(_KINDS):
        raise ValueError(f"no kind of object has the number {n}")
    return _KINDS[n]


def entry_value(entry: Entry) -> bytes:
    return _ENTRY.pack(entry.pack, entry.offset, entry.length | kind_number(entry.kind) << 30)


def read_entry(data: bytes) -> Entry:
    """ValueError when the bytes are not an entry."""
    if len(data) != _ENTRY.size:
        raise ValueError("not an entry of an index")
    pack, offset, length = _ENTRY.unpack(data)
    return Entry(pack, offset, length & 0x3FFF_FFFF, kind_of(length >> 30))
