"""What a transcript has to carry: a conversation at a point, and what is to be said of it.

A call whose result had not come is dealt with as the agent itself does when it finds one in a session that broke off:
Claude Code leaves such calls out, Codex answers them with `aborted`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any

from tapes.archive.base import Archive
from tapes.errors import NotFound, UsageError
from tapes.session.exchanges import FAILED, Exchange
from tapes.session.rows import header_map
from tapes.session.transcript import Conversation, Moment, Said, history
from tapes.session.view import View
from tapes.values import dataclass, field
from tapes.wire import agents
from tapes.wire.dialects.writing import calls_in, items_of, results_in
from tapes.wire.purposes import SIDE
from tapes.wire.turns import MODEL_ROLES, Json

MARKER = re.compile(r"\[REDACTED:[^\]]{1,60}\]")


@dataclass(frozen=True, slots=True)
class Carried:
    """A conversation on its way into a transcript. Of no agent's form yet."""

    agent: str
    """Whose session it was: `claude`, `codex`, …"""
    version: str
    cwd: str
    git: Mapping[str, str]
    """`head`, `branch`, where they are known: at the session's start."""
    dialect: str
    model: str
    instructions: str
    """System text that stands beside the history; empty where it is part of it."""
    items: tuple[Json, ...]
    """The entries of the request that carries it, in the dialect's own form."""
    open_calls: tuple[str, ...]
    usage: Mapping[str, Any] = field(default_factory=dict)
    """Of the last answer, as the provider gave it."""
    response: str = ""
    """Id of the last answer."""
    notes: tuple[str, ...] = ()
    own_id: str = ""
    """The agent's own id of the conversation; empty where it was not on the wire."""


def carried(archive: Archive, found: View, at: Moment) -> Carried:
    """The conversation at a point. NotFound where nothing had been said; UsageError where it can not be carried;
    Withheld and Damaged where it can not be read."""
    if at.exchange is None:
        raise NotFound("nothing had been said to a model at this step", hint="tapes show lists later ones")
    place = found.places.get(at.exchange.hash)
    if place is not None and place.purpose in (*SIDE, "probe"):
        raise UsageError(
            f"this step is of a side call ({place.purpose}), which nobody goes on with",
            hint="give a step of the conversation: `tapes show` lists them",
        )
    compacting = place is not None and place.purpose == "compaction"
    if compacting:
        at, said = _uncompacted(archive, found, replace(at, answered=False))
    else:
        said = history(archive, found, at)
    assert at.exchange is not None
    lost = [doubt for doubt in said.doubts if "is not here" in doubt]
    if lost:
        raise UsageError(f"the conversation can not be carried: it {lost[0]}")
    opened = found.records[0][1].body
    answer = found.calls.answer(at.exchange) if at.answered else None
    items = tuple(_items(archive, found, at, said))
    if not items:
        raise NotFound("nothing had been said to a model at this step", hint="tapes show lists later ones")
    git = opened.get("git") or {}
    notes = [doubt for doubt in said.doubts if not doubt.startswith("the last answer")]
    if at.answered and at.exchange.outcome in FAILED:
        notes.append(f"the last answer was cut off ({at.exchange.outcome}): it is there as far as the agent kept it")
    if compacting:
        notes.append("the conversation is compacted at this step: it goes on from what was before that, uncompacted")
    hidden = sum(len(MARKER.findall(text)) for item in items for text in _texts(item))
    if hidden:
        notes.append(f"{hidden} places in it were redacted: the model reads the markers that stand there")
    return Carried(
        agent=_speaker(found, at.exchange, str(opened.get("agent", ""))),
        version=at.exchange.identity.version,
        cwd=bytes(opened.get("cwd", b"")).decode("utf-8", "surrogateescape"),
        git={key: str(git[key]) for key in ("head", "branch") if key in git},
        dialect=said.dialect,
        model=said.model,
        instructions="\n".join(getattr(block, "text", "") for block in said.system),
        items=items,
        open_calls=said.open_calls,
        usage=dict(answer.usage.raw) if answer and answer.usage else {},
        response=answer.id if answer else "",
        notes=tuple(notes),
        own_id=at.exchange.identity.thread or at.exchange.identity.session,
    )


def _speaker(found: View, exchange: Exchange, launched: str) -> str:
    """Whose call it is: an agent may run within what was launched."""
    calls = found.calls.exchanges
    handshake = next((calls[parent] for parent in exchange.opened.parents if parent in calls), exchange)
    speaking = agents.speaking(header_map(handshake.body["headers"])).name
    return launched if speaking == "generic" else speaking


def _items(archive: Archive, found: View, at: Moment, said: Conversation) -> list[Json]:
    """The entries of the history. The last answer as the agent itself repeated it, where it did: some fill in what the
    model has left out, and what is kept of an answer that was cut off only the agent knows. Else such a one is left
    out."""
    without = [one for one in said.messages if not one.raw]
    if without:
        raise UsageError(f"a message of the {said.dialect} protocol has no form in which it could be sent again")
    items = [item for one in said.messages for item in one.raw]
    last = said.messages[-1]
    if last.source != "answer":
        return items
    before, repeated = items[: len(items) - len(last.raw)], _repeated(archive, found, at, said)
    if repeated is None and at.exchange is not None and at.exchange.outcome in FAILED:
        return before
    return items if repeated is None else [*before, *repeated]


def _uncompacted(archive: Archive, found: View, at: Moment) -> tuple[Moment, Conversation]:
    """What had been said when the agent asked for a summary: what it asked it of, but for the asking; or, where it
    left the last answer out of that, all up to that answer."""
    asked = history(archive, found, replace(at, answered=False))
    asked = replace(asked, messages=tuple(_without_asking(asked.messages)))
    order = found.threads[at.thread].exchanges
    assert at.exchange is not None
    for digest in reversed(order[: order.index(at.exchange.hash)]):
        call, place = found.calls.exchanges[digest], found.places[digest]
        if place.purpose == "main" and call.response is not None and call.outcome not in FAILED:
            before = replace(at, exchange=call, answered=True)
            said = history(archive, found, before)
            return (before, said) if len(said.messages) > len(asked.messages) else (at, asked)
    return at, asked


def _without_asking(messages: Sequence[Said]) -> Iterator[Said]:
    """All but what asks for a summary; it may stand behind results of tools in one message with them."""
    yield from messages[:-1]
    last = messages[-1]
    for item in last.raw:
        content = item.get("content") if isinstance(item, dict) else None
        if isinstance(item, dict) and isinstance(content, list) and len(content) > 1:
            blocks = last.message.blocks[:-1]
            yield replace(last, message=replace(last.message, blocks=blocks), raw=({**item, "content": content[:-1]},))


def _repeated(archive: Archive, found: View, at: Moment, said: Conversation) -> list[Json] | None:
    """The entries by which the thread's next request gives the last answer back; None where none does, or another
    answer. Of an answer that was cut off it may give back less."""
    assert at.exchange is not None
    order = found.threads[at.thread].exchanges if at.thread in found.threads else []
    behind = order[order.index(at.exchange.hash) + 1 :] if at.exchange.hash in order else []
    later = found.calls.exchanges[behind[0]] if behind else None
    place = found.places.get(later.hash) if later else None
    if later is None or later.request is None or place is None or place.purpose != "main" or place.seam:
        return None
    body = archive.body(later.request)
    request, items = later.dialect.read_request(body), items_of(body) or []
    if "previous_response_id" in request.params or len(request.messages) != len(items):
        return None  # it gives nothing back, but a response's id
    start, last = len(said.messages) - 1, said.messages[-1]
    told = list(zip(request.messages, items, strict=True))[start:]
    taken = list(takewhile(lambda one: one[0].role in MODEL_ROLES and not results_in(one[0]), told))
    asked, given = (
        {id_ for message in messages for id_ in calls_in(message)}
        for messages in ([last.message], [message for message, _ in taken])
    )
    cut = at.exchange.outcome in FAILED
    same = given == asked and len(taken) == len(last.raw)
    return [item for _, item in taken] if same or (cut and taken and given <= asked) else None


def _texts(value: Json) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return []
