"""The reading half that both archives share: look up, re-hash, only then return.

An implementation supplies the lookups (`Shelf`), which trust nothing and check nothing; everything that
leaves the archive passes through here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType
from typing import Protocol, Self

from blake3 import blake3

from tapes.archive.base import Kind, Link, Object, Subtrees
from tapes.archive.node import Node, read_node
from tapes.errors import Damaged, NotFound, UsageError, Withheld
from tapes.record.digest import Digest, blob_digest, node_digest
from tapes.record.kinds import BodyRef, Record, read_record
from tapes.record.tomb import is_tombstone, logged_digest, read_tombstone

CHUNK = 128
GROUP_BYTES = 256 * 1024
"""Leaves of a body that are looked up together; what is damaged is told after at most so much more was read."""
"""Records fetched per short transaction while iterating."""


class Shelf(Protocol):
    """Lookups. Each is one short transaction; none is held open between calls. None: nothing there."""

    def _positions(self, digests: Sequence[Digest]) -> list[int | None]:
        """By the index of hashes, of many at once."""

    def _hash_at(self, pos: int) -> Digest | None:
        """The hash that leads to a place in the log. May be slow: asked only when the bytes there are damaged."""

    def _logged(self, pos: int) -> bytes | None: ...
    def _log_from(self, pos: int, limit: int) -> list[tuple[int, bytes]]:
        """Up to `limit` rows of the log from `pos` on."""

    def _chained(self, session: Digest, seq: int) -> int | None: ...
    def _chained_from(self, session: Digest, seq: int, limit: int) -> list[tuple[int, int, bytes | None]]:
        """Up to `limit` rows (seq, pos, record's bytes) of a session from `seq` on."""

    def _stored(self, digests: Sequence[Digest]) -> list[Object | None]:
        """Many at once, because a transaction for each piece costs as much as hashing it."""

    def _tail(self, part: Digest, length: int) -> bytes | None: ...
    def head(self, session: Digest) -> tuple[Digest, int] | None: ...
    def last(self) -> int: ...
    def body_records(self, body_hash: Digest) -> list[Digest]: ...
    def close(self) -> None: ...


class Reader(Shelf, Protocol):
    """Reads with every hash checked. As a mixin: the implementation inherits it and supplies the lookups."""

    # -- records

    def _pos(self, digest: Digest) -> int | None:
        return self._positions([digest])[0]

    def record_raw(self, digest: Digest) -> bytes:
        data = self._bytes(digest)
        if is_tombstone(data):
            raise Withheld(f"record {digest.short()}", read_tombstone(data).by.hex())
        return data

    def _bytes(self, digest: Digest) -> bytes:
        """A record's, or those of the tombstone in its place."""
        pos = self.position(digest)
        data = self._logged(pos)
        if data is None:
            raise _missing(pos)
        if logged_digest(data) != digest:
            raise mismatch(digest, pos)
        return data

    def record(self, digest: Digest) -> Record:
        return _read(self._bytes(digest), digest.hex())

    def position(self, digest: Digest) -> int:
        pos = self._pos(digest)
        if pos is None:
            raise NotFound(f"no record {digest.short()}")
        return pos

    def at(self, pos: int) -> tuple[Digest, Record]:
        data = self._logged(pos)
        if data is None and 0 < pos <= self.last():
            raise _missing(pos)
        if data is None:
            raise NotFound(f"the log has no place {pos}")
        return self._checked(pos, data)

    def log(self, after: int = 0) -> Iterator[tuple[int, Digest, Record]]:
        while rows := self._log_from(after + 1, CHUNK):
            for pos, data in rows:
                after += 1
                if pos != after:
                    raise _missing(after)
                digest, record = self._checked(pos, data)
                yield pos, digest, record

    def _checked(self, pos: int, data: bytes, found: tuple[Digest, int | None] | None = None) -> tuple[Digest, Record]:
        """A row of the log; it is whole when the index by hash knows it at this place. `found`: the row's hash, and
        where the index knows that, from a lookup of many."""
        digest, known = found or (own := logged_digest(data), self._pos(own))
        if known != pos:
            raise mismatch(self._hash_at(pos), pos)
        return digest, _read(data, digest.hex())

    # -- sessions

    def session_records(self, session: Digest, first: int = 0) -> Iterator[tuple[Digest, Record]]:
        if self.head(session) is None:
            raise NotFound(f"no session {session.short()}")
        return self._session_records(session, first)

    def _session_records(self, session: Digest, seq: int) -> Iterator[tuple[Digest, Record]]:
        while rows := self._chained_from(session, seq, CHUNK):
            digests = [logged_digest(data or b"") for _, _, data in rows]
            places = zip(digests, self._positions(digests), strict=True)
            for (found, pos, data), place in zip(rows, places, strict=True):
                if found != seq:
                    break
                yield self._of_session(session, seq, pos, data, place)
                seq += 1
            else:
                continue
            break
        head = self.head(session)
        if head is not None and seq <= head[1]:
            raise _hole(session, seq)

    def session_record(self, session: Digest, seq: int) -> tuple[Digest, Record]:
        pos = self._chained(session, seq)
        if pos is not None:
            return self._of_session(session, seq, pos, self._logged(pos))
        head = self.head(session)
        if head is not None and seq <= head[1]:
            raise _hole(session, seq)
        raise NotFound(f"session {session.short()} has no record {seq}")

    def _of_session(
        self, session: Digest, seq: int, pos: int, data: bytes | None, found: tuple[Digest, int | None] | None = None
    ) -> tuple[Digest, Record]:
        if data is None:
            raise _missing(pos)
        digest, record = self._checked(pos, data, found)
        if (record.session or digest) != session or record.seq != seq:
            raise Damaged(f"record {digest.short()} is not record {seq} of its session", where=digest.hex())
        return digest, record

    # -- objects and bodies

    def has_object(self, digest: Digest) -> bool:
        return self._stored([digest])[0] is not None

    def object(self, digest: Digest) -> Object:
        return self._whole(digest, self._stored([digest])[0])

    def _whole(self, digest: Digest, found: Object | None) -> Object:
        if found is None:
            raise NotFound(f"no object {digest.short()}")
        kind, data = found
        if object_digest(kind, data) != digest:
            raise Damaged(f"{kind} {digest.short()} does not match its hash", where=digest.hex())
        return found

    def blob(self, digest: Digest) -> bytes:
        return _fitting(self.object(digest), digest, "blob", None)

    def body(self, ref: BodyRef) -> bytes:
        return b"".join(self.body_chunks(ref))

    def body_chunks(self, ref: BodyRef) -> Iterator[bytes]:
        whole = blake3()
        for some in _together(self.leaves(ref)):
            for data in self.contents(some):
                whole.update(data)
                yield data
        if whole.digest() != ref.hash:
            raise Damaged(f"body {ref.hash.short()} does not match its hash", where=ref.hash.hex())

    def body_range(self, ref: BodyRef, offset: int, length: int) -> bytes:
        if offset < 0 or length < 0:
            raise UsageError(f"a body has no bytes {offset} to {offset + length}")
        return b"".join(self._range(self._root(ref), offset, offset + length))

    def _range(self, node: Node, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` to `stop` of what lies below a node; subtrees beside it are passed over by their
        lengths."""
        held: list[tuple[bytes | Link, int]] = []
        at = 0
        for entry in node.entries:
            size = len(entry) if isinstance(entry, bytes) else entry.length
            if at < stop and at + size > start:
                held.append((entry, at))
            at += size
        if node.level:
            for entry, at in held:
                assert isinstance(entry, Link)  # read_node allows literals in leaves only
                yield from self._range(self._node(entry, node.level - 1), start - at, stop - at)
            return
        blobs = self._blobs([entry for entry, _ in held if isinstance(entry, Link)])
        for entry, at in held:
            data = entry if isinstance(entry, bytes) else next(blobs)
            yield data[max(0, start - at) : stop - at]

    def leaves(self, ref: BodyRef, known: Subtrees | None = None) -> Iterator[Link]:
        root = self._root(ref)
        if known is not None and root.level:
            return iter(self._leaves_below(root, known))
        return self._leaves(Link(ref.node, ref.length), root)

    def _root(self, ref: BodyRef) -> Node:
        try:
            return self._node(Link(ref.node, ref.length), None)
        except NotFound:
            self._raise_withheld(ref)
            raise

    def _raise_withheld(self, ref: BodyRef) -> None:
        """Its root is gone: on purpose? (A sweep leaves bodies whole or takes their roots.)"""
        for digest in self.body_records(ref.hash):
            record = self.record(digest)
            if record.type == "redaction" and ref.hash in record.body["bodies"]:
                raise Withheld(f"body {ref.hash.short()}", digest.hex())

    def leaf(self, leaf: Link) -> bytes:
        return next(self.contents([leaf]))

    def contents(self, leaves: Sequence[Link]) -> Iterator[bytes]:
        """The bytes under each of them. Looked up together: a transaction takes longer than a piece."""
        stored = self._stored([leaf.digest for leaf in leaves])
        nodes = [self._fitting_node(leaf, 0, found) for leaf, found in zip(leaves, stored, strict=True)]
        blobs = self._blobs([entry for node in nodes for entry in node.entries if not isinstance(entry, bytes)])
        for node in nodes:
            yield b"".join([entry if isinstance(entry, bytes) else next(blobs) for entry in node.entries])

    def _blobs(self, links: Sequence[Link]) -> Iterator[bytes]:
        stored = self._stored([link.digest for link in links])
        return iter([self._blob(link, found) for link, found in zip(links, stored, strict=True)])

    def _blob(self, link: Link, found: Object | None) -> bytes:
        return _fitting(self._whole(link.digest, found), link.digest, "blob", link.length)

    def _leaves(self, link: Link, node: Node) -> Iterator[Link]:
        if node.level == 0:
            yield link
            return
        links = [entry for entry in node.entries if isinstance(entry, Link)]  # literals are in leaves only
        if node.level == 1:
            yield from links
            return
        for entry, found in zip(links, self._stored([entry.digest for entry in links]), strict=True):
            yield from self._leaves(entry, self._fitting_node(entry, node.level - 1, found))

    def _leaves_below(self, node: Node, known: Subtrees) -> list[Link]:
        links = [entry for entry in node.entries if isinstance(entry, Link)]
        if node.level == 1:
            return links
        level = node.level - 1
        new = [link for link in links if link.digest not in known]
        for link, stored in zip(new, self._stored([link.digest for link in new]), strict=True):
            below = self._leaves_below(self._fitting_node(link, level, stored), known)
            known[link.digest] = (level, link.length, tuple(below))
        found: list[Link] = []
        for link in links:
            *shape, leaves = known[link.digest]
            if shape != [level, link.length]:
                raise _unfit(link)
            found += leaves
        return found

    def _node(self, link: Link, level: int | None) -> Node:
        return self._fitting_node(link, level, self._stored([link.digest])[0])

    def _fitting_node(self, link: Link, level: int | None, found: Object | None) -> Node:
        """Lengths and levels must agree on the way down, which bounds what a forged tree can cost."""
        try:
            node = read_node(_fitting(self._whole(link.digest, found), link.digest, "node", None))
        except Damaged as error:
            raise Damaged(str(error), where=error.where or link.digest.hex()) from error
        if node.length != link.length or level not in (None, node.level):
            raise _unfit(link)
        return node

    def tail(self, part_record: Digest) -> bytes | None:
        body = self.record(part_record).body
        data = self._tail(part_record, body.get("length", 0))
        if data is not None and (len(data) != body["length"] or blob_digest(data) != body["data"]):
            raise Damaged(f"the bytes of part {part_record.short()} do not match their hash", where=part_record.hex())
        return data

    # -- context manager

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _read(data: bytes, where: str) -> Record:
    try:
        return read_tombstone(data).stand_in() if is_tombstone(data) else read_record(data)
    except Damaged as error:
        raise Damaged(str(error), where=where) from error


def _together(leaves: Iterable[Link]) -> Iterator[list[Link]]:
    """Leaves in groups of a bounded size."""
    group: list[Link] = []
    size = 0
    for leaf in leaves:
        group.append(leaf)
        size += leaf.length
        if size >= GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _fitting(found: Object, digest: Digest, kind: Kind, length: int | None) -> bytes:
    if found[0] != kind or length not in (None, len(found[1])):
        raise Damaged(f"{found[0]} {digest.short()} does not fit where it stands", where=digest.hex())
    return found[1]


def object_digest(kind: Kind, data: bytes) -> bytes:
    return blake3(data).digest() if kind == "blob" else node_digest(data)


def mismatch(digest: Digest | None, pos: int) -> Damaged:
    """The error for a row of the log whose bytes do not give the hash they are kept under (None: nobody knows it)."""
    name, where = (digest.short(), digest.hex()) if digest else ("of unknown hash", f"pos {pos}")
    return Damaged(f"record {name} at place {pos} does not match its hash", where=where)


def _unfit(link: Link) -> Damaged:
    return Damaged(f"node {link.digest.short()} does not fit where it stands", where=link.digest.hex())


def _missing(pos: int) -> Damaged:
    return Damaged(f"the record at place {pos} is missing from the log", where=f"pos {pos}")


def _hole(session: Digest, seq: int) -> Damaged:
    return Damaged(f"record {seq} of session {session.short()} is missing", where=session.hex())
