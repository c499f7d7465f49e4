"""What was said, whoever's protocol it was said in: the neutral values that every dialect produces.

A message is a role and blocks. What a dialect does not know stands in `extra` (unknown fields of something
known) or as an `Unknown` block (something unknown), so that a newer provider loses nothing in an older
reader. These values are readings: derived, never stored, never hashed. Their strings always encode as UTF-8:
what was no Unicode on the wire (a lone surrogate, a stray byte) is U+FFFD here and a problem beside it; the
exact bytes are in the record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tapes.values import dataclass, field
from tapes.wire.json_value import Json as Json

MODEL_ROLES = frozenset({"assistant", "model"})
"""What the wire calls the model's own side of a conversation."""

type Block = Text | Thinking | ToolCall | ToolResult | Media | Unknown


@dataclass(frozen=True, slots=True)
class Text:
    """Something said in words."""

    text: str
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Thinking:
    """The model's reasoning. With `redacted` there is no text, and `signature` is the provider's sealed form of it."""

    text: str
    signature: str = ""
    redacted: bool = False
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool the model wants used."""

    id: str
    name: str
    input: Json
    """Parsed; None where it is not JSON, and then `error` says why."""
    input_raw: str
    """The text of the input as it was streamed; where it came as a JSON value, that value as compact JSON."""
    error: str | None = None
    kind: str = "tool_use"
    """The wire's own word. `server_tool_use` and the like run at the provider, not on this machine."""
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of a tool call. `id` is the call's."""

    id: str
    content: tuple[Block, ...]
    is_error: bool = False
    kind: str = "tool_result"
    extra: Mapping[str, Json] = field(default_factory=dict)

    def text(self) -> str:
        """The words of it: one line break between blocks, what is not words left out."""
        return "\n".join(block.text for block in self.content if isinstance(block, Text))


@dataclass(frozen=True, slots=True)
class Media:
    """An image, a document: what it is, not its bytes."""

    kind: str
    media_type: str
    size: int
    """In bytes; 0 when it is only referred to."""
    where: str = ""
    """The URL or file id, when it is only referred to."""
    fingerprint: str = ""
    """BLAKE2b-128 of the encoded data: equal for equal pictures, so that runs can be compared."""
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something the dialect has no word for, as it was; for a body that can not be read at all, its text."""

    raw: Json


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of a conversation. `role` is the wire's own word; where it has none, `assistant` or `tool` for what
    only a model or a tool can have made, else empty."""

    role: str
    blocks: tuple[Block, ...]
    extra: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolDecl:
    """A tool offered to the model."""

    name: str
    raw: Json


@dataclass(frozen=True, slots=True)
class RequestReading:
    """A whole request."""

    model: str = ""
    stream: bool = False
    system: tuple[Block, ...] = ()
    messages: tuple[Message, ...] = ()
    tools: tuple[ToolDecl, ...] = ()
    params: Mapping[str, Json] = field(default_factory=dict)
    """All other fields."""
    session_id: str | None = None
    """The agent's own id for its session, where the body says it."""
    errors: tuple[str, ...] = ()
    """What could not be read; it stands as `Unknown` in its place."""
    problems: tuple[str, ...] = ()
    """What could, and is odd: duplicate keys, text that is no Unicode."""


@dataclass(frozen=True, slots=True)
class TurnReading:
    """What is new in a request: the model's last message and what the agent added after it.

    Each message comes with its index in the request's history. All messages, when the model has not spoken
    yet.
    """

    model: str = ""
    messages: tuple[tuple[int, Message], ...] = ()
    error: str = ""


def new_tail(request: RequestReading) -> TurnReading:
    """The model's last message in `request` and those after it."""
    start = tail_start([message.role for message in request.messages])
    tail = tuple(enumerate(request.messages))[start:]
    return TurnReading(request.model, tail, "; ".join(request.errors))


def tail_start(roles: Sequence[str]) -> int:
    """Where the new part of a history begins: with all that the model said last, be it one message or several."""
    # A message of the model's in the very last place is no answer but the beginning of one (a prefill, or a turn
    # that the provider paused): what the agent said before it is still new.
    start = next((index for index in range(len(roles) - 2, -1, -1) if roles[index] in MODEL_ROLES), 0)
    while start > 0 and roles[start - 1] in MODEL_ROLES and roles[start] in MODEL_ROLES:
        start -= 1
    return start


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts as the provider reports them; None where it says nothing."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    cache_write_5m: int | None = None
    cache_write_1h: int | None = None
    reasoning: int | None = None
    raw: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProviderError:
    """An error the provider reported, in the body or inside the stream."""

    type: str
    message: str
    raw: Json = None


@dataclass(frozen=True, slots=True)
class ResponseReading:
    """An answer. A cut one has what had arrived; `problems` says what is odd about it."""

    model: str = ""
    id: str = ""
    message: Message | None = None
    stop_reason: str | None = None
    usage: Usage | None = None
    error: ProviderError | None = None
    complete: bool = False
    """The protocol's own end was seen: of a stream its last event, of a JSON body its last bracket."""
    request_id: str = ""
    problems: tuple[str, ...] = ()
    extra: Mapping[str, Json] = field(default_factory=dict)
