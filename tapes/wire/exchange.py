"""One model call as it happens: frozen values that a proxy hands to intake, in the order things occurred.

An exchange is told in four kinds of value, tied together by `key` (unique within one capture process): opened once
with the whole request, then the response's head, any number of data chunks, and exactly one end. Where the answer was
status 101, the messages of a WebSocket follow under the same key, until it is closed. All carry bytes as they stood on
the wire (messages inflated), still content-encoded and *not yet redacted*: they live in memory only and must not be
stored, logged or printed before intake has redacted them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from tapes.values import dataclass, field

if TYPE_CHECKING:
    from tapes.wire.command import CommandHappening
    from tapes.wire.terminal import TerminalHappening
    from tapes.wire.worktree import WorktreeHappening

Headers = tuple[tuple[bytes, bytes], ...]
"""Header fields in wire order, names as sent."""

Ended = Literal["eof", "client_gone", "upstream_error", "capture_lost"]
"""How the transport ended: the body's framing was complete, the agent hung up, the provider's side failed, or we could
not take in what followed."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time on both clocks, in nanoseconds: the wall clock for people, the monotonic one for durations."""

    wall_ns: int
    mono_ns: int

    @staticmethod
    def now() -> Moment:
        return Moment(time.time_ns(), time.monotonic_ns())


@dataclass(frozen=True, slots=True)
class Opened:
    """A request that has arrived in full."""

    key: str
    at: Moment
    method: str
    url: str
    """As the agent asked for it (real host name), whatever it was sent to."""
    http: str
    headers: Headers
    body: bytes
    provider: str
    cls: str
    """One of record.kinds.CLASSES."""
    connection: str
    route: str
    sent_to: str = ""
    """Where it really went, when a map or a base-URL route changed that; else empty."""
    trailers: Headers = ()
    within: str = ""
    """For a WebSocket turn: the key of the exchange that opened the socket."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The response's status line and headers."""

    key: str
    at: Moment
    status: int
    reason: str
    http: str
    headers: Headers


@dataclass(frozen=True, slots=True)
class Arrived:
    """A piece of the response body, as the wire delivered it."""

    key: str
    mono_ns: int
    data: bytes
    is_text: bool = True
    """Of a WebSocket turn: what kind of message it is."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The exchange is over, one way or another."""

    key: str
    at: Moment
    ended: Ended
    error: str = ""
    trailers: Headers = ()


@dataclass(frozen=True, slots=True)
class SocketMessage:
    """A whole WebSocket message."""

    key: str
    at: Moment
    from_agent: bool
    is_text: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class SocketGap:
    """Messages of a WebSocket were not taken in: what was going on ends here, as far as we know."""

    key: str
    at: Moment
    error: str


@dataclass(frozen=True, slots=True)
class SocketClosed:
    """A WebSocket is over."""

    key: str
    at: Moment
    by_agent: bool
    code: int
    """RFC 6455 §7.4; 1006 where the connection broke without a close frame."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Egress:
    """Bytes that went to a host whose traffic is not decrypted: who, how much, when. Never what."""

    at: Moment
    host: str
    port: int
    how: Literal["tunnel", "plain", "refused"]
    bytes_up: int
    bytes_down: int
    started_ns: int
    """Wall clock, when the connection was opened."""
    error: str = ""


@dataclass(frozen=True, slots=True)
class PassedBy:
    """A request to a model host that is no model call (telemetry, settings): counted by path, not stored."""

    host: str
    method: str
    path: str
    bytes_up: int = field(default=0)


type ProxyHappening = (
    Opened | Answered | Arrived | Finished | SocketMessage | SocketGap | SocketClosed | Egress | PassedBy
)
type Happening = ProxyHappening | CommandHappening | TerminalHappening | WorktreeHappening
