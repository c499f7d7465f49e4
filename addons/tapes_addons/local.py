"""Requests to our own address under `/.tapes/`: what a launched agent tells us itself, by its telemetry or its hooks.

They are answered here, at once, with 200 and an empty table, whatever they say: a hook's empty answer decides nothing,
and an agent must not wait for us or try again. Nobody else hears of them: they are no model calls and no egress.
"""

from __future__ import annotations

from collections.abc import Callable

from mitmproxy import http

from tapes.intake.recording import LAUNCH, Who
from tapes.wire import encoding
from tapes.wire.exchange import Happening, Moment
from tapes.wire.shells.telemetry import found_in

PREFIX = "/.tapes/"
MOST_BYTES = 16 * 1024 * 1024
LOCAL = "tapes.local"
"""Marks a flow as one of these."""


def is_local(path: str) -> bool:
    return path.startswith(PREFIX)


def answer(flow: http.HTTPFlow, sink: Callable[[Happening, Who], bool], who: Who) -> None:
    """Take in what a request tells, and answer it. Only of a launched agent: a standing proxy asks nobody to tell."""
    request = flow.request
    flow.response = http.Response.make(200, b"{}", {"content-type": "application/json"})
    posted = request.raw_content or b""
    if who != LAUNCH or len(posted) > MOST_BYTES:
        return
    path = request.path.partition("?")[0].removeprefix(PREFIX)
    body = encoding.decode(request.headers.get("content-encoding", ""), posted)
    for told in found_in(path, body.data, Moment.now()):
        sink(told, who)
