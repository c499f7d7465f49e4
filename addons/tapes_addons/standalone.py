"""The addon for a mitmproxy of the user's own: it watches, and changes nothing but how answers are passed on.

Theirs is the proxy: no option is set, nothing is routed, stripped or cleared, and whatever other addons do to a flow is
respected. So each step is taken in the `update` hook, which mitmproxy calls when all addons are through with an event:
then the request is what the provider gets, and a `stream` function of somebody else's is there to be led through ours.
Answers are streamed (`tapes_stream`), because mitmproxy would otherwise keep them from the agent until they are whole.

What is kept of a flow is kept here and not in its `metadata`, which mitmproxy writes to files. mitmproxy runs the
script again when it was edited, which looks like an end and a beginning to us: all state lives in this module. And an
edit may be wrong: then there is no script for a while, and a stand-in hears what mitmproxy says in its place.
"""

from __future__ import annotations

import asyncio
import atexit
import functools
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from mitmproxy import addonmanager, connection, ctx, flow, http, log
from mitmproxy.proxy.mode_specs import ReverseMode

from tapes.errors import TapesError
from tapes.intake.recording import Who
from tapes.values import dataclass
from tapes.wire import endpoints
from tapes.wire.endpoints import Endpoint
from tapes.wire.exchange import Arrived, Finished, Happening, Moment, PassedBy
from tapes_addons import flow as flows
from tapes_addons.capture import user_name
from tapes_addons.standalone_recorder import Recorder

RELOAD_S = 5.0
"""How long after the script was taken out its next version may take to come in. After that no more calls are recorded,
but for those under way."""

logger = logging.getLogger("tapes")

Stream = Callable[[bytes], Iterable[bytes] | bytes] | bool


@dataclass(slots=True)
class Watched:
    """A model call under way."""

    key: str
    who: Who
    endpoint: Endpoint
    url: str
    route: str
    then: Callable[[http.HTTPFlow, Watched], None] | None = None
    """What is to be done once all addons have seen the event."""
    sent: bytearray | None = None
    """The request's body, where somebody had it streamed."""
    teed: bool = False
    is_socket: bool = False


def guarded(hook: Callable[[Standalone, http.HTTPFlow], None]) -> Callable[[Standalone, http.HTTPFlow], None]:
    """mitmproxy logs an addon's exceptions and goes on: the record has to tell of them too."""

    @functools.wraps(hook)
    def guard(self: Standalone, flow: http.HTTPFlow) -> None:
        try:
            hook(self, flow)
        except Exception as error:  # noqa: BLE001 - a defect of ours must not pass for a call that was not made
            self.give_up(flow, error)

    return guard


class Standalone:
    """The one addon of a process."""

    name = "tapes"

    def __init__(self) -> None:
        self._recorder: Recorder | None = None
        self._flows: dict[str, Watched] = {}
        self._users: dict[str, str] = {}
        self._stand_in = StandIn(self)
        self._timer: asyncio.TimerHandle | None = None
        """Runs while the script is out."""
        self._leaving = False
        """The script is gone for good: what is under way is the last."""
        atexit.register(self.close)

    # -- coming and going

    def load(self, loader: addonmanager.Loader) -> None:
        self._come_back()
        loader.add_option(
            "tapes_model_hosts", Sequence[str], [], "Further hosts whose model calls are recorded (host or host:port)."
        )
        loader.add_option(
            "tapes_stream", bool, True, "Pass model answers on as they come; false: mitmproxy's own way, whole answers."
        )

    def running(self) -> None:
        if self._recorder is not None:
            return
        try:
            self._recorder = Recorder()
        except (TapesError, OSError) as error:
            hint = getattr(error, "hint", "")
            logger.error("tapes: NOT RECORDING: %s%s", error, f" ({hint})" if hint else "")
        else:
            logger.log(log.ALERT, "tapes: recording ON · archive %s", self._recorder.home)

    def done(self) -> None:
        if ctx.master.addons.get(self.name) is not None:
            self.close()  # everybody is told: mitmproxy ends
            return
        if self._recorder is not None:
            ctx.master.addons.add(self._stand_in)
            self._timer = ctx.master.event_loop.call_later(RELOAD_S, self._leave)

    def _come_back(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._leaving = False
        if self._stand_in in ctx.master.addons:
            ctx.master.addons.remove(self._stand_in)

    def _leave(self) -> None:
        self._leaving = True
        if self._flows:
            text = "tapes: the script is out: calls from now on are NOT recorded, the %d under way to their end"
            logger.error(text, len(self._flows))
        self._leave_when_done()

    def _leave_when_done(self) -> None:
        if self._leaving and not self._flows and self._recorder is not None:
            self.close()
            logger.error("tapes: recording has STOPPED, for the script is out")

    def close(self) -> None:
        recorder, self._recorder = self._recorder, None
        self._flows.clear()
        if recorder is not None:
            recorder.close()

    # -- requests

    def http_connect(self, flow: http.HTTPFlow) -> None:
        if user := self._user(flow):
            self._users[flow.client_conn.id] = user

    def client_disconnected(self, client: connection.Client) -> None:
        self._users.pop(client.id, None)

    def _user(self, flow: http.HTTPFlow) -> str:
        """By mitmproxy's own proxyauth, which takes the header away, or by the header."""
        known = flow.metadata.get("proxyauth")
        return str(known[0]) if known else user_name(flow.request.headers.get("proxy-authorization", ""))

    @guarded
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        # A flow that is not live was read from a file: it was not said now.
        if self._recorder is None or self._leaving or not flow.live:
            return
        found = self._model_call(flow)
        if found is None:
            return
        endpoint, route = found
        headers = {name.lower(): value for name, value in flow.request.headers.items()}
        user = self._user(flow) or self._users.get(flow.client_conn.id, "")
        who = self._recorder.persons.whose(headers, user)
        url = flow.request.pretty_url
        self._flows[flow.id] = Watched(flow.id, who, endpoint, url, route, then=self._lead_request)

    def _model_call(self, flow: http.HTTPFlow) -> tuple[Endpoint, str] | None:
        """What a request asks for, and by which route it came; None when it is not for a model host."""
        request, own = flow.request, tuple(ctx.options.tapes_model_hosts)
        path = request.path.partition("?")[0]
        for host in dict.fromkeys((request.pretty_host, request.host)):
            if endpoints.is_model_host(host, request.port, own):
                return endpoints.classify(request.method, host, path, own), "proxy"
        if isinstance(flow.client_conn.proxy_mode, ReverseMode):
            endpoint = endpoints.classify(request.method, request.host, path, [request.host])
            if endpoint.cls is not None and (endpoint.provider, endpoint.cls) != ("raw", "other"):
                return endpoint, "base-url"
        return None

    def _lead_request(self, flow: http.HTTPFlow, watched: Watched) -> None:
        theirs = flow.request.stream
        if theirs:
            sent = watched.sent = bytearray()
            flow.request.stream = led(theirs, sent.extend)

    @guarded
    def request(self, flow: http.HTTPFlow) -> None:
        self._then(flow, self._open)

    def _open(self, flow: http.HTTPFlow, watched: Watched) -> None:
        if watched.endpoint.cls is None:
            sent = len(flow.request.raw_content or watched.sent or b"")
            self._put(PassedBy(flow.request.pretty_host, flow.request.method, flow.request.path, sent), watched.who)
            del self._flows[flow.id]
            return
        sent_to = flow.request.url if flow.request.url != watched.url else ""
        opened = flows.opened(flow, watched.key, watched.url, sent_to, watched.endpoint, watched.route)
        if watched.sent is not None:
            opened = replace(opened, body=bytes(watched.sent))
        self._put(opened, watched.who)

    # -- responses

    @guarded
    def responseheaders(self, flow: http.HTTPFlow) -> None:
        self._then(flow, self._answer)

    def _answer(self, flow: http.HTTPFlow, watched: Watched) -> None:
        response = flow.response
        assert response is not None
        self._put(flows.answered(flow, watched.key), watched.who)
        watched.is_socket = response.status_code == 101
        theirs = response.stream
        # What an addon has made up is there already, and mitmproxy does not stream it.
        if watched.is_socket or response.raw_content or not (theirs or ctx.options.tapes_stream):
            return
        watched.teed = True
        response.stream = led(
            theirs, lambda data: self._put(Arrived(watched.key, time.monotonic_ns(), data), watched.who)
        )

    @guarded
    def response(self, flow: http.HTTPFlow) -> None:
        self._then(flow, self._finish)

    @guarded
    def error(self, flow: http.HTTPFlow) -> None:
        self._then(flow, self._finish)

    def _finish(self, flow: http.HTTPFlow, watched: Watched) -> None:
        content = flow.response.raw_content if flow.response else None
        if content and not watched.teed:
            self._put(Arrived(watched.key, time.monotonic_ns(), content), watched.who)
        self._put(flows.finished(flow, watched.key), watched.who)
        if not (watched.is_socket and flow.websocket):
            del self._flows[flow.id]

    # -- WebSockets

    @guarded
    def websocket_message(self, flow: http.HTTPFlow) -> None:
        watched = self._flows.get(flow.id)
        if watched is not None:
            watched.then = self._hear

    def _hear(self, flow: http.HTTPFlow, watched: Watched) -> None:
        assert flow.websocket is not None
        message = flow.websocket.messages[-1]
        if not message.dropped:
            self._put(flows.said(message, watched.key), watched.who)

    @guarded
    def websocket_end(self, flow: http.HTTPFlow) -> None:
        watched = self._flows.pop(flow.id, None)
        if watched is not None:
            self._put(flows.closed(flow, watched.key), watched.who)

    # -- all of them

    def update(self, flows: Sequence[flow.Flow]) -> None:
        """All addons are through with an event of these flows."""
        for each in flows:
            watched = self._flows.get(each.id)
            if watched is not None and watched.then is not None and isinstance(each, http.HTTPFlow):
                step, watched.then = watched.then, None
                try:
                    step(each, watched)
                except Exception as error:  # noqa: BLE001 - as in `guarded`
                    self.give_up(each, error)
        self._leave_when_done()

    def _then(self, flow: http.HTTPFlow, step: Callable[[http.HTTPFlow, Watched], None]) -> None:
        watched = self._flows.get(flow.id)
        if watched is not None:
            watched.then = step

    def _put(self, happening: Happening, who: Who) -> Any:
        if self._recorder is not None:
            self._recorder.waiting.put(happening, who)

    def give_up(self, flow: http.HTTPFlow, error: Exception) -> None:
        """A defect of ours: the call goes on unrecorded, and says so."""
        logger.exception("tapes: a model call is NOT recorded in full: %s", error)
        watched = self._flows.pop(flow.id, None)
        if watched is not None:
            reason = f"defect in tapes: {type(error).__name__}"
            self._put(Finished(watched.key, Moment.now(), "capture_lost", reason), watched.who)


def led(theirs: Stream, tell: Callable[[bytes], object]) -> Callable[[bytes], Iterable[bytes] | bytes]:
    """A `stream` function that tells what passes on, behind the one that was there."""

    def tee(data: bytes) -> Iterable[bytes] | bytes:
        passed = theirs(data) if callable(theirs) else data
        if isinstance(passed, bytes):
            if passed:
                tell(passed)
            return passed
        chunks = list(passed)
        for chunk in chunks:
            tell(chunk)
        return chunks

    return tee


class StandIn:
    """Hears in the addon's place while the script is out: flows under way need their ends."""

    name = "tapes_stand_in"
    HEARD = (
        "http_connect",
        "client_disconnected",
        "requestheaders",
        "request",
        "responseheaders",
        "response",
        "error",
        "websocket_message",
        "websocket_end",
        "update",
    )

    def __init__(self, addon: Standalone) -> None:
        for hook in self.HEARD:
            setattr(self, hook, getattr(addon, hook))
        self._addon = addon

    def done(self) -> None:
        """Told when mitmproxy ends, and when the script is back."""
        if self in ctx.master.addons:
            self._addon.close()


@functools.cache
def the_addon() -> Standalone:
    """The addon of this process: the same one for every run of the script."""
    return Standalone()
