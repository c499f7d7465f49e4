"""What a transcript has to carry: a conversation at a point, and what is to be said of it.

A call whose result had not come is dealt with as the agent itself does when it finds one in a session that broke off:
Claude Code leaves such calls out, Codex answers them with `aborted`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tapes.archive.base import Archive
from tapes.errors import NotFound, UsageError
from tapes.session.transcript import Conversation, Moment, Said, history
from tapes.session.view import View
from tapes.wire.dialects.writing import items_of
from tapes.wire.turns import MODEL_ROLES, Json, Media, ToolCall, ToolResult

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


def carried(archive: Archive, found: View, at: Moment) -> Carried:
    """The conversation at a point. NotFound where nothing had been said; UsageError where it can not be carried;
    Withheld and Damaged where it can not be read."""
    said = history(archive, found, at)
    if at.exchange is None or not said.messages:
        raise NotFound(
            "nothing had been said to a model at this step", hint="give a later one: `tapes show` lists them"
        )
    lost = [doubt for doubt in said.doubts if "is not here" in doubt]
    if lost:
        raise UsageError(f"the conversation can not be carried: it {lost[0]}")
    opened = found.records[0][1].body
    answer = found.calls.answer(at.exchange) if at.answered else None
    items = tuple(_items(archive, found, at, said))
    git = opened.get("git") or {}
    notes = [doubt for doubt in said.doubts if doubt not in lost]
    hidden = sum(len(MARKER.findall(text)) for item in items for text in _texts(item))
    if hidden:
        notes.append(f"{hidden} places in it were redacted: the model reads the markers that stand there")
    return Carried(
        agent=str(opened.get("agent", "")),
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
    )


def _items(archive: Archive, found: View, at: Moment, said: Conversation) -> list[Json]:
    """The entries of the history. The last answer as the agent itself repeated it, where it did: some fill in what
    the model has left out."""
    without = [one for one in said.messages if not one.raw]
    if without:
        raise UsageError(f"a message of the {said.dialect} protocol has no form in which it could be sent again")
    items = [item for one in said.messages for item in one.raw]
    last = said.messages[-1]
    repeated = _repeated(archive, found, at, said, last) if last.source == "answer" else None
    return items if repeated is None else [*items[: len(items) - len(last.raw)], *repeated]


def _repeated(archive: Archive, found: View, at: Moment, said: Conversation, last: Said) -> list[Json] | None:
    assert at.exchange is not None
    order = found.threads[at.thread].exchanges if at.thread in found.threads else []
    behind = order[order.index(at.exchange.hash) + 1 :][:1] if at.exchange.hash in order else []
    for digest in behind:
        later = found.calls.exchanges[digest]
        place = found.places.get(digest)
        if later.request is None or place is None or place.seam or place.purpose != "main":
            return None
        body = archive.body(later.request)
        request = later.dialect.read_request(body)
        items, start = items_of(body) or [], len(said.messages) - 1
        if "previous_response_id" in request.params or len(request.messages) != len(items):
            return None
        if request.messages[start:] and request.messages[start].role not in MODEL_ROLES:
            return None
        calls = {block.id for block in last.message.blocks if isinstance(block, ToolCall)}
        found_calls: set[str] = set()
        taken: list[Json] = []
        for message, item in zip(request.messages[start:], items[start:], strict=True):
            if message.role not in MODEL_ROLES or any(isinstance(block, ToolResult) for block in message.blocks):
                break
            found_calls |= {block.id for block in message.blocks if isinstance(block, ToolCall)}
            taken.append(item)
        kinds = [type(block) for block in last.message.blocks]
        same = len(taken) == len(last.raw) and found_calls == calls
        return taken if same and kinds else None
    return None


def _texts(value: Json) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return []


def pictures(said: Conversation) -> int:
    """How many pictures and documents a conversation holds."""
    blocks = [block for one in said.messages for block in one.message.blocks]
    inner = [part for block in blocks if isinstance(block, ToolResult) for part in block.content]
    return sum(isinstance(block, Media) for block in (*blocks, *inner))
