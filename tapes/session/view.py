"""A session as steps: what a person reads from top to bottom.

Steps are read from records each time; nothing of them is stored. Their numbers count from 1 in the order of the records
(tool events with their exchange, commands with their call), so they only ever grow at the end; while a session is
recorded, a call that has just been made, or a join, may still move the last of them on. A step's hash is that of the
record it comes from: `tapes cat` takes it. A body that can not be read becomes an `error` step in its place, and the
rest of the session is still there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tapes.archive.base import Archive
from tapes.archive.redaction import steps_withheld
from tapes.errors import Damaged, NotFound, Withheld
from tapes.record.digest import Digest
from tapes.record.kinds import Record
from tapes.record.tomb import WITHHELD
from tapes.session.calls import Calls
from tapes.session.commands import Command
from tapes.session.exchanges import FAILED, Exchange, gather
from tapes.session.joining import joins
from tapes.wire.turns import MODEL_ROLES, Media, Message, Text, Thinking

STEP_TYPES = (
    "prompt",
    "reminder",
    "thinking",
    "answer",
    "tool.use",
    "tool.result",
    "command",
    "media",
    "error",
    "gap",
    "note",
    "withheld",
)
EVENTS = ("tool.use", "tool.result")
REMINDER = "<system-reminder>"
SAYING = frozenset({"exchange.open", "exchange.end", "tool.use", "tool.result", "command.start", "note"})
"""Types of records that steps are read from, but for gaps."""


@dataclass(frozen=True, slots=True)
class Step:
    """One item of the timeline."""

    number: int
    type: str
    """One of STEP_TYPES."""
    hash: Digest
    """The record it was read from."""
    item: int
    """Which item of that record, from 0."""
    exchange: Digest | None
    thread: str
    wall_ns: int
    text: str
    failed: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    """By type: tool name and id, outcome, status, counts of a gap."""


@dataclass(frozen=True, slots=True)
class _Item:
    """A step before it has a number."""

    type: str
    text: str
    failed: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)


def steps(archive: Archive, session: Digest) -> Iterator[Step]:
    """The session's steps. NotFound for an unknown session, Damaged where a record itself is."""
    _, found = timeline(archive, session)
    yield from found


def timeline(archive: Archive, session: Digest) -> tuple[list[Command], Iterator[Step]]:
    """The commands of a session that had a witness, and its steps."""
    records = list(archive.session_records(session))
    calls = Calls(archive, gather(iter(records)))
    commands: list[Command] = []
    if any(record.type == "command.start" for _, record in records):
        from tapes.session.audit import commands_in  # and the agents' ways, which other sessions need not wait for

        commands = list(commands_in(archive, records, calls))
    return commands, _steps(records, _Reader(calls, steps_withheld(records), commands))


def _steps(records: list[tuple[Digest, Record]], reader: _Reader) -> Iterator[Step]:
    number = 0
    for digest, record in in_order(records):
        exchange = reader.exchange_of(digest, record)
        for position, item in enumerate(reader.items(digest, record)):
            number += 1
            yield Step(
                number=number,
                type=item.type,
                hash=digest,
                item=position,
                exchange=exchange.hash if exchange else None,
                thread=exchange.thread if exchange else "",
                wall_ns=record.wall_ns,
                text=item.text,
                failed=item.failed,
                facts=item.facts,
            )


def in_order(records: list[tuple[Digest, Record]]) -> Iterator[tuple[Digest, Record]]:
    """The records as they are told: a tool event directly behind the exchange's record that it was read from (it is
    written once that one is safe, and by then the next exchange may have begun), a command behind the call that it is
    joined to, else behind the command in which it ran."""
    behind: dict[Digest, list[tuple[Digest, Record]]] = {digest: [] for digest, _ in records}
    joined = joins(records)
    told = []
    for digest, record in records:
        kind = record.body["type"] if record.type == WITHHELD else record.type
        anchor = record.parents[0] if record.parents else None
        if kind == "command.start" and digest in joined:
            anchor = joined[digest][0]
        if (kind in EVENTS or kind == "command.start") and anchor in behind:
            behind[anchor].append((digest, record))
        else:
            told.append((digest, record))
    waiting = told[::-1]
    while waiting:
        digest, record = waiting.pop()
        yield digest, record
        waiting += behind[digest][::-1]


class _Reader:
    """Reads the items of each record, remembering what later records refer to."""

    def __init__(self, calls: Calls, withheld: Mapping[int, int], commands: list[Command]) -> None:
        self._calls = calls
        self._withheld = withheld
        self._commands = {command.ran.start: command for command in commands if command.ran}
        self._unseen = {command.call.use: command for command in commands if command.call and not command.ran}
        self._names: dict[str, str] = {}

    def exchange_of(self, digest: Digest, record: Record) -> Exchange | None:
        command = self._commands.get(digest)
        if command is not None and command.call is not None:
            return self._calls.exchange_of(command.call.use, command.call.record)
        return self._calls.exchange_of(digest, record)

    def items(self, digest: Digest, record: Record) -> list[_Item]:
        if record.type == WITHHELD:
            return self._gone(record, record.body["by"].hex(), int(record.body["type"] in SAYING))
        read = {
            "exchange.open": self._opened,
            "exchange.end": self._ended,
            "tool.use": self._use,
            "tool.result": self._result,
            "command.start": self._command,
            "gap": _gap,
            "note": _note,
        }.get(record.type)
        if read is None:
            return []
        try:
            return read(digest, record)
        except Withheld as error:
            return self._gone(record, error.by, 1)
        except (Damaged, NotFound) as error:
            return [_Item("error", str(error), failed=True)]

    def _gone(self, record: Record, by: str, usual: int) -> list[_Item]:
        """As many as there were, where the redaction tells, so that the steps behind keep their numbers."""
        said = f"withheld by record {by[:12]}"
        return [_Item("withheld", said, facts={"by": by})] * self._withheld.get(record.seq, usual)

    def _opened(self, digest: Digest, record: Record) -> list[_Item]:
        exchange = self._calls.exchanges[digest]
        items: list[_Item] = []
        for _, message in self._calls.turn(exchange).messages:
            if message.role not in MODEL_ROLES:
                items += _said(message, exchange)
        # A retry says the same once more; the step it retries has it already.
        return [] if exchange.retry_of else items

    def _ended(self, digest: Digest, record: Record) -> list[_Item]:
        exchange = self._calls.exchanges.get(record.parents[0])
        if exchange is None:
            return []
        items: list[_Item] = []
        reading = self._calls.answer(exchange)
        message = reading.error.message if reading.error else ""
        for block in reading.message.blocks if reading.message else ():
            match block:
                case Thinking():
                    items.append(_Item("thinking", block.text))
                case Text() if block.text:
                    items.append(_Item("answer", block.text))
                case _:
                    pass
        if exchange.outcome in FAILED:
            status = f" {exchange.status}" if exchange.status not in (None, 101) else ""
            text = message or str(record.body.get("error", ""))
            facts = {"outcome": exchange.outcome, "status": exchange.status}
            items.append(_Item("error", f"{exchange.outcome}{status}: {text}".rstrip(": "), True, facts))
        return items

    def _use(self, digest: Digest, record: Record) -> list[_Item]:
        body = record.body
        self._names[body["id"]] = body["name"]
        facts = {"name": body["name"], "id": body["id"]}
        if digest in self._unseen:
            facts |= _verdict(self._unseen[digest])
        return [_Item("tool.use", self._calls.input(record), "error" in body, facts)]

    def _result(self, digest: Digest, record: Record) -> list[_Item]:
        body = record.body
        facts = {
            "name": self._names.get(body["id"], ""),
            "id": body["id"],
            "is_error": bool(body.get("is_error")),
            "bytes": body.get("length"),
        }
        return [_Item("tool.result", self._calls.result(record), bool(body.get("is_error")), facts)]

    def _command(self, digest: Digest, record: Record) -> list[_Item]:
        command = self._commands[digest]
        facts = {
            "by": command.participant.name or command.participant.kind,
            "exit": command.status,
            "signal": command.signal,
            "duration_us": None if command.duration_ns is None else command.duration_ns // 1000,
            "bytes": sum(command.ran.counts.values()) if command.ran and command.ran.end else None,
            "cwd": command.cwd,
            "tool": command.call.id if command.call else None,
            "within": self._depth(command),
            **_verdict(command),
        }
        return [_Item("command", command.line, command.failed, facts)]

    def _depth(self, command: Command) -> int:
        """In how many other commands it ran."""
        depth = 0
        while command.outer in self._commands:
            command = self._commands[command.outer]
            depth += 1
        return depth


def _verdict(command: Command) -> dict[str, str]:
    found = command.judgement
    asked = {"asked": command.asked.line} if "rewritten" in found.verdicts and command.asked else {}
    return {key: text for key, text in (("verdict", found.verdict), ("why", found.why)) if text} | asked


def _said(message: Message, exchange: Exchange) -> list[_Item]:
    items: list[_Item] = []
    for block in message.blocks:
        if isinstance(block, Text) and block.text.strip():
            reminder = message.role in ("system", "developer") or block.text.lstrip().startswith(REMINDER)
            items.append(_Item("reminder" if reminder else "prompt", block.text))
        elif isinstance(block, Media):
            items.append(_Item("media", f"{block.kind} {block.media_type} ({block.size} bytes)"))
    return items


def _gap(digest: Digest, record: Record) -> list[_Item]:
    facts = {k: v for k, v in record.body.items() if isinstance(v, int)}
    return [_Item("gap", str(record.body["reason"]), True, facts)]


def _note(digest: Digest, record: Record) -> list[_Item]:
    return [_Item("note", str(record.body.get("text", "")))]
