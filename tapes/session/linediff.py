"""Which lines of one text are those of another: exact enough to read, and never slow.

A common beginning and end are set aside; then lines that stand once in either text are anchors (patience diff), and
between two anchors the same begins anew. What is left without anchors is compared by Myers' algorithm within a budget.
Beyond that, lines count as replaced: true, if not the shortest thing to say. Time is near n log n, whatever the input.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

BUDGET = 2_000_000
"""Comparisons that all stretches without anchors may take together."""
_READINGS = 30
"""How often all lines may be looked through for anchors."""
_EDITS = 400
"""Most edits that are sought in one such stretch."""


class Same(NamedTuple):
    """`size` lines from `old` on are those from `new` on."""

    old: int
    new: int
    size: int


class Hunk(NamedTuple):
    """A stretch of a unified diff: its lines, each with ' ', '-' or '+', and where it begins in either text, from 1."""

    old: int
    old_count: int
    new: int
    new_count: int
    lines: list[tuple[str, bytes]]


def lines_of(data: bytes) -> list[bytes]:
    """With their ends; only a line feed ends one, as for git."""
    return [line + b"\n" for line in data.split(b"\n")[:-1]] + ([last] if (last := data.rpartition(b"\n")[2]) else [])


def is_binary(data: bytes) -> bool:
    """As git tells it."""
    return b"\0" in data[:8000]


def matches(old: Sequence[Hashable], new: Sequence[Hashable]) -> list[Same]:
    """Equal stretches in order, none of them touching the next in both texts."""
    found: list[Same] = []
    for at_old, at_new, size in _Matching(old, new).stretches():
        if found and found[-1].old + found[-1].size == at_old and found[-1].new + found[-1].size == at_new:
            found[-1] = found[-1]._replace(size=found[-1].size + size)
        elif size:
            found.append(Same(at_old, at_new, size))
    return found


class _Matching:
    def __init__(self, old: Sequence[Hashable], new: Sequence[Hashable]) -> None:
        names: dict[Hashable, int] = {}
        self._old = [names.setdefault(line, len(names)) for line in old]
        self._new = [names.setdefault(line, len(names)) for line in new]
        self._budget = BUDGET
        self._reading = _READINGS * (len(old) + len(new)) + BUDGET

    def stretches(self) -> Iterator[Same]:
        """In order. The work is a stack, as anchors may lie in anchors as deep as the text is long."""
        waiting: list[tuple[int, int, int, int] | Same] = [(0, len(self._old), 0, len(self._new))]
        while waiting:
            at = waiting.pop()
            if isinstance(at, Same):
                yield at
                continue
            waiting += self._split(*at)[::-1]

    def _split(self, a: int, b: int, c: int, d: int) -> list[tuple[int, int, int, int] | Same]:
        """The same stretch of both texts as equal lines and smaller stretches."""
        old, new = self._old, self._new
        head = 0
        while a + head < b and c + head < d and old[a + head] == new[c + head]:
            head += 1
        tail = 0
        while a + head < b - tail and c + head < d - tail and old[b - tail - 1] == new[d - tail - 1]:
            tail += 1
        ends: list[tuple[int, int, int, int] | Same] = [Same(b - tail, d - tail, tail)]
        found: list[tuple[int, int, int, int] | Same] = [Same(a, c, head)]
        a, b, c, d = a + head, b - tail, c + head, d - tail
        if a == b or c == d:
            return found + ends
        anchors = self._anchors(a, b, c, d)
        if not anchors:
            return [*found, *self._shortest(a, b, c, d), *ends]
        for x, y in anchors:
            found += [(a, x, c, y), Same(x, y, 1)]
            a, c = x + 1, y + 1
        return [*found, (a, b, c, d), *ends]

    def _anchors(self, a: int, b: int, c: int, d: int) -> list[tuple[int, int]]:
        """Lines that stand once in either stretch, as many of them as are in the same order."""
        self._reading -= b - a + d - c
        if self._reading < 0:
            return []
        ours, theirs = Counter(self._old[a:b]), Counter(self._new[c:d])
        where = {line: y for y, line in enumerate(self._new[c:d], c) if theirs[line] == 1}
        pairs = [(x, where[line]) for x, line in enumerate(self._old[a:b], a) if ours[line] == 1 and theirs[line] == 1]
        return ascending(pairs)

    def _shortest(self, a: int, b: int, c: int, d: int) -> list[Same]:
        """Myers' greedy search for the fewest edits, given up when they are many."""
        n, m = b - a, d - c
        reach = {1: 0}
        trace: list[dict[int, int]] = []
        for edits in range(min(n + m, _EDITS) + 1):
            self._budget -= edits + 1
            if self._budget < 0:
                return []
            trace.append(dict(reach))
            for k in range(-edits, edits + 1, 2):
                down = k == -edits or (k != edits and reach[k - 1] < reach[k + 1])
                x = reach[k + 1] if down else reach[k - 1] + 1
                y = x - k
                while x < n and y < m and self._old[a + x] == self._new[c + y]:
                    x, y = x + 1, y + 1
                    self._budget -= 1
                reach[k] = x
                if x >= n and y >= m:
                    return [Same(a + i, c + j, size) for i, j, size in _back(trace, n, m)]
        return []


def _back(trace: list[dict[int, int]], x: int, y: int) -> list[tuple[int, int, int]]:
    found: list[tuple[int, int, int]] = []
    for edits in range(len(trace) - 1, -1, -1):
        reach, k = trace[edits], x - y
        if edits == 0:
            start_x = 0
        else:
            down = k == -edits or (k != edits and reach[k - 1] < reach[k + 1])
            before = k + 1 if down else k - 1
            start_x = reach[before] + (not down)
        if x > start_x:
            found.append((start_x, start_x - k, x - start_x))
        if edits:
            x = reach[before]
            y = x - before
    return found[::-1]


def ascending(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest run of pairs (ascending by their first) in which the second ascends too."""
    tops: list[int] = []
    ends: list[int] = []
    links: list[int] = []
    for number, (_, y) in enumerate(pairs):
        at = bisect_left(tops, y)
        links.append(ends[at - 1] if at else -1)
        tops[at : at + 1], ends[at : at + 1] = [y], [number]
    found = []
    at = ends[-1] if ends else -1
    while at >= 0:
        found.append(pairs[at])
        at = links[at]
    return found[::-1]


def counts(old: bytes, new: bytes) -> tuple[int, int]:
    """Lines that come, and lines that go."""
    ours, theirs = lines_of(old), lines_of(new)
    same = sum(stretch.size for stretch in matches(ours, theirs))
    return len(theirs) - same, len(ours) - same


def hunks(old: bytes, new: bytes, context: int = 3) -> Iterator[Hunk]:
    """A unified diff of two texts."""
    ours, theirs = lines_of(old), lines_of(new)
    rows = list(_rows(ours, theirs))
    changed = [number for number, (sign, *_) in enumerate(rows) if sign != " "]
    groups: list[tuple[int, int]] = []
    for number in changed:
        if groups and number - groups[-1][1] <= 2 * context:
            groups[-1] = (groups[-1][0], number)
        else:
            groups.append((number, number))
    for first, last in groups:
        chosen = rows[max(0, first - context) : last + context + 1]
        old_count, new_count = (sum(sign != other for sign, *_ in chosen) for other in "+-")
        _, _, x, y = chosen[0]
        # Where a side is empty, the line before it is named: so it is done.
        lines = [(sign, text) for sign, text, _, _ in chosen]
        yield Hunk(x + (old_count > 0), old_count, y + (new_count > 0), new_count, lines)


def _rows(ours: list[bytes], theirs: list[bytes]) -> Iterator[tuple[str, bytes, int, int]]:
    """Sign, line, and how many lines of either text stand before it."""
    x = y = 0
    for same in [*matches(ours, theirs), Same(len(ours), len(theirs), 0)]:
        while x < same.old:
            yield "-", ours[x], x, y
            x += 1
        while y < same.new:
            yield "+", theirs[y], x, y
            y += 1
        for _ in range(same.size):
            yield " ", ours[x], x, y
            x, y = x + 1, y + 1
