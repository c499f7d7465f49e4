"""Tool events out of exchanges that are already safe.

A `tool.use` is a call that the model asked for; a `tool.result` what the agent answered. Both name their exchange as a
parent, a result also its use. They are readings: marked with the dialect's name and version, and made again by a better
reader later. The whole history comes with every request, so results are taken only from the messages after the
model's last one. A use that was never seen as an answer (the answer was lost with a killed capture) is taken from the
history beside its result, and says so. A resumed conversation's older history belongs to the session that had it.

The only place in intake that interprets what it keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tapes.archive.base import Draft
from tapes.intake.split import Written, header
from tapes.record.digest import Digest, blob_digest
from tapes.wire import dialects
from tapes.wire.agents import Agent
from tapes.wire.dialects.base import Dialect
from tapes.wire.redact import Redactor
from tapes.wire.turns import ToolCall, ToolResult

INLINE_BYTES = 512
"""A tool input up to this long stands in its record; a longer one is found in the exchange's body."""


@dataclass(frozen=True, slots=True)
class Event:
    """A tool event to be written."""

    type: str
    body: dict[str, object]


@dataclass(frozen=True, slots=True)
class Read:
    """What was read from one exchange record."""

    events: tuple[Event, ...] = ()
    model: str = ""
    version: str = ""
    error: str = ""


def read(written: Written, agent: Agent, known: Mapping[str, object], redactor: Redactor) -> Read:
    """Read an exchange record's tool events. Never raises on bad content: `error` says what was wrong.

    `known` holds the ids of the uses already recorded in this session.
    """
    opened = written.opened
    if opened.cls != "model":
        return Read()
    dialect = dialects.choose_url(opened.method, opened.url, header(opened.headers, b"content-type"))
    reader = f"{dialect.name}/{dialect.version}"
    if written.is_end:
        return _read_response(written, dialect, reader, redactor)
    return _read_request(written, dialect, reader, agent, known, redactor)


def _read_request(
    written: Written,
    dialect: Dialect,
    reader: str,
    agent: Agent,
    known: Mapping[str, object],
    redactor: Redactor,
) -> Read:
    turn = dialect.read_turn(written.body)
    names = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in written.opened.headers}
    events: list[Event] = []
    calls: dict[str, tuple[ToolCall, list[int]]] = {}
    seen = set(known)
    for index, message in turn.messages:
        for position, block in enumerate(message.blocks):
            at = [index, position]
            if isinstance(block, ToolCall):
                calls[block.id] = (block, at)
            elif isinstance(block, ToolResult):
                if block.id not in seen and block.id in calls:
                    call, call_at = calls[block.id]
                    events.append(_use(call, call_at, reader, redactor, source="request"))
                    seen.add(block.id)
                events.append(_result(block, at, reader))
    return Read(tuple(events), turn.model, agent.identity(names).version, turn.error)


def _read_response(written: Written, dialect: Dialect, reader: str, redactor: Redactor) -> Read:
    if not written.body or written.status is None:
        return Read()
    response = dialect.response_reader(written.status, written.content_type)
    response.feed(written.body)
    reading = response.finish()
    blocks = reading.message.blocks if reading.message else ()
    events = tuple(
        _use(block, [0, position], reader, redactor)
        for position, block in enumerate(blocks)
        if isinstance(block, ToolCall)
    )
    return Read(events, reading.model or "", "", "; ".join(reading.problems))


def _use(call: ToolCall, at: list[int], reader: str, redactor: Redactor, source: str = "response") -> Event:
    # Redacted once more: a secret in pieces over stream deltas is whole only here.
    raw = redactor.redact(call.input_raw.encode("utf-8", "surrogatepass"))
    body: dict[str, object] = {
        "id": call.id,
        "name": call.name,
        "reader": reader,
        "source": source,
        "at": at,
        "input_length": len(raw.data),
        "input_hash": blob_digest(raw.data),
    }
    if len(raw.data) <= INLINE_BYTES:
        body["input"] = raw.data
    if call.error:
        body["error"] = call.error
    return Event("tool.use", body)


def _result(result: ToolResult, at: list[int], reader: str) -> Event:
    text = result.text().encode("utf-8", "surrogatepass")
    body: dict[str, object] = {
        "id": result.id,
        "reader": reader,
        "at": at,
        "is_error": result.is_error,
        "length": len(text),
        "hash": blob_digest(text),
    }
    return Event("tool.result", body)


class Linker:
    """Turns events into drafts with their parents, each use and each result of a session once."""

    def __init__(self) -> None:
        self.uses: dict[str, Digest | Draft] = {}
        self._results: set[str] = set()

    def known(self, type_: str, identifier: str, digest: Digest) -> None:
        """An event that the archive has already (adopting a session)."""
        if type_ == "tool.use":
            self.uses[identifier] = digest
        else:
            self._results.add(identifier)

    def link(
        self,
        event: Event,
        exchange: Draft,
        write: Callable[[str, dict[str, object], list[Digest | Draft]], Draft],
    ) -> None:
        """Write `event` unless this session has it already (every retry carries it again)."""
        identifier = str(event.body["id"])
        if event.type == "tool.use":
            if identifier not in self.uses:
                self.uses[identifier] = write(event.type, event.body, [exchange])
        elif identifier not in self._results:
            self._results.add(identifier)
            use = self.uses.get(identifier)
            write(event.type, event.body, [exchange, use] if use is not None else [exchange])
