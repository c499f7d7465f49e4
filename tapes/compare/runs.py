"""Two runs compared: which threads belong together, all rows, where they part first and where they meet again.

Threads are aligned as the tree that they are. The main ones belong together; agents that were started by calls which
belong together do, too; of what is left over, those that were asked for the same. Calls beside the conversations
(titles, routers) come last, and are never where two runs part while there is another difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from tapes.compare.action import shared
from tapes.compare.masks import Masks, Place, masks_of
from tapes.compare.rows import Aligned, Row, aligned, moves, rows
from tapes.compare.units import Conversation, Side, Told, Unit, is_side, units
from tapes.session.view import Step
from tapes.values import dataclass
from tapes.wire.purposes import SIDE

SOLID = ("tool.use", "command", "prompt", "answer", "tool.result")
"""Steps at which two runs can be said to meet again."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where two runs part: the first row that differs, with the first step on either side. None on a side that had
    ended, or that only did more."""

    row: int
    """In `Comparison.rows`."""
    a: Step | None
    b: Step | None
    before: Row | None
    """The last row of the same thread that was the same."""
    again: Row | None
    """Where they meet again; None: they do not."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs, held against each other."""

    a: Side
    b: Side
    masks: Masks
    rows: tuple[Row, ...]
    """Thread by thread: the main one's first, an agent's behind the row of the call that started it."""
    first: Divergence | None
    tried: tuple[tuple[Step, ...], tuple[Step, ...]]
    """Calls that failed and were made again: no difference."""
    loose: tuple[tuple[Step, ...], tuple[Step, ...]]
    """Commands of no call, in either run."""
    remarks: tuple[str, ...]
    """What this can not tell."""

    @property
    def same(self) -> bool:
        return self.first is None

    def hunks(self) -> Iterator[tuple[int, int]]:
        """Stretches of rows that differ: (first, behind the last)."""
        for differs, group in groupby(range(len(self.rows)), key=lambda n: self.rows[n].differs):
            if differs:
                found = list(group)
                yield found[0], found[-1] + 1


def compare(a: Side, b: Side) -> Comparison:
    """Pure: the same values give the same comparison."""
    masks = masks_of([Place(a.cwd, a.home), Place(b.cwd, b.home)])
    ours, theirs = units(a, masks), units(b, masks)
    tree = _Tree(ours, theirs, (a.root, b.root))
    order = tree.aligned()
    fellows = moves(order)
    both = ours.witnessed and theirs.witnessed
    found = tuple(_woven(order, fellows, masks, both=both))
    remarks = []
    if ours.witnessed != theirs.witnessed:
        unseen = "B" if ours.witnessed else "A"
        remarks.append(f"nobody witnessed the commands of {unseen}: they are not compared")
    for name, told in (("A", ours), ("B", theirs)):
        if told.gaps:
            remarks.append(f"{name} has gaps ({len(told.gaps)}): what is missing there may not have been missing")
    return Comparison(
        a,
        b,
        masks,
        found,
        _first(found),
        (_tried(ours), _tried(theirs)),
        (tuple(ours.loose), tuple(theirs.loose)),
        tuple(remarks),
    )


def _tried(told: Told) -> tuple[Step, ...]:
    return tuple(step for at in told.conversations.values() for step in at.tried)


# -- threads


class _Tree:
    """The threads of both runs, paired from the root down."""

    def __init__(self, ours: Told, theirs: Told, roots: tuple[str, str]) -> None:
        self._ours, self._theirs = dict(ours.conversations), dict(theirs.conversations)
        self._roots = roots

    def aligned(self) -> list[Aligned]:
        """Main threads and what hangs below them; then those beside; lone ones where there is no better place."""
        found: list[Aligned] = []
        self._take(self._ours.get(self._roots[0]), self._theirs.get(self._roots[1]), found)
        for side in (False, True):
            mine = [at for at in self._ours.values() if is_side(at) == side]
            its = [at for at in self._theirs.values() if is_side(at) == side]
            if side:
                for at in mine:
                    fellow = next((o for o in its if o.kind == at.kind and o.name in self._theirs), None)
                    self._take(at, fellow, found)
            else:
                roots = [at for at in mine if at.by is None], [at for at in its if at.by is None]
                for one, other in _matched(*roots):
                    self._take(one, other, found)
        for at in list(self._ours.values()):
            self._take(at, None, found)
        for at in list(self._theirs.values()):
            self._take(None, at, found)
        return found

    def _take(self, one: Conversation | None, other: Conversation | None, found: list[Aligned]) -> None:
        """Two threads, and those that their calls have started."""
        waiting = [(one, other)]
        while waiting:
            one, other = waiting.pop(0)
            one = self._ours.pop(one.name, None) if one else None
            other = self._theirs.pop(other.name, None) if other else None
            if one is None and other is None:
                continue
            names = (one.name if one else "", other.name if other else "")
            now = aligned(names, one.units if one else (), other.units if other else ())
            found.append(now)
            waiting = [*self._started(now), *waiting]

    def _started(self, now: Aligned) -> list[tuple[Conversation | None, Conversation | None]]:
        mine = {at.by: at for at in self._ours.values() if at.by is not None}
        its = {at.by: at for at in self._theirs.values() if at.by is not None}
        pairs: list[tuple[Conversation | None, Conversation | None]] = []
        left: tuple[list[Conversation], list[Conversation]] = ([], [])
        for ours, theirs in now.units():
            one = mine.get(ours.head.hash) if ours else None
            other = its.get(theirs.head.hash) if theirs else None
            if one is not None and other is not None:
                pairs.append((one, other))
            else:
                left[0].extend([one] if one else [])
                left[1].extend([other] if other else [])
        return pairs + list(_matched(*left))


def _matched(
    ours: Sequence[Conversation], theirs: Sequence[Conversation]
) -> Iterator[tuple[Conversation | None, Conversation | None]]:
    """Threads by name first (main with main), then by what they were asked for; those of A in their order, then what
    is left of B."""
    left = list(theirs)
    for one in ours:
        named = next((other for other in left if other.name == one.name), None)
        other = named or max(left, key=lambda at: _like(one, at), default=None)
        if other is not None and (other is named or _like(one, other) > 0.3):
            left.remove(other)
        else:
            other = None
        yield one, other
    yield from ((None, other) for other in left)


def _like(one: Conversation, other: Conversation) -> float:
    """By what was said first."""
    first, second = (next((u for u in at.units if u.type == "prompt"), None) for at in (one, other))
    return shared(first.words, second.words) if first and second and first.words and second.words else 0.0


# -- rows


def _woven(order: Sequence[Aligned], fellows: dict[int, Unit], masks: Masks, *, both: bool) -> Iterator[Row]:
    """Each thread's rows together, behind the call that started it."""
    by_thread = {one.thread: list(rows(one, fellows, masks, witnessed=both)) for one in order}
    started: dict[str, list[tuple[str, str]]] = {}
    roots = []
    calls = {
        (side, str(step.facts["spawned"])): step.hash.hex() + side
        for found in by_thread.values()
        for row in found
        for side, step in (("a", row.a), ("b", row.b))
        if step is not None and "spawned" in step.facts
    }
    for thread in by_thread:
        by = calls.get(("a", thread[0])) or calls.get(("b", thread[1]))
        if by is None:
            roots.append(thread)
        else:
            started.setdefault(by, []).append(thread)
    waiting: list[tuple[Iterator[Row], tuple[str, str]]] = []
    done: set[tuple[str, str]] = set()
    for root in [*roots, *by_thread]:
        if root in done:
            continue
        done.add(root)
        waiting.append((iter(by_thread[root]), root))
        while waiting:
            row = next(waiting[-1][0], None)
            if row is None:
                waiting.pop()
                continue
            yield row
            for step, side in ((row.a, "a"), (row.b, "b")):
                for thread in started.pop(step.hash.hex() + side, ()) if step is not None else ():
                    if thread not in done:
                        done.add(thread)
                        waiting.append((iter(by_thread[thread]), thread))


def _first(found: Sequence[Row]) -> Divergence | None:
    """The first row that differs, of the conversations if any of theirs does. What an agent adds by itself is what the
    model was given, and no step that anybody took."""
    beside = {n for n, row in enumerate(found) if {*row.thread} & {*SIDE, "probe"} or row.step.type == "reminder"}
    differing = [n for n, row in enumerate(found) if row.differs]
    at = next((n for n in differing if n not in beside), differing[0] if differing else None)
    if at is None:
        return None
    row = found[at]
    own = [n for n, other in enumerate(found) if other.thread == row.thread]
    place = own.index(at)
    a = b = None
    for n in own[place:]:
        if not found[n].differs:
            break
        a, b = a or found[n].a, b or found[n].b
    before = next((found[n] for n in reversed(own[:place]) if not found[n].differs), None)
    again = next((found[n] for n in own[place:] if not found[n].differs and found[n].step.type in SOLID), None)
    return Divergence(at, a, b, before, again)
