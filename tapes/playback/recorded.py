"""A recorded exchange as playback needs it. Bodies are asked for when they are wanted: a session repeats itself, and
all of its requests together may be more than fits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from tapes.record.digest import Digest
from tapes.values import dataclass

type Kind = Literal["http", "handshake", "turn"]
type End = Literal["whole", "cut", "held"]
"""How an answer ends: in order; broken off, as the provider (or our recorder) broke it off; or not at all, because
the agent hung up first."""

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
OF_THE_WIRE = HOP_BY_HOP | {b"content-encoding", b"content-length"}
"""Header fields that are of one connection, or of an encoding that is undone in a recording."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What arrived at one moment: bytes of a body, or a WebSocket message."""

    after_us: int
    """Microseconds since the piece before, or since the request."""
    data: bytes
    is_text: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    status: int | None
    """None where no response ever began."""
    reason: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """As recorded, without OF_THE_WIRE."""
    pieces: tuple[Piece, ...] = ()
    end: End = "whole"
    after_us: int = 0
    """From the last piece to the end."""
    sized: bool = False
    """The body's length stood in its head."""
    code: int = 0
    """With which close code the provider closed the WebSocket behind this turn; 0 where it did not. 1006: without a
    word."""

    @property
    def body(self) -> bytes:
        """All pieces; WebSocket messages joined by line feeds."""
        return b"".join(piece.data for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request that was made once, and its answer."""

    name: str
    """Hex of its `exchange.open`."""
    number: int
    """From 0, in the order in which they were made."""
    kind: Kind
    provider: str
    cls: str
    method: str
    url: str
    hash: Digest | None
    """Of the request's body; None where there is none."""
    request: Callable[[], bytes]
    answer: Callable[[], Answer]
    outcome: str = "complete"
    socket: str = ""
    """Of a turn: name of the handshake that opened its WebSocket."""

    @property
    def operation(self) -> tuple[str, str, str]:
        return operation(self.kind, self.method, self.url)


def operation(kind: Kind, method: str, url: str) -> tuple[str, str, str]:
    """What a request does, wherever it was sent to: gateways and base URLs put other paths before the last word of it
    (`messages`, `gemini-pro:streamGenerateContent`). `alt` is Gemini's choice of the form of its answer."""
    parts = urlsplit(url)
    word = parts.path.rstrip("/").rpartition("/")[2]
    alt = next((value for name, value in parse_qsl(parts.query) if name == "alt"), "")
    return (kind if kind != "http" else method.upper(), word, alt)
