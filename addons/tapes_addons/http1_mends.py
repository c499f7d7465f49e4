"""Two places where mitmproxy 12.2's HTTP/1 would leave an agent waiting for ever, mended in our own process.

Interim responses (1xx, RFC 9110 §15.2) are taken for the final one, so that the real answer is never passed on: they
are left out here. Trailers (RFC 9112 §7.1.2) raise NotImplementedError half-way: the message is ended without them.
Both are lost to the agent, which seldom reads either; design.md says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import h11
from h11._readers import ChunkedReader
from mitmproxy.proxy import events
from mitmproxy.proxy.layers.http import _http1

_INTERIM = re.compile(rb"HTTP/1\.[01] 1(?!01)\d\d[ \r\n]")
_HEAD = 16


class TrailerlessReader(ChunkedReader):
    """Reads chunked bodies as ever and forgets the trailers."""

    def __call__(self, buf: Any) -> Any:
        event = super().__call__(buf)
        return h11.EndOfMessage() if isinstance(event, h11.EndOfMessage) else event


def drop_interim(buf: Any) -> bool:
    """Take whole interim responses out of a receive buffer. False while one of them is still incomplete."""
    while _INTERIM.match(bytes(buf)[:_HEAD]):
        if buf.maybe_extract_lines() is None:
            return False
    return True


_read_headers = _http1.Http1Client.read_headers


def read_headers(self: _http1.Http1Client, event: events.ConnectionEvent) -> Iterator[Any]:
    """`Http1Client.read_headers`, behind any interim responses."""
    if isinstance(event, events.DataReceived) and self.request and not drop_interim(self.buf):
        return
    yield from _read_headers(self, event)


def apply() -> None:
    """Mend this process's mitmproxy. Applying it again changes nothing."""
    for place, name, mended in (
        (_http1, "ChunkedReader", TrailerlessReader),
        (_http1.Http1Client, "read_headers", read_headers),
    ):
        setattr(place, name, mended)
