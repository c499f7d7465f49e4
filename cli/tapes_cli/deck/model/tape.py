"""A session as the deck holds it: the last reading of it, and the step that all screens are at.

Read in worker threads: first the beginning, so that something is there at once, then all; and again when another
process has recorded more. Each reading is a value of its own (`Told`), so that a screen that draws one is not disturbed
by the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from threading import Lock
from typing import Any

from tapes.archive.base import Archive
from tapes.archive.summary import Summary
from tapes.record.digest import Digest
from tapes.session.breaks import Break, stops
from tapes.session.rows import summary_of
from tapes.session.snapshots import has_snapshots
from tapes.session.view import Reading, Step, View
from tapes_cli.breakpoints import Breaks
from tapes_cli.changed import Changed
from tapes_cli.deck.model.axis import Axis
from tapes_cli.deck.model.course import Course
from tapes_cli.deck.model.nodes import Node, nodes
from tapes_cli.story import Story

IDLE_CAPS = (0.5, 2.0, 5.0, None)
"""Seconds that playing waits at most; None: as long as it took."""


@dataclass(frozen=True, slots=True)
class Told:
    """One reading of a session. Step N is `steps[N - 1]`."""

    summary: Summary
    view: View
    steps: Sequence[Step]
    story: Story
    nodes: Sequence[Node]
    """The rows of its outline, with nothing folded."""
    places: Mapping[int, int]
    """By the number of a step the place of its node."""
    axis: Axis
    order: Sequence[int]
    """The numbers of the steps in that order."""
    rank: Mapping[int, int]
    """Where a step stands in it."""
    course: Course
    costs: Mapping[Digest, Decimal | None]
    """By the exchange what it cost in US dollars, as far as that was looked up; None: it has no price."""
    whole: bool
    """Nothing that was recorded by then is left out."""

    def cost(self, step: Step) -> Decimal | None:
        """Of the call that a step has the usage of."""
        return self.costs.get(step.exchange) if step.exchange is not None and step.facts.get("usage") else None

    def step(self, number: int) -> Step | None:
        return self.steps[number - 1] if 0 < number <= len(self.steps) else None

    def nearest(self, number: int, direction: int, wanted: Callable[[Step], bool]) -> int | None:
        """The next step, or the one before, in the order of the story that is `wanted`."""
        here = self.rank.get(number, 0)
        others = range(here + 1, len(self.order)) if direction > 0 else range(here - 1, -1, -1)
        found = (self.steps[self.order[place] - 1] for place in others)
        return next((step.number for step in found if wanted(step)), None)

    def of_record(self, digest: Digest) -> int | None:
        """The step that a record, or else its exchange, is told by."""
        return next((s.number for s in self.steps if s.hash == digest), None) or next(
            (s.number for s in self.steps if s.exchange == digest), None
        )

    def at_time(self, wall_ns: int) -> int:
        """The last step that had begun by then; the first where none had."""
        return max((s.number for s in self.steps if s.wall_ns <= wall_ns), default=1)


@dataclass(slots=True)
class Seeking:
    """What is searched for in a session."""

    text: str = ""
    """Empty where nothing is."""
    brought: bool = False
    """It was asked for before the session was opened."""
    numbers: Sequence[int] = ()
    """Of the steps where it was found, in the order of the story."""

    def at(self, number: int) -> str:
        """Which of them a step is, of how many."""
        found = len(self.numbers)
        if not found:
            return "no hits"
        return f"hit {self.numbers.index(number) + 1}/{found}" if number in self.numbers else f"{found} hits"


@dataclass(slots=True)
class Tape:
    """One session in hand. Its readings are made by one worker at a time."""

    archive: Archive
    session: Digest
    number: int = 1
    """The current step."""
    following: bool = False
    playing: bool = False
    speed: float = 1.0
    idle_cap_s: float | None = 2.0
    """One of IDLE_CAPS."""
    stops: Mapping[int, Break] = field(default_factory=dict)
    """By the number of a step the break at which playing stops there."""
    told: Told | None = None
    seeking: Seeking = field(default_factory=Seeking)
    folded: set[str] = field(default_factory=set)
    """Threads whose steps are not listed."""
    _costs: dict[Digest, Decimal | None] = field(default_factory=dict)
    beside: Digest | None = None
    """The session that it is compared with, once one was chosen."""
    kept: dict[str, Any] = field(default_factory=dict)
    """What a screen leaves for when it is opened again, by its name."""
    _reading: Reading = field(init=False)
    _lock: Lock = field(default_factory=Lock)
    """Held while it is read: a screen may be opened on another one that is still reading."""
    _changed: tuple[Told, Changed] | None = None
    _priced: Told | None = None

    def __post_init__(self) -> None:
        self._reading = Reading(self.archive, self.session)

    def has_grown(self) -> bool:
        return self._reading.has_grown()

    def read(self, most: int | None = None) -> Told:
        """The first `most` records, or all that there are. Damaged where a record itself is, NotFound where the session
        is gone."""
        with self._lock:
            return self._read(most)

    def _read(self, most: int | None) -> Told:
        found = self._reading.read(most)
        steps = tuple(found.steps)
        summary = summary_of(self.archive, self.session)
        story = Story(found.threads, summary.cwd)
        telling = list(story.told(steps))
        order = [item.number for item, _ in telling if isinstance(item, Step)]
        rank = {number: place for place, number in enumerate(order)}
        course = Course.of(steps, summary.cwd)
        rows = nodes(telling)
        places = {s.number: row.place for row in rows if row.thread is None for s in row.group or (row.step,)}
        axis = Axis.of(found, steps, summary)
        self.told = Told(
            summary,
            found,
            steps,
            story,
            rows,
            places,
            axis,
            order,
            rank,
            course,
            self._costs,
            most is None or not self.has_grown(),
        )
        return self.told

    def changed(self, told: Told) -> Changed | None:
        """What the steps of a reading did to files; None where nobody looked. For a worker: the snapshots are read,
        once a reading. Raises as `read` does."""
        if not has_snapshots(told.view.records):
            return None
        if self._changed is None or self._changed[0] is not told:
            self._changed = told, Changed.of(self.archive, told.view, told.steps)
        return self._changed[1]

    def price(self) -> bool:
        """Look up what the calls of the last reading cost; says whether anything new was found. The lists take half a
        second to load, so this comes when all else is there. Raises as `read` does."""
        from tapes_cli.session_usage import cost_of  # and the lists

        told, found = self.told, dict[Digest, Decimal | None]()
        for step in told.steps if told is not None else ():
            if step.exchange is not None and step.facts.get("usage") and step.exchange not in self._costs:
                assert told is not None
                found[step.exchange] = cost_of(self.archive, told.view, step)
        self._costs.update(found)  # all at once: a part of the sum would be shown as the sum
        self._priced = told
        return bool(found)

    @property
    def priced(self) -> bool:
        """Was it looked up what the calls of the last reading cost? A screen may be left before it was."""
        return self._priced is self.told

    @property
    def step(self) -> Step | None:
        return self.told.step(self.number) if self.told else None

    @property
    def title(self) -> str:
        """What it is called, as in `tapes log`."""
        summary = self.told.summary if self.told else None
        return (summary.name or summary.label if summary else "") or self.session.short()

    def judge(self, home: Path) -> None:
        """Find the steps at which playing stops. ArchiveError, UsageError where the breaks can not be read: then at
        those of before."""
        if self.told is not None:
            self.stops = stops(Breaks.load(home).all, self.session, self.told.steps)
