"""What forgetting a session, or some of its steps, takes with it; decided before anything is destroyed.

**A session**: every record of it becomes a tombstone, but for `redaction` records. What it said is destroyed as far as
no other session's bodies are made of the same pieces.

**Steps**: what they say, and what the commands they asked for put out (ran.py), is to be nowhere. A later request
repeats the history and a body is whole or withheld, so all bodies of the session in which any of it stands are
withheld, and of the records those that hold some of it: tool events and notes of these steps, their commands, parts
(hashes of short stretches) of withheld answers, and whatever else has the words in its own bytes (a command line with
the prompt). The other records stay, and so what the exchange was: URL, times, sizes.

**Everywhere**: what is said is sought in the other sessions too, texts of 64 bytes and more; what a whole session says
as strings by themselves, and without its reminders, which every session of an agent says. Without it the others are
only named.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType

from tapes.archive.base import Archive
from tapes.archive.redaction import Decided, Run, Withholding, needed, runs
from tapes.errors import Damaged, NotFound, UsageError, Withheld
from tapes.record.digest import Digest
from tapes.record.kinds import BodyRef, Record, body_refs
from tapes.session.exchanges import Exchange, gather
from tapes.session.probes import ELSEWHERE, SHORTEST, Probes, Scanner, media_in, probes_of, tokens_of
from tapes.session.ran import gone_with, words_of
from tapes.session.view import Step, steps
from tapes.values import dataclass, field
from tapes.wire.turns import Text, Thinking, ToolCall

type Records = list[tuple[Digest, Record]]


@dataclass(frozen=True, slots=True)
class Loss:
    """A record, or a body it refers to, and why it goes (or, in another session, would)."""

    session: Digest
    record: Digest
    type: str
    ref: BodyRef | None
    """None: the record's own bytes."""
    why: str


@dataclass(frozen=True, slots=True)
class Shared:
    """Pieces that another session needs: they stay."""

    session: Digest
    pieces: int
    bytes: int


@dataclass(slots=True)
class Plan:
    what: str
    """In words that go into the record: `session`, `steps 3..7`."""
    withholdings: list[Withholding] = field(default_factory=list)
    """The session's own first."""
    losses: list[Loss] = field(default_factory=list)
    elsewhere: list[Loss] = field(default_factory=list)
    """Bodies of other sessions in which some of it stands, and which stay."""
    shared: list[Shared] = field(default_factory=list)
    unread: list[Run] = field(default_factory=list)
    """Steps of the session that can not be shown any more: those asked for, and others in the same bodies."""


def forget_session(archive: Archive, session: Digest, *, everywhere: bool = False) -> Plan:
    """NotFound for an unknown session."""
    own, losses = of_session(archive, session)
    plan = Plan("session", [own], losses)
    with suppress(Damaged):  # then it is not known what all it says, and others can not be asked for it
        said = [step for step in steps(archive, session) if step.type not in ("reminder", "withheld", "gap", "seam")]
        _elsewhere(archive, plan, tokens_of(said), everywhere)
    _shared(archive, plan)
    return plan


def of_session(archive: Archive, session: Digest) -> tuple[Withholding, list[Loss]]:
    """All of a session that is not withheld yet."""
    records = list(_readable(archive, session))
    own, decided = Withholding(session), Decided(records)
    losses: list[Loss] = []
    for digest, record in records:
        if not decided.record(record):
            own.records[digest] = record
            losses.append(Loss(session, digest, record.type, None, "of the session"))
            losses += [Loss(session, digest, record.type, ref, "of the session") for ref in body_refs(record.body)]
    return own, losses


def _readable(archive: Archive, session: Digest) -> Iterator[tuple[Digest, Record]]:
    """A session's records, but for damaged ones: of those nothing can be said, and they stay as they are. NotFound for
    an unknown session."""
    head = archive.head(session)
    if head is None:
        raise NotFound(f"no session {session.short()}")
    for seq in range(head[1] + 1):
        with suppress(Damaged):
            yield archive.session_record(session, seq)


def forget_steps(archive: Archive, session: Digest, first: int, last: int, *, everywhere: bool = False) -> Plan:
    """Damaged where the session can not be read, NotFound where it has no such steps; UsageError where they say nothing
    that could go."""
    records = list(archive.session_records(session))
    every = list(steps(archive, session))
    chosen = [step for step in every if first <= step.number <= last]
    if not chosen:
        raise NotFound(f"session {session.short()} has no steps {first}..{last}; its last is {len(every)}")
    if all(step.type in ("gap", "seam") for step in chosen):
        raise UsageError("these steps say nothing that could be forgotten")
    plan = Plan(f"steps {first}..{last}" if first != last else f"step {first}")
    sources = _sources(chosen, dict(records))
    media = [data for step in chosen if step.type == "media" for data in _pictures(archive, step, sources)]
    gone = gone_with(records, {step.hash: step.number for step in chosen})
    words = list(words_of(archive, records, gone))
    seeker = _Seeker(archive, _with(words, probes_of(chosen, media)), gone)
    own = seeker.seek(session, records, sources, {step.hash: step for step in chosen}, plan.losses)
    plan.unread = _unread(own, records, every)
    _count_steps(own, records, every)
    plan.withholdings.append(own)
    _elsewhere(archive, plan, _with(words, probes_of(chosen, media, ELSEWHERE), ELSEWHERE), everywhere)
    _shared(archive, plan)
    return plan


def _with(words: Iterable[str], probes: Probes, shortest: int = SHORTEST) -> Probes:
    for text in words:
        probes.add(text, shortest)
    return probes


def _sources(chosen: Iterable[Step], records: dict[Digest, Record]) -> dict[Digest, str]:
    """Whole hashes of the bodies that steps were read from, and which step it was."""
    found: dict[Digest, str] = {}
    for step in chosen:
        record = records[step.hash]
        parents = [records[parent] for parent in record.parents[:1] if parent in records]
        if record.type == "command.start":
            parents = [one for one in records.values() if one.type == "command.output" and step.hash in one.parents]
        for from_ in [record] if record.type.startswith("exchange.") else parents:
            for ref in body_refs(from_.body):
                found.setdefault(ref.hash, f"step {step.number} ({step.type}) was read from it")
    return found


def _pictures(archive: Archive, step: Step, sources: dict[Digest, str]) -> Iterator[str]:
    for ref in body_refs(archive.record(step.hash).body):
        if ref.hash in sources:
            yield from media_in(step, archive.body(ref))


class _Seeker:
    """Finds what of a session has something in it."""

    def __init__(self, archive: Archive, probes: Probes, gone: Mapping[Digest, str] = MappingProxyType({})) -> None:
        self._archive, self._probes, self._gone = archive, probes, gone
        self._scanner = Scanner(archive, probes)

    def seek(
        self,
        session: Digest,
        records: Records,
        sources: dict[Digest, str],
        chosen: dict[Digest, Step],
        losses: list[Loss],
    ) -> Withholding:
        found, decided = Withholding(session), Decided(records)
        exchanges = gather(iter(records))
        answers = {exchange.end_hash: exchange for exchange in exchanges.values() if exchange.end_hash}
        for digest, record in records:
            for ref in body_refs(record.body):
                why = sources.get(ref.hash) or self._gone.get(digest) or self._body(ref, answers.get(digest))
                if why and not decided.record(record) and not decided.body(ref, record):
                    found.bodies[ref.hash] = None
                    losses.append(Loss(session, digest, record.type, ref, why))
        for digest, record in records:
            why = "" if decided.record(record) else self._record(digest, record, chosen, exchanges, found)
            if why:
                found.records[digest] = record
                losses.append(Loss(session, digest, record.type, None, why))
        return found

    def _body(self, ref: BodyRef, answer: Exchange | None) -> str:
        """Why a body must go; empty when it need not."""
        try:
            if self._scanner.says(ref):
                return "it repeats some of it"
            if answer is not None and any(self._says(text) for text in _words(self._archive, answer, ref)):
                return "it says some of it, in pieces"
        except Withheld:
            return ""  # gone already
        except (Damaged, NotFound):
            return "it is damaged, and nobody can say what is left of it"
        return ""

    def _says(self, text: str) -> bool:
        raw = text.encode("utf-8", "surrogatepass")
        quoted = json.dumps(text, ensure_ascii=False).encode("utf-8", "replace")
        return self._probes.find(raw) >= 0 or self._probes.find(quoted) >= 0

    def _record(
        self,
        digest: Digest,
        record: Record,
        chosen: dict[Digest, Step],
        exchanges: dict[Digest, Exchange],
        found: Withholding,
    ) -> str:
        step = chosen.get(digest)
        if step is not None and record.type in ("tool.use", "tool.result", "command.start", "note"):
            return f"it is step {step.number}"
        if digest in self._gone:
            return self._gone[digest]
        if record.type == "exchange.part":
            exchange = exchanges.get(record.parents[0]) if record.parents else None
            if exchange and exchange.response and exchange.response.hash in found.bodies:
                return "part of an answer that goes"
            kept = self._archive.tail(digest)
            if kept is not None and self._probes.find(kept) >= 0:
                return "the bytes kept for it say some of it"
        if self._says(record.body.get("input", b"").decode("utf-8", "replace")):
            return "its input says some of it"
        raw = self._archive.record_raw(digest)
        return "its own bytes say some of it" if Probes(self._probes.exact).find(raw) >= 0 else ""


def _words(archive: Archive, answer: Exchange, ref: BodyRef) -> Iterator[str]:
    """What an answer says, its pieces put together."""
    if answer.body["class"] != "model" or answer.status is None or answer.response != ref:
        return
    reader = answer.dialect.response_reader(answer.status, answer.content_type)
    reader.feed(archive.body(ref))
    message = reader.finish().message
    for block in message.blocks if message else ():
        match block:
            case Text() | Thinking():
                yield block.text
            case ToolCall():
                yield block.input_raw
            case _:
                pass


def _elsewhere(archive: Archive, plan: Plan, probes: Probes, everywhere: bool) -> None:
    """Look through the other sessions; what is found goes with the rest, or is only told."""
    own = plan.withholdings[0].session
    seeker = _Seeker(archive, probes)
    for session in archive.sessions():
        if session == own:
            continue
        losses: list[Loss] = []
        records = list(_readable(archive, session))
        found = seeker.seek(session, records, {}, {}, losses)
        if found and everywhere:
            with suppress(Damaged):
                _count_steps(found, records, list(steps(archive, session)))
            plan.withholdings.append(found)
            plan.losses += losses
        elif found:
            plan.elsewhere += losses


def _unread(found: Withholding, records: Records, every: Iterable[Step]) -> list[Run]:
    bodies = {digest for digest, record in records if any(r.hash in found.bodies for r in body_refs(record.body))}
    lost = {digest for digest, record in records if record.type == "tool.result" and record.parents[0] in bodies}
    lost |= bodies | found.records.keys()
    return runs(step.number for step in every if step.hash in lost)


def _count_steps(found: Withholding, records: Records, every: Iterable[Step]) -> None:
    """So that the steps behind keep their numbers."""
    counts: dict[Digest, int] = {}
    for step in every:
        counts[step.hash] = counts.get(step.hash, 0) + 1
    for digest, record in records:
        unread = any(ref.hash in found.bodies for ref in body_refs(record.body))
        if unread or digest in found.records:
            found.steps[record.seq] = counts.get(digest, 0)


def _shared(archive: Archive, plan: Plan) -> None:
    """Pieces of what goes that other sessions need."""
    gone = {loss.ref.hash for loss in plan.losses if loss.ref}
    mine, _ = needed(archive, {loss.ref.node for loss in plan.losses if loss.ref})
    own = plan.withholdings[0].session
    taken = {found.session: found for found in plan.withholdings}
    for session in archive.sessions():
        if session == own:
            continue
        refs = (ref for _, record in _readable(archive, session) for ref in body_refs(record.body))
        kept = {ref.node for ref in refs if not (session in taken and ref.hash in gone)}
        both = mine.keys() & needed(archive, kept)[0].keys()
        if both:
            plan.shared.append(Shared(session, len(both), sum(mine[digest] for digest in both)))
