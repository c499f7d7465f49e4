"""Puts what ran and what was asked for together, as `join` records say.

Where a crash has cost a join nothing is guessed here: the command and its call stay apart, and are called "not joined"
where their lines agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tapes.record.digest import Digest
from tapes.record.kinds import Record
from tapes.session.agreement import same_line
from tapes.session.asking import Asked, Asking
from tapes.session.commands import Command, Participant, Ran
from tapes.wire.shells.base import Claim


def joined(records: Sequence[tuple[Digest, Record]], asking: Asking) -> list[Command]:
    """A session's commands in the order they began, not yet judged."""
    return sorted(_Joining(records, asking).commands(), key=lambda command: command.seq)


def joins(records: Sequence[tuple[Digest, Record]]) -> dict[Digest, tuple[Digest, str, bool]]:
    """By the start of a command: the call it belongs to, how that is known, and whether exactly. Of several joins the
    exact one counts, else the last."""
    found: dict[Digest, tuple[Digest, str, bool]] = {}
    for _, record in records:
        if record.type == "join" and len(record.parents) == 2:
            use, start = record.parents
            exact = bool(record.body.get("exact"))
            if exact or not found.get(start, (use, "", False))[2]:
                found[start] = (use, str(record.body.get("method", "")), exact)
    return found


class _Joining:
    def __init__(self, records: Sequence[tuple[Digest, Record]], asking: Asking) -> None:
        self._asking = asking
        self._session = records[0][0]
        opened = records[0][1].body
        self._agent = _participant(opened.get("participant", {"kind": "agent", "name": opened.get("agent", "")}))
        self._ran = witnessed(records)
        self._joins = joins(records)

    def commands(self) -> Iterator[Command]:
        of_call: dict[Digest, list[Ran]] = {}
        for ran in self._ran.values():
            joined = self._joins.get(ran.start)
            call = self._asking.calls.get(joined[0]) if joined else None
            if call is None:
                yield self._command(ran)
            else:
                of_call.setdefault(call.use, []).append(ran)
        for call in self._asking.calls.values():
            yield from self._of_call(call, of_call.get(call.use, []))

    def _of_call(self, call: Asked, ran: list[Ran]) -> Iterator[Command]:
        inner = {one.start for one in ran if any(other.start in one.at.parents for other in ran) or not _of_agent(one)}
        pairs = pair(call.claims, [one for one in ran if one.start not in inner])
        whole = len({id(claim) for claim in pairs.values()}) == 1 and len(call.claims) <= 1
        last = next(reversed(pairs), None)
        for one in ran:
            found = replace(self._command(one), call=call, thread=call.thread)
            if one.start in pairs:
                found = replace(found, asked=pairs[one.start], told=whole and one.start == last)
            yield found
        for claim in call.claims:
            # What was read out of a program may stand where it never came: one witness of the call is enough for it.
            if not any(claim is seen for seen in pairs.values()) and (claim.certain or not ran):
                yield self._unseen(call, claim)

    def _unseen(self, call: Asked, claim: Claim) -> Command:
        return Command(
            session=self._session,
            seq=call.record.seq,
            wall_ns=call.record.wall_ns,
            participant=replace(self._agent, kind="agent", name=call.agent or self._agent.name),
            thread=call.thread,
            asked=claim,
            call=call,
            decision=self._asking.decisions.get(call.id),
        )

    def _command(self, ran: Ran) -> Command:
        use, method, exact = self._joins.get(ran.start, (None, "", False))
        call = self._asking.calls.get(use) if use else None
        return Command(
            session=self._session,
            seq=ran.at.seq,
            wall_ns=ran.at.wall_ns,
            participant=_participant(ran.said("participant", {})),
            ran=ran,
            method=method,
            exact=exact,
            outer=next((parent for parent in ran.at.parents if parent in self._ran), None),
            decision=self._asking.decisions.get(call.id) if call else None,
        )


def _of_agent(ran: Ran) -> bool:
    return bool(ran.said("participant", {}).get("kind") == "agent")


def pair(claims: Sequence[Claim], ran: Sequence[Ran]) -> dict[Digest, Claim | None]:
    """Which of a call's commands answers which of its claims, by the start's hash: first by what the line says, then by
    order. A claim may be answered twice: an agent tries again outside of its sandbox. None: nothing asked for it."""
    found: dict[Digest, Claim | None] = {}
    for command in ran:
        same = [claim for claim in claims if same_line(claim.line, command.line)]
        fresh = [claim for claim in same if not any(claim is taken for taken in found.values())]
        found[command.start] = next(iter(fresh or same), None)
    left = [c for c in claims if c.certain and not any(c is taken for taken in found.values())]
    for start, claim in found.items():
        if claim is None and left:
            found[start] = left.pop(0)
    return found


def witnessed(records: Sequence[tuple[Digest, Record]]) -> dict[Digest, Ran]:
    """What ran, by the hash of its start."""
    starts = {digest: record for digest, record in records if record.type == "command.start"}
    of: dict[Digest, list[tuple[Digest, Record]]] = {digest: [] for digest in starts}
    for digest, record in records:
        if record.type.startswith("command.") and record.parents and record.parents[0] in of and digest not in of:
            of[record.parents[0]].append((digest, record))
    return {start: _ran(start, record, of[start]) for start, record in starts.items()}


def _ran(start: Digest, at: Record, told: list[tuple[Digest, Record]]) -> Ran:
    end_hash, end = next((item for item in told if item[1].type == "command.end"), (None, None))
    lost = next(
        (str(record.body.get("reason") or "not known") for _, record in told if record.type == "command.lost"), ""
    )
    outputs = tuple(item for item in told if item[1].type == "command.output")
    return Ran(start, at, end, end_hash, lost, outputs, tuple(r for _, r in told if r.type == "command.exec"))


def _participant(body: Mapping[str, Any]) -> Participant:
    texts = {key: str(body.get(key) or "") for key in ("kind", "name", "version", "user")}
    return Participant(**texts, parent=str((body.get("parent") or {}).get("name", "")))
