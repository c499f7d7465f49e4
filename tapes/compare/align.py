"""Two sequences of units, each unit with its fellow or without.

What both begin and end with is set aside by comparing hashes, in time that hangs on nothing else. The rest is aligned
by cost (Needleman and Wunsch): a unit without a fellow costs its weight, a pair costs by how little alike it is, and
what is too unlike is never a pair. Where the rest is long, units that mean what no other means are fixed points first;
what lies between two of those is aligned for itself, and within a band where even that is long. So time and memory have
bounds (CELLS), and the same two runs always give the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate

from tapes.compare.action import alike, shared
from tapes.compare.units import Unit
from tapes.session.linediff import ascending

CELLS = 400_000
"""Pairs of units that are looked at in one stretch; a longer one is cut at fixed points, else banded."""
BAND = 96
"""Units to either side of the diagonal, at least."""
UNLIKE = 0.35
"""Likeness below which two units are no pair: at half of it, to take both as lone costs the same."""
_SCALE = 100
_NEVER = 1 << 60

type Pair = tuple[int | None, int | None]


def align(ours: Sequence[Unit], theirs: Sequence[Unit]) -> list[Pair]:
    """Indexes of fellows, in order; None on one side for a unit that has none."""
    head, limit = 0, min(len(ours), len(theirs))
    while head < limit and _twins(ours[head], theirs[head]):
        head += 1
    tail = 0
    while tail < limit - head and _twins(ours[-1 - tail], theirs[-1 - tail]):
        tail += 1
    found: list[Pair] = [(n, n) for n in range(head)]
    found += _between(ours, theirs, head, len(ours) - tail, head, len(theirs) - tail)
    found += [(len(ours) - tail + n, len(theirs) - tail + n) for n in range(tail)]
    return found


def same(one: Unit, other: Unit) -> bool:
    """Do two units say or ask for the same?"""
    return one.is_as(other) or (one.type == other.type and one.meaning == other.meaning)


def _twins(one: Unit, other: Unit) -> bool:
    """Would anybody take them for each other? What came of a call tells the rounds of a loop apart."""
    return same(one, other) and (one.action is None or one.ended_as(other))


def likeness(one: Unit, other: Unit) -> float:
    """0 to 1; 0 for what is of another kind."""
    if one.type != other.type:
        return 0.0
    if one.meaning == other.meaning:
        return 1.0
    if one.action is not None and other.action is not None:
        return alike(one.action, other.action)
    return shared(one.words, other.words) if one.words and other.words else 0.0


# -- stretches


def _between(ours: Sequence[Unit], theirs: Sequence[Unit], a: int, b: int, c: int, d: int) -> Iterator[Pair]:
    """The work is a list: fixed points may lie between fixed points as deep as a run is long."""
    waiting: list[tuple[int, int, int, int] | Pair] = [(a, b, c, d)]
    while waiting:
        at = waiting.pop()
        if len(at) == 2:
            yield at
            continue
        a, b, c, d = at
        if a == b or c == d:
            yield from ((i, None) for i in range(a, b))
            yield from ((None, j) for j in range(c, d))
        elif (b - a) * (d - c) <= CELLS:
            yield from _needleman(ours[a:b], theirs[c:d], a, c)
        elif fixed := _fixed(ours, theirs, a, b, c, d):
            parts: list[tuple[int, int, int, int] | Pair] = []
            for i, j in fixed:
                parts += [(a, i, c, j), (i, j)]
                a, c = i + 1, j + 1
            waiting += [*parts, (a, b, c, d)][::-1]
        else:
            yield from _needleman(ours[a:b], theirs[c:d], a, c)


def _fixed(ours: Sequence[Unit], theirs: Sequence[Unit], a: int, b: int, c: int, d: int) -> list[tuple[int, int]]:
    """Units that mean what none other of their side does, as many as stand in the same order."""
    mine, its = Counter(u.meaning for u in ours[a:b]), Counter(u.meaning for u in theirs[c:d])
    where = {u.meaning: j for j, u in enumerate(theirs[c:d], c) if its[u.meaning] == 1}
    pairs = [(i, where[u.meaning]) for i, u in enumerate(ours[a:b], a) if mine[u.meaning] == 1 and u.meaning in where]
    return ascending(pairs)


def _needleman(ours: Sequence[Unit], theirs: Sequence[Unit], a: int, c: int) -> list[Pair]:
    """The cheapest alignment of one stretch; within a band around its diagonal where it is too large."""
    n, m = len(ours), len(theirs)
    band = m if n * m <= CELLS else max(BAND, CELLS // (2 * n))
    costs = _Costs(ours, theirs)
    rows: list[tuple[int, bytearray]] = []
    lone = [unit.weight * _SCALE for unit in theirs]
    low, before = 0, [0, *accumulate(lone[: _reach(0, n, m, band)[1]])]
    for i in range(1, n + 1):
        first, last = _reach(i, n, m, band)
        own = ours[i - 1].weight * _SCALE
        row, ways = [_NEVER] * (last - first + 1), bytearray(last - first + 1)
        price = costs.row(i - 1, max(0, first - 1), last)
        left, size = _NEVER, len(before)
        for j in range(first, last + 1):
            at = j - low
            best, way = (before[at] + own, 2) if at < size else (_NEVER, 0)
            if left != _NEVER and left + lone[j - 1] < best:
                best, way = left + lone[j - 1], 3
            if j and 0 < at <= size:
                cost = before[at - 1] + price[j - 1]
                if cost < best:
                    best, way = cost, 1
            row[j - first], ways[j - first] = best, way
            left = best
        rows.append((first, ways))
        low, before = first, row
    return _back(rows, n, m, a, c)


def _reach(i: int, n: int, m: int, band: int) -> tuple[int, int]:
    middle = i * m // n
    return max(0, middle - band), min(m, middle + band)


def _back(rows: list[tuple[int, bytearray]], i: int, j: int, a: int, c: int) -> list[Pair]:
    """Of equally cheap ways the one whose lone units stand as late as they can: a loop's first round is the one that
    both sides have."""
    found: list[Pair] = []
    while i or j:
        first, ways = rows[i - 1] if i else (0, bytearray())
        way = ways[j - first] if i else 3
        if way == 1:
            i, j = i - 1, j - 1
            found.append((a + i, c + j))
        elif way == 2:
            i -= 1
            found.append((a + i, None))
        else:
            j -= 1
            found.append((None, c + j))
    return found[::-1]


class _Costs:
    """What it costs to take two units as a pair; what they mean is held against each other once."""

    def __init__(self, ours: Sequence[Unit], theirs: Sequence[Unit]) -> None:
        self._ours, self._theirs = ours, theirs
        names: dict[bytes, int] = {}
        self._names = [names.setdefault(unit.meaning, len(names)) for unit in theirs]
        self._kinds: dict[tuple[str, str], list[int]] = {}
        self._one = dict(zip(self._names, theirs, strict=True))
        for name, unit in self._one.items():
            self._kinds.setdefault(_kind(unit), []).append(name)
        self._count = len(names)
        self._same = names
        self._known: dict[bytes, list[int]] = {}

    def row(self, i: int, first: int, last: int) -> list[int]:
        """Of one of ours with each of theirs; what is before `first` and from `last` on is not asked for."""
        unit = self._ours[i]
        if unit.meaning not in self._known:
            if len(self._known) * self._count > 4 * CELLS:
                self._known.clear()
            self._known[unit.meaning] = self._against(unit)
        found = self._known[unit.meaning]
        row = [_NEVER] * first + [found[name] for name in self._names[first:last]]
        if unit.action is not None and unit.meaning in self._same:
            extra = unit.weight * _SCALE // 10
            for j in range(first, last):
                if not row[j] and unit.outcome != self._theirs[j].outcome:
                    row[j] = extra
        return row

    def _against(self, unit: Unit) -> list[int]:
        found = [_NEVER] * self._count
        for name in self._kinds.get(_kind(unit), ()):
            how = likeness(unit, self._one[name])
            if how == 1.0:
                found[name] = 0
            elif how >= UNLIKE:
                found[name] = int(2 * unit.weight * _SCALE * (1 - how)) + 1
        return found


def _kind(unit: Unit) -> tuple[str, str]:
    return unit.type, unit.action.family if unit.action else ""
