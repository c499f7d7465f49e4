"""The events by which the Responses API streams one output item: announced empty, filled, and said once more."""

from __future__ import annotations

from collections.abc import Iterator

from tapes_addons.simulators.apis.cue import pieces
from tapes_addons.simulators.reply import Json

Event = tuple[str, Json]
FILLED = {
    "function_call": ("arguments", "response.function_call_arguments"),
    "custom_tool_call": ("input", "response.custom_tool_call_input"),
}
"""The field of an item that is streamed as text, and the event that does it."""


def item_events(index: int, item: Json, chars: int) -> Iterator[Event]:
    """(type, the other fields) of each event, deltas of `chars` characters."""
    at = {"item_id": item["id"], "output_index": index}
    match item["type"]:
        case "reasoning":
            empty, filling = {"id": item["id"], "type": "reasoning", "summary": []}, _summary(at, item, chars)
        case "message":
            empty, filling = {**item, "status": "in_progress", "content": []}, _message(at, item, chars)
        case kind:
            empty, filling = {**item, "status": "in_progress", FILLED[kind][0]: ""}, _call(at, item, chars)
    yield "response.output_item.added", {"output_index": index, "item": empty}
    yield from filling
    yield "response.output_item.done", {"output_index": index, "item": item}


def _summary(at: Json, item: Json, chars: int) -> Iterator[Event]:
    for n, part in enumerate(item["summary"]):
        place = {**at, "summary_index": n}
        yield "response.reasoning_summary_part.added", {**place, "part": {**part, "text": ""}}
        for piece in pieces(part["text"], chars):
            yield "response.reasoning_summary_text.delta", {**place, "delta": piece}
        yield "response.reasoning_summary_text.done", {**place, "text": part["text"]}
        yield "response.reasoning_summary_part.done", {**place, "part": part}


def _message(at: Json, item: Json, chars: int) -> Iterator[Event]:
    for n, part in enumerate(item["content"]):
        place = {**at, "content_index": n}
        yield "response.content_part.added", {**place, "part": {**part, "text": ""}}
        for piece in pieces(part["text"], chars):
            yield "response.output_text.delta", {**place, "delta": piece}
        yield "response.output_text.done", {**place, "text": part["text"]}
        yield "response.content_part.done", {**place, "part": part}


def _call(at: Json, item: Json, chars: int) -> Iterator[Event]:
    field, event = FILLED[item["type"]]
    for piece in pieces(item[field], chars):
        yield f"{event}.delta", {**at, "delta": piece}
    yield f"{event}.done", {**at, field: item[field]}
