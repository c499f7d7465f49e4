"""Reads a session's model calls for what decides on their threads, and puts them there (tapes.session.threads)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tapes.errors import Damaged, NotFound, Withheld
from tapes.record.digest import Digest, blob_digest
from tapes.record.kinds import Record
from tapes.session.calls import Calls
from tapes.session.exchanges import FAILED, Exchange
from tapes.session.histories import mark
from tapes.session.threads import ModelCall, Place, Spawn, Thread, Threads
from tapes.values import dataclass
from tapes.wire.files import deeds, starts_agents
from tapes.wire.purposes import is_continuation, purpose_of
from tapes.wire.turns import MODEL_ROLES, Json, Message, RequestReading, Text, ToolResult, Unknown

UNREADABLE = (Withheld, Damaged, NotFound)
FINAL = "Message Type: FINAL_ANSWER"
"""How Codex tells an agent what another that it started has come to."""
NAMING = frozenset({"claude", "codex", "opencode"})
"""Agents that name each thread but the main one in every request."""
_PASSED_ON = ("agent_message",)
"""Items by which one agent speaks to another."""


@dataclass(frozen=True, slots=True)
class Placed:
    """The conversations of a session."""

    threads: Mapping[str, Thread]
    """By their id, in the order they began."""
    places: Mapping[Digest, Place]
    """Of the model calls, by their `exchange.open`."""


def placed(records: Sequence[tuple[Digest, Record]], calls: Calls) -> Placed:
    """The threads of a session. Its exchanges are told theirs, and which of them were tried again."""
    return Placing().placed(records, calls)


class Placing:
    """The threads of a session that grows: what decides on the place of a call is read once."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._threads = Threads()
        self._open: set[Digest] = set()
        """Calls that had no answer yet when they were placed."""
        self._behind: set[str] = set()
        """The responses that calls go on from."""

    def placed(self, records: Sequence[tuple[Digest, Record]], calls: Calls) -> Placed:
        """The same as `placed`. `records` and `calls` are those of the last time, and those that came since."""
        known = self._threads.places
        made = [exchange for exchange in calls.exchanges.values() if exchange.hash in known or _is_call(exchange)]
        if not all(self._answered(exchange, calls) for exchange in made if exchange.hash in self._open):
            self._begin()
        named = records[0][1].body.get("agent") in NAMING
        for exchange in made:
            if exchange.hash not in self._threads.places:
                call = _model_call(exchange, calls, named)
                self._threads.add(call)
                self._behind.add(call.previous)
                if exchange.end is None:
                    self._open.add(exchange.hash)
        self._retries(made, calls)
        return Placed(self._threads.hung(_spawns(records, calls)), dict(self._threads.places))

    def _answered(self, exchange: Exchange, calls: Calls) -> bool:
        """Take in the answer to a call that was placed without, if it has come. False: a call that goes on from that
        answer was placed, too, and it may be in the wrong thread."""
        if exchange.end is None:
            return True
        self._open.discard(exchange.hash)
        try:
            answer = calls.answer(exchange).id
            calls.turn(exchange)
        except UNREADABLE:
            return True
        if answer:
            self._threads.answered(exchange.hash, answer)
        return answer not in self._behind or not answer

    def _retries(self, made: Sequence[Exchange], calls: Calls) -> None:
        before: dict[str, Exchange] = {}
        for exchange in made:
            place = self._threads.places[exchange.hash]
            exchange.thread = place.thread
            last = before.get(place.thread)
            if place.purpose == "probe":
                continue  # a new socket's warm-up stands between what failed and its repetition
            failed = last is not None and last.outcome in FAILED and exchange.retry_of is None
            if last is not None and failed and not _says_more(calls, exchange, place):
                exchange.retry_of = last.retry_of or last.hash
            before[place.thread] = exchange


def _is_call(exchange: Exchange) -> bool:
    # A socket's turns have the method of its handshake, which is no call itself.
    asks = exchange.body["method"] == "POST" or exchange.body.get("http") == "websocket"
    return exchange.body["class"] == "model" and exchange.request is not None and asks


def headers_tell(records: Sequence[tuple[Digest, Record]], calls: Calls) -> bool:
    """Do ids in the requests' headers alone tell the threads, so that `placed` need not read what they say? Not of
    calls beside a conversation, in which no tool is used."""
    sessions = {e.identity.session for e in calls.exchanges.values() if e.body["class"] == "model"}
    return records[0][1].body.get("agent") in NAMING and len(sessions) == 1


def _says_more(calls: Calls, exchange: Exchange, place: Place) -> bool:
    """Does a request say what its thread has not heard, beside what the model itself has said? Not when it is tried
    again with a whole history, where before it only went on from an answer."""
    if place.new is None:
        return True
    try:
        told = calls.turn(exchange).messages
    except UNREADABLE:
        return True
    return any(index in place.new and message.role not in MODEL_ROLES for index, message in told)


def _model_call(exchange: Exchange, calls: Calls, named: bool) -> ModelCall:
    """What its bodies say; where one of them can not be read, what its headers do."""
    call = ModelCall(exchange.hash, exchange.identity, named=named, path=exchange.identity.path)
    try:
        history = calls.history(exchange)
        request, new = history.request, history.turn.messages
        previous = request.params.get("previous_response_id")
        call = replace(
            call,
            purpose=purpose_of(request, str(exchange.body["url"])),
            marks=history.marks,
            last_said=next((mark(m) for m in reversed(request.messages) if _is_said(m)), b""),
            ground=_ground(request),
            previous=previous if isinstance(previous, str) else "",
            resumed=any(message.role in MODEL_ROLES for message in request.messages),
            continued=any(map(is_continuation, request.messages)),
            said=tuple(text for _, m in new if m.role not in MODEL_ROLES for text in words_of(m)),
        )
        return replace(call, answer=calls.answer(exchange).id)
    except UNREADABLE:
        return call


def words_of(message: Message) -> Iterator[str]:
    """What a message says in words; also what one agent has said to another."""
    for block in message.blocks:
        if isinstance(block, Text):
            yield block.text
        elif isinstance(block, Unknown):
            yield passed_on(block.raw)


def passed_on(raw: Json) -> str:
    """The text of an item by which one agent speaks to another; empty for any other."""
    if not isinstance(raw, dict) or raw.get("type") not in _PASSED_ON:
        return ""
    content = raw.get("content")
    parts = content if isinstance(content, list) else [content]
    texts = (part.get("text") if isinstance(part, dict) else part for part in parts)
    return "\n".join(text for text in texts if isinstance(text, str))


def _is_said(message: Message) -> bool:
    words = any(isinstance(block, Text) for block in message.blocks)
    return message.role == "user" and words and not any(isinstance(block, ToolResult) for block in message.blocks)


def _ground(request: RequestReading) -> bytes:
    parts = [block.text.encode("utf-8", "replace") if isinstance(block, Text) else b"?" for block in request.system]
    parts += [mark(message) for message in request.messages[:1] if message.role in ("system", "developer")]
    parts += [b"\0" + tool.name.encode("utf-8", "replace") for tool in request.tools]
    return blob_digest(b"".join(parts))


def _spawns(records: Sequence[tuple[Digest, Record]], calls: Calls) -> Iterator[Spawn]:
    answers: dict[str, tuple[Digest, Record]] = {}
    for digest, record in records:
        if record.type == "tool.result":
            answers.setdefault(str(record.body["id"]), (digest, record))
    for digest, record in records:
        if record.type != "tool.use":
            continue
        if not starts_agents(record.body["name"]):
            continue
        exchange = calls.exchange_of(digest, record)
        try:
            if exchange is None:
                continue
            for deed in deeds(record.body["name"], calls.arguments(record)):
                if deed.action == "spawn":
                    told = answers.get(str(record.body["id"]))
                    yield Spawn(digest, exchange.thread, deed.said, calls.result(told[1]) if told else "", deed.path)
        except UNREADABLE:
            continue  # then its agent stands by itself
