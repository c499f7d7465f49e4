"""What the model was given for a step: what of it was new, what all of it was made of, and what is no longer there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from tapes.archive.base import Archive
from tapes.compare.masks import Masks
from tapes.compare.requests import Difference, differences, part, pretty, segments
from tapes.session.exchanges import Exchange
from tapes.session.histories import mark
from tapes.session.linediff import hunks
from tapes.session.transcript import Conversation, Moment, history
from tapes.session.usage import counts
from tapes.session.view import Step, View
from tapes.values import dataclass
from tapes.wire.turns import (
    MODEL_ROLES,
    Media,
    Message,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from tapes.wire.turns import Block as Said
from tapes_cli import output
from tapes_cli.deck.model.document import Block
from tapes_cli.deck.model.styled import Line, columns, styled
from tapes_cli.deck.model.wire_pages import NO_CALL

BEGINNING = 200
"""Characters of a message that is told in a line."""
BAR = 20
"""Columns of the longest bar."""


@dataclass(frozen=True, slots=True)
class Share:
    """One kind of thing in a context."""

    name: str
    count: int
    size: int
    """Characters. What a provider counts are tokens; how many a part took, it does not say."""


def blocks(archive: Archive, view: View, step: Step) -> Iterator[Block]:
    exchange = view.calls.exchanges.get(step.exchange) if step.exchange else None
    if exchange is None or exchange.body["class"] != "model":
        yield NO_CALL
        return
    yield Block(lines=_heading(view, exchange))
    yield from _news(view, exchange)
    now = _conversation(archive, view, exchange)
    yield Block("the whole context", lines=table(shares(now)), empty="(nothing)")
    if now.doubts:
        yield Block("doubts", lines=[styled(doubt, "warn") for doubt in now.doubts])
    before = previous(view, exchange)
    if before is not None:
        yield from _against(archive, view, before, exchange, now)


def previous(view: View, exchange: Exchange) -> Exchange | None:
    """The model call before it in its thread; not an attempt of the same."""
    thread = view.threads.get(exchange.thread)
    order = thread.exchanges if thread else []
    behind = order[: order.index(exchange.hash)] if exchange.hash in order else []
    for digest in reversed(behind):
        other = view.calls.exchanges[digest]
        place = view.places.get(digest)
        same = exchange.request is not None and other.request == exchange.request
        if other.request is not None and not same and (place is None or place.purpose != "probe"):
            return other
    return None


def _conversation(archive: Archive, view: View, exchange: Exchange) -> Conversation:
    return history(archive, view, Moment(exchange.thread, 0, (), (), exchange, answered=False))


def _heading(view: View, exchange: Exchange) -> Iterator[Line]:
    """Read as it is taken: what the provider has counted stands in the answer."""
    yield styled(f"the request of {output.wall(exchange.opened.wall_ns)} · thread {exchange.thread}", "bold")
    usage = view.calls.answer(exchange).usage
    tokens = counts(usage, exchange.dialect.name) if usage else None
    if tokens:
        counted = {kind: count for kind, count in asdict(tokens).items() if count}
        yield styled("tokens: " + " · ".join(f"{kind} {count:,}" for kind, count in counted.items()), "dim")


# -- what was new


def _news(view: View, exchange: Exchange) -> Iterator[Block]:
    place = view.places.get(exchange.hash)
    new = None if place is None else place.new
    found = False
    for index, message in view.calls.turn(exchange).messages:
        if message.role not in MODEL_ROLES and (new is None or index in new):
            for block in message.blocks:
                found = True
                title = (
                    f"new · message {index} · {_kind(block, message)} · {output.count(len(words(block)))} characters"
                )
                yield Block(title, text=(words(block),))
    if not found:
        yield Block("new", empty="nothing that was not there before")


# -- what all of it was made of


def shares(said: Conversation) -> list[Share]:
    """By kind; those that take most first."""
    sizes: dict[str, list[int]] = {}
    for block in said.system:
        sizes.setdefault("system text", []).append(len(words(block)))
    for tool in said.tools:
        sizes.setdefault("tools offered", []).append(len(json.dumps(tool.raw, ensure_ascii=False)))
    for one in said.messages:
        for block in one.message.blocks:
            sizes.setdefault(_kind(block, one.message), []).append(len(words(block)))
    found = [Share(name, len(each), sum(each)) for name, each in sizes.items()]
    return sorted(found, key=lambda share: -share.size)


def table(found: Sequence[Share]) -> Iterator[Line]:
    whole = sum(share.size for share in found)
    most = max((share.size for share in found), default=0)
    for share in found:
        bar = "█" * round(BAR * share.size / most) if most else ""
        yield columns(
            [
                (styled(share.name), 18, False),
                (styled(f"{share.count}×", "dim"), 6, True),
                (styled(output.count(share.size)), 7, True),
                (styled(f"{share.size / whole:.0%}" if whole else "", "dim"), 4, True),
                (styled(bar, "accent"), BAR, False),
            ]
        )
    if found:
        yield columns([(styled("characters", "dim"), 18, False), ((), 6, True), (styled(output.count(whole)), 7, True)])


def words(block: Said) -> str:
    """What a part of a message says, as text."""
    match block:
        case Text() | Thinking():
            return block.text
        case ToolCall():
            return f"{block.name} {block.input_raw}"
        case ToolResult():
            return block.text()
        case Media():
            return f"{block.kind} {block.media_type} ({block.size} bytes) {block.where}".rstrip()
        case _:
            return pretty(block.raw) or ""


def _kind(block: Said, message: Message) -> str:
    match block:
        case Text() if message.role in MODEL_ROLES:
            return "model's words"
        case Text():
            return f"{message.role or 'other'}'s words"
        case Thinking():
            return "thinking"
        case ToolCall():
            return "tool calls"
        case ToolResult():
            return "tool results"
        case Media():
            return "pictures and files"
        case _:
            return str(block.raw.get("type") or "other") if isinstance(block.raw, dict) else "other"


# -- against the request before


def _against(archive: Archive, view: View, before: Exchange, exchange: Exchange, now: Conversation) -> Iterator[Block]:
    was = _conversation(archive, view, before)
    at = f"the request before, of {output.wall(before.opened.wall_ns)}"
    gone = dropped(was, now)
    yield Block(f"dropped since {at} · {len(gone)}", lines=(_brief(message) for message in gone), empty="nothing")
    for one in differences(was, now, Masks()):
        yield Block(f"{one.part} {one.name}".rstrip() + _how(one), text=_changes(one), diff=True)
    if now.params and now.params.get("previous_response_id"):
        return  # it carries only what is new: no cache is asked for more
    assert before.request is not None and exchange.request is not None
    kept = part(segments(archive.body(before.request)), segments(archive.body(exchange.request)))
    share = f"{output.count(kept.same)} of {output.count(kept.of[1])} characters"
    if kept.whole:
        said = [styled(f"all of {at} is a beginning of this one: {share}")]
    else:
        said = [
            styled(f"the same as in {at} up to {kept.segment}, character {kept.character}: {share}"),
            styled(f"before: {kept.a}", "dim"),
            styled(f"now:    {kept.b}", "dim"),
        ]
    yield Block("what a prompt cache could keep", lines=said)


def dropped(was: Conversation, now: Conversation) -> list[Message]:
    """Messages of the one that the other does not hold."""
    left = Counter(mark(one.message) for one in now.messages)
    found = []
    for one in was.messages:
        if left[mark(one.message)] > 0:
            left[mark(one.message)] -= 1
        else:
            found.append(one.message)
    return found


def _brief(message: Message) -> Line:
    text = " ".join(words(block) for block in message.blocks)
    short = " ".join(text[:BEGINNING].split()) + ("…" if len(text) > BEGINNING else "")
    return (*styled(f"− {message.role} · {output.count(len(text))} characters: ", "dim"), *styled(short))


def _how(one: Difference) -> str:
    return " · new" if one.a is None else " · gone" if one.b is None else " · changed"


def _changes(one: Difference) -> Iterator[str]:
    old, new = ((side or "").encode("utf-8", "replace") for side in (one.a, one.b))
    for hunk in hunks(old, new):
        yield f"@@ -{hunk.old} +{hunk.new} @@\n"
        for sign, line in hunk.lines:
            yield sign + line.decode("utf-8", "replace").rstrip("\n") + "\n"
