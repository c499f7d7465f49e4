"""The object that an answer of the Responses API is, whole or put together from a stream, as a reading.

A reading has one message, the object a list of items; so what belongs to a message item as a whole (its id, its
phase) stands as `item` in the `extra` of its first block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tapes.wire.dialects.json_body import count, rest
from tapes.wire.dialects.openai_chat_blocks import read_error
from tapes.wire.dialects.openai_responses_items import read_item
from tapes.wire.turns import MODEL_ROLES, Block, Json, Message, ResponseReading, Text, Unknown, Usage

_GOING_ON = ("in_progress", "queued")


def read_answer(
    raw: dict[str, Json], items: Sequence[tuple[Json, bool]], problems: tuple[str, ...] = ()
) -> ResponseReading:
    """A response without its output, and its output: items, and whether each has come to its end."""
    model, id_, status, error = raw.get("model"), raw.get("id"), raw.get("status"), raw.get("error")
    details = raw.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    stop = status if isinstance(status, str) and status not in _GOING_ON else None
    known = ["object", "output", "usage", "error"]
    known += [name for name, value in (("model", model), ("id", id_)) if isinstance(value, str)]
    known += ["status"] if stop is not None and not isinstance(reason, str) else []
    usage = read_usage(raw.get("usage"))
    blocks = tuple(block for item, closed in items for block in _blocks(item, closed))
    return ResponseReading(
        model=model if isinstance(model, str) else "",
        id=id_ if isinstance(id_, str) else "",
        message=Message("assistant", blocks) if blocks or raw else None,
        stop_reason=reason if isinstance(reason, str) else stop,
        usage=usage,
        error=None if error is None else read_error(error),
        complete=True,
        problems=problems,
        extra=rest(raw, *known) | ({} if usage or raw.get("usage") is None else {"usage": raw["usage"]}),
    )


def read_usage(raw: Json) -> Usage | None:
    """Token counts; None where there are none. `input` includes what was read from the cache, or written to it."""
    if not isinstance(raw, dict):
        return None
    cached, reasoned = raw.get("input_tokens_details"), raw.get("output_tokens_details")
    return Usage(
        input=count(raw.get("input_tokens")),
        output=count(raw.get("output_tokens")),
        cache_read=count(cached.get("cached_tokens")) if isinstance(cached, dict) else None,
        cache_write=count(cached.get("cache_write_tokens")) if isinstance(cached, dict) else None,
        reasoning=count(reasoned.get("reasoning_tokens")) if isinstance(reasoned, dict) else None,
        raw=raw,
    )


def _blocks(item: Json, closed: bool) -> tuple[Block, ...]:
    message = read_item(item, closed=closed)
    if not isinstance(item, dict) or item.get("type", "message") != "message":
        return message.blocks
    if message.role not in MODEL_ROLES:  # a compaction gives the user's words again
        return (Unknown(item),)
    if not message.extra:
        return message.blocks
    about: dict[str, Json] = {"item": dict(message.extra)}
    first, *others = message.blocks or (Text(""),)
    if isinstance(first, Unknown):
        return (Text("", about), first, *others)
    return (replace(first, extra={**first.extra, **about}), *others)
