"""A stored file by the hash of its content: the listings of snapshots are looked through, the newest session's first.

There is no table for it: file contents are slices of bodies. Each listing is searched as bytes before any row of it is
read, and one that several sessions share is searched once.
"""

from __future__ import annotations

from tapes.archive.base import Archive
from tapes.errors import Damaged, NotFound
from tapes.record import listing
from tapes.record.digest import Digest
from tapes.record.kinds import BodyRef, Record
from tapes.record.listing import Entry
from tapes.values import dataclass

LEAST = 6
"""Hex digits that are sought; fewer would find something by chance in any large tree."""
_HASH = b"\x58\x20"
"""How a hash begins in a row: 32 bytes follow."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A row whose content has the hash, and where it is kept."""

    session: Digest
    record: Digest
    entry: Entry
    body: BodyRef | None
    offset: int


def find_files(archive: Archive, prefix_hex: str) -> list[StoredFile]:
    """One for each hash that begins so, of the newest session that has any. Sessions and listings that can not be read
    are passed over."""
    if len(prefix_hex) < LEAST:
        return []
    searched: set[Digest] = set()
    for session in reversed(archive.sessions()):
        found: dict[Digest, StoredFile] = {}
        try:
            for digest, record in archive.session_records(session):
                if record.type == "snapshot":
                    _search(archive, session, digest, record, prefix_hex, searched, found)
        except (Damaged, NotFound):
            pass  # the rest of this session; `tapes verify` says what is wrong with it
        if found:
            return sorted(found.values(), key=lambda stored: bytes(stored.entry.hash or b""))
    return []


def _search(
    archive: Archive,
    session: Digest,
    digest: Digest,
    record: Record,
    prefix_hex: str,
    searched: set[Digest],
    found: dict[Digest, StoredFile],
) -> None:
    ref = BodyRef.match(record.body.get("listing"))
    if ref is None or ref.hash in searched:
        return
    searched.add(ref.hash)
    try:
        data = archive.body(ref)
        if _HASH + bytes.fromhex(prefix_hex[: len(prefix_hex) // 2 * 2]) not in data:
            return
        offset, body = 0, BodyRef.match(record.body.get("content"))
        for entry in listing.read(data):
            if entry.hash is not None and entry.hash.hex().startswith(prefix_hex):
                found.setdefault(entry.hash, StoredFile(session, digest, entry, body, offset))
            offset += entry.length or 0
    except (Damaged, NotFound):
        return
