"""Which session came of which: one that branched off another at a step, or that an agent went on with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tapes.session.rows import Row
from tapes.values import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """A session in its place."""

    row: Row
    depth: int
    drawn: str
    """The branches of the tree in front of it."""
    origin: str
    """What leads to it: `branch at` a record, `continues`, and of whom where that session is not here."""


class Lineage:
    """The sessions of an archive as trees."""

    def __init__(self, found: Sequence[Row]) -> None:
        """`found`: newest first."""
        self._rows = {row.session.hex(): row for row in found}
        self._below: dict[str, list[Row]] = {}
        for row in reversed(found):  # of several branches the first made comes first
            self._below.setdefault(self._parent(row), []).append(row)

    def _parent(self, row: Row) -> str:
        """Empty where it has none here. None leads to itself: its id is the hash of what would have to name it."""
        wanted = row.summary.branch_of or row.summary.continues
        return wanted if wanted in self._rows else ""

    def lines(self, limit: int | None = None) -> Iterator[Line]:
        """The newest beginnings first, each with all that came of it."""
        for row in self._below.get("", [])[::-1][:limit]:
            yield from self._with(row, 0, "", "")

    def _with(self, row: Row, depth: int, drawn: str, under: str) -> Iterator[Line]:
        waiting = [(row, depth, drawn, under)]
        while waiting:  # a chain of sessions may be longer than Python's stack
            row, depth, drawn, under = waiting.pop()
            yield Line(row, depth, drawn, self._origin(row))
            children = self._below.get(row.session.hex(), [])
            for n, child in reversed(list(enumerate(children))):
                last = n == len(children) - 1
                waiting.append(
                    (child, depth + 1, f"{under}{'└─ ' if last else '├─ '}", f"{under}{'   ' if last else '│  '}")
                )

    def _origin(self, row: Row) -> str:
        summary = row.summary
        parent = summary.branch_of or summary.continues
        away = f" of {parent[:8]}, which is not here" if parent and parent not in self._rows else ""
        if summary.branch_of:
            return f"branch at {summary.branch_at[:8]}{away}"
        return f"continues{away}" if parent else ""
