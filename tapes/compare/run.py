"""A run as it is read for a comparison: its steps, or some of them, and what else there is to know of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any

from tapes.archive.base import Archive
from tapes.compare.units import Side
from tapes.record.digest import Digest
from tapes.session import prices
from tapes.session.commands import Command
from tapes.session.threads import MAIN, Thread
from tapes.session.transcript import thread_named
from tapes.session.usage import Call, Tokens, call_of, retried
from tapes.session.view import Step, View, view
from tapes.values import dataclass, field


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which steps of a session: a range of numbers, both ends in it; a thread with all that hangs below it."""

    first: int | None = None
    last: int | None = None
    thread: str = ""


@dataclass(frozen=True, slots=True)
class Took:
    """What steps took. `cost` is None where nothing could be priced; `unpriced` calls are in no cost."""

    calls: int = 0
    failed: int = 0
    tokens: Tokens = field(default_factory=Tokens)
    cost: Decimal | None = None
    unpriced: int = 0
    wall_ns: int = 0
    ttft_us: tuple[int, ...] = ()
    """Of each call that streamed a word, in order."""
    tools: int = 0
    tools_failed: int = 0
    commands: int = 0
    commands_failed: int = 0
    steps: int = 0

    @property
    def ttft(self) -> int | None:
        """The median."""
        found = sorted(self.ttft_us)
        return found[len(found) // 2] if found else None


class Run:
    """One of two runs."""

    def __init__(
        self,
        archive: Archive,
        session: Digest,
        wanted: Wanted | None = None,
        read: tuple[View, Sequence[Step]] | None = None,
    ) -> None:
        """`read`: a session that has been read already, with its steps."""
        self.archive, self.session = archive, session
        self.found: View = read[0] if read else view(archive, session, first_words=True)
        self.all: list[Step] = list(read[1] if read else self.found.steps)
        self.wanted = wanted or Wanted()
        self.opened: Mapping[str, Any] = self.found.records[0][1].body
        self.steps = self._chosen(self.wanted)

    def _chosen(self, wanted: Wanted) -> list[Step]:
        threads: set[str] | None = None
        if wanted.thread:
            name = thread_named(self.found.threads, wanted.thread)
            threads = {name}
            for thread in self.found.threads.values():
                if thread.parent in threads:
                    threads.add(thread.id)
        return [
            step
            for step in self.all
            if (threads is None or (step.thread or MAIN) in threads)
            and (wanted.first is None or step.number >= wanted.first)
            and (wanted.last is None or step.number <= wanted.last)
        ]

    @property
    def root(self) -> str:
        """The thread that the comparison begins with."""
        return thread_named(self.found.threads, self.wanted.thread) if self.wanted.thread else MAIN

    @property
    def whole(self) -> bool:
        return self.wanted == Wanted()

    @property
    def side(self) -> Side:
        threads: Mapping[str, Thread] = self.found.threads
        agent, home = str(self.opened["agent"]), self.variables.get("HOME", "")
        typed = frozenset(d for d, c in self.commands.items() if c.participant.kind == "human" and c.call is None)
        level = (self.opened.get("witness") or {}).get("level", "none")
        seen = bool(self.commands) or level != "none"
        return Side(self.steps, threads, agent, self.cwd, home, self.root, seen, typed)

    @property
    def cwd(self) -> str:
        return _text(self.opened.get("cwd", b""))

    @cached_property
    def variables(self) -> dict[str, str]:
        return {_text(name): _text(value) for name, value in self.opened.get("environment", ())}

    @cached_property
    def commands(self) -> dict[Digest, Command]:
        """By the record that a step of theirs has."""
        return {command.ran.start: command for command in self.found.commands if command.ran}

    @cached_property
    def took(self) -> Took:
        exchanges = self.found.calls.exchanges
        own = {step.exchange for step in self.steps}
        again = retried(list(exchanges.values()))
        calls = [
            call_of(self.archive, exchange, self.found.calls, retried=exchange.hash in again)
            for exchange in exchanges.values()
            if exchange.body["class"] == "model" and (self.whole or exchange.hash in own)
        ]
        return _sum([call for call in calls if not call.warm_up], self.steps)


def _sum(calls: Sequence[Call], steps: Sequence[Step]) -> Took:
    tokens, cost, unpriced = Tokens(), None, 0
    for call in calls:
        if call.tokens is None:
            continue
        tokens += call.tokens
        price = prices.price(call.tokens, call.model, call.url, call.wall_ns)
        if price is None:
            unpriced += 1
        else:
            cost = (cost or Decimal(0)) + price
    times = [step.wall_ns for step in steps]
    ends = [call.wall_ns + (call.duration_us or 0) * 1000 for call in calls]
    begins = [call.wall_ns for call in calls]
    uses = [step for step in steps if step.type == "tool.use"]
    commands = [step for step in steps if step.type == "command"]
    return Took(
        calls=len(calls),
        failed=sum(call.failed for call in calls),
        tokens=tokens,
        cost=cost,
        unpriced=unpriced,
        wall_ns=max([*times, *ends], default=0) - min([*times, *begins], default=0),
        ttft_us=tuple(call.first_content_us for call in calls if call.first_content_us is not None),
        tools=len(uses),
        tools_failed=sum(step.failed for step in steps if step.type == "tool.result"),
        commands=len(commands),
        commands_failed=sum(step.failed for step in commands),
        steps=len(steps),
    )


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
