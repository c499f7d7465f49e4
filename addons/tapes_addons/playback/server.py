"""A recording as a model API: each request is given the recorded answer, when its bytes came and as it ended.

Chunks are those of the recording, each when it came (`fast`: at once). An answer that broke off breaks off. Where the
agent hung up before its answer was complete, the rest was never known: the connection stays open until it hangs up
again. Bodies are redacted before they are looked up, as the recording's were. Nothing is ever asked of anybody else.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from functools import partial

from tapes.errors import TapesError
from tapes.playback import refusal
from tapes.playback.matching import Given, Refused, Tape
from tapes.playback.recorded import Kind
from tapes.wire import endpoints
from tapes.wire.redact import Redactor
from tapes_addons.playback.sending import NO_CONTENT, Cut, send, whole
from tapes_addons.playback.socket import converse, wanted
from tapes_addons.playback.words import Counts, name, why
from tapes_addons.simulators.http1 import HEAD_LIMIT, Malformed, Request, read_request

NOT_FOUND, UPGRADE_REQUIRED, NOT_IMPLEMENTED = 404, 426, 501

Say = Callable[[str], object]


class Player:
    """Answers requests from one tape. One event loop."""

    def __init__(self, tape: Tape, redactor: Redactor, say: Say, *, fast: bool = False) -> None:
        self.tape, self.fast = tape, fast
        self.counts = Counts()
        self._redactor, self._say = redactor, say
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        """Serve on a listening socket from now on."""
        self._server = await asyncio.start_server(self._connection, sock=listener, limit=HEAD_LIMIT)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    # -- what a request gets

    def ask(self, kind: Kind, request: Request, body: bytes) -> Given | Refused:
        """As Tape.ask; what was found out is counted, and said where it has to be."""
        path, host = request.path, request.header("host")
        what = f"{request.method} {path}" if kind == "http" else f"a message on {path}"
        endpoint = endpoints.classify(request.method, endpoints.split_host(host)[0], path, [host])
        cls = "model" if kind == "turn" else endpoint.cls or ""
        try:
            found = self.tape.ask(kind, request.method, request.target, self._redactor.redact(body).data, cls)
        except TapesError as error:
            found = Refused(cls, f"its recorded answer can not be read: {error}")
        except Exception as error:  # noqa: BLE001 - a defect of ours must not look like a provider that hangs up
            found = Refused(cls, f"defect in tapes: {type(error).__name__}: {error}")
        if isinstance(found, Given):
            if found.recorded.cls == "model":
                self.counts.how[found.how] = self.counts.how.get(found.how, 0) + 1
            if found.difference is not None:
                self.counts.overlooked.append(f"{name(found.recorded)} differs {found.difference}")
        elif found.cls in ("model", "count_tokens"):
            told = why(found, what)
            (self.counts.behind if found.behind else self.counts.refused).append(told)
            self._say(told)
        else:
            self.counts.absent[what] = self.counts.absent.get(what, 0) + 1
        return found

    # -- HTTP

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while (request := await read_request(reader, writer)) is not None:
                if not await self._serve(request, reader, writer):
                    break
        except Malformed as problem:
            writer.write(whole(400, str(problem).encode(), "text/plain", closing=True))
        except (Cut, ConnectionError):
            pass  # as in the recording; or the agent went away
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One exchange; whether the connection can carry another. Raises Cut, ConnectionError."""
        if request.method == "CONNECT":
            text = "tapes playback: this is no proxy but a model's API; set it as base URL\n"
            writer.write(whole(NOT_IMPLEMENTED, text.encode(), "text/plain; charset=utf-8", closing=True))
            return False
        if wanted(request):
            found = self.ask("handshake", request, b"")
            if isinstance(found, Given) and found.answer.status == 101:
                ask = partial(self.ask, "turn", request)
                await converse(ask, found.answer, request, reader, writer, fast=self.fast)
                return False
            if isinstance(found, Refused):
                # Agents that are refused a WebSocket so go on over HTTP at once.
                text = why(found, f"WebSocket {request.path}")
                body = refusal.body("openai-responses", f"tapes playback: {text}")
                writer.write(whole(UPGRADE_REQUIRED, body, closing=True))
                return False
            await send(found.answer, request, reader, writer, fast=self.fast)
            return request.keep_alive
        try:
            body = request.content
        except ValueError as problem:
            raise Malformed(str(problem)) from problem
        found = self.ask("http", request, body)
        if isinstance(found, Given):
            await send(found.answer, request, reader, writer, fast=self.fast)
        else:
            writer.write(self._refused(found, request))
            await writer.drain()
        return request.keep_alive

    def _refused(self, found: Refused, request: Request) -> bytes:
        bodiless = request.method == "HEAD"
        if not found.cls and request.method not in ("GET", "HEAD"):
            return whole(NO_CONTENT, b"")  # telemetry: nobody waits for a word
        provider = endpoints.classify(request.method, "", request.path, [""]).provider
        body = refusal.body(provider, f"tapes playback: {why(found, f'{request.method} {request.path}')}")
        status = refusal.STATUS if found.cls in ("model", "count_tokens") else NOT_FOUND
        return whole(status, body, bodiless=bodiless)
