"""The Responses API over WebSocket: what goes over it, what breaks it, and what an agent does then."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from wsproto.events import BytesMessage, Ping

from simulation import TWO_TURNS, base_url, run_agent, script, with_fault
from tapes_addons.simulators.agent import SOCKET
from tapes_addons.simulators.clients.socket import Socket, UpgradeRefused
from tapes_addons.simulators.provider import Provider
from tapes_addons.simulators.truth import Exchange, turns

THREE_TURNS = [TWO_TURNS[0], TWO_TURNS[0], TWO_TURNS[1]]


async def play(provider: Provider, cwd: Path, *options: str, **env: str) -> str:
    status, said = await run_agent(base_url(provider, SOCKET), cwd, "--dialect", SOCKET, *options, **env)
    assert status == 0, said
    return said


def asked(exchange: Exchange) -> list[dict[str, Any]]:
    return [json.loads(message.text) for message in exchange.messages if message.sender == "client"]


def kinds(message: dict[str, Any]) -> list[str]:
    return [item["type"] for item in message["input"]]


async def test_a_warm_up_comes_first_and_then_only_what_is_new(tmp_path: Path) -> None:
    async with Provider(script(THREE_TURNS)) as provider:
        await play(provider, tmp_path)
    (exchange,) = provider.exchanges
    assert (exchange.status, exchange.end) == (101, "complete")
    warm, first, second, third = asked(exchange)
    assert (warm["generate"], warm["input"]) == (False, [])
    assert [message.turn for message in exchange.messages if message.sender == "client"] == [0, 0, 1, 2]
    assert "previous_response_id" not in warm
    assert kinds(first) == ["message", "message"]
    assert kinds(second) == kinds(third) == ["function_call_output"]
    answers = [json.loads(said.split(b"\n")[-1])["response"] for _, said in turns(exchange.messages)]
    assert [message["previous_response_id"] for message in (first, second, third)] == [a["id"] for a in answers[:3]]
    assert answers[0]["output"] == []


async def test_messages_are_compressed_and_pings_answered(tmp_path: Path) -> None:
    async with Provider(script(TWO_TURNS)) as provider:
        await play(provider, tmp_path)
    (exchange,) = provider.exchanges
    assert "permessage-deflate" in exchange.request.header("sec-websocket-extensions")
    assert any("permessage-deflate" in value for _, value in exchange.headers)
    assert exchange.pongs == 1


@pytest.mark.parametrize(
    ("faults", "end"),
    [
        ({"drop": {"after": 5}}, "dropped"),
        ({"drop": {"after": -1}}, "dropped"),
        ({"drop": {"after": 3, "rst": True}}, "dropped"),
        ({"sse_error": {"after": 4}}, "client went away"),
        ({"error": {"status": 429}}, "client went away"),
    ],
    ids=str,
)
async def test_after_a_break_everything_is_said_again_on_a_new_connection(
    faults: dict[str, Any], end: str, tmp_path: Path
) -> None:
    turns_ = [TWO_TURNS[0], {**TWO_TURNS[0], "faults": faults}, TWO_TURNS[1]]
    async with Provider(script(turns_)) as provider:
        said = await play(provider, tmp_path)
    broken, after = provider.exchanges
    assert (broken.end, after.end) == (end, "complete")
    assert [message.fault for message in broken.messages if message.sender == "client"][-1] == next(iter(faults))
    again, last = asked(after)
    assert "previous_response_id" not in again
    assert "generate" not in again
    history = ["message", "message", "reasoning", "function_call", "function_call_output"]
    assert kinds(again) == history
    assert kinds(last) == ["function_call_output"]
    assert said.count("↻") == 1
    assert said.count("$ echo one") == 2


async def test_an_error_is_a_message_and_a_failure_an_event(tmp_path: Path) -> None:
    first = {**TWO_TURNS[0], "faults": {"error": {"status": 429}}}
    async with Provider(script([first, {**TWO_TURNS[0], "faults": {"sse_error": {}}}, TWO_TURNS[1]])) as provider:
        await play(provider, tmp_path)
    ends = [json.loads(exchange.messages[-1].text) for exchange in provider.exchanges]
    assert (ends[0]["type"], ends[0]["status"], ends[0]["error"]["code"]) == ("error", 429, "rate_limit_exceeded")
    assert (ends[1]["type"], ends[1]["response"]["status"]) == ("response.failed", "failed")
    assert ends[2]["type"] == "response.completed"


async def test_a_stalled_answer_goes_on(tmp_path: Path) -> None:
    async with Provider(with_fault(stall={"after": 2, "seconds": 0.05})) as provider:
        await play(provider, tmp_path)
    (exchange,) = provider.exchanges
    times = [message.after_ns for message in exchange.messages[4:]]  # after the warm-up and its answer
    assert times[3] - times[2] >= 50_000_000


async def test_a_refused_upgrade_falls_back_to_http(tmp_path: Path) -> None:
    async with Provider(with_fault(refuse={"times": 9})) as provider:
        said = await play(provider, tmp_path)
    refused, *others = provider.exchanges
    assert (refused.status, refused.fault, refused.messages) == (426, "refuse", [])
    assert json.loads(refused.response)["error"]["code"] == "websocket_not_supported"
    assert [(other.request.method, other.status, other.turn) for other in others] == [
        ("POST", 200, 0),
        ("POST", 200, 1),
    ]
    assert "over HTTP from here on" in said


async def test_an_upgrade_that_fails_for_a_moment_is_tried_again(tmp_path: Path) -> None:
    async with Provider(with_fault(refuse={"status": 503, "times": 2})) as provider:
        await play(provider, tmp_path)
    assert [exchange.status for exchange in provider.exchanges] == [503, 503, 101]


async def test_an_agent_that_hangs_up_says_no_good_bye(tmp_path: Path) -> None:
    async with Provider(script(TWO_TURNS)) as provider:
        await play(provider, tmp_path, "--hang-up")
        async with asyncio.timeout(10):
            while not provider.exchanges[0].end:
                await asyncio.sleep(0.01)
    assert provider.exchanges[0].end == "client went away"


async def test_code_mode_needs_its_tool_told_only_once(tmp_path: Path) -> None:
    async with Provider(script(THREE_TURNS)) as provider:
        await play(provider, tmp_path, "--code-mode")
    _, first, second, third = asked(provider.exchanges[0])
    assert kinds(first) == ["additional_tools", "message", "message"]
    assert kinds(second) == kinds(third) == ["custom_tool_call_output"]


def converse(url: str, sends: list[Any]) -> tuple[list[str], list[str]]:
    """(sent, received): each is sent and answered until its last event."""
    socket, sent, received = Socket(f"{url}/v1/responses", {}, 10, 10), list[str](), list[str]()
    for value in sends:
        sent.append(json.dumps(value, ensure_ascii=False))
        socket.send(sent[-1])
        received.append(socket.receive())
        while json.loads(received[-1])["type"] not in ("error", "response.completed"):
            received.append(socket.receive())
    socket.close()
    return sent, received


async def test_the_truth_is_what_went_over_the_socket() -> None:
    create = {
        "type": "response.create",
        "input": "Go. 💡" + "x" * 200_000,
        "tools": [{"type": "function", "name": "bash"}],
    }
    async with Provider(script(TWO_TURNS)) as provider:
        sent, received = await asyncio.to_thread(converse, provider.url, [create])
        (exchange,) = provider.exchanges
    assert [message.text for message in exchange.messages if message.sender == "client"] == sent
    assert [message.text for message in exchange.messages if message.sender == "server"] == received
    assert turns(exchange.messages) == [(sent[0].encode(), "\n".join(received).encode())]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "response.create", "previous_response_id": "resp_main_T001N0_x"}, "previous_response_not_found"),
        ({"type": "session.update"}, None),
        ([1], None),
    ],
)
async def test_what_cannot_be_answered_is_an_error_message(message: Any, code: str | None) -> None:
    """A response id of another connection too, however well it looks."""
    async with Provider(script(TWO_TURNS)) as provider:
        _, (received,) = await asyncio.to_thread(converse, provider.url, [message])
    told = json.loads(received)
    assert (told["type"], told["status"], told["error"]["code"]) == ("error", 400, code)


async def test_a_client_may_ping_and_may_not_send_bytes() -> None:
    def talk(url: str) -> None:
        socket = Socket(f"{url}/v1/responses", {}, 10, 10)
        socket._send(Ping(b"and you?"))
        socket._send(BytesMessage(b"\x00"))
        with pytest.raises(ConnectionError, match="1003"):
            socket.receive()
        socket.close(politely=False)

    async with Provider(script(TWO_TURNS)) as provider:
        await asyncio.to_thread(talk, provider.url)


async def test_a_handshake_without_a_key_is_refused() -> None:
    async with Provider(script(TWO_TURNS)) as provider:
        reader, writer = await asyncio.open_connection("127.0.0.1", provider.port)
        writer.write(b"GET /v1/responses HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
        writer.close()


async def test_a_provider_that_stops_writes_down_what_was_said(tmp_path: Path) -> None:
    async with Provider(script(TWO_TURNS), truth=tmp_path) as provider:
        socket = await asyncio.to_thread(Socket, f"{provider.url}/v1/responses", {}, 10, 10)
        socket.send("{}")
        await asyncio.to_thread(socket.receive)
    socket.close(politely=False)
    assert json.loads((tmp_path / "0001.json").read_text())["end"] == "provider stopped"
    assert len((tmp_path / "0001.messages").read_text().splitlines()) == 2


@asynccontextmanager
async def tunnel(port: int, secret: str) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A proxy that takes CONNECT alone, from who knows the secret; (host:port, the heads it was sent)."""
    heads: list[bytes] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        basic = base64.b64encode(secret.encode())
        if not heads[-1].startswith(b"CONNECT ") or b"Proxy-Authorization: Basic " + basic not in heads[-1]:
            writer.write(b"HTTP/1.1 407 Who are you?\r\nContent-Length: 0\r\n\r\n")
            writer.close()
            return
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, up_writer), pump(up_reader, writer), return_exceptions=True)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", heads
    finally:
        server.close()


@pytest.mark.parametrize("dialect", [SOCKET, "openai-responses"])
async def test_an_agent_goes_through_a_proxy_that_wants_a_password(dialect: str, tmp_path: Path) -> None:
    async with (
        Provider(script(TWO_TURNS), tls=tmp_path / "tls") as provider,
        tunnel(provider.tls_port, "who:p@ss word") as (proxy, heads),
    ):
        trust = {"SSL_CERT_FILE": str(tmp_path / "tls" / "cert.pem")}
        options = ("https://api.openai.com/v1", tmp_path, "--dialect", dialect)
        known = {"HTTPS_PROXY": f"http://who:p%40ss%20word@{proxy}", **trust}
        status, said = await run_agent(*options, **known)
        assert status == 0, said
        assert heads[0].startswith(b"CONNECT api.openai.com:443 ")
        assert (await run_agent(*options, HTTPS_PROXY=f"http://{proxy}", **trust))[0] == 1


async def test_even_a_plain_websocket_goes_through_the_proxy_by_connect(tmp_path: Path) -> None:
    async with Provider(script(TWO_TURNS)) as provider, tunnel(provider.port, "a:b") as (proxy, heads):
        status, said = await run_agent(
            "http://model.invalid:8080/v1", tmp_path, "--dialect", SOCKET, HTTP_PROXY=f"http://a:b@{proxy}"
        )
        assert status == 0, said
        assert len(heads) == 1
        assert heads[0].startswith(b"CONNECT model.invalid:8080 ")
    assert provider.exchanges[0].request.header("host") == "model.invalid:8080"


async def test_an_agent_believes_only_the_bundle_it_is_given(tmp_path: Path) -> None:
    async with Provider(script(TWO_TURNS), tls=tmp_path / "tls") as provider:
        await play_tls(provider, tmp_path, 0, SSL_CERT_FILE=str(tmp_path / "tls" / "cert.pem"))
        await play_tls(provider, tmp_path, 1)


async def play_tls(provider: Provider, cwd: Path, expected: int, **env: str) -> None:
    status, said = await run_agent(base_url(provider, SOCKET, tls=True), cwd, "--dialect", SOCKET, **env)
    assert status == expected, said


async def test_a_refusal_that_no_retry_cures_is_raised_at_once() -> None:
    async with Provider(with_fault(refuse={"status": 401})) as provider:
        with pytest.raises(UpgradeRefused, match="401"):
            await asyncio.to_thread(Socket, f"{provider.url}/v1/responses", {}, 10, 10)
