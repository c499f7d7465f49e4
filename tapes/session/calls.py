"""What exchanges say, read once each and remembered: turns, answers, and the blocks that tool events name.

A tool event holds the place of its words in an exchange's body, not the words (docs/adr/0006). So whoever wants them,
the timeline and the list of commands alike, asks here. All methods raise Withheld, Damaged and NotFound as the archive
does when a body can not be read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from tapes.archive.base import Archive
from tapes.record.digest import Digest
from tapes.record.kinds import Record
from tapes.session.exchanges import Exchange
from tapes.session.histories import Histories, History
from tapes.wire.turns import Json, Message, RequestReading, ResponseReading, Text, ToolCall, ToolResult, TurnReading


class Calls:
    """The readings of one session's exchanges. Holds what it has read: one for a reading of a session, not longer.
    `before`: of the same session when it was shorter; what that has read need not be read again."""

    def __init__(self, archive: Archive, exchanges: Mapping[Digest, Exchange], before: Calls | None = None) -> None:
        self._archive = archive
        self.exchanges = exchanges
        self.by_record = {**exchanges, **{e.end_hash: e for e in exchanges.values() if e.end_hash}}
        """By the hash of either of its records."""
        self._histories: Histories = before._histories if before else Histories(archive)
        self._turns: dict[Digest, TurnReading] = before._turns if before else {}
        self._answers: dict[Digest, ResponseReading] = before._answers if before else {}
        """Of exchanges that have ended."""
        self._blocks: dict[tuple[Digest, int, int], ToolCall | ToolResult] = before._blocks if before else {}
        """Calls and results by where their events say they stand."""
        self._kept: dict[Hashable, Any] = before._kept if before else {}

    def once[T](self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` gives, made once for this session and remembered by `key`: for what no later record changes."""
        if key not in self._kept:
            self._kept[key] = make()
        found: T = self._kept[key]
        return found

    def exchange_of(self, digest: Digest, record: Record) -> Exchange | None:
        """The exchange that a record is of, itself or by its parents."""
        return next((self.by_record[d] for d in (digest, *record.parents) if d in self.by_record), None)

    def turn(self, exchange: Exchange) -> TurnReading:
        """What is new in its request; nothing where it is no model call."""
        if exchange.hash not in self._turns:
            self.history(exchange)
        return self._turns[exchange.hash]

    def history(self, exchange: Exchange) -> History:
        """The request with marks of all its messages, and no more of them than are needed to tell what is new. Not
        remembered: it is large."""
        history = History(RequestReading(), TurnReading())
        if exchange.body["class"] == "model" and exchange.request is not None:
            history = self._histories.read(exchange.request, exchange.dialect)
        for index, message in history.turn.messages:
            self._remember(exchange.hash, index, message)
        self._turns[exchange.hash] = history.turn
        return history

    def answer(self, exchange: Exchange) -> ResponseReading:
        """What was answered; nothing where it is no model call, or nothing came."""
        if exchange.end is None:
            return ResponseReading()
        if exchange.hash not in self._answers:
            reading = ResponseReading()
            if exchange.body["class"] == "model" and exchange.response is not None and exchange.status is not None:
                reader = exchange.dialect.response_reader(exchange.status, exchange.content_type)
                reader.feed(self._archive.body(exchange.response))
                reading = reader.finish()
            if reading.message and exchange.end_hash:
                self._remember(exchange.end_hash, 0, reading.message)
            self._answers[exchange.hash] = reading
        return self._answers[exchange.hash]

    def _remember(self, digest: Digest, index: int, message: Message) -> None:
        for position, block in enumerate(message.blocks):
            if isinstance(block, ToolCall | ToolResult):
                self._blocks[(digest, index, position)] = block

    def block(self, event: Record) -> ToolCall | ToolResult | None:
        """The block that an event was read from. One that stands before the new part of a request is read by itself."""
        index, position = event.body["at"]
        for parent in event.parents:
            if parent in self.exchanges:
                self.turn(self.exchanges[parent])
            elif parent in self.by_record:
                self.answer(self.by_record[parent])
            if (parent, index, position) in self._blocks:
                return self._blocks[(parent, index, position)]
        exchange = self.exchanges.get(event.parents[0])
        if exchange is None or exchange.request is None:
            return None
        messages = exchange.dialect.read_request(self._archive.body(exchange.request)).messages
        blocks = messages[index].blocks if index < len(messages) else ()
        block = blocks[position] if position < len(blocks) else None
        return block if isinstance(block, ToolCall | ToolResult) else None

    def input(self, use: Record) -> str:
        """The text of a `tool.use`'s input."""
        raw = use.body.get("input")
        if raw is not None:
            return str(raw.decode("utf-8", "replace"))
        call = self.block(use)
        return call.input_raw if isinstance(call, ToolCall) else ""

    def arguments(self, use: Record) -> Json:
        """The same as a value: what JSON it is, else the text itself."""
        text = self.input(use)
        try:
            found: Json = json.loads(text)
        except (ValueError, RecursionError):
            return text
        return found

    def result(self, result: Record) -> str:
        """The text of a `tool.result`."""
        block = self.block(result)
        return block.text() if isinstance(block, ToolResult) else ""

    def all_words(self, result: Record) -> bool:
        """Is a `tool.result` text alone? A picture may stand for what was written."""
        block = self.block(result)
        return isinstance(block, ToolResult) and all(isinstance(part, Text) for part in block.content)
