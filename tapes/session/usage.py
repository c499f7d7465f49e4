"""What each model call took: tokens, times, and how it ended.

Providers count alike only in name. Here, and nowhere else, their counts become `Tokens`, whose kinds do not overlap:

- Anthropic: `input_tokens` is what came from no cache and went into none; cache reads and writes stand beside it.
  Output is with thinking.
- OpenAI, Chat and Responses: the input holds what was read from the cache and what was written to it, and both are
  taken out. Output is with reasoning.
- Gemini: `promptTokenCount` holds the cached ones, which are taken out; what its own tools read stands beside it, and
  is added. So are thoughts, without which it counts its output.
- Ollama: as it says. It leaves out a prompt that it still had.

Some servers that speak OpenAI Chat (xAI's, Gemini's) count reasoning beside the output all the same: where a provider
gives a total, the total decides. A write to a cache without a lifetime is one of 5 minutes, which is the default where
there is a choice.

Counts are the provider's word. A stream that was cut has told its counts in part or not at all: `whole` is then False,
and the numbers are the least that it can have been. Derived, never stored in the archive.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence

from tapes.archive.base import Archive
from tapes.errors import Damaged, NotFound, Withheld
from tapes.record.digest import Digest
from tapes.record.kinds import Record
from tapes.session.calls import Calls
from tapes.session.exchanges import FAILED, Exchange, gather
from tapes.session.placing import placed
from tapes.values import dataclass
from tapes.wire.turns import Json, Message, ResponseReading, Text, Thinking, ToolCall, Usage

CACHES_BESIDE = frozenset({"anthropic"})
"""Dialects whose input is without what caches held."""
REASONING_BESIDE = frozenset({"gemini"})
"""Dialects whose output is without the reasoning, unless their total says otherwise."""
STREAMS = ("text/event-stream", "application/x-ndjson", "application/vnd.amazon.eventstream")


@dataclass(frozen=True, slots=True)
class Tokens:
    """Counts that do not overlap, but for `reasoning`, which is a part of `output`."""

    input: int = 0
    """Neither read from a cache nor written to one."""
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            self.input + other.input,
            self.cache_read + other.cache_read,
            self.cache_write_5m + other.cache_write_5m,
            self.cache_write_1h + other.cache_write_1h,
            self.output + other.output,
            self.reasoning + other.reasoning,
        )

    @property
    def given(self) -> int:
        """All that the model was given to read."""
        return self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h

    @property
    def total(self) -> int:
        return self.given + self.output


KINDS: tuple[str, ...] = Tokens.__match_args__
GIVEN = KINDS[:4]
"""Those that the model was given to read."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to a model. Times are microseconds from its first byte; None where there is nothing to tell."""

    hash: Digest
    """Its `exchange.open`."""
    end: Digest | None
    thread: str
    model: str
    """That answered, or where none did the one that was asked; empty where neither can be told."""
    url: str
    wall_ns: int
    outcome: str
    status: int | None
    tokens: Tokens | None = None
    """None: the provider said nothing of them."""
    whole: bool = True
    """The provider told all its counts."""
    warm_up: bool = False
    """It made nothing, and what it was given is counted again with the turn that goes on from it."""
    retry_of: Digest | None = None
    retried: bool = False
    """It failed, and the same request was made again."""
    first_byte_us: int | None = None
    first_content_us: int | None = None
    """Of streams alone: when the first word, thought or call had arrived."""
    duration_us: int | None = None

    @property
    def failed(self) -> bool:
        return self.outcome in FAILED

    @property
    def untold(self) -> bool:
        """It has cost something, and nobody says what."""
        refused = self.status is None or (self.status >= 400 and self.outcome == "http_error")
        return self.tokens is None and not (refused or self.warm_up or self.outcome in ("open", "error_event"))

    @property
    def rate(self) -> float | None:
        """Tokens a second, from the stream's first byte to its end: with the reasoning that is not shown."""
        took = None if self.duration_us is None or self.first_byte_us is None else self.duration_us - self.first_byte_us
        if not took or took < 0 or self.first_content_us is None or self.tokens is None or not self.whole:
            return None
        return self.tokens.output * 1e6 / took


def calls(archive: Archive, session: Digest) -> Iterator[Call]:
    """The session's model calls in the order they were made. NotFound for an unknown session, Damaged where a record
    itself is; of a body that can not be read nothing is told."""
    yield from calls_of(archive, list(archive.session_records(session)))


def calls_of(archive: Archive, records: Sequence[tuple[Digest, Record]], *, threads: bool = True) -> Iterator[Call]:
    """The same of records at hand, which are all of their session. Without `threads` a call's thread is what its
    headers say; that saves reading the requests of a session in which nothing failed."""
    readings = Calls(archive, gather(iter(records)))
    if threads or any(exchange.outcome in FAILED for exchange in readings.exchanges.values()):
        placed(records, readings)  # which also tells which of them repeat another
    again = retried(list(readings.exchanges.values()))
    for exchange in readings.exchanges.values():
        if exchange.body["class"] == "model":
            yield call_of(archive, exchange, readings, retried=exchange.hash in again)


def tokens_of(archive: Archive, found: Iterable[Exchange], readings: Calls) -> dict[str, Tokens]:
    """What each thread took, by the exchanges' threads, warm-ups aside. Of answers that can not be read nothing."""
    sums: dict[str, Tokens] = {}
    for exchange in found:
        with contextlib.suppress(Withheld, Damaged, NotFound):
            reading = readings.answer(exchange)
            counted = counts(reading.usage, exchange.dialect.name) if reading.usage else None
            if counted is not None and not _is_warm_up(archive, exchange, reading):
                sums[exchange.thread] = sums.get(exchange.thread, Tokens()) + counted
    return sums


def retried(found: list[Exchange]) -> set[Digest]:
    """Those that failed and were made again."""
    last = {exchange.retry_of: n for n, exchange in enumerate(found) if exchange.retry_of}
    return {
        exchange.hash
        for n, exchange in enumerate(found)
        if exchange.outcome in FAILED and last.get(exchange.retry_of or exchange.hash, -1) > n
    }


def call_of(archive: Archive, exchange: Exchange, readings: Calls, *, retried: bool = False) -> Call:
    """What one exchange took."""
    reading = ResponseReading()
    with contextlib.suppress(Withheld, Damaged, NotFound):  # that it was made, and how it ended, is still known
        reading = readings.answer(exchange)
    counted = counts(reading.usage, exchange.dialect.name) if reading.usage else None
    warm = counted is not None and _is_warm_up(archive, exchange, reading)
    first = first_word(archive, exchange, reading)
    return Call(
        hash=exchange.hash,
        end=exchange.end_hash,
        thread=exchange.thread,
        model=reading.model or _asked(exchange, readings),
        url=str(exchange.body["url"]),
        wall_ns=exchange.opened.wall_ns,
        outcome=exchange.outcome,
        status=exchange.status,
        tokens=counted,
        whole=exchange.outcome == "complete",
        warm_up=warm,
        retry_of=exchange.retry_of,
        retried=retried,
        first_byte_us=exchange.first_byte_us,
        first_content_us=first,
        duration_us=exchange.duration_us,
    )


def counts(usage: Usage, dialect: str) -> Tokens | None:
    """A provider's counts as ours; None where it gives none that we know."""
    if usage.input is None and usage.output is None:
        return None
    read, written = usage.cache_read or 0, usage.cache_write or 0
    for_hour = usage.cache_write_1h or 0
    written = max(written, for_hour + (usage.cache_write_5m or 0))
    given = usage.input or 0
    fresh = given if dialect in CACHES_BESIDE else max(0, given - read - written)
    beside = _number(usage.raw.get("toolUsePromptTokenCount"))
    made, reasoning = usage.output or 0, usage.reasoning or 0
    if _reasoning_beside(usage, given + beside, dialect):
        made += reasoning
    return Tokens(fresh + beside, read, written - for_hour, for_hour, made, min(reasoning, made))


def _reasoning_beside(usage: Usage, given: int, dialect: str) -> bool:
    made, reasoning = usage.output or 0, usage.reasoning or 0
    total = _number(usage.raw.get("totalTokenCount")) or _number(usage.raw.get("total_tokens"))
    if total == given + made:
        return False
    return dialect in REASONING_BESIDE or total == given + made + reasoning


def _number(value: Json) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def first_word(archive: Archive, exchange: Exchange, reading: ResponseReading) -> int | None:
    """When the first word, thought or call of a stream had arrived; None where nothing came, or it was no stream."""
    if exchange.response is None or not exchange.content_type.startswith(STREAMS) or not _speaks(reading.message):
        return None
    return first_content(exchange, archive.body(exchange.response))


def first_content(exchange: Exchange, body: bytes) -> int | None:
    """When the first word, thought or call had arrived; None where it can not be told."""
    arrivals = list(arrived(exchange))
    low, high = 0, 1
    # A beginning that speaks goes on to speak. Beginnings are short: twice as much each time, then between the two.
    while high < len(arrivals) and not _speaks(_read(exchange, body[: arrivals[high - 1][0]]).message):
        low, high = high, high * 2
    high = min(high, len(arrivals))
    while low + 1 < high:
        middle = (low + high) // 2
        if _speaks(_read(exchange, body[: arrivals[middle - 1][0]]).message):
            high = middle
        else:
            low = middle
    return arrivals[high - 1][1] if arrivals else None


def arrived(exchange: Exchange) -> Iterator[tuple[int, int]]:
    """(bytes of the body that were there, microseconds since the request) of each arrival."""
    size = at = 0
    ends = [exchange.end] if exchange.end else []
    for record in [part for _, part in exchange.parts] + ends:
        times = record.body.get("times", ())
        for released, later in zip(times[::2], times[1::2], strict=False):
            size, at = size + released, at + later
            yield size, at


def _read(exchange: Exchange, body: bytes) -> ResponseReading:
    reader = exchange.dialect.response_reader(exchange.status or 0, exchange.content_type)
    reader.feed(body)
    return reader.finish()


def _speaks(message: Message | None) -> bool:
    return message is not None and any(
        isinstance(block, ToolCall) or (isinstance(block, Text | Thinking) and bool(block.text))
        for block in message.blocks
    )


def _is_warm_up(archive: Archive, exchange: Exchange, reading: ResponseReading) -> bool:
    """Codex's first message on a WebSocket, with `generate: false`."""
    if exchange.body.get("http") != "websocket" or _speaks(reading.message) or exchange.request is None:
        return False
    try:
        asked = json.loads(archive.body(exchange.request))
    except (Withheld, Damaged, NotFound, ValueError, RecursionError):
        return False
    return isinstance(asked, dict) and asked.get("generate") is False


def _asked(exchange: Exchange, readings: Calls) -> str:
    from tapes.wire import dialects

    named = ""
    with contextlib.suppress(Withheld, Damaged, NotFound):  # then the path may still name it
        named = readings.turn(exchange).model
    return named or dialects.model_in(str(exchange.body["url"]))
