"""mitmproxy's flow into our exchange values. The only reader of mitmproxy's HTTP types.

Bytes are taken as they stand on the wire (`raw_content`, `headers.fields`); nothing here decodes, changes or keeps.
"""

from __future__ import annotations

import time

from mitmproxy import http, websocket
from wsproto.frame_protocol import Opcode

from tapes.wire.endpoints import Endpoint
from tapes.wire.exchange import (
    Answered,
    Ended,
    Finished,
    Headers,
    Moment,
    Opened,
    SocketClosed,
    SocketMessage,
)

HUNG_UP = "Client disconnected"
"""How mitmproxy's error message begins when it was the agent that left."""


def fields(headers: http.Headers | None) -> Headers:
    """Header fields in wire order, names as sent."""
    return tuple(headers.fields) if headers is not None else ()


def opened(flow: http.HTTPFlow, key: str, url: str, sent_to: str, endpoint: Endpoint, route: str) -> Opened:
    """A flow whose request is complete."""
    request = flow.request
    now = Moment.now()
    started = int(request.timestamp_start * 1e9)
    return Opened(
        key=key,
        # The monotonic time of the first byte is reckoned back from now: mitmproxy keeps wall times only.
        at=Moment(started, now.mono_ns - max(0, time.time_ns() - started)),
        method=request.method,
        url=url,
        http=request.http_version,
        headers=fields(request.headers),
        body=request.raw_content or b"",
        provider=endpoint.provider,
        cls=endpoint.cls or "other",
        connection=flow.client_conn.id,
        route=route,
        sent_to=sent_to,
        trailers=fields(request.trailers),
    )


def answered(flow: http.HTTPFlow, key: str) -> Answered:
    """A flow whose response headers have come."""
    response = flow.response
    assert response is not None
    return Answered(
        key=key,
        at=Moment.now(),
        status=response.status_code,
        reason=response.reason,
        http=response.http_version,
        headers=fields(response.headers),
    )


def finished(flow: http.HTTPFlow, key: str) -> Finished:
    """A flow that is over, by its `response` or its `error` hook."""
    ended: Ended = "eof"
    message = ""
    if flow.error is not None:
        message = flow.error.msg
        ended = "client_gone" if message.startswith(HUNG_UP) else "upstream_error"
    trailers = fields(flow.response.trailers) if flow.response else ()
    return Finished(key=key, at=Moment.now(), ended=ended, error=message, trailers=trailers)


def said(message: websocket.WebSocketMessage, key: str) -> SocketMessage:
    """A WebSocket message, put together from its frames and inflated."""
    return SocketMessage(
        key=key,
        at=Moment.now(),
        from_agent=message.from_client,
        is_text=message.type == Opcode.TEXT,
        data=message.content,
    )


def closed(flow: http.HTTPFlow, key: str) -> SocketClosed:
    """A flow whose WebSocket is over."""
    assert flow.websocket is not None
    return SocketClosed(
        key=key,
        at=Moment.now(),
        by_agent=bool(flow.websocket.closed_by_client),
        code=flow.websocket.close_code or 1006,
        reason=flow.websocket.close_reason or "",
    )
