"""What each record of a session says as steps: the items of the timeline before they have numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from tapes.archive.base import Archive
from tapes.errors import Damaged, NotFound, Withheld
from tapes.record.digest import Digest
from tapes.record.kinds import Record
from tapes.record.tomb import WITHHELD
from tapes.session.calls import Calls
from tapes.session.exchanges import FAILED, Exchange
from tapes.session.notes import words_of
from tapes.session.placing import FINAL, Placed, passed_on
from tapes.session.threads import Place
from tapes.session.usage import counts, first_word
from tapes.values import dataclass, field
from tapes.wire.files import Deed, blocks, deeds
from tapes.wire.purposes import is_continuation
from tapes.wire.turns import MODEL_ROLES, Media, Message, ResponseReading, Text, Thinking, Unknown

if TYPE_CHECKING:
    from tapes.session.commands import Command

REMINDERS = (
    "<system-reminder>",
    "<environment_context>",
    "<session_context>",
    "<user_instructions>",
    "<INSTRUCTIONS>",
    "<skills_instructions>",
    "# AGENTS.md instructions",
)
"""How texts begin that an agent puts beside what a person said."""
SAYING = frozenset({"exchange.open", "exchange.end", "tool.use", "tool.result", "command.start", "note"})
"""Types of records that steps are read from, but for gaps."""


@dataclass(frozen=True, slots=True)
class Item:
    """A step before it has a number."""

    type: str
    text: str
    failed: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)


class Items:
    """Reads the items of each record, remembering what later records refer to."""

    def __init__(
        self,
        calls: Calls,
        withheld: Mapping[int, int],
        commands: list[Command],
        placed: Placed,
        archive: Archive | None = None,
    ) -> None:
        """`archive`: to be told when first words had come, for which the beginnings of answers are read again."""
        self._archive = archive
        self._calls = calls
        self._places = placed.places
        self._spawned = {t.spawned_by: t.id for t in placed.threads.values() if t.spawned_by}
        self._tried: dict[Digest, list[Exchange]] = {}
        for exchange in calls.exchanges.values():
            if exchange.retry_of:
                self._tried.setdefault(exchange.retry_of, []).append(exchange)
        self._timed: set[Digest] = set()
        self._asked: dict[str, int] = {}
        self._withheld = withheld
        self._commands = {command.ran.start: command for command in commands if command.ran}
        self._unseen = {command.call.use: command for command in commands if command.call and not command.ran}
        self._names: dict[str, str] = {}

    def exchange_of(self, digest: Digest, record: Record) -> Exchange | None:
        if record.type == "note" and record.body.get("who"):
            return None  # what a person says later about a call is none of its steps, nor of its thread's
        command = self._commands.get(digest)
        if command is not None and command.call is not None:
            return self._calls.exchange_of(command.call.use, command.call.record)
        return self._calls.exchange_of(digest, record)

    def items(self, digest: Digest, record: Record) -> list[Item]:
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
            return [Item("error", str(error), failed=True)]

    def _gone(self, record: Record, by: str, usual: int) -> list[Item]:
        """As many as there were, where the redaction tells, so that the steps behind keep their numbers."""
        said = f"withheld by record {by[:12]}"
        return [Item("withheld", said, facts={"by": by})] * self._withheld.get(record.seq, usual)

    def _opened(self, digest: Digest, record: Record) -> list[Item]:
        exchange = self._calls.exchanges[digest]
        place = self._places.get(digest)
        if exchange.retry_of or place is None or place.purpose == "probe":
            return []  # a retry says the same once more; the step it retries has it already
        items = [seam(place)] if place.seam and place.seam != "compaction" else []
        for index, message in self._calls.turn(exchange).messages:
            if message.role not in MODEL_ROLES and (place.new is None or index in place.new):
                items += [Item(*told) for told in said_in(message, by_agent=place.purpose != "main")]
        return items

    def _ended(self, digest: Digest, record: Record) -> list[Item]:
        exchange = self._calls.exchanges.get(record.parents[0])
        if exchange is None:
            return []
        place = self._places.get(exchange.hash)
        # Not with the request: that brings results of what was asked before.
        items = [seam(place)] if place is not None and place.seam == "compaction" and not exchange.retry_of else []
        if exchange.outcome not in FAILED and place is not None and place.purpose == "probe":
            return []
        items += self._calls.once(("answered", digest), lambda: list(_answered(self._calls.answer(exchange))))
        if exchange.outcome in FAILED and exchange.retry_of is None:
            facts = {"outcome": exchange.outcome, "status": exchange.status, **self._retries(exchange)}
            items.append(Item("error", failure(exchange, self._calls.answer(exchange)), True, facts))
        if items:
            items[0] = replace(items[0], facts={**items[0].facts, **self._times(exchange)})
        return items

    def _use(self, digest: Digest, record: Record) -> list[Item]:
        body = record.body
        self._names[body["id"]] = body["name"]
        facts: dict[str, Any] = {"name": body["name"], "id": body["id"]}
        self._asked[body["id"]] = record.mono_ns
        exchange = self._calls.by_record.get(record.parents[0])
        if exchange is not None and exchange.end_hash == record.parents[0]:
            facts |= self._times(exchange)
        if digest in self._unseen:
            facts |= _verdict(self._unseen[digest])
        facts |= self._calls.once(("edits", digest), lambda: _edits(deeds(body["name"], self._calls.arguments(record))))
        if digest in self._spawned:
            facts["spawned"] = self._spawned[digest]
        text = self._calls.once(("input", digest), lambda: self._calls.input(record))
        return [Item("tool.use", text, "error" in body, facts)]

    def _times(self, exchange: Exchange) -> dict[str, Any]:
        """Of the model call, with the first step that came of it: so they add up."""
        if exchange.hash in self._timed:
            return {}
        self._timed.add(exchange.hash)
        place = self._places.get(exchange.hash)
        found = {
            "model": self._calls.answer(exchange).model,
            "purpose": place.purpose if place and place.purpose != "main" else "",
            "ttft_us": self._calls.once(("first word", exchange.hash), lambda: self._first_word(exchange)),
            "duration_us": exchange.duration_us,
            "usage": self._calls.once(("usage", exchange.hash), lambda: self._usage(exchange)),
        }
        return {name: value for name, value in found.items() if value}

    def _usage(self, exchange: Exchange) -> dict[str, int]:
        usage = self._calls.answer(exchange).usage
        tokens = counts(usage, exchange.dialect.name) if usage else None
        return {kind: count for kind, count in asdict(tokens).items() if count} if tokens else {}

    def _first_word(self, exchange: Exchange) -> int | None:
        """When the first word, thought or call had arrived; of what came in one piece, when that began to. None where
        it is not asked for."""
        if self._archive is None:
            return None
        try:
            found = first_word(self._archive, exchange, self._calls.answer(exchange))
        except (Withheld, Damaged, NotFound):
            found = None
        return exchange.first_byte_us if found is None else found

    def _retries(self, exchange: Exchange) -> dict[str, Any]:
        tried = self._tried.get(exchange.hash, ())
        return {"retries": len(tried), "outcomes": [one.outcome for one in tried]} if tried else {}

    def _result(self, digest: Digest, record: Record) -> list[Item]:
        body = record.body
        facts = {
            "name": self._names.get(body["id"], ""),
            "id": body["id"],
            "is_error": bool(body.get("is_error")),
            "bytes": body.get("length"),
        }
        if body["id"] in self._asked:
            facts["duration_us"] = max(0, record.mono_ns - self._asked[body["id"]]) // 1000
        text = self._calls.once(("result", digest), lambda: self._calls.result(record))
        return [Item("tool.result", text, bool(body.get("is_error")), facts)]

    def _command(self, digest: Digest, record: Record) -> list[Item]:
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
        return [Item("command", command.line, command.failed, facts)]

    def _depth(self, command: Command) -> int:
        """In how many other commands it ran."""
        depth = 0
        while command.outer in self._commands:
            command = self._commands[command.outer]
            depth += 1
        return depth


def _answered(reading: ResponseReading) -> Iterator[Item]:
    for block in reading.message.blocks if reading.message else ():
        match block:
            case Thinking():
                yield Item("thinking", block.text)
            case Text() if block.text:
                yield Item("answer", block.text, facts=_edits(blocks(block.text)))
            case _:
                pass


def _verdict(command: Command) -> dict[str, str]:
    found = command.judgement
    asked = {"asked": command.asked.line} if "rewritten" in found.verdicts and command.asked else {}
    return {key: text for key, text in (("verdict", found.verdict), ("why", found.why)) if text} | asked


def seam(place: Place) -> Item:
    """Where a conversation breaks off and goes on."""
    said = {
        "compaction": "the conversation is compacted here",
        "compacted": "goes on from the summary of a compacted conversation",
        "resumed": "goes on from an earlier run",
    }
    return Item("seam", said[place.seam], facts={"seam": place.seam})


def _edits(found: tuple[Deed, ...]) -> dict[str, Any]:
    """What a call, or an answer, does to files; to a list; to other agents."""
    if not found:
        return {}
    first = found[0]
    facts: dict[str, Any] = {"action": first.action, "path": first.path}
    facts["diff"] = "\n".join(deed.diff for deed in found if deed.diff)
    facts["said"] = first.said if first.action == "todo" else ""
    if len(found) > 1:
        facts["files"] = [{"action": deed.action, "path": deed.path} for deed in found]
    return {name: value for name, value in facts.items() if value}


def failure(exchange: Exchange, reading: ResponseReading) -> str:
    """How a call failed, in a line."""
    status = f" {exchange.status}" if exchange.status not in (None, 101) else ""
    text = reading.error.message if reading.error else ""
    if not text and exchange.end is not None:
        text = str(exchange.end.body.get("error", ""))
    return f"{exchange.outcome}{status}: {text}".rstrip(": ")


def said_in(message: Message, *, by_agent: bool = False) -> Iterator[tuple[str, str]]:
    """What a message says, part by part: the type of step, and the words. `by_agent`: no person has said it, though it
    comes in a person's name."""
    aside = by_agent or message.role in ("system", "developer") or is_continuation(message)
    for block in message.blocks:
        if isinstance(block, Text) and block.text.strip():
            reminder = aside or block.text.lstrip().startswith(REMINDERS)
            yield "reminder" if reminder else "prompt", block.text
        elif isinstance(block, Unknown) and (passed := passed_on(block.raw)):
            yield "reminder" if passed.startswith(FINAL) else "prompt", passed
        elif isinstance(block, Media):
            yield "media", f"{block.kind} {block.media_type} ({block.size} bytes)"


def _gap(digest: Digest, record: Record) -> list[Item]:
    facts = {k: v for k, v in record.body.items() if isinstance(v, int)}
    return [Item("gap", str(record.body["reason"]), True, facts)]


def _note(digest: Digest, record: Record) -> list[Item]:
    if record.body.get("decision") == "allowed":
        return []  # the commands say who allowed them; each call would have such a line
    return [Item("note", words_of(record.body))]
