"""Which form a response body has: told by its first bytes, whatever the content type claims.

Gateways send errors as JSON under a stream's type, and streams under no type at all.
"""

from __future__ import annotations

from collections.abc import Callable

from tapes.wire.dialects.base import ResponseReader
from tapes.wire.turns import ResponseReading

ENOUGH = 16
"""Bytes that tell JSON from an event stream."""
STREAM_STARTS = (b"event:", b"data:", b"id:", b"retry:", b":")
BLANK = b"\xef\xbb\xbf \t\r\n"


class SniffingReader:
    """Looks at the first bytes, then reads an event stream piece by piece, or a body as a whole.

    `stream` makes the reader of a stream; `whole` reads a body that is none. `is_stream` overrides how a stream is
    told by its first bytes (blanks before them taken away; fewer than ENOUGH where the body is shorter).
    """

    def __init__(
        self,
        stream: Callable[[], ResponseReader],
        whole: Callable[[bytes], ResponseReading],
        is_stream: Callable[[bytes], bool] = lambda start: start.startswith(STREAM_STARTS),
    ) -> None:
        self._make_stream = stream
        self._whole = whole
        self._is_stream = is_stream
        self._body = bytearray()
        self._stream: ResponseReader | None = None
        self._decided = False

    def feed(self, data: bytes) -> None:
        if self._stream is not None:
            self._stream.feed(data)
            return
        self._body += data
        if not self._decided and len(self._body.lstrip(BLANK)) >= ENOUGH:
            self._decide()

    def finish(self) -> ResponseReading:
        if not self._decided:
            self._decide()
        if self._stream is not None:
            return self._stream.finish()
        return self._whole(bytes(self._body))

    def _decide(self) -> None:
        self._decided = True
        if self._is_stream(bytes(self._body.lstrip(BLANK)[: 4 * ENOUGH])):
            self._stream = self._make_stream()
            self._stream.feed(bytes(self._body))
            self._body.clear()
