"""A recording as a server: the scripted agent, pointed at what a provider said to it, does the same again."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from simulation import FAST, TWO_TURNS, base_url, run_agent, script, with_fault
from tapes.playback.matching import Tape
from tapes.playback.places import Places
from tapes.playback.recorded import OF_THE_WIRE, Answer, Piece, Recorded
from tapes.record.digest import blob_digest
from tapes.wire import endpoints
from tapes.wire.redact import Redactor
from tapes_addons.playback.server import Player
from tapes_addons.playback.words import summary
from tapes_addons.simulators.agent import DIALECTS, SOCKET
from tapes_addons.simulators.provider import Provider
from tapes_addons.simulators.script import read_script
from tapes_addons.simulators.truth import Exchange

TASK = {"text": "A helper.", "tools": [{"tool": "task", "input": {"script": "sub", "prompt": "[script:sub] Look."}}]}


def recorded(exchanges: Sequence[Exchange]) -> list[Recorded]:
    """What the provider noted, as a tape has it."""
    found: list[Recorded] = []

    def add(kind: str, one: Exchange, body: bytes, answer: Answer, cls: str) -> None:
        request, n = one.request, len(found)
        provider = endpoints.classify(request.method, "", request.path, [""]).provider
        digest = blob_digest(body) if body else None
        record = Recorded(
            f"{n:064x}",
            n,
            kind,
            provider,
            cls,
            request.method,
            request.target,
            digest,
            lambda: body,
            lambda: answer,  # type: ignore[arg-type]
        )
        found.append(record)

    for one in exchanges:
        headers = tuple((k.encode(), v.encode()) for k, v in one.headers)
        kept = tuple(pair for pair in headers if pair[0].lower() not in OF_THE_WIRE)
        end = "whole" if one.end == "complete" else "cut"
        cls = endpoints.classify(one.request.method, "", one.request.path, [""]).cls or "other"
        pieces = tuple(Piece(0, chunk.plain) for chunk in one.chunks)
        sized = any(name.lower() == b"content-length" for name, _ in headers)
        upgraded = one.status == 101
        answer = Answer(one.status or None, "", kept, pieces, "whole" if upgraded else end, sized=sized)  # type: ignore[arg-type]
        handshake = one.request.header("upgrade") != ""
        add("handshake" if handshake else "http", one, one.request.content, answer, "other" if handshake else cls)
        said: list[Piece] = []
        asked = b""
        turns: list[tuple[bytes, list[Piece]]] = []
        for message in one.messages:
            if message.sender == "client":
                asked, said = message.text.encode(), []
                turns.append((asked, said))
            else:
                said.append(Piece(0, message.text.encode()))
        for number, (asked, said) in enumerate(turns):
            last = number == len(turns) - 1
            cut = last and one.end == "dropped"
            turn = Answer(101, pieces=tuple(said), end="cut" if cut else "whole", code=1006 if cut else 0)
            add("turn", one, asked, turn, "model")
    return found


@asynccontextmanager
async def playing(tape: Tape) -> AsyncIterator[tuple[Player, str]]:
    said: list[str] = []
    player = Player(tape, Redactor(), said.append, fast=True)
    listener = socket.create_server(("127.0.0.1", 0))
    await player.start(listener)
    try:
        yield player, f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        await player.stop()


async def twice(folder: Path, dialect: str, provider: Provider, *options: str) -> tuple[str, str, Player]:
    """What the agent said to a provider, and to the recording of that, somewhere else."""
    first, second = folder / "first", folder / "second" / "place"
    first.mkdir()
    second.mkdir(parents=True)
    async with provider:
        status, then = await run_agent(base_url(provider, dialect), first, "--dialect", dialect, *options)
        assert status == 0, then
    places = Places({"cwd": str(first)}, {"cwd": str(second)})
    async with playing(Tape(recorded(provider.exchanges), places)) as (player, url):
        own = url + "/v1" if dialect.startswith("openai") else url
        status, now = await run_agent(own, second, "--dialect", dialect, *options)
        assert status == 0, now
    return then, now, player


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
async def test_an_agent_does_the_same_again(tmp_path: Path, dialect: str) -> None:
    turns = [{**TWO_TURNS[0], "tools": TWO_TURNS[0]["tools"] * 2}, TASK, TWO_TURNS[1]]
    provider = Provider(script(turns, sub=TWO_TURNS))
    then, now, player = await twice(tmp_path, dialect, provider)
    same = [line for line in then.splitlines() if "agentId" not in line]
    assert sorted(same) == sorted(line for line in now.splitlines() if "agentId" not in line)
    assert not player.counts.refused
    assert not player.tape.left


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
@pytest.mark.parametrize("fault", [{"error": {"status": 529}}, {"sse_error": {"after": 2}}, {"drop": {"after": 2}}])
async def test_what_went_wrong_goes_wrong_again(tmp_path: Path, dialect: str, fault: dict[str, object]) -> None:
    then, now, player = await twice(tmp_path, dialect, Provider(with_fault(**fault)))
    assert now == then
    assert not player.tape.left


async def test_chunks_stay_chunks_and_headers_what_they_were(tmp_path: Path) -> None:
    provider = Provider(read_script({"scripts": {"main": TWO_TURNS[1:]}, "pace": {**FAST, "chars": 8}}))
    async with provider:
        await run_agent(provider.url, tmp_path)
    (one,) = provider.exchanges
    async with playing(Tape(recorded(provider.exchanges), Places({}))) as (_, url):
        head, chunks = await raw(url, one.request.body)
    assert chunks == [chunk.plain for chunk in one.chunks]
    names = {line.partition(b":")[0] for line in head.split(b"\r\n")[1:]}
    assert names == {key.encode() for key, _ in one.headers if key.encode() not in OF_THE_WIRE} | {b"transfer-encoding"}


async def raw(url: str, body: bytes, path: str = "/v1/messages") -> tuple[bytes, list[bytes]]:
    """The head of an answer, and its chunks (or its whole body, where it has a length)."""
    port = int(url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%s" % (path.encode(), len(body), body))
    head = await reader.readuntil(b"\r\n\r\n")
    chunks = []
    if b"transfer-encoding: chunked" in head:
        while size := int(await reader.readline(), 16):
            chunks.append((await reader.readexactly(size + 2))[:-2])
    else:
        length = next(int(x.split(b":")[1]) for x in head.split(b"\r\n") if x.startswith(b"content-length"))
        chunks.append(await reader.readexactly(length))
    writer.close()
    return head.strip(), chunks


async def test_pauses_are_those_of_the_recording_unless_it_is_fast(tmp_path: Path) -> None:
    pieces = (Piece(0, b"one"), Piece(300_000, b"two"))
    one = Recorded(
        "00", 0, "http", "anthropic", "model", "POST", "/v1/messages", None, bytes, lambda: Answer(200, pieces=pieces)
    )
    loop = asyncio.get_running_loop()
    async with playing(Tape([one], Places({}))) as (player, url):
        player.fast = False
        began = loop.time()
        assert (await raw(url, b""))[1] == [b"one", b"two"]
        assert loop.time() - began >= 0.3


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
async def test_a_request_that_is_not_there_is_refused_at_once_and_told(tmp_path: Path, dialect: str) -> None:
    async with Provider(script(TWO_TURNS)) as provider:
        await run_agent(base_url(provider, dialect), tmp_path, "--dialect", dialect)
    async with playing(Tape(recorded(provider.exchanges), Places({}))) as (player, url):
        own = url + "/v1" if dialect.startswith("openai") else url
        status, said = await run_agent(own, tmp_path, "--dialect", dialect, prompt="Something else.")
    assert status == 1
    assert "400" in said or "not in the recording" in said
    # The small agent tries again whatever comes as a message; real ones do not (docs/playback.md).
    assert len(player.counts.refused) == 1 or dialect == SOCKET
    told = player.counts.refused[0]
    assert "nearest recorded request" in told and '"Go."' in told and '"Something else."' in told
    assert any("NO recorded answer" in line for line in summary(player.counts, player.tape, "0" * 64))


async def test_a_websocket_that_the_recording_has_not_is_refused_so_that_agents_go_on_over_http(tmp_path: Path) -> None:
    async with Provider(script(TWO_TURNS)) as provider:
        await run_agent(base_url(provider, SOCKET), tmp_path, "--dialect", "openai-responses")
    async with playing(Tape(recorded(provider.exchanges), Places({}))) as (player, url):
        status, said = await run_agent(url + "/v1", tmp_path, "--dialect", SOCKET)
    assert status == 0, said
    assert not player.tape.left


async def test_telemetry_gets_nothing_and_is_counted(tmp_path: Path) -> None:
    async with Provider(script(TWO_TURNS[1:])) as provider:
        await run_agent(provider.url, tmp_path)
    async with playing(Tape(recorded(provider.exchanges), Places({}))) as (player, url):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"POST /api/event_logging/batch HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}")
        assert (await reader.readline()).startswith(b"HTTP/1.1 204")
        writer.close()
    assert player.counts.absent == {"POST /api/event_logging/batch": 1}
    assert not player.counts.refused


async def test_an_answer_that_nobody_waited_for_stays_open(tmp_path: Path) -> None:
    answer = Answer(200, pieces=(Piece(0, b"begun"),), end="held")
    one = Recorded("00", 0, "http", "anthropic", "model", "POST", "/v1/messages", None, bytes, lambda: answer)
    async with playing(Tape([one, replace(one, number=1)], Places({}))) as (_, url):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        await reader.readuntil(b"begun\r\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.1)
        writer.close()
