"""Sums of what sessions took, by day, agent, model, tool, project or session.

Every call stands in one session, and a subagent's calls are in its parent's: nothing is counted twice. What calls
cost that failed is in the sums, and beside them as `lost`: the provider counts it too. Warm-ups are not in them. Of a
million calls no more is remembered than of a hundred: times are put into classes half a per cent wide.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import lru_cache

from tapes.archive.base import Archive
from tapes.archive.summary import Summary
from tapes.errors import Damaged, NotFound
from tapes.record.digest import Digest
from tapes.session.facts import Facts, FactsFile, Priced, ToolUse
from tapes.session.rows import summary_of
from tapes.session.usage import Tokens
from tapes.values import dataclass, field

GROUPS = ("day", "agent", "model", "tool", "project", "session")


class Spread:
    """How many there were of each length of time, in classes of three digits."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, us: int) -> None:
        scale = 10 ** max(0, len(str(us)) - 3)
        self._counts[us // scale * scale] += 1

    def at(self, share: float) -> int | None:
        """The shortest that this share of all do not exceed; None where there are none."""
        wanted, seen = share * self._counts.total(), 0
        for value in sorted(self._counts):
            seen += self._counts[value]
            if seen >= wanted:
                return value
        return None


@dataclass(slots=True)
class Sum:
    """What a group took. Costs are US dollars."""

    sessions: int = 0
    calls: int = 0
    ended: int = 0
    failed: int = 0
    retried: int = 0
    """Of those that failed: how many were made again."""
    warm_ups: int = 0
    warm: Tokens = field(default_factory=Tokens)
    """What the provider said of those, which is in nothing else here."""
    untold: int = 0
    """Calls that cost something of which the provider said nothing."""
    tokens: Tokens = field(default_factory=Tokens)
    lost: Tokens = field(default_factory=Tokens)
    """What of them failed calls took: at least, as a cut stream tells its counts in part."""
    cost: Decimal = Decimal(0)
    lost_cost: Decimal = Decimal(0)
    priced: int = 0
    """Calls that `cost` is of."""
    unpriced: int = 0
    """Calls with tokens that have no price."""
    unpriced_tokens: int = 0
    tool_uses: int = 0
    tool_failures: int = 0
    told: int = 0
    """Bytes of tool results."""
    commands: int = 0
    commands_failed: int = 0
    ttft: Spread = field(default_factory=Spread)
    took: Spread = field(default_factory=Spread)
    """Of tools."""

    def add_call(self, one: Priced) -> None:
        call = one.call
        if call.warm_up:
            self.warm_ups += 1
            self.warm += call.tokens or Tokens()
            return
        self.calls += 1
        self.ended += call.outcome != "open"
        self.failed += call.failed
        self.retried += call.retried
        self.untold += call.untold
        if call.first_content_us is not None:
            self.ttft.add(call.first_content_us)
        if call.tokens is None:
            return
        self.tokens += call.tokens
        if call.failed:
            self.lost += call.tokens
            self.lost_cost += one.cost or 0
        if one.cost is not None:
            self.cost += one.cost
            self.priced += 1
        elif call.tokens.total:
            self.unpriced += 1
            self.unpriced_tokens += call.tokens.total

    def add_tool(self, use: ToolUse) -> None:
        self.tool_uses += 1
        self.tool_failures += use.failed
        self.told += use.told
        if use.took_us is not None:
            self.took.add(use.took_us)

    def add_command(self, failed: bool) -> None:
        self.commands += 1
        self.commands_failed += failed

    @property
    def error_rate(self) -> float | None:
        return self.failed / self.ended if self.ended else None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is counted: by the time a call was made (nanoseconds), its session's agent, its model."""

    since_ns: int = 0
    until_ns: int = 1 << 63
    agent: str = ""
    model: str = ""
    """A model's name, its beginning, or a pattern with `*`."""
    played: bool = False
    """Also sessions that a recording was played to: their calls cost nothing, and their tokens are another's."""

    def time(self, wall_ns: int) -> bool:
        return self.since_ns <= wall_ns < self.until_ns

    def says(self, model: str) -> bool:
        return not self.model or model.startswith(self.model) or fnmatchcase(model, self.model)


@dataclass(frozen=True, slots=True)
class Best:
    """A call that is among the slowest or the costliest."""

    session: Digest
    one: Priced


_QUARTER_NS = 900 * 10**9
"""No zone's day begins within a quarter of an hour."""


@lru_cache(maxsize=4096)
def _day(quarter: int) -> str:
    """This machine's date."""
    return datetime.fromtimestamp(quarter * 900).strftime("%Y-%m-%d")


class Stats:
    """Sums that sessions are added to, each once."""

    def __init__(self, by: str, wanted: Wanted, *, slowest: int = 0, costliest: int = 0) -> None:
        self.groups: dict[str, Sum] = {}
        self.total = Sum()
        self.unreadable: list[Digest] = []
        self._by, self._wanted = by, wanted
        self._slowest = _Top(slowest, lambda one: one.call.duration_us)
        self._costliest = _Top(costliest, lambda one: one.cost)

    def add_all(self, archive: Archive, sessions: list[Digest], kept: FactsFile) -> Iterator[Digest]:
        """Yields each session once it is counted, so that the caller can show how far it is."""
        for session in sessions:
            try:
                about = summary_of(archive, session)
                if self._may_count(about):
                    self.add(session, about, kept.of(archive, session))
            except (Damaged, NotFound):
                self.unreadable.append(session)
            yield session

    def _may_count(self, about: Summary) -> bool:
        wanted = self._wanted
        return (
            (wanted.played or not about.playback)
            and wanted.agent in ("", about.agent)
            and about.started_ns < wanted.until_ns
            and about.ended_ns >= wanted.since_ns
        )

    def add(self, session: Digest, about: Summary, found: Facts) -> None:
        wanted = self._wanted
        touched: dict[str | None, tuple[Sum, ...]] = {}

        def sums(wall_ns: int, model: str | None, tool: str | None) -> tuple[Sum, ...]:
            key = self._key(session, about, wall_ns, model, tool)
            if key not in touched:
                if key is not None and key not in self.groups:
                    self.groups[key] = Sum()
                touched[key] = (self.total,) if key is None else (self.groups[key], self.total)
            return touched[key]

        for one in found.calls:
            call = one.call
            if wanted.time(call.wall_ns) and wanted.says(call.model):
                for to in sums(call.wall_ns, call.model, None):
                    to.add_call(one)
                if not call.warm_up:
                    self._slowest.offer(session, one)
                    self._costliest.offer(session, one)
        for use in found.tools:
            if wanted.time(use.wall_ns) and wanted.says(use.model):
                for to in sums(use.wall_ns, use.model, use.name):
                    to.add_tool(use)
        for wall_ns, failed in found.commands:
            if wanted.time(wall_ns) and not wanted.model:  # a command is no model's
                for to in sums(wall_ns, None, None):
                    to.add_command(failed)
        for key in touched:
            if key is not None:
                self.groups[key].sessions += 1
        self.total.sessions += bool(touched)

    def _key(self, session: Digest, about: Summary, wall_ns: int, model: str | None, tool: str | None) -> str | None:
        """None: it belongs to none of these groups."""
        match self._by:
            case "day":
                return _day(wall_ns // _QUARTER_NS)
            case "agent":
                return about.agent
            case "model":
                return None if model is None else model or "unknown"
            case "tool":
                return tool
            case "project":
                return about.cwd
            case _:
                return session.hex()

    @property
    def slowest(self) -> list[Best]:
        return self._slowest.best()

    @property
    def costliest(self) -> list[Best]:
        return self._costliest.best()


class _Top:
    """The calls with the most of something."""

    def __init__(self, most: int, of: Callable[[Priced], int | Decimal | None]) -> None:
        self._most, self._of = most, of
        self._heap: list[tuple[int | Decimal, int, Best]] = []
        self._offered = 0

    def offer(self, session: Digest, one: Priced) -> None:
        value = self._of(one)
        if not self._most or value is None:
            return
        self._offered += 1
        item = (value, -self._offered, Best(session, one))
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, item)
        else:
            heapq.heappushpop(self._heap, item)

    def best(self) -> list[Best]:
        return [item[2] for item in sorted(self._heap, key=lambda item: item[:2], reverse=True)]
