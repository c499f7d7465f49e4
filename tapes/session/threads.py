"""Which conversation each model call belongs to, what is new in it, and which call started the conversation.

An agent's own ids decide where it sends some. Where it does not: a response id that the request goes on from; a history
that this one extends; a history rewritten at its end that still holds what the person said last; the summary of a
compacted one. Marks of messages (histories.mark) are compared, never bytes: agents move cache marks, reorder keys.
A request over another connection, the same request again, and a history sent anew after a break go on where they were.

Pure: values in, values out. Nothing here is stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from tapes.record.digest import Digest
from tapes.values import dataclass, field
from tapes.wire.agents.base import Identity
from tapes.wire.purposes import SIDE, Purpose

MAIN = "main"


@dataclass(frozen=True, slots=True)
class ModelCall:
    """What is to be known of a request to place it."""

    key: Digest
    """Of its `exchange.open`."""
    identity: Identity
    purpose: Purpose = "main"
    marks: tuple[bytes, ...] = ()
    """Of all messages it holds, in order."""
    last_said: bytes = b""
    """Mark of the last message that is neither the model's nor a system's nor a tool's; empty where there is none."""
    ground: bytes = b""
    """Equal for requests with the same system text and tools."""
    previous: str = ""
    """The response that it goes on from, where it says so: then it holds only what is new."""
    answer: str = ""
    """The id of its response."""
    resumed: bool = False
    """The model has spoken in its history."""
    continued: bool = False
    """Its history holds the summary of a compacted one."""
    named: bool = False
    """Its agent names all threads but the main one."""
    path: str = ""
    """The agent's own name for the one who speaks (`/root/sub_task`)."""
    said: tuple[str, ...] = ()
    """What its first messages say in words, of whoever is not the model."""


@dataclass(frozen=True, slots=True)
class Spawn:
    """A tool call that starts an agent."""

    use: Digest
    thread: str
    prompt: str
    result: str = ""
    """What it was answered; empty where it was not (yet)."""
    name: str = ""
    """What it calls the agent, if anything."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a model call belongs."""

    thread: str
    purpose: Purpose
    new: frozenset[int] | None = None
    """Indexes of those messages that were not said before in its thread; None for all."""
    seam: str = ""
    """`compaction` (it asks for one), `compacted` (it goes on behind one that is not here), `resumed`."""


@dataclass(slots=True)
class Thread:
    """One conversation."""

    id: str
    kind: str = "main"
    """`main`, `subagent`, one of purposes.SIDE, `probe`, or `other` where nobody says what it is."""
    parent: str = ""
    spawned_by: Digest | None = None
    """The `tool.use` that started it."""
    path: str = ""
    exchanges: list[Digest] = field(default_factory=list)


@dataclass(slots=True)
class _State:
    """What a thread has had so far."""

    thread: Thread
    ground: bytes
    marks: tuple[bytes, ...] = ()
    whole: bool = True
    """`marks` is the whole history; not where a part of it was only ever an answer."""
    counts: Counter[bytes] = field(default_factory=Counter)
    """How often each stands in `marks`."""
    shown: Counter[bytes] = field(default_factory=Counter)
    """How often each stood in any of its histories."""
    last_said: bytes = b""
    begun: bool = False
    """Something was said: more than a socket's warm-up."""
    compacting: bool = False
    said: tuple[str, ...] = ()
    named: bool = False
    """By the agent itself."""


class Threads:
    """Takes a session's model calls in their order."""

    def __init__(self) -> None:
        self._states: dict[str, _State] = {}
        self._answers: dict[str, str] = {}
        self._session: str | None = None
        self.places: dict[Digest, Place] = {}

    def add(self, call: ModelCall) -> Place:
        state = self._state_of(call)
        state.thread.exchanges.append(call.key)
        state.thread.path = state.thread.path or call.path
        state.said = state.said or call.said
        place = Place(state.thread.id, call.purpose, *self._news(state, call))
        if call.answer:
            self._answers[call.answer] = state.thread.id
        state.compacting = call.purpose == "compaction" or (state.compacting and call.purpose == "probe")
        self.places[call.key] = place
        return place

    def answered(self, key: Digest, answer: str) -> None:
        """The response to a call that was added without has come since. No call that goes on from it may have been
        added meanwhile."""
        self._answers.setdefault(answer, self.places[key].thread)  # of two with one id the later call's counts

    def _state_of(self, call: ModelCall) -> _State:
        identity = call.identity
        if call.purpose in SIDE:
            return self._named(call.purpose, call, call.purpose, identity.thread or MAIN)
        if call.named or identity.session or identity.thread:
            if self._session is None and not identity.thread:
                self._session = identity.session
            own = identity.session in ("", self._session) or self._session is None
            name = identity.thread or (MAIN if own else identity.session)
            kind = "subagent" if identity.thread else "main" if own else "other"
            state = self._named(name, call, kind, (identity.parent or MAIN) if identity.thread else "")
            state.named = True
            return state
        if call.previous in self._answers:
            return self._states[self._answers[call.previous]]
        found = self._continued(call)
        if found is not None:
            return found
        if call.purpose == "probe":
            return self._named("probe", call, "probe", MAIN)
        first = not any(state.thread.kind == "main" for state in self._states.values())
        return self._named(MAIN if first else f"thread-{len(self._states) + 1}", call, "main" if first else "other", "")

    def _named(self, name: str, call: ModelCall, kind: str, parent: str) -> _State:
        if name not in self._states:
            self._states[name] = _State(Thread(name, kind, "" if parent == name else parent), call.ground)
        return self._states[name]

    def _continued(self, call: ModelCall) -> _State | None:
        """The conversation without a name that this call goes on with: the one it has most in common with."""
        nameless = [s for s in self._states.values() if not s.named and s.thread.kind not in (*SIDE, "probe")]
        whole = [s for s in nameless if s.whole and s.marks and common(s.marks, call.marks) == len(s.marks)]
        # The system text may change with the date, say; then the history must be longer than one question.
        extended = [s for s in whole if s.ground == call.ground or len(s.marks) > 1]
        if extended:
            return max(extended, key=lambda state: len(state.marks))
        alike = [s for s in nameless if s.ground == call.ground]
        held = [s for s in alike if s.last_said and s.last_said in call.marks]
        if held:
            return held[-1]
        return alike[-1] if alike and call.continued else None

    def _news(self, state: _State, call: ModelCall) -> tuple[frozenset[int] | None, str]:
        first = not state.begun
        state.begun = state.begun or call.purpose != "probe"
        seam = ""
        if call.purpose == "compaction":
            seam = "compaction"
        elif call.continued and not state.compacting and state.shown.keys().isdisjoint(call.marks[:1]) and not first:
            seam = "compacted"
        elif first and call.resumed and (call.identity.session or call.continued):
            seam = "resumed"
        increment = bool(call.previous) and call.previous in self._answers
        new: frozenset[int] | None = None
        if first or increment:
            state.marks = (*state.marks, *call.marks) if increment else call.marks
            state.whole = not increment
            state.counts = state.counts + Counter(call.marks) if increment else Counter(call.marks)
            state.shown.update(call.marks)
        else:
            n = common(state.marks, call.marks)
            if state.whole and n == len(state.marks):
                new = frozenset(range(n, len(call.marks)))
                # What is new alone is counted: all histories of a long session are too much.
                state.counts.update(call.marks[n:])
                for one in call.marks[n:]:
                    state.shown[one] = max(state.shown[one], state.counts[one])
            else:
                new = _unseen(call.marks, state.shown)
                state.counts = Counter(call.marks)
                state.shown |= state.counts
            state.marks, state.whole = call.marks, True
        state.last_said = call.last_said or state.last_said
        return new, seam

    def hung(self, spawns: Iterable[Spawn]) -> dict[str, Thread]:
        """All threads as they are now, those of agents under the calls that started them."""
        threads = {name: replace(s.thread, exchanges=[*s.thread.exchanges]) for name, s in self._states.items()}
        free = list(spawns)
        for rule in (_by_id, _by_path, self._by_name, _by_prompt) if free else ():
            for name, thread in threads.items():
                if thread.spawned_by is not None or thread.kind not in ("subagent", "other"):
                    continue
                # A call may start an agent that another call is answered with; never one of its own making.
                below = _below(thread.id, threads)
                for spawn in free:
                    if spawn.thread not in below and rule(self._states[name], spawn):
                        thread.spawned_by, thread.parent, thread.kind = spawn.use, spawn.thread, "subagent"
                        free.remove(spawn)
                        break
        return threads

    def _by_name(self, state: _State, spawn: Spawn) -> bool:
        by = self._states.get(spawn.thread)
        return by is not None and bool(spawn.name) and state.thread.path == f"{by.thread.path}/{spawn.name}"


def _below(name: str, threads: Mapping[str, Thread]) -> set[str]:
    """A thread and all that hang under it."""
    found = {name}
    grown = True
    while grown:
        more = {thread.id for thread in threads.values() if thread.parent in found} - found
        grown = bool(more)
        found |= more
    return found


def _by_id(state: _State, spawn: Spawn) -> bool:
    return state.named and state.thread.id in spawn.result


def _by_path(state: _State, spawn: Spawn) -> bool:
    return bool(state.thread.path) and f'"{state.thread.path}"' in spawn.result


def _by_prompt(state: _State, spawn: Spawn) -> bool:
    if state.thread.parent not in ("", MAIN, spawn.thread):
        return False
    prompt = spawn.prompt.strip()
    return bool(prompt) and any(prompt in said for said in state.said)


def _unseen(marks: Sequence[bytes], shown: Mapping[bytes, int]) -> frozenset[int]:
    """Messages that stand here more often than they were said."""
    counts: Counter[bytes] = Counter()
    found = set()
    for index, one in enumerate(marks):
        counts[one] += 1
        if counts[one] > shown.get(one, 0):
            found.add(index)
    return frozenset(found)


def common(a: Sequence[bytes], b: Sequence[bytes]) -> int:
    """How many of the first marks are the same."""
    n = min(len(a), len(b))
    if a[:n] == b[:n]:
        return n
    return next(i for i in range(n) if a[i] != b[i])
