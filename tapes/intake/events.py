"""Tool events out of exchanges that are already safe.

A `tool.use` is a call that the model asked for; a `tool.result` what the agent answered. Both name their exchange as a
parent, a result also its use. They are readings: marked with the dialect's name and version, and made again by a better
reader later. Most requests carry the whole history, so results are taken from the messages after the model's last word
(and further back only those of calls that are known to wait for one). A use that was never seen as an answer (the
answer was lost with a killed capture) is taken from the history beside its result, and says so. A resumed
conversation's older history belongs to the session that had it.

The only place in intake that interprets what it keeps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tapes.intake.drafting import header
from tapes.intake.linker import Event, Linker
from tapes.intake.split import Written
from tapes.record.digest import blob_digest
from tapes.values import dataclass
from tapes.wire.agents import Agent
from tapes.wire.redact import Redactor
from tapes.wire.turns import Message, ToolCall, ToolResult

if TYPE_CHECKING:
    from tapes.wire.dialects.base import Dialect

INLINE_BYTES = 512
"""A tool input up to this long stands in its record; a longer one is found in the exchange's body."""


@dataclass(frozen=True, slots=True)
class Read:
    """What was read from one exchange record."""

    events: tuple[Event, ...] = ()
    model: str = ""
    version: str = ""
    error: str = ""


def read(written: Written, agent: Agent, linker: Linker, redactor: Redactor) -> Read:
    """Read an exchange record's tool events. Never raises on bad content: `error` says what was wrong.

    The record MUST have been committed: calls that the wire gave no id are named after it.
    """
    opened = written.opened
    version = ""
    if not written.is_end:
        names = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in opened.headers}
        version = agent.identity(names).version
    if opened.cls != "model":
        return Read(version=version)
    from tapes.wire import dialects  # with the first exchange: an agent may wait for its recorder to start

    content_type = header(opened.headers, b"content-type")
    dialect = dialects.choose_for(opened.provider, opened.method, opened.url, content_type)
    reader = _Reader(written, f"{dialect.name}/{dialect.version}", linker, redactor)
    return reader.response(dialect) if written.is_end else reader.request(dialect, version)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one record."""

    written: Written
    reader: str
    linker: Linker
    redactor: Redactor

    def request(self, dialect: Dialect, version: str) -> Read:
        turn = dialect.read_turn(self.written.body)
        events = [*self._answers(turn.messages), *self._late(dialect, turn.messages)]
        from tapes.wire import dialects

        model = turn.model or dialects.model_in(self.written.opened.url)
        return Read(tuple(events), model, version, turn.error)

    def _answers(self, messages: tuple[tuple[int, Message], ...]) -> Iterator[Event]:
        """The results in new messages; and the calls they answer, where nobody saw those being made."""
        calls: dict[str, tuple[ToolCall, list[int]]] = {}
        for index, message in messages:
            for position, block in enumerate(message.blocks):
                if isinstance(block, ToolCall):
                    calls[block.id] = (block, [index, position])
                elif isinstance(block, ToolResult):
                    use = self._name(block.id, [index, position])
                    if block.id in calls:
                        call, at = calls[block.id]
                        use = self.linker.resolve(call) or self._name(call.id, at)
                        if use not in self.linker.uses:
                            yield self._use(call, use, at, source="request")
                    yield self._result(block, use, [index, position])

    def _late(self, dialect: Dialect, messages: tuple[tuple[int, Message], ...]) -> Iterator[Event]:
        """Results that stand before the model's last word: of calls made together and answered one by one."""
        told = {b.id for _, message in messages for b in message.blocks if isinstance(b, ToolResult)}
        body = self.written.body
        waiting = {use for use in self.linker.waiting() if use not in told and body.count(use.encode()) > 1}
        if not waiting:
            return
        for index, message in enumerate(dialect.read_request(body).messages):
            for position, block in enumerate(message.blocks):
                if isinstance(block, ToolResult) and block.id in waiting:
                    yield self._result(block, block.id, [index, position])

    def response(self, dialect: Dialect) -> Read:
        written = self.written
        if not written.body or written.status is None:
            return Read()
        response = dialect.response_reader(written.status, written.content_type)
        response.feed(written.body)
        reading = response.finish()
        blocks = reading.message.blocks if reading.message else ()
        calls = [(block, [0, position]) for position, block in enumerate(blocks) if isinstance(block, ToolCall)]
        events = tuple(self._use(call, self._name(call.id, at), at) for call, at in calls)
        return Read(events, reading.model or "", "", "; ".join(reading.problems))

    def _name(self, identifier: str, at: list[int]) -> str:
        """An id for what has none, or one that says no more than its place in a history."""
        if identifier and not identifier.startswith("#"):
            return identifier
        digest = self.written.draft.hash
        assert digest is not None
        return f"{digest.short()}.{at[0]}.{at[1]}"

    def _use(self, call: ToolCall, use: str, at: list[int], source: str = "response") -> Event:
        # Redacted once more: a secret in pieces over stream deltas is whole only here.
        raw = self.redactor.redact(call.input_raw.encode("utf-8", "surrogatepass"))
        body: dict[str, object] = {
            "id": use,
            "name": call.name,
            "reader": self.reader,
            "source": source,
            "at": at,
            "input_length": len(raw.data),
            "input_hash": blob_digest(raw.data),
        }
        if len(raw.data) <= INLINE_BYTES:
            body["input"] = raw.data
        if call.error:
            body["error"] = call.error
        return Event("tool.use", body, call, raw.data)

    def _result(self, result: ToolResult, use: str, at: list[int]) -> Event:
        text = result.text().encode("utf-8", "surrogatepass")
        body: dict[str, object] = {
            "id": use,
            "reader": self.reader,
            "at": at,
            "is_error": result.is_error,
            "length": len(text),
            "hash": blob_digest(text),
        }
        if result.id != use:
            body["wire_id"] = result.id
        return Event("tool.result", body, said=text)
