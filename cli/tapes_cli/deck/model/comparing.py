"""Two runs beside each other, as the deck shows them: the faces of `tapes diff`, each a list of pairs.

A pair is what stands beside each other: two steps, two commands, a file of both. Whatever it is, it has a kind, its two
halves, and a page that tells it in full; so one list and one page show them all. To read two runs and to align them
takes a while: a worker does it, says what it is at, and can be told to leave it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from tapes.archive.base import Archive
from tapes.compare.run import Run
from tapes.record.digest import Digest
from tapes.session.threads import MAIN
from tapes.session.view import Step, View, view
from tapes.values import dataclass
from tapes_cli import output
from tapes_cli.deck.model.document import Block
from tapes_cli.deck.model.styled import Line, fitted, joined, padded, styled, width
from tapes_cli.diff_all import Everything
from tapes_cli.diff_parts import took_rows
from tapes_cli.diff_story import SIGNS, cell, counts, met, parted, sides, threads_of
from tapes_cli.story import Story, ending

type Face = Literal["steps", "commands", "files", "context", "surroundings", "figures"]
type Side = Literal["a", "b"]
type Halves = Callable[[int, bool], tuple[str, str]]
"""What stands at either side, in so many columns each; empty where nothing does. With hashes and figures, or bare."""

FACES: tuple[Face, ...] = ("steps", "commands", "files", "context", "surroundings", "figures")
STYLES = {"same": "dim", "changed": "warn", "only_a": "error", "only_b": "ok", "moved": "accent"}
NARROW = 100
"""Columns below which there is one column, and not two."""
AROUND = 3
"""Pairs around a difference that are shown where the others are folded."""
_TOLD = {
    "model calls": "calls",
    "commands": "commands",
    "tokens in": "tokens in",
    "tokens out": "out",
    "wall time": "wall time",
    "cost": "cost",
}
"""Figures that stand above every face, and what they are called in one line."""
_OFTEN = 250
"""Steps after which it is told how far reading has come."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One line of a face."""

    kind: str
    """As rows of a comparison have it; `head` for a heading, of which only the first half is there."""
    halves: Halves
    page: Callable[[], Iterable[Block]]
    """Read when it is iterated."""
    a: Step | None = None
    b: Step | None = None
    failed: bool = False

    @property
    def differs(self) -> bool:
        return self.kind not in ("same", "head")


class Stopped(Exception):
    """Nobody waits for it any more."""


def compared(
    archive: Archive,
    sessions: tuple[Digest, Digest],
    names: tuple[str, str],
    cache: Path,
    known: tuple[View, Sequence[Step]] | None = None,
    told: Callable[[str], None] = lambda text: None,
    is_over: Callable[[], bool] = lambda: False,
) -> Everything:
    """Reads both and aligns them. `known`: the first one, where it has been read already. Errors of the archive as they
    are; Stopped where `is_over` says so."""
    runs = []
    for name, session in zip("AB", sessions, strict=True):
        if known is None or name == "B":
            known = _read(archive, session, name, told, is_over)
        runs.append(Run(archive, session, read=known))
    told(f"aligning {len(runs[0].steps)} steps with {len(runs[1].steps)}")
    found = Everything.of(runs[0], runs[1], names, cache)
    told("adding up what they took")
    for part in (lambda: found.summaries, lambda: found.a.took, lambda: found.b.took):
        if is_over():
            raise Stopped
        part()
    return found


def swapped(found: Everything) -> Everything:
    """The same the other way round: another comparison, as of what stands at one place A's part comes first."""
    return Everything.of(found.b, found.a, (found.names[1], found.names[0]), found.cache)


def _read(
    archive: Archive, session: Digest, name: str, told: Callable[[str], None], is_over: Callable[[], bool]
) -> tuple[View, list[Step]]:
    told(f"reading {name}")
    found = view(archive, session)
    steps: list[Step] = []
    for step in found.steps:
        steps.append(step)
        if len(steps) % _OFTEN == 0:
            if is_over():
                raise Stopped
            told(f"reading {name}: {len(steps)} steps")
    return found, steps


class Comparing:
    """A comparison, face by face. A face is made when it is asked for first, in a worker: it may have to read."""

    def __init__(self, found: Everything) -> None:
        self.found = found
        self.stories = tuple(Story(run.found.threads, run.cwd) for run in (found.a, found.b))
        self._faces: dict[Face, Sequence[Pair]] = {}

    def face(self, face: Face) -> Sequence[Pair]:
        if face not in self._faces:
            self._faces[face] = tuple(getattr(self, f"_{face}")())
        return self._faces[face]

    def is_made(self, face: Face) -> bool:
        return face in self._faces

    def heads(self) -> list[Line]:
        """Which runs they are, and where they part."""
        a, b = sides(self.found)
        first = self.found.made.first
        again = f" · {met(first)}" if first is not None else ""
        parting = styled(parted(self.found) + again, "bold")
        remarks = [styled(remark, "warn") for remark in self.found.made.remarks]
        told = [joined(styled("A ", "error"), styled(a)), joined(styled("B ", "ok"), styled(b))]
        counted = styled(" ".join(counts(self.found)), "dim")
        took = " · ".join(
            f"{_TOLD[name]} {a}/{b}" for name, a, b, _ in took_rows(self.found) if name in _TOLD and (a or b)
        )
        return [*told, parting, counted, styled(took, "dim"), *remarks]

    # -- faces

    def _steps(self) -> Iterator[Pair]:
        from tapes_cli.deck.model.comparing_pages import of_steps

        found, thread = self.found, ("", "")
        rows = found.made.rows
        told = bool(rows) and any({*row.thread} - {MAIN} for row in rows)
        for row in rows:
            if told and row.thread != thread:
                yield _heading(f"thread {threads_of(row.thread)}")
            thread = row.thread
            failed = any(step is not None and step.failed for step in (row.a, row.b))
            halves = self._of_steps(row.a, row.b, row.peer)
            yield Pair(row.kind, halves, partial(of_steps, found, row), row.a, row.b, failed)

    def _of_steps(self, a: Step | None, b: Step | None, peer: Step | None = None) -> Halves:
        def halves(wide: int, bare: bool) -> tuple[str, str]:
            away = f"     ({peer.number}: elsewhere)" if peer is not None else ""
            left = cell(self.stories[0], a, wide, bare=bare) if a is not None else away
            right = cell(self.stories[1], b, wide, bare=bare) if b is not None else away
            return left, right

        return halves

    def _commands(self) -> Iterator[Pair]:
        from tapes_cli.deck.model.comparing_pages import of_commands

        found = self.found
        if not any(run.found.commands for run in (found.a, found.b)):
            yield _heading("neither run has a witness of what ran")
        for ran in found.commands:
            kind = ran.what if ran.what in STYLES else "changed"
            told = [
                f"{step.number:>4} {ending(step.facts)}: {step.text}" if step is not None else ""
                for step in (ran.a, ran.b)
            ]
            failed = any(step is not None and step.failed for step in (ran.a, ran.b))
            yield Pair(kind, _fixed(told[0], told[1]), partial(of_commands, found, ran), ran.a, ran.b, failed)

    def _files(self) -> Iterator[Pair]:
        from tapes_cli.deck.model.comparing_pages import file_halves, of_file

        files = self.found.files
        if not files.known:
            yield _heading("not both runs have snapshots of their working directory")
            return
        yield _heading(f"A changed {files.touched[0]}, B {files.touched[1]}, both {files.both}")
        for where, title in (("start", "at the start already"), ("end", "at the end")):
            some = [one for one in files.found if one.where == where]
            if some or where == "end":
                yield _heading(f"{output.plural(len(some), 'file')} not the same {title}")
            for one in some:
                kind = "only_a" if one.diff.now is None else "only_b" if one.diff.was is None else "changed"
                yield Pair(kind, _fixed(*file_halves(one)), partial(of_file, one))
        yield from (_heading(f"not sure: {doubt}") for doubt in files.doubts)

    def _context(self) -> Iterator[Pair]:
        from tapes_cli.deck.model.comparing_pages import of_texts

        found = self.found
        parts = [("just before they part", found.context)] if found.context is not None else []
        for title, at in [*parts, *((f"{name}, its first call", at) for name, at in found.prompts)]:
            hashes = " / ".join(digest.short() if digest else "none" for digest in at.exchanges)
            yield _heading(f"{title} ({hashes})" + ("" if at.differences or at.unread else ": the same"))
            for one in at.differences:
                name = f"{one.part} {one.name}".strip()
                note = "the same but for directories, dates and ids" if one.masked else ""
                yield _texts(
                    one.a, one.b, name, partial(of_texts, name, one.a, one.b, note), "same" if one.masked else ""
                )
            yield from (_heading(unread) for unread in at.unread)

    def _surroundings(self) -> Iterator[Pair]:
        from tapes_cli.deck.model.comparing_pages import of_texts

        if not self.found.surroundings:
            yield _heading("the same")
        for one in self.found.surroundings:
            name = f"{one.kind} {one.name}"
            yield _texts(one.a, one.b, name, partial(of_texts, name, one.a, one.b))

    def _figures(self) -> Iterator[Pair]:
        for name, a, b, delta in took_rows(self.found):
            more = f" ({delta})" if delta not in ("", "0") else ""
            halves = _fixed(f"{name:<20} {a:>12}", f"{b:>12}{more}")
            yield Pair("same" if a == b else "changed", halves, lambda: ())
        if unpriced := self.found.a.took.unpriced + self.found.b.took.unpriced:
            yield _heading(f"unpriced, and in no cost: {unpriced} calls")


def _heading(text: str) -> Pair:
    return Pair("head", _fixed(text, ""), lambda: ())


def _fixed(a: str, b: str) -> Halves:
    return lambda wide, bare: (a, b)


def _texts(a: str | None, b: str | None, name: str, page: Callable[[], Iterable[Block]], kind: str = "") -> Pair:
    kind = kind or ("only_b" if a is None else "only_a" if b is None else "changed")
    told = [f"{name}: {' '.join(text[:400].split())}" if text is not None else "" for text in (a, b)]
    return Pair(kind, _fixed(told[0], told[1]), page)


# -- as lines


class PairList:
    """The pairs of a face as lines; with `folded`, only those that differ and some around them."""

    def __init__(self, pairs: Sequence[Pair], *, folded: bool = False) -> None:
        self.pairs = pairs
        self.shown: list[int] = list(_near(pairs)) if folded else list(range(len(pairs)))
        self._hidden = dict(self._holes()) if folded else {}

    def _holes(self) -> Iterator[tuple[int, int]]:
        """Lines that stand for pairs that are not shown: they are -1, and how many there are."""
        told: list[int] = []
        before = -1
        for index in [*self.shown, len(self.pairs)]:
            if index - before > 1:
                yield len(told), index - before - 1
                told.append(-1)
            told += [index] if index < len(self.pairs) else []
            before = index
        self.shown = told

    def __len__(self) -> int:
        return len(self.shown)

    def pair(self, line: int) -> Pair | None:
        """None on a line that stands for several."""
        index = self.shown[line] if 0 <= line < len(self.shown) else -1
        return self.pairs[index] if index >= 0 else None

    def index(self, line: int) -> int:
        """The pair of a line; of one that stands for several, the one before them."""
        return next((at for at in reversed(self.shown[: line + 1]) if at >= 0), 0)

    def line_of(self, index: int) -> int:
        """The line of a pair; of one that is folded, the next that is not."""
        return next((line for line, at in enumerate(self.shown) if at >= index), max(0, len(self.shown) - 1))

    def find(self, wanted: Callable[[Pair], bool], start: int = -1, direction: int = 1) -> int | None:
        """The next line whose pair is wanted, from one on without it."""
        lines = range(start + 1, len(self.shown)) if direction > 0 else range(start - 1, -1, -1)
        return next((n for n in lines if (pair := self.pair(n)) is not None and wanted(pair)), None)

    def difference(self, start: int, direction: int) -> int | None:
        """The next stretch that differs: its first line, or going back the first of the one before."""
        if direction > 0:
            at = start
            while (here := self.pair(at)) is not None and here.differs:
                at += 1
            return self.find(lambda pair: pair.differs, at - 1)
        found = self.find(lambda pair: pair.differs, start, -1)
        while found is not None and (above := self.pair(found - 1)) is not None and above.differs:
            found -= 1
        return found

    def line(self, index: int, wide: int) -> Line:
        pair = self.pair(index)
        if pair is None:
            return styled(f"     … {output.plural(self._hidden[index], 'pair')} the same", "dim")
        if pair.kind == "head":
            return fitted(styled(f"── {pair.halves(wide, True)[0]}", "bold"), wide)
        style, sign = STYLES[pair.kind], SIGNS[pair.kind]
        if wide < NARROW:
            return fitted(joined(styled(f"{sign} ", f"bold {style}"), _one_column(pair, style, wide - 2)), wide)
        half = (wide - 3) // 2
        left, right = (fitted(styled(text, style), half) for text in pair.halves(half, False))
        return joined(padded(left, half), styled(f" {sign} ", f"bold {style}"), right)


def _one_column(pair: Pair, style: str, room: int) -> Line:
    """Both numbers, and what either says; of two that are not the same, what both begin with, and how each goes on."""
    a, b = pair.halves(room, True)
    numbers: Line = ()
    if pair.a is not None or pair.b is not None:
        told = " ".join(f"{step.number if step is not None else '':>4}" for step in (pair.a, pair.b))
        numbers, a, b = styled(f"{told} ", style), a[5:], b[5:]
    if pair.kind != "changed" or not a or not b or a == b:
        return joined(numbers, styled(b if pair.kind == "only_b" or not a else a, style))
    same = next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    ours, theirs = (styled(text[same:].rstrip() or "(ends)", name) for text, name in ((a, "error"), (b, "ok")))
    wanted = width(ours) + width(theirs) + 3
    room -= width(numbers)
    begin = fitted(styled(a[:same], style), max(room // 3, room - wanted))
    left = room - width(begin) - 3
    its = min(width(theirs), max(left // 2, left - width(ours)))
    return joined(numbers, begin, fitted(ours, left - its), styled(" → ", "dim"), fitted(theirs, its))


def _near(pairs: Sequence[Pair]) -> Iterator[int]:
    """Those that differ, so many around, and all headings."""
    near = {index for index, pair in enumerate(pairs) if pair.kind == "head"}
    for index, pair in enumerate(pairs):
        if pair.differs:
            near |= set(range(max(0, index - AROUND), min(len(pairs), index + AROUND + 1)))
    return iter(sorted(near))
