"""What a record of a command, a terminal or a working directory says, held against what it refers to."""

from __future__ import annotations

from tapes.archive.base import Archive
from tapes.errors import Damaged
from tapes.record import listing
from tapes.record.digest import Digest
from tapes.record.kinds import BodyRef, Record
from tapes.record.tomb import WITHHELD

_PARENTS = {
    "command.output": ("command.start",),
    "command.exec": ("command.start",),
    "command.end": ("command.start",),
    "command.lost": ("command.start",),
    "join": ("tool.use", "command.start"),
}
_WITH_BYTES = ("o", "i")


def check_shape(archive: Archive, record: Record) -> None:
    """Damaged where lengths do not come to those of the data, or a parent is of another type."""
    if record.type == "command.output":
        _lengths(sum(length for _, _, length in record.body["pieces"]), record)
    elif record.type == "terminal":
        _lengths(sum(event[2] for event in record.body["events"] if event[1] in _WITH_BYTES), record)
    elif record.type == "snapshot":
        _rows(archive, record)
    expected = _PARENTS.get(record.type)
    if expected is None:
        return
    found = tuple(_type(archive, parent) for parent in record.parents)
    if found != expected:
        raise Damaged(f"a {record.type} hangs under {', '.join(found) or 'nothing'}, not under {', '.join(expected)}")


def _rows(archive: Archive, record: Record) -> None:
    listed, content = BodyRef.match(record.body["listing"]), BodyRef.match(record.body["content"])
    assert listed is not None  # a record without one is not read at all
    total = sum(row.length or 0 for row in listing.read(archive.body(listed)))
    if total != (content.length if content else 0):
        raise Damaged(f"the rows of a snapshot are {total} bytes, its content {content.length if content else 0}")


def _lengths(total: int, record: Record) -> None:
    ref = BodyRef.match(record.body["data"])
    if total != (ref.length if ref else 0):
        raise Damaged(f"the pieces of a {record.type} are {total} bytes, its data {ref.length if ref else 0}")


def _type(archive: Archive, digest: Digest) -> str:
    record = archive.record(digest)
    return str(record.body["type"]) if record.type == WITHHELD else record.type
