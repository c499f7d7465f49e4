"""A model provider on loopback that says what a script says, and goes wrong where the script wants it to.

    async with Provider(load_script(path), truth=folder, encode="gzip") as provider:
        ...  # provider.url; afterwards provider.exchanges, and the same as files in `folder`

As a process, `python -m tapes_addons.simulators.provider --script FILE` prints `READY http=PORT
[https=PORT]` and ends on SIGTERM or after --max-seconds. Any number of agents may talk to it at once; it
remembers none of them.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import ssl
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

from tapes_addons.simulators import websocket
from tapes_addons.simulators.answer import Answer, Dropped
from tapes_addons.simulators.apis import anthropic, gemini, ollama, openai, openai_chat, openai_responses
from tapes_addons.simulators.encode import Encoder, codings
from tapes_addons.simulators.http1 import HEAD_LIMIT, Malformed, Request, head_bytes, read_request
from tapes_addons.simulators.reply import Api, Reply
from tapes_addons.simulators.script import Script, Stage, load_script
from tapes_addons.simulators.tls import server_context
from tapes_addons.simulators.truth import Exchange, write_exchange

APIS: tuple[Api, ...] = (
    openai_chat.answer,
    openai_responses.answer,
    gemini.answer,
    ollama.answer,
    anthropic.answer,
)
"""Asked in turn; the first that knows the path answers. Another API is one more file and one name here."""


class Provider:
    """The server. `truth`: a folder for NNNN.* files; `encode`: a Content-Encoding such as "gzip, br", for
    clients that accept it; `tls`: a folder for the certificate, which also opens an https port.
    """

    def __init__(
        self,
        script: Script,
        *,
        truth: Path | None = None,
        encode: str = "",
        tls: Path | None = None,
        port: int = 0,
        tls_port: int = 0,
    ) -> None:
        self.stage = Stage(script)
        self.truth = truth
        self.encode = codings(encode)
        Encoder(self.encode)  # an unknown coding is refused now, not in the middle of the first answer
        self.exchanges: list[Exchange] = []
        self.port, self.tls_port = port, tls_port
        self._tls = tls
        self._connections: set[asyncio.Task[None]] = set()
        self._servers = AsyncExitStack()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"https://127.0.0.1:{self.tls_port}"

    async def __aenter__(self) -> Self:
        if self.truth:
            self.truth.mkdir(parents=True, exist_ok=True)
        self.port = await self._listen(self.port, None)
        if self._tls:
            self._tls.mkdir(parents=True, exist_ok=True)
            self.tls_port = await self._listen(self.tls_port, server_context(self._tls))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._servers.aclose()

    async def _listen(self, port: int, context: ssl.SSLContext | None) -> int:
        server = await asyncio.start_server(self._connection, "127.0.0.1", port, limit=HEAD_LIMIT, ssl=context)
        self._servers.callback(server.close)
        return int(server.sockets[0].getsockname()[1])

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        try:
            while (request := await read_request(reader, writer)) and await self._serve(request, reader, writer):
                pass
        except Malformed as problem:
            body = str(problem).encode()
            headers = (
                ("content-type", "text/plain"),
                ("content-length", str(len(body))),
                ("connection", "close"),
            )
            writer.write(head_bytes(400, headers) + body)
        except ConnectionError:
            pass  # the client went away between two exchanges; inside one, the exchange says so
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One exchange; whether the connection can carry another."""
        exchange = Exchange(len(self.exchanges) + 1, request)
        self.exchanges.append(exchange)
        try:
            await self._reply(exchange, reader, writer)
            exchange.end = "complete"
        except Dropped:
            exchange.end = "dropped"
        except ConnectionError:
            exchange.end = "client went away"
        except asyncio.CancelledError:
            exchange.end = "provider stopped"
            raise
        finally:
            if self.truth:
                write_exchange(self.truth, exchange)
        return exchange.end == "complete" and exchange.status != 101 and request.keep_alive

    async def _reply(self, exchange: Exchange, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Raises Dropped, ConnectionError."""
        request, reply = exchange.request, None
        if websocket.wanted(request):
            reply = websocket.refusal(request, self.stage)
            if not reply:
                return await websocket.Conversation(exchange, self.stage, reader, writer).serve()
        reply = reply or _answer(request, self.stage)
        exchange.script, exchange.turn, exchange.fault = reply.script, reply.turn, reply.faults.names
        await Answer(exchange, reply, self.encode, self.stage.script.pace, reader, writer).send()
        return None


def _answer(request: Request, stage: Stage) -> Reply:
    try:
        request.content  # noqa: B018 (a body that cannot be decoded is refused here, once for every path)
    except ValueError as problem:
        return anthropic.error(request, 400, str(problem))
    if request.method == "GET" and request.path.endswith("/models") and request.header("authorization"):
        return openai.models(request)  # the same path as Anthropic's, where the key stands in a header of its own
    reply = next(filter(None, (api(request, stage) for api in APIS)), None)
    return reply or anthropic.error(request, 404, f"{request.method} {request.path}")


async def serve(provider: Provider, max_seconds: float) -> None:
    """Say READY, then serve until SIGTERM, SIGINT or the time is up."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with provider:
        https = f" https={provider.tls_port}" if provider.tls_port else ""
        sys.stdout.write(f"READY http={provider.port}{https}\n")
        sys.stdout.flush()
        loop.call_later(max_seconds, stop.set)
        await stop.wait()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tapes_addons.simulators.provider", description="A scripted model provider.")
    parser.add_argument("--script", type=Path, required=True, help="what the model says (JSON)")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--tls", type=Path, metavar="DIR", help="also serve https, with cert.pem and key.pem in DIR")
    parser.add_argument("--https-port", type=int, default=0)
    parser.add_argument("--truth", type=Path, metavar="DIR", help="write every exchange into DIR")
    parser.add_argument("--encode", default="", help='content coding of responses, such as gzip or "gzip, br"')
    parser.add_argument("--max-seconds", type=float, default=600.0)
    options = parser.parse_args(arguments)
    try:
        provider = Provider(
            load_script(options.script),
            truth=options.truth,
            encode=options.encode,
            tls=options.tls,
            port=options.port,
            tls_port=options.https_port,
        )
    except (OSError, ValueError) as problem:
        parser.error(str(problem))
    asyncio.run(serve(provider, options.max_seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
