"""The rows of a comparison: each step of either run once, beside its fellow where it has one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from tapes.compare.align import Pair, align, same
from tapes.compare.masks import Masks
from tapes.compare.units import Unit
from tapes.session.view import Step
from tapes.values import dataclass

type Kind = Literal["same", "changed", "only_a", "only_b", "moved"]

KINDS: tuple[Kind, ...] = ("same", "changed", "only_a", "only_b", "moved")
SAID = ("prompt", "answer", "thinking", "reminder", "error")
_SAYING = 24
"""Characters of what is said from which on it is not by chance that it is said elsewhere."""


@dataclass(frozen=True, slots=True)
class Row:
    """A step in A, a step in B, or both."""

    kind: Kind
    a: Step | None
    b: Step | None
    thread: tuple[str, str]
    """In either run; empty where that has no such thread."""
    what: str = ""
    """Of a changed one: `text`, `input`, `tool`, `result`, `command`, `exit`, `failed`."""
    peer: Step | None = None
    """Of a moved one, where it stands in the other run."""
    masked: bool = False
    """The same but for what is masked."""

    @property
    def differs(self) -> bool:
        return self.kind != "same"

    @property
    def step(self) -> Step:
        found = self.a or self.b
        assert found is not None
        return found


@dataclass(frozen=True, slots=True)
class Aligned:
    """Two threads' units, held against each other."""

    thread: tuple[str, str]
    ours: Sequence[Unit]
    theirs: Sequence[Unit]
    pairs: Sequence[Pair]

    def units(self) -> Iterator[tuple[Unit | None, Unit | None]]:
        for i, j in self.pairs:
            yield self.ours[i] if i is not None else None, self.theirs[j] if j is not None else None


def aligned(thread: tuple[str, str], ours: Sequence[Unit], theirs: Sequence[Unit]) -> Aligned:
    """Of what stands between two pairs, A's part comes first."""
    pairs: list[Pair] = []
    mine: list[int] = []
    its: list[int] = []
    for i, j in [*align(ours, theirs), (None, None)]:
        if i is not None and j is None:
            mine.append(i)
        elif i is None and j is not None:
            its.append(j)
        else:
            pairs += _at_one_place(ours, theirs, mine, its, last=i is None)
            pairs += [(i, j)] if i is not None else []
            mine, its = [], []
    return Aligned(thread, ours, theirs, pairs)


def _at_one_place(
    ours: Sequence[Unit], theirs: Sequence[Unit], mine: list[int], its: list[int], *, last: bool
) -> list[Pair]:
    """What is left between two pairs. Where both sides said something at the same place, that is what changed, however
    unlike the words are: at the beginning of the stretch and at its end, at the end first where the run ends too."""
    front: list[Pair] = []
    back: list[Pair] = []
    for end in (True, False) if last else (False, True):
        at = -1 if end else 0
        while mine and its and ours[mine[at]].type == theirs[its[at]].type in SAID:
            (back if end else front).append((mine.pop(at), its.pop(at)))
            if end and last:
                break
    return [*front, *((i, None) for i in mine), *((None, j) for j in its), *back[::-1]]


def moves(found: Sequence[Aligned]) -> dict[int, Unit]:
    """Lone units that stand elsewhere in the other run, in whatever thread: their fellows there, by `id`. What either
    run does again and again is not told from what it did once more."""
    mine: dict[bytes, list[Unit]] = {}
    its: dict[bytes, list[Unit]] = {}
    for one in found:
        for ours, theirs in one.units():
            if (ours is None) != (theirs is None):
                unit = ours or theirs
                assert unit is not None
                if _tells(unit):
                    (mine if ours is not None else its).setdefault(unit.meaning, []).append(unit)
    fellows: dict[int, Unit] = {}
    for meaning in mine.keys() & its.keys():
        if len(mine[meaning]) == len(its[meaning]) == 1:
            (a,), (b,) = mine[meaning], its[meaning]
            fellows[id(a)], fellows[id(b)] = b, a
    return fellows


def _tells(unit: Unit) -> bool:
    """Is it not by chance that both have it? Short answers are."""
    return unit.type in ("tool.use", "command", "prompt") or (
        unit.type in ("answer", "reminder") and len(unit.text) >= _SAYING
    )


def rows(one: Aligned, fellows: dict[int, Unit], masks: Masks, *, witnessed: bool) -> Iterator[Row]:
    """The steps of two threads. `witnessed`: the commands of both runs were seen."""
    for ours, theirs in one.units():
        if ours is not None and theirs is not None:
            yield from _of_pair(one.thread, ours, theirs, masks, witnessed=witnessed)
            continue
        unit = ours or theirs
        assert unit is not None
        other = fellows.get(id(unit))
        kind: Kind = "moved" if other is not None else "only_a" if ours is not None else "only_b"
        for n, step in enumerate(unit.steps):
            peer = (other.steps[n] if n < len(other.steps) else other.head) if other else None
            yield Row(kind, step if ours else None, None if ours else step, one.thread, peer=peer)


def _of_pair(thread: tuple[str, str], ours: Unit, theirs: Unit, masks: Masks, *, witnessed: bool) -> Iterator[Row]:
    if ours.type == "command":
        yield _commands(thread, ours.head, theirs.head, masks)
    elif same(ours, theirs):
        apart = not ours.is_as(theirs)
        yield Row("same", ours.head, theirs.head, thread, masked=apart)
    else:
        tools = ours.head.facts.get("name") != theirs.head.facts.get("name")
        what = "text" if ours.action is None else "tool" if tools else "input"
        yield Row("changed", ours.head, theirs.head, thread, what)
    unseen = any(not unit.ran and unit.head.facts.get("verdict") == "not-witnessed" for unit in (ours, theirs))
    yield from _ran(thread, ours.ran, theirs.ran, masks, both=witnessed and not unseen)
    sorted_lines = bool(ours.action and ours.action.family in ("list", "search"))
    for n in range(max(len(ours.told), len(theirs.told))):
        a = ours.told[n] if n < len(ours.told) else None
        b = theirs.told[n] if n < len(theirs.told) else None
        if a is None or b is None:
            yield Row("only_a" if a else "only_b", a, b, thread)
        elif a.text == b.text and a.failed == b.failed:
            yield Row("same", a, b, thread)
        elif _told_alike(ours, theirs, a, b, masks):
            yield Row("same", a, b, thread, masked=True)
        elif a.failed != b.failed:
            yield Row("changed", a, b, thread, "failed")
        elif alike_lines(a.text, b.text, masks, in_any_order=sorted_lines):
            yield Row("same", a, b, thread, masked=True)
        else:
            yield Row("changed", a, b, thread, "result")


def _told_alike(ours: Unit, theirs: Unit, a: Step, b: Step, masks: Masks) -> bool:
    """Were two agents with tools of their own told the same of a command?"""
    tools = [str(unit.head.facts.get("name", "")) for unit in (ours, theirs)]
    if tools[0] == tools[1] or not (ours.action and theirs.action and ours.action.lines and theirs.action.lines):
        return False
    one = ours.actions.told(tools[0], a.text, failed=a.failed)
    other = theirs.actions.told(tools[1], b.text, failed=b.failed)
    return one is not None and other is not None and one[0] == other[0] and alike_lines(one[1], other[1], masks)


def _ran(
    thread: tuple[str, str], ours: Sequence[Step], theirs: Sequence[Step], masks: Masks, *, both: bool
) -> Iterator[Row]:
    """Commands that ran for one call: those that its agent asked for in order, what ran besides is not compared."""
    for n in range(max(len(ours), len(theirs))):
        a, b = (side[n] if n < len(side) else None for side in (ours, theirs))
        if a is not None and b is not None:
            yield _commands(thread, a, b, masks)
        else:
            row = Row("only_a" if a else "only_b", a, b, thread)
            yield row if both else replace(row, kind="same")  # that nobody saw it does not say that it did not run


def _commands(thread: tuple[str, str], a: Step, b: Step, masks: Masks) -> Row:
    if ending(a) != ending(b):
        return Row("changed", a, b, thread, "exit")
    if a.text == b.text:
        return Row("same", a, b, thread)
    if masks.output(a.text) == masks.output(b.text):
        return Row("same", a, b, thread, masked=True)
    return Row("changed", a, b, thread, "command")


def ending(step: Step) -> tuple[object, object]:
    """How a command ended."""
    return step.facts.get("exit"), step.facts.get("signal")


def alike_lines(one: str, other: str, masks: Masks, *, in_any_order: bool = False) -> bool:
    """Do two texts say the same but for what is masked? Only lines that differ are masked."""
    a, b = one.rstrip().splitlines(), other.rstrip().splitlines()
    if len(a) != len(b):
        # A place that is longer than the other may have been wrapped; else it is another text.
        return " ".join(masks.output(one).split()) == " ".join(masks.output(other).split())
    if all(x == y or masks.alike(x, y) for x, y in zip(a, b, strict=True)):
        return True
    return in_any_order and sorted(map(masks.output, a)) == sorted(map(masks.output, b))
