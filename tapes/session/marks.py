"""Marks: labels that a person has put on steps, so as to find them again.

A mark is a `note` record behind the step's own, with which item of it is meant; what takes a step's marks back is one
more note, as the chain only grows. So what is marked is found by reading the notes in their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tapes.record.digest import Digest
from tapes.record.kinds import Record
from tapes.values import dataclass

SIGN = "★"
MOST = 200
"""Bytes of a label."""

type Place = tuple[Digest, int]
"""A step as it goes by in records: its record, and which item of that."""


@dataclass(frozen=True, slots=True)
class StepMark:
    label: str
    record: Digest
    """The note."""
    who: str
    wall_ns: int


def is_mark(record: Record) -> bool:
    return record.type == "note" and record.body.get("kind") == "mark"


def is_unmark(record: Record) -> bool:
    return record.type == "note" and record.body.get("kind") == "unmark"


def place_of(record: Record) -> Place | None:
    """The step that a note marks, or takes the marks from. None for all other records."""
    if not (is_mark(record) or is_unmark(record)) or not record.parents:
        return None
    item = record.body.get("item", 0)
    return (record.parents[0], item) if type(item) is int else None


def marks_of(records: Iterable[tuple[Digest, Record]]) -> dict[Place, list[StepMark]]:
    """A session's marks by the steps that they stand at, oldest first; without those that were taken back."""
    found: dict[Place, list[StepMark]] = {}
    for digest, record in records:
        place = place_of(record)
        if place is None:
            continue
        if is_mark(record):
            mark = StepMark(str(record.body.get("text", "")), digest, str(record.body.get("who", "")), record.wall_ns)
            found.setdefault(place, []).append(mark)
        else:
            found.pop(place, None)
    return found


class Marking:
    """What steps are told of marks, as they are read in their order."""

    def __init__(self, records: Sequence[tuple[Digest, Record]]) -> None:
        self._marks = marks_of(records)
        self._standing = {mark.record for marks in self._marks.values() for mark in marks}
        self._about = {
            digest: (place, is_mark(record)) for digest, record in records if (place := place_of(record)) is not None
        }
        self._numbers = dict.fromkeys((place for place, _ in self._about.values()), 0)

    def facts(self, digest: Digest, item: int, number: int) -> dict[str, Any]:
        """Of the step `number`: `marks`, the labels at it; of a note that sets or takes back marks `about`, the step
        that it means, and `taken_back` where its mark is gone."""
        if (digest, item) in self._numbers:
            self._numbers[digest, item] = number
        found: dict[str, Any] = {}
        if (digest, item) in self._marks:
            found["marks"] = [mark.label for mark in self._marks[digest, item]]
        if digest in self._about:
            (record, at), sets = self._about[digest]
            found["about"] = {"step": self._numbers[record, at] or None, "hash": record.hex(), "item": at}
            if sets and digest not in self._standing:
                found["taken_back"] = True
        return found
