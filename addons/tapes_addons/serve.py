"""`tapes serve`: one proxy for agents that are started elsewhere, several at once, until it is told to stop.

One process: mitmproxy on the main thread's event loop, the writer beside it, as in the capture process of `tapes run`.
It ends in this order: no new connections; calls under way may end by themselves; what is left is cut, and recorded as
cut by us; every session is closed. A second signal ends it at once: the parts of answers that were written stay, and
the next standing proxy ends their sessions, as after a crash (`left_open.py`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tapes.archive.lmdb_archive import LmdbArchive
from tapes.intake.recording import Recording, Who
from tapes.intake.sockets import message_type
from tapes.intake.writer import Writer
from tapes.wire.exchange import Happening, SocketClosed, SocketMessage
from tapes.wire.outcome import ENDINGS
from tapes.wire.redact import Redactor, secret_variables
from tapes_addons import left_open
from tapes_addons.capture import Capture
from tapes_addons.left_open import Ending
from tapes_addons.mitm_addons import Master, proxyserver
from tapes_addons.plan import Plan
from tapes_addons.proxy import build, configure
from tapes_addons.routes import UpstreamProxy
from tapes_addons.standing import IDLE_CLOSE_S, Persons, Sessions, Waiting, short, told
from tapes_addons.trust import write_bundles
from tapes_addons.voice import Voice

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
GRACE_S = 5.0
"""How long calls under way may take to end by themselves."""
CLOSE_S, FAILING_CLOSE_S = 15.0, 3.0
"""How long the end may wait for the archive; less when it takes no records anyway."""
SAME_S = 0.5
"""A signal so soon after the first is the same one: a terminal and a wrapper (timeout, npm) each pass it on."""
STOPPED = "tapes serve was stopped"


class Serve:
    """One standing proxy, from its socket to its end."""

    def __init__(self, plan: Plan, proxy: UpstreamProxy | None, voice: Voice, *, network: bool = False) -> None:
        """Raises TapesError when the archive can not be opened."""
        self._plan = plan
        self._voice = voice
        self._network = network
        self._proxy = proxy
        self.archive = LmdbArchive.open(Path(plan.home) / "archive", create=True)
        redactor = Redactor(secret_variables(dict(os.environb)), strict=plan.redact == "strict")
        self.persons = Persons(redactor)
        self.writer = Writer(
            self.archive,
            Sessions(self.archive, redactor, "serve").begin,
            idle_close_s=IDLE_CLOSE_S,
            on_trouble=voice.say,
            on_opened=self._opened,
            on_closed=self._closed,
        )
        self.waiting = Waiting(self.writer.put, self.persons)
        self._ending = Ending(Path(plan.home), self.archive, voice.say)
        self._heard: dict[str, SocketMessage] = {}
        """Of each open WebSocket the last message."""
        self._told_at = 0.0

    async def run(self, listener: socket.socket, ready: Callable[[], object]) -> bool:
        """Serve until a signal comes; False when not everything could be written. `ready` is called when a signal
        would end it in order, so that nobody learns of it sooner."""
        loop = asyncio.get_running_loop()
        stop: asyncio.Future[int] = loop.create_future()
        for number in SIGNALS:
            if signal.getsignal(number) == signal.SIG_IGN:
                continue  # nohup, or a script's background: whoever started us does not want us to hear it
            loop.add_signal_handler(number, self._signalled, stop, number)
        config = configure(
            self._plan, listener.getsockname()[1], self.writer, self._proxy, self.persons.whose, network=self._network
        )
        capture = Capture(self._put, config)
        plan = self._plan
        master = build(capture, config, listener, plan.ca, plan.upstream_ca, plan.insecure_upstream)
        self.writer.start()
        ready()
        self._ending.start()
        serving = asyncio.ensure_future(master.run())
        waiting: list[asyncio.Future[Any]] = [serving, stop]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not stop.done():
            serving.result()
        return await self._stop(master, capture)

    def _put(self, happening: Happening, who: Who) -> bool:
        if isinstance(happening, SocketMessage):
            self._heard[happening.key] = happening
        elif isinstance(happening, SocketClosed):
            self._heard.pop(happening.key, None)
        return self.waiting.put(happening, who)

    def _signalled(self, stop: asyncio.Future[int], number: int) -> None:
        now = time.monotonic()
        if stop.done():
            if now - self._told_at < SAME_S:
                return
            self._voice.say("stopped at once; the next tapes serve ends the sessions that were open")
            self._voice.close()
            os._exit(128 + number)
        self._told_at = now
        stop.set_result(number)

    async def _stop(self, master: Master, capture: Capture) -> bool:
        server = master.addons.get("proxyserver")
        assert isinstance(server, proxyserver.Proxyserver)
        for instance in server.servers:
            await instance.stop()
        deadline = time.monotonic() + GRACE_S
        said = False
        while self._busy(capture) and time.monotonic() < deadline:
            if not said:
                self._voice.say(f"stopping; calls under way have {GRACE_S:.0f} s to end (again: at once)")
                said = True
            await asyncio.sleep(0.05)
        capture.finish_all()
        self.waiting.release_all()
        if self.waiting.dropped:
            self._voice.say(f"{self.waiting.dropped} tunnels of agents without a session were not listed")
        timeout = FAILING_CLOSE_S if self.writer.failing else CLOSE_S
        await asyncio.to_thread(self._ending.stop)
        closed = await asyncio.to_thread(self.writer.close, {"how": STOPPED}, timeout)
        return closed and not self.writer.lost_exchanges

    def _busy(self, capture: Capture) -> bool:
        return bool(capture.live) or any(not is_last_word(message) for message in self._heard.values())

    # -- the writer's thread

    def _opened(self, who: Who, recording: Recording) -> None:
        summary = recording.summary
        goes_on = f", continues {summary.continues[:12]}" if summary.continues else ""
        self._voice.say(f"session {short(recording)}  {summary.agent}  {summary.label}{goes_on}")

    def _closed(self, who: Who, recording: Recording) -> None:
        self.waiting.closed(who)
        self._voice.say(f"session {short(recording)}  {recording.summary.label}: {told(recording)}")


def is_last_word(message: SocketMessage) -> bool:
    """Does this message end a turn, so that its WebSocket may be closed?"""
    kind = message_type(message.data) if message.is_text and not message.from_agent else ""
    return any(kind in ending.done or kind in ending.failed for ending in ENDINGS.values())


def refresh_bundles(ca: Path, environ: Mapping[str, str]) -> Path:
    """Make the certificate bundles beside our CA anew, where agents find them for as long as they run; the roots for
    our upstream side."""
    # Serve may be started in a shell that has our own settings already.
    theirs = {name: value for name, value in environ.items() if not value.startswith(f"{ca}{os.sep}")}
    with tempfile.TemporaryDirectory(prefix=".new-", dir=ca) as folder:
        for path in write_bundles(Path(folder), ca, theirs):
            path.replace(ca / path.name)
    return ca / "upstream.pem"


def serve(
    plan: Plan,
    listener: socket.socket,
    proxy: UpstreamProxy | None,
    voice: Voice,
    ready: Callable[[], object],
    *,
    network: bool,
) -> bool:
    """Serve on a listening socket until told to stop; False when not everything could be written.

    Raises TapesError when the archive can not be opened.
    """
    log = logging.FileHandler(Path(plan.home) / "run" / f"serve-{listener.getsockname()[1]}.log", "w", delay=True)
    log.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    log.setLevel(logging.WARNING)
    logging.raiseExceptions = False  # a full disk is told of by the writer, in one line
    for handler in (voice, log):  # to the terminal a line of each, the whole story to the file
        logging.getLogger().addHandler(handler)
    server = Serve(plan, proxy, voice, network=network)
    try:
        with left_open.alive(Path(plan.home), server.archive.writer):
            return asyncio.run(server.run(listener, ready))
    finally:
        server.archive.close()
