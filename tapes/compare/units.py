"""What is aligned: a run's steps as units, thread by thread.

A unit is a thing that was said, or a tool call with the commands that ran for it and the results it had. A model call
that failed and was made again is no unit: that it was tried is told beside. Calls that stand in one answer run at the
same time, so they are put in an order that both sides have; the order in which they came is no difference.

What a unit means is found out when it is asked for. Of two runs that begin alike most units are never looked into:
their texts are equal as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from hashlib import blake2b
from itertools import groupby

from tapes.compare.action import Action, Actions, bits, tokens
from tapes.compare.masks import Masks
from tapes.record.digest import Digest
from tapes.session.threads import MAIN, Thread
from tapes.session.view import Step, as_told
from tapes.values import dataclass, field
from tapes.wire.purposes import SIDE

ASIDE = ("note", "gap")
"""What recording says of itself; no step of the agent's."""
ANSWERED = ("thinking", "answer", "tool.use", "error")
WEIGHTS = {"tool.use": 4, "command": 4, "prompt": 4, "answer": 3, "error": 2, "thinking": 1, "reminder": 1, "media": 2}
"""How much it matters that a step has its fellow, by type; 2 for others."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of two runs, as it was read."""

    steps: Sequence[Step]
    threads: Mapping[str, Thread] = field(default_factory=dict)
    agent: str = ""
    cwd: str = ""
    home: str = ""
    root: str = MAIN
    """The thread that it begins with."""
    witnessed: bool = False
    """Somebody watched what ran, be it nothing."""
    typed: frozenset[Digest] = frozenset()
    """Commands that a person typed: those are what such a run is about, and no call asked for them."""


@dataclass
class Unit:
    """One thing that was said or done. It belongs to the comparison it was made for."""

    head: Step
    masks: Masks = field(repr=False)
    actions: Actions = field(repr=False)
    ran: list[Step] = field(default_factory=list)
    told: list[Step] = field(default_factory=list)

    @property
    def type(self) -> str:
        return self.head.type

    @property
    def steps(self) -> list[Step]:
        return [self.head, *self.ran, *self.told]

    @cached_property
    def weight(self) -> int:
        return WEIGHTS.get(self.head.type, 2)

    @cached_property
    def action(self) -> Action | None:
        if self.head.type == "command":
            return self.actions.line(self.head.text)
        if self.head.type != "tool.use":
            return None
        facts = self.head.facts
        return self.actions.of(str(facts.get("name", "")), self.head.text, spawned="spawned" in facts)

    @cached_property
    def text(self) -> str:
        """What it says, masked: of what an agent adds by itself also the dates."""
        aside = self.head.type in ("reminder", "error", "tool.result", "seam")
        said = (self.masks.output if aside else self.masks.identity)(self.head.text)
        return " ".join(said.split()) if len(said) < 100_000 else said

    @cached_property
    def meaning(self) -> bytes:
        """Equal for what says or asks for the same, whatever came of it."""
        if self.action is not None:
            return self.action.same
        said = "" if self.head.type == "withheld" else self.text
        return blake2b(f"{self.head.type}\0{said}".encode("utf-8", "replace"), digest_size=16).digest()

    @cached_property
    def words(self) -> int:
        return bits(tokens(self.text))

    @cached_property
    def outcome(self) -> bytes:
        """Roughly what came of it."""
        said = [(step.failed, self.masks.output(step.text[:500]).split()) for step in self.told]
        said += [(True, [str(self.head.facts.get("exit"))])] if self.head.type == "command" else []
        return blake2b(repr(said).encode("utf-8", "replace"), digest_size=8).digest()

    def is_as(self, other: Unit) -> bool:
        """The same, word for word, as it stands there: then nobody need ask what it means."""
        one, two = self.head, other.head
        return one.type == two.type and one.text == two.text and one.facts.get("name") == two.facts.get("name")

    def ended_as(self, other: Unit) -> bool:
        """Did the same come of it, roughly?"""
        mine, its = ([(step.failed, step.text) for step in unit.told] for unit in (self, other))
        return (mine == its and self.head.type != "command") or self.outcome == other.outcome


@dataclass
class Conversation:
    """One thread's units."""

    name: str
    thread: Thread | None
    units: list[Unit] = field(default_factory=list)
    tried: list[Step] = field(default_factory=list)
    """Steps of calls that failed and were made again."""

    @property
    def kind(self) -> str:
        return self.thread.kind if self.thread else "main"

    @property
    def parent(self) -> str:
        return self.thread.parent if self.thread else ""

    @property
    def by(self) -> Digest | None:
        return self.thread.spawned_by if self.thread else None


@dataclass
class Told:
    """A run, ready to be compared."""

    conversations: dict[str, Conversation]
    """By their thread, in the order in which they began."""
    loose: list[Step]
    """Commands of no call."""
    gaps: list[Step]
    witnessed: bool


def units(side: Side, masks: Masks) -> Told:
    """A side's steps as units."""
    actions = Actions(masks, side.agent)
    tried = _tried(side.steps)
    told = Told({}, [], [], side.witnessed or any(step.type == "command" for step in side.steps))
    calls: dict[str, Unit] = {}
    starts: dict[Digest, Unit] = {}
    for step in as_told(side.steps):
        if step.type in ASIDE:
            told.gaps += [step] if step.type == "gap" else []
            continue
        facts = step.facts
        if step.type == "command":
            asked = calls.get(str(facts.get("tool") or ""))
            if asked is not None:
                asked.ran.append(step)
                continue
            if step.hash not in side.typed or facts.get("within"):
                told.loose.append(step)
                continue
        name = step.thread or MAIN
        if name not in told.conversations:
            told.conversations[name] = Conversation(name, side.threads.get(name))
        at = told.conversations[name]
        if step.type == "tool.result" and str(facts.get("id")) in calls:
            calls[str(facts["id"])].told.append(step)
        elif step.exchange in tried and step.type in ANSWERED:  # what it asked with is told with the first attempt
            at.tried.append(step)
        else:
            unit = Unit(step, masks, actions)
            at.units.append(unit)
            if step.type == "tool.use":
                calls[str(facts.get("id"))] = unit
                starts[step.hash] = unit
    for at in told.conversations.values():
        at.units = list(_ordered(at.units))
    return told


def is_side(at: Conversation) -> bool:
    """A call beside the conversation: a title, a router."""
    return at.name in SIDE or at.kind in SIDE or at.kind == "probe"


def _tried(steps: Sequence[Step]) -> set[Digest | None]:
    """Exchanges that failed, were made again with the same words, and then answered."""
    return {
        step.exchange
        for step in steps
        if step.type == "error" and step.facts.get("retries") and step.facts["outcomes"][-1] == "complete"
    }


def _ordered(found: Sequence[Unit]) -> Iterator[Unit]:
    """Parallel calls in an order that does not hang on how they came."""
    for (_, parallel), group in groupby(found, key=lambda u: (u.head.exchange, u.type == "tool.use")):
        together = list(group)
        if parallel and len(together) > 1:
            together.sort(key=lambda u: (u.action.family, u.action.label, u.action.same) if u.action else ("", "", b""))
        yield from together
