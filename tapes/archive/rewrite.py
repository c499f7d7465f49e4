"""An archive's file written anew without what was withheld.

LMDB keeps deleted bytes in pages it has freed, and in the gaps of pages it has not. So nothing is deleted: a new file
is filled with the rows that stay, and what goes never enters it. The old file is only read, until the new one takes
its place (tapes.archive.destroy).

Packs keep their numbers, because the order of the log is that of the packs; one with nothing left stays as an empty
one. Groups without anything withheld are taken over as they are. All frames of a group are one zstd stream, so of a
group with something withheld all frames are written again, and what they hold gets another offset: only the entries in
`obj` and `log` that lead there change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from tapes.archive import pack, tables
from tapes.archive.audit import Run, rows
from tapes.archive.lookups import Tables, Txn
from tapes.archive.reading import object_digest
from tapes.archive.redaction import Sentence
from tapes.record.digest import Digest
from tapes.record.tomb import logged_digest

BATCH_BYTES = 32 * 1024 * 1024
"""Written per transaction: LMDB holds the pages of one in memory."""

type Row = tuple[bytes, bytes]
type Write = Callable[[str, Iterable[Row]], None]
type Places = dict[tuple[int, int], tables.Entry]
"""Where the items of packs that were written again have gone, by pack and old offset."""


def rewrite(source: Run, target: Run, wanted: Sentence) -> None:
    """Fill an empty archive with what `source` keeps once the sentence is carried out. Damaged where a pack that must
    be written again can not be read."""
    _Rewriting(source, wanted).into(_writer(target))


def _writer(run: Run) -> Write:
    def write(table: str, rows: Iterable[Row]) -> None:
        waiting: list[Row] = []
        size = 0

        def put(txn: Txn, t: Tables) -> None:
            for key, value in waiting:
                txn.put(key, value, db=t[table], append=table != "meta")

        for row in rows:
            waiting.append(row)
            size += len(row[0]) + len(row[1])
            if size > BATCH_BYTES:
                run(put, write=True)  # type: ignore[call-arg]
                waiting, size = [], 0
        run(put, write=True)  # type: ignore[call-arg]

    return write


class _Rewriting:
    def __init__(self, run: Run, wanted: Sentence) -> None:
        self._run, self._wanted = run, wanted
        self._keeps = wanted.keeper(tables.obj_key)
        self._moved: Places = {}
        self._touched: set[int] = set()
        """Packs of groups that are written again."""
        self._last: set[int] = set()
        """The last of each such group."""
        self._positions: set[bytes] = set()
        """Places in the log of the records that become tombstones."""

    def into(self, write: Write) -> None:
        self._find()
        write("meta", rows(self._run, "meta"))
        write("pack", self._packs())
        write("obj", self._objects())
        write("log", self._log())
        for table in ("byhash", "chain", "head"):
            write(table, rows(self._run, table))
        write("ref", (row for row in rows(self._run, "ref") if row[1] not in self._wanted.nameless))
        write("body", (row for row in rows(self._run, "body") if row[0][tables.SHORT :] not in self._positions))
        write("tail", (row for row in rows(self._run, "tail") if row[0] not in self._wanted.tombs))
        write("summary", (row for row in rows(self._run, "summary") if row[0] not in self._wanted.sessions))

    def _find(self) -> None:
        """Which packs hold something that goes, and so which groups."""
        packs = {tables.read_entry(entry).pack for key, entry in rows(self._run, "obj") if not self._keeps(key)}
        for digest in self._wanted.tombs:
            pos = self._get("byhash", digest)
            self._positions.add(pos)
            packs.add(tables.read_entry(self._get("log", pos)).pack)
        for group in self._groups():
            if packs.intersection(group):
                self._touched.update(group)
                self._last.add(group[-1])

    def _get(self, table: str, key: bytes) -> bytes:
        found: bytes = self._run(lambda txn, t: txn.get(key, db=t[table]))
        return found

    def _groups(self) -> Iterator[list[int]]:
        """Numbers of packs, group by group. Frames of other processes' groups may lie between."""
        open_: dict[int, list[int]] = {}
        for number, frame in self._frames():
            group = open_.pop(pack.base(frame), [])
            group.append(number)
            open_[number] = group
            for last in [last for last, group in open_.items() if len(group) == pack.GROUP]:
                yield open_.pop(last)
        yield from open_.values()

    def _frames(self) -> Iterator[tuple[int, bytes]]:
        parts: list[bytes] = []
        number = 0
        for key, value in rows(self._run, "pack"):
            if tables.number(key[:8]) != number and parts:
                yield number, b"".join(parts)
                parts = []
            number = tables.number(key[:8])
            parts.append(value)
        if parts:
            yield number, b"".join(parts)

    # -- packs

    def _packs(self) -> Iterator[Row]:
        streams: dict[int, tuple[list[tuple[int, bytes]], pack.Group]] = {}
        """By the last number of a group that is being written again: its frames so far, and the new ones."""
        for number, frame in self._frames():
            if number not in self._touched:
                yield from tables.frame_values(number, frame)
                continue
            before, group = streams.pop(pack.base(frame), ([], pack.Group()))
            before.append((number, frame))
            if number not in self._last:
                streams[number] = before, group
            payload = list(pack.unpack(before))[-1][1]
            yield from tables.frame_values(number, self._written_again(number, payload, group))

    def _written_again(self, number: int, payload: bytes, group: pack.Group) -> bytes:
        items: list[pack.Item] = []
        offsets: list[int] = []
        for place in pack.table(payload):
            item = self._item(place, payload[place.offset : place.offset + place.length])
            if item is not None:
                items.append(item)
                offsets.append(place.offset)
        frame = group.add(number, items)
        for old, item, new in zip(offsets, frame.items, frame.places, strict=True):
            self._moved[number, old] = tables.Entry(number, new.offset, new.length, item.kind)
        return frame.data

    def _item(self, place: pack.Place, data: bytes) -> pack.Item | None:
        if place.kind == "blob" or place.kind == "node":
            digest = object_digest(place.kind, data)
            kept = self._keeps(tables.obj_key(digest))
            return pack.Item(digest, place.kind, data) if kept else None
        digest = logged_digest(data)
        tomb = self._wanted.tombs.get(Digest(digest))
        if tomb is None:
            return pack.Item(digest, place.kind, data)
        return pack.Item(digest, "tombstone", tomb.to_bytes())

    # -- what leads there

    def _objects(self) -> Iterator[Row]:
        for key, value in rows(self._run, "obj"):
            if self._keeps(key):
                yield key, self._entry(value)

    def _log(self) -> Iterator[Row]:
        for key, value in rows(self._run, "log"):
            yield key, self._entry(value)

    def _entry(self, value: bytes) -> bytes:
        old = tables.read_entry(value)
        if old.pack not in self._touched:
            return value
        return tables.entry_value(self._moved[old.pack, old.offset])
