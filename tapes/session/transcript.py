"""What was said up to a point: the conversation of one thread at one step, as neutral messages; and the request that
carries it.

A request is one event, and so is an answer: a step that stands in a request is at the point where that request was
sent, with all that it holds; one that stands in an answer is at the point where the whole answer had come. So a point
never lies within a message, and every point but those behind an answer is one at which a request was really sent.

Nothing is made up. What was not known at the point is not in the history, what could not be read is a doubt; a request
that was never sent is said to be built.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Literal

from tapes.archive.base import Archive
from tapes.errors import NotFound, UsageError
from tapes.record.digest import Digest
from tapes.session.exchanges import FAILED, Exchange
from tapes.session.histories import mark
from tapes.session.threads import MAIN, Thread, common
from tapes.session.view import Step, View, as_told
from tapes.values import dataclass
from tapes.wire.dialects.json_body import compact, load
from tapes.wire.dialects.writing import as_history, calls_in, holder_of, items_of, results_in, with_more
from tapes.wire.turns import MODEL_ROLES, Block, Json, Message, RequestReading, ToolCall, ToolDecl

SAID = ("prompt", "reminder", "thinking", "answer", "tool.use", "tool.result", "media", "error", "seam", "withheld")
"""Types of steps that are read from what went over the wire."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in a session, of one of its threads."""

    thread: str
    number: int
    """Of the step that it is the end of; 0 where there is none."""
    steps: tuple[Step, ...]
    """Those that are over, of all threads, in the order of their numbers."""
    later: tuple[Step, ...]
    """Those behind it."""
    exchange: Exchange | None
    """The thread's last call that had begun; None where there was none yet."""
    answered: bool
    """With its answer; else with its request only."""


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a history."""

    message: Message
    raw: tuple[Json, ...]
    """The same as the wire has it: the entry of the request; of an answer, the entries by which a request would repeat
    it. Empty where there is no such form."""
    exchange: Digest
    """The exchange that it was read from."""
    source: Literal["request", "answer"]


@dataclass(frozen=True, slots=True)
class Conversation:
    """All that the model had been told, and had said."""

    dialect: str = ""
    model: str = ""
    system: tuple[Block, ...] = ()
    tools: tuple[ToolDecl, ...] = ()
    params: Mapping[str, Json] | None = None
    """All other fields of the last request."""
    messages: tuple[Said, ...] = ()
    open_calls: tuple[str, ...] = ()
    """Calls that are not answered at this point, by their ids."""
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NextRequest:
    """The request that carries a point: the next that would be sent."""

    body: bytes
    sent: Exchange | None
    """The exchange that had exactly these bytes as its request; None where it is built."""
    base: Exchange
    """The exchange that it was built on; the same as `sent`."""
    answers: tuple[str, ...] = ()
    """Calls that are open at the point, and that this request answers: their results came later."""
    doubts: tuple[str, ...] = ()


def moment(found: View, steps: Sequence[Step], number: int | None = None, thread: str = "") -> Moment:
    """The point at the end of a step, of the thread that it belongs to or of another one; without a number the end of
    the session. `steps` are all of `found`. NotFound for a step or a thread that is not there."""
    if number is not None and not any(step.number == number for step in steps):
        last = f"its last is {steps[-1].number}" if steps else "it has none"
        raise NotFound(f"there is no step {number} in this session: {last}", hint="`tapes show` lists them")
    over = tuple(steps if number is None else (step for step in steps if step.number <= number))
    name = thread_named(found.threads, thread) if thread else ""
    if not name and number is not None:
        name = over[-1].thread
    if name not in found.threads:
        name = MAIN if MAIN in found.threads else next(iter(found.threads), MAIN)
    parents = {digest: record.parents for digest, record in found.records}
    exchange, answered = None, False
    # The step itself says where it is; what else had been recorded by then may have been said behind it.
    own = over[-1:] if number is not None else ()
    for step in (*own, *reversed(as_told(over))):
        call = found.calls.exchanges.get(step.exchange) if step.exchange and step.type in SAID else None
        if call is None or call.request is None or (step.thread or MAIN) != name:
            continue  # a handshake carries nothing
        exchange = call
        if step.type not in ("error", "tool.result", "seam") and call.end_hash is not None:
            answered = call.end_hash in (step.hash, *parents[step.hash][:1])
        break
    return Moment(name, over[-1].number if over else 0, over, tuple(steps[len(over) :]), exchange, answered)


def thread_named(threads: Mapping[str, Thread], name: str) -> str:
    """The one thread that goes by a name: its id or the beginning of it, its path or the last part of that, its kind.
    NotFound where there is none, UsageError where there are several."""
    if name in threads:
        return name
    fits = [
        t.id for t in threads.values() if t.id.startswith(name) or name in (t.path, t.path.rpartition("/")[2], t.kind)
    ]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise UsageError(f"{name!r} fits several threads: {', '.join(fits)}", hint="give more of the id")
    raise NotFound(f"no thread is called {name!r}", hint=f"there are: {', '.join(threads) or 'none'}")


def history(archive: Archive, found: View, at: Moment) -> Conversation:
    """What had been said. Withheld, Damaged, NotFound where the request that says it can not be read."""
    if at.exchange is None:
        return Conversation()
    said = _request(archive, found, at.exchange)
    if at.answered:
        said = _answered(found, at, said)
    asked = [id_ for one in said.messages for id_ in calls_in(one.message)]
    told = {id_ for one in said.messages for id_ in results_in(one.message)}
    return replace(said, open_calls=tuple(id_ for id_ in dict.fromkeys(asked) if id_ not in told))


def next_request(archive: Archive, found: View, at: Moment) -> NextRequest | None:
    """The request that the next call carries at this point; None before the first. One that was really sent where
    there is one: the point's own request, or behind an answer the thread's next, if it brings nothing but what the
    agent itself adds (results of the calls that were made, reminders) and no word of a person. Else the last one sent
    with the answer behind it, in the dialect's own shape. Errors as of `history`."""
    if at.exchange is None or at.exchange.request is None:
        return None
    if not at.answered:
        return NextRequest(archive.body(at.exchange.request), at.exchange, at.exchange)
    behind = _behind(found, at)
    news = _news(archive, found, at.exchange, behind) if behind else None
    if behind is not None and behind.request is not None and news is not None:
        answers = tuple(id_ for message in news for id_ in results_in(message))
        return NextRequest(archive.body(behind.request), behind, behind, answers)
    return _built(archive, found, at)


# -- reading


def _request(archive: Archive, found: View, exchange: Exchange) -> Conversation:
    """What a request says; where it goes on from an earlier response, with all before it."""
    chain: list[tuple[Exchange, bytes, RequestReading]] = []
    doubts: list[str] = []
    seen: set[Digest] = set()
    now: Exchange | None = exchange
    while now is not None and now.hash not in seen:
        seen.add(now.hash)
        body = archive.body(now.request) if now.request else b""
        reading = now.dialect.read_request(body)
        chain.append((now, body, reading))
        before = reading.params.get("previous_response_id")
        now = _answered_before(found, now, before) if isinstance(before, str) else None
        if isinstance(before, str) and now is None:
            doubts.append(
                f"goes on from the response {before}, which is not in this session: what was before is not here"
            )
    messages: list[Said] = []
    for one, body, reading in reversed(chain):
        messages += _said(one, body, reading)
        if one is not exchange:
            messages += _answer(found, one)
    reading = chain[0][2]
    system = next((r.system for _, _, r in chain if r.system), ())
    tools = next((r.tools for _, _, r in chain if r.tools), ())
    doubts += reading.errors
    return Conversation(
        exchange.dialect.name,
        reading.model,
        system,
        tools,
        reading.params,
        tuple(messages),
        doubts=tuple(doubts),
    )


def _said(exchange: Exchange, body: bytes, reading: RequestReading) -> Iterator[Said]:
    items = items_of(body)
    whole = items is not None and len(items) == len(reading.messages)
    for index, message in enumerate(reading.messages):
        yield Said(message, (items[index],) if whole and items else (), exchange.hash, "request")


def _answer(found: View, exchange: Exchange) -> list[Said]:
    message = found.calls.answer(exchange).message
    if message is None or not message.blocks:
        return []
    return [Said(message, tuple(as_history(exchange.dialect.name, message) or ()), exchange.hash, "answer")]


def _answered(found: View, at: Moment, said: Conversation) -> Conversation:
    exchange = at.exchange
    assert exchange is not None
    doubts = list(said.doubts)
    if exchange.outcome in FAILED:
        doubts.append(f"the last answer was not whole ({exchange.outcome}): it is here as far as it came")
    if exchange.end is None:
        doubts.append("the last answer had not ended")
    ids = [
        str(step.facts["id"])
        for step in (*at.steps, *at.later)
        if step.type == "tool.use" and step.exchange == exchange.hash
    ]
    answer = [replace(one, message=_with_ids(one.message, ids)) for one in _answer(found, exchange)]
    return replace(said, messages=(*said.messages, *answer), doubts=tuple(doubts))


def _with_ids(message: Message, ids: Sequence[str]) -> Message:
    """Calls that the provider gave no id have the one that their steps have."""
    left = iter(ids)
    blocks = [
        replace(block, id=block.id or id_) if isinstance(block, ToolCall) and (id_ := next(left, "")) else block
        for block in message.blocks
    ]
    return replace(message, blocks=tuple(blocks))


def _answered_before(found: View, exchange: Exchange, response: str) -> Exchange | None:
    """The last call before `exchange` whose answer has this id: nobody warrants that ids come once."""
    earlier = list(takewhile(lambda call: call is not exchange, found.calls.exchanges.values()))
    return next((e for e in reversed(earlier) if _is_call(e) and found.calls.answer(e).id == response), None)


def _is_call(exchange: Exchange) -> bool:
    return exchange.body["class"] == "model" and exchange.end is not None


# -- the request behind an answer


def _behind(found: View, at: Moment) -> Exchange | None:
    """The thread's next call, if no person spoke before it, and it goes on with this conversation."""
    assert at.exchange is not None
    order = found.threads[at.thread].exchanges if at.thread in found.threads else []
    behind = order[order.index(at.exchange.hash) + 1 :] if at.exchange.hash in order else []
    asked = {step.hash for step in (*at.steps, *at.later) if step.type in ("prompt", "media")}
    for digest in behind:
        place = found.places[digest]
        if place.purpose == "probe":
            continue
        # One that asks for a summary, or begins anew behind one, is none.
        return None if place.purpose == "compaction" or place.seam or digest in asked else found.calls.exchanges[digest]
    return None


def _news(archive: Archive, found: View, before: Exchange, behind: Exchange) -> tuple[Message, ...] | None:
    """What a request adds to the history of an earlier one that it goes on from, the answer to that included; None
    where it does not (aider writes the end of its history anew)."""
    answer = found.calls.answer(before)
    if behind.request is None or answer.message is None:
        return None
    now = behind.dialect.read_request(archive.body(behind.request))
    previous = now.params.get("previous_response_id")
    if isinstance(previous, str):
        return now.messages if previous == answer.id else None
    marks = [mark(one.message) for one in _request(archive, found, before).messages]
    if common(marks, [mark(message) for message in now.messages]) < len(marks):
        return None
    news = now.messages[len(marks) :]
    # An agent may write an answer's ids and words anew (Gemini); that its calls are there shows that it is carried.
    repeated = [id_ for message in news for id_ in calls_in(message)]
    spoken = any(message.role in MODEL_ROLES for message in news)
    return news if spoken and len(repeated) >= len(calls_in(answer.message)) else None


def _built(archive: Archive, found: View, at: Moment) -> NextRequest | None:
    exchange = at.exchange
    assert exchange is not None
    assert exchange.request is not None
    body = archive.body(exchange.request)
    said = history(archive, found, at)
    doubts = ["built, not sent: the last request of this thread with the answer behind it"]
    if said.open_calls:
        doubts.append(f"calls that nothing answers yet: {', '.join(said.open_calls)}; providers refuse such a request")
    increment = said.params is not None and isinstance(said.params.get("previous_response_id"), str)
    made: bytes | None
    if increment:  # what it goes on from is the provider's to know: said in full, it stands by itself
        made = _in_full(body, [item for one in said.messages for item in one.raw])
        doubts.append("in full: it was sent as an increment to what the provider had")
    else:
        answer = found.calls.answer(exchange).message
        items = as_history(exchange.dialect.name, answer) if answer else []
        made = None if items is None else with_more(body, items)
    if made is None:
        return NextRequest(body, None, exchange, (), ("built, not sent: without the answer, which has no form here",))
    return NextRequest(made, None, exchange, (), tuple(doubts))


def _in_full(body: bytes, items: list[Json]) -> bytes | None:
    raw = load(body).value
    holder = holder_of(raw) if isinstance(raw, dict) else None
    if holder is None:
        return None
    holder.pop("previous_response_id", None)
    holder["input"] = items
    return compact(raw).encode()
