"""A request's `messages`, where each says its role: what the dialects of that kind share."""

from __future__ import annotations

from collections.abc import Callable

from tapes.wire.dialects.local_ids import give_local_ids
from tapes.wire.turns import Json, Message, TurnReading, Unknown, tail_start


def messages_of(raw: dict[str, Json], errors: list[str]) -> list[Json]:
    """The messages of a request; a thing that stands there in their place is one."""
    history = raw.get("messages")
    if isinstance(history, list):
        return history
    errors.append("messages is no list")
    return [] if history is None else [history]


def role_of(raw: Json) -> str:
    """Whose message it is; empty for what is none."""
    role = raw.get("role") if isinstance(raw, dict) else None
    return role if isinstance(role, str) else ""


def read_messages(
    history: list[Json], first: int, read: Callable[[Json], Message | None], errors: list[str]
) -> list[Message]:
    """Each of them read; what `read` takes for none is `Unknown`. `first` is the index of the first in its request."""
    messages: list[Message] = []
    for index, raw in enumerate(history, first):
        message = read(raw)
        if message is None:
            errors.append(f"message {index} is none")
            message = Message("", (Unknown(raw),))
        messages.append(message)
    return messages


def turn_of(
    raw: dict[str, Json], history: list[Json], read: Callable[[Json], Message | None], errors: list[str]
) -> TurnReading:
    """What is new in a request: only that part of its history is read. Calls that have no id get a local one."""
    start = tail_start([role_of(item) for item in history])
    messages = give_local_ids(read_messages(history[start:], start, read, errors), start)
    model = raw.get("model")
    return TurnReading(model if isinstance(model, str) else "", tuple(enumerate(messages, start)), "; ".join(errors))
