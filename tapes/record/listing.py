"""The listing of a snapshot: what a working directory was, one row per path, beside the contents put together.

Canonical CBOR arrays (tapes/record/canon.py), one after the other with nothing between, in strictly ascending order
of path bytes (docs/format.md §4, `snapshot`). The reader takes nothing on trust: a path that leaves the root, a row out
of order, a hash without a length are damage, so whoever writes these files somewhere needs no checks of his own for it.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import cbor2

from tapes.errors import Damaged, UsageError
from tapes.record import canon
from tapes.record.digest import Digest
from tapes.values import dataclass, field

KINDS = ("file", "link", "dir", "other", "gone")
WHYS = ("ignored", "large", "secret", "changing", "unreadable", "budget", "special")
"""Why a row has no content (`facts.why`). Not a closed list: a reader says a word it does not know as it is."""

_FIELDS = 8


@dataclass(frozen=True, slots=True)
class Entry:
    """One path of a working directory as a snapshot found it."""

    path: bytes
    """Relative to the root, `/` between names, neither empty nor leading out of it. Not always UTF-8."""
    kind: str
    """One of KINDS. `gone`: was there in the snapshot before; mode, size and mtime are 0."""
    mode: int
    """st_mode & 0o7777."""
    size: int
    """Bytes on the disk, before redaction."""
    mtime_ns: int
    hash: Digest | None
    """Plain BLAKE3 of the stored content: after redaction, a link's target; None: listed, not stored."""
    length: int | None
    """Bytes of the stored content; None exactly where hash is."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """why (one of WHYS), redacted: n, from: path bytes, torn: true; a newer writer may say more."""

    @property
    def why(self) -> str:
        """Why there is no content; "" where there is, and of directories and what is gone."""
        return str(self.facts.get("why", ""))


def write(entries: Iterable[Entry]) -> bytes:
    """The bytes of these rows. UsageError unless they are in order and each one is as docs/format.md says."""
    out = bytearray()
    before = b""
    for entry in entries:
        row = (
            entry.path,
            entry.kind,
            entry.mode,
            entry.size,
            entry.mtime_ns,
            entry.hash,
            entry.length,
            entry.facts,
        )
        wrong = _fault(before, row)
        if wrong:
            raise UsageError(f"no row of a listing: {wrong}")
        try:
            _append(out, row)
        except (TypeError, ValueError) as error:
            raise UsageError(f"no row of a listing: {error}") from error
        before = entry.path
    return bytes(out)


def read(data: bytes) -> Iterator[Entry]:
    """The rows these bytes are. Damaged, after the rows before it, at the first that is not one."""
    decoder = cbor2.CBORDecoder(io.BytesIO(data), max_depth=canon.MAX_DEPTH + 1)
    at, before = 0, b""
    while at < len(data):
        try:
            row: Any = decoder.decode()
            wrong = _fault(before, row)
            if wrong:
                raise Damaged(f"not a listing: {wrong}")
            written = bytearray()
            _append(written, row)
        except (cbor2.CBORError, TypeError, ValueError, OverflowError, RecursionError, MemoryError) as error:
            raise Damaged(f"not a listing: {error}") from error
        if not data.startswith(written, at):
            raise Damaged("not a listing: decodes, but is not the one way of writing its value")
        at += len(written)
        path, kind, mode, size, mtime_ns, digest, length, facts = row
        yield Entry(path, kind, mode, size, mtime_ns, None if digest is None else Digest(digest), length, facts)
        before = path


def is_path(path: object) -> bool:
    """Can it be the path of a row: names joined by `/`, none of them empty, `.` or `..`?"""
    return isinstance(path, bytes) and b"\0" not in path and _ODD.isdisjoint(path.split(b"/"))


_ODD = frozenset((b"", b".", b".."))


def _append(out: bytearray, row: Any) -> None:
    """`canon.encode` of a row without fault, at a third of its time: snapshots of whole trees have 50,000 of them."""
    path, kind, mode, size, mtime_ns, digest, length, facts = row
    out += b"\x88"
    out += canon.head(_BYTES, len(path))
    out += path
    out += _KIND[kind]
    out += canon.head(0, mode)
    out += canon.head(0, size)
    out += canon.head(0, mtime_ns) if mtime_ns >= 0 else canon.encode(mtime_ns)
    if digest is None:
        out += b"\xf6\xf6"
    else:
        out += b"\x58\x20"
        out += digest
        out += canon.head(0, length)
    out += canon.encode(facts) if facts else b"\xa0"


_BYTES = 2 << 5
_KIND = {kind: canon.encode(kind) for kind in KINDS}


def _fault(before: bytes, row: Any) -> str:
    """What is wrong with a row that follows the path before, or an empty string."""
    if not isinstance(row, list | tuple) or len(row) != _FIELDS:
        return f"a row is not an array of {_FIELDS}"
    path, kind, mode, size, mtime_ns, digest, length, facts = row
    if not is_path(path):
        return "a path is not one, or leads out of the root"
    if path <= before:
        return "paths are not in order"
    if kind not in KINDS:
        return f"no such kind: {kind!r}"
    if not (
        type(mode) is type(size) is type(mtime_ns) is int
        and abs(mtime_ns) < 2**63
        and 0 <= mode <= 0o7777
        and 0 <= size < 2**64
    ):
        return "mode, size and mtime do not fit"
    if (digest is None) != (length is None):
        return "a hash and a length come together"
    if digest is not None:
        if not (isinstance(digest, bytes) and len(digest) == 32 and type(length) is int and 0 <= length < 2**64):
            return "hash and length do not fit"
        if kind not in ("file", "link"):
            return "only files and links have content"
    return "" if isinstance(facts, Mapping) else "facts are not a map"
