"""The dialect of last resort: a body is its text. For every protocol that no other dialect knows."""

from __future__ import annotations

from tapes.wire.dialects.base import Headers, raw_message
from tapes.wire.turns import RequestReading, ResponseReading, TurnReading


class RawReader:
    """Keeps the body and gives it back."""

    def __init__(self) -> None:
        self._body = bytearray()

    def feed(self, data: bytes) -> None:
        self._body += data

    def finish(self) -> ResponseReading:
        """`complete` is never claimed: nothing is known of how such a body ends."""
        return ResponseReading(message=raw_message(bytes(self._body)) if self._body else None)


class Raw:
    """Fits everything, and gives way to anything else."""

    name: str = "raw"
    version: int = 1

    def priority(self, host: str, path: str, content_type: str) -> int:
        return 1

    def read_request(self, body: bytes, headers: Headers = ()) -> RequestReading:
        return RequestReading(messages=(raw_message(body),) if body else ())

    def read_turn(self, body: bytes) -> TurnReading:
        return TurnReading(messages=((0, raw_message(body)),) if body else ())

    def response_reader(self, status: int, content_type: str) -> RawReader:
        return RawReader()
