"""The simulators must be good yardsticks: what they say they sent is what a client received, faults too."""

import asyncio
import gzip
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
import zstandard

from simulation import FAST, TWO_TURNS, environment, run_agent, script, with_fault
from tapes_addons.simulators import http1
from tapes_addons.simulators.clients.anthropic import AnthropicReader
from tapes_addons.simulators.clients.framing import event_data
from tapes_addons.simulators.demo import PROMPT, SCRIPT, demo_project
from tapes_addons.simulators.encode import CODINGS, decode
from tapes_addons.simulators.growing import growing_session
from tapes_addons.simulators.process import provider_process
from tapes_addons.simulators.provider import Provider
from tapes_addons.simulators.script import load_script, read_script

ENCODINGS = ["", *CODINGS, "gzip, br", "zstd, deflate"]


def client(provider: Provider, **options: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=provider.url, trust_env=False, timeout=20, **options)


def asks(**fields: Any) -> dict[str, Any]:
    tools = [{"name": "bash", "input_schema": {"type": "object"}}]
    return {
        "model": "m",
        "stream": True,
        "tools": tools,
        "messages": [{"role": "user", "content": "Go."}],
        **fields,
    }


async def receive(provider: Provider, **fields: Any) -> tuple[int, bytes, bool]:
    """(status, the wire bytes that arrived, whether the body ended as HTTP wants it)."""
    received = b""
    async with client(provider) as http, http.stream("POST", "/v1/messages", json=asks(**fields)) as response:
        try:
            async for piece in response.aiter_raw():
                received += piece
        except httpx.TransportError:
            return response.status_code, received, False
        return response.status_code, received, True


@pytest.mark.parametrize(("name", "statuses"), [("demo-a", [200] * 6), ("demo-b", [200] * 4 + [529] + [200] * 3)])
def test_each_demo_run_ends_with_a_mended_project(name: str, statuses: list[int], tmp_path: Path) -> None:
    demo_project(tmp_path / "project")
    (tmp_path / "fast.json").write_text(json.dumps({**json.loads(SCRIPT.read_text()), "pace": FAST}))
    command = [sys.executable, "-m", "tapes_addons.simulators.agent", PROMPT, "--fast", "--script", name]
    with (
        provider_process(tmp_path / "fast.json", "--truth", str(tmp_path / "truth")) as ports,
        environment(ANTHROPIC_BASE_URL=f"http://127.0.0.1:{ports['http']}"),
    ):
        done = subprocess.run(command, cwd=tmp_path / "project", capture_output=True, timeout=60, check=False)
    status, said = done.returncode, done.stdout.decode() + done.stderr.decode()
    assert status == 0, said
    assert said.count("Exit code 1") == (1 if name == "demo-a" else 2)
    assert "net >= FREE_FROM" in (tmp_path / "project" / "prices.py").read_text()
    told = [json.loads(file.read_text()) for file in sorted((tmp_path / "truth").glob("*.json"))]
    assert [exchange["status"] for exchange in told] == statuses


def test_the_demo_runs_are_the_same_until_their_fourth_turn() -> None:
    first, second = (load_script(SCRIPT).scripts[name] for name in ("demo-a", "demo-b"))
    assert [a == b for a, b in zip(first, second, strict=False)][:4] == [True, True, True, False]


@pytest.mark.parametrize("encode", ENCODINGS)
async def test_the_truth_is_what_the_client_received(encode: str, tmp_path: Path) -> None:
    async with Provider(script(TWO_TURNS), encode=encode, truth=tmp_path) as provider:
        for stream in (True, False):
            async with (
                client(provider) as http,
                http.stream("POST", "/v1/messages", json=asks(stream=stream)) as got,
            ):
                wire = b"".join([piece async for piece in got.aiter_raw()])
                assert got.headers.get("content-encoding", "") == encode
            exchange = provider.exchanges[-1]
            assert exchange.wire == wire
            assert exchange.response == decode(wire, encode)
            assert (tmp_path / f"{exchange.number:04d}.resp").read_bytes() == exchange.response
            assert (tmp_path / f"{exchange.number:04d}.req").read_bytes() == got.request.content
    assert len(provider.exchanges[0].chunks) >= 8


@pytest.mark.parametrize("encode", ENCODINGS)
async def test_an_agent_reads_every_encoding(encode: str, tmp_path: Path) -> None:
    async with Provider(script(TWO_TURNS), encode=encode) as provider:
        status, said = await run_agent(provider.url, tmp_path)
    assert (status, [exchange.turn for exchange in provider.exchanges]) == (0, [0, 1]), said
    assert "Häßlich —\n but short." in said
    assert "$ echo one\n  one\n" in said


async def test_a_client_that_accepts_no_coding_gets_none() -> None:
    async with Provider(script(TWO_TURNS), encode="br") as provider, client(provider) as http:
        response = await http.post("/v1/messages", json=asks(), headers={"accept-encoding": "gzip;q=1.0"})
    assert "content-encoding" not in response.headers


@pytest.mark.parametrize("encode", ["gzip", "br", "zstd", "gzip, br"])
async def test_every_event_can_be_read_as_soon_as_it_arrives(encode: str) -> None:
    """Stalled for ever after four events: an unflushed coder would still hold some of them."""
    faults = {"stall": {"after": 4, "seconds": 600}}
    async with Provider(with_fault(**faults), encode=encode) as provider, client(provider) as http:
        async with http.stream("POST", "/v1/messages", json=asks()) as response:
            text = ""
            async for piece in response.aiter_text():
                text += piece
                if text.count("\n\n") == 4:
                    break
        assert text.encode() == provider.exchanges[0].response


async def test_errors_are_retried_with_the_same_bytes(tmp_path: Path) -> None:
    faults = {"error": {"status": 429, "times": 2, "retry_after": 7}}
    async with Provider(with_fault(**faults)) as provider:
        status, said = await run_agent(provider.url, tmp_path)
    assert status == 0, said
    assert [exchange.status for exchange in provider.exchanges] == [429, 429, 200, 200]
    assert len({exchange.request.body for exchange in provider.exchanges[:3]}) == 1
    assert ("retry-after", "7") in provider.exchanges[0].headers
    assert "↻ 429 rate_limit_error" in said


@pytest.mark.parametrize("faults", [{"sse_error": {"after": 4}}, {"drop": {"after": 2}}, {"drop": {"after": -1}}])
async def test_an_agent_asks_again_after_a_broken_stream(faults: dict[str, Any], tmp_path: Path) -> None:
    async with Provider(with_fault(**faults)) as provider:
        status, said = await run_agent(provider.url, tmp_path)
    assert status == 0, said
    assert "↻" in said
    first, second, _ = provider.exchanges
    assert first.request.body == second.request.body
    assert (first.end == "dropped") == ("drop" in faults)


async def test_an_agent_gives_up_on_an_error_that_stays(tmp_path: Path) -> None:
    async with Provider(with_fault(error={"status": 529, "times": 99})) as provider:
        assert (await run_agent(provider.url, tmp_path))[0] == 1
    async with Provider(with_fault(error={"status": 400, "times": 99})) as provider:
        assert (await run_agent(provider.url, tmp_path))[0] == 1
        assert len(provider.exchanges) == 1


@pytest.mark.parametrize("rst", [False, True])
async def test_a_cut_stream_has_sent_just_the_events_before_the_cut(rst: bool) -> None:
    async with Provider(with_fault(drop={"after": 5, "rst": rst})) as provider:
        status, received, ended = await receive(provider)
        assert (status, ended) == (200, False)
        sent = provider.exchanges[0].wire
        assert sent.count(b"\n\n") == 5
        assert sent.startswith(received) if rst else sent == received
        assert (await receive(provider))[2]


async def test_a_cut_before_the_head_is_no_response_at_all() -> None:
    async with Provider(with_fault(drop={"after": -1})) as provider:
        with pytest.raises(httpx.RemoteProtocolError):
            await receive(provider)
    assert provider.exchanges[0].status == 0


async def test_an_error_event_ends_the_stream_in_good_order() -> None:
    async with Provider(with_fault(sse_error={"after": 3})) as provider:
        status, received, ended = await receive(provider)
    assert (status, ended, received.count(b"\n\n")) == (200, True, 4)
    assert json.loads(list(event_data([received.decode()]))[-1])["error"]["type"] == "overloaded_error"


async def test_a_response_left_open_is_whole_before_the_agent_hangs_up(tmp_path: Path) -> None:
    async with Provider(with_fault(no_close=600, first_byte=0.05)) as provider:
        status, said = await run_agent(provider.url, tmp_path, "--hang-up")
        await asyncio.sleep(0.1)
    assert status == 0, said
    assert provider.exchanges[0].end == "client went away"
    assert b"message_stop" in provider.exchanges[0].response


async def test_a_side_call_without_tools_uses_up_no_fault() -> None:
    async with Provider(with_fault(error={"status": 500})) as provider:
        assert (await receive(provider, tools=[]))[0] == 200
        assert [(await receive(provider))[0] for _ in range(2)] == [500, 200]


async def test_commands_of_one_turn_run_at_the_same_time(tmp_path: Path) -> None:
    """Each waits for the other's file, so one after the other would end with an error."""
    wait = "for i in $(seq 500); do [ -e {} ] && exit 0; sleep 0.02; done; exit 9"
    commands = [f"touch a; {wait.format('b')}", f"touch b; {wait.format('a')}"]
    turns = [{"tools": [{"tool": "bash", "input": {"command": c}} for c in commands]}, {"text": "Done."}]
    async with Provider(script(turns)) as provider:
        await run_agent(provider.url, tmp_path)
    results = json.loads(provider.exchanges[1].request.body)["messages"][-1]["content"]
    assert [block["content"] for block in results] == ["(no output)", "(no output)"]


async def test_tools_really_change_files_and_say_when_they_cannot(tmp_path: Path) -> None:
    tools = [
        [{"tool": "write_file", "input": {"file_path": "new.txt", "content": "old text"}}],
        [{"tool": "edit_file", "input": {"file_path": "new.txt", "old_string": "old", "new_string": "new"}}],
        [
            {"tool": "edit_file", "input": {"file_path": "new.txt", "old_string": "none", "new_string": "x"}},
            {"tool": "read_file", "input": {"file_path": "missing"}},
            {"tool": "bash", "input": {"command": "echo out; echo err >&2; exit 3"}},
            {"tool": "unheard_of", "input": {}},
        ],
    ]
    async with Provider(script([{"tools": calls} for calls in tools] + [{"text": "Done."}])) as provider:
        assert (await run_agent(provider.url, tmp_path))[0] == 0
    assert (tmp_path / "new.txt").read_text() == "new text"
    results = json.loads(provider.exchanges[-1].request.body)["messages"][-1]["content"]
    assert [block["is_error"] for block in results] == [True] * 4
    assert results[2]["content"] == "out\nerr\nExit code 3"


async def test_subagents_are_conversations_of_their_own(tmp_path: Path) -> None:
    tasks = [{"tool": "task", "input": {"description": "x", "prompt": "[script:sub] Look."}}] * 2
    async with Provider(script([{"tools": tasks}, {"text": "Both back."}], sub=TWO_TURNS)) as provider:
        assert (await run_agent(provider.url, tmp_path, "--session", "s1"))[0] == 0
    asked = [exchange.request for exchange in provider.exchanges]
    assert sorted(exchange.script for exchange in provider.exchanges) == ["main"] * 2 + ["sub"] * 4
    assert {request.header("x-tapes-demo-session") for request in asked} == {"s1"}
    agents = {request.header("x-tapes-demo-agent-id") for request in asked} - {""}
    results = json.loads(asked[-1].body)["messages"][-1]["content"]
    assert {block["content"].split("agentId: ")[1] for block in results} == agents
    assert len(agents) == 2
    ids = {block["id"] for block in _calls(asked) if block["id"].startswith("toolu_sub_")}
    assert len(ids) == 2, "two agents on one script share no call id"


def _calls(requests: list[http1.Request]) -> list[dict[str, Any]]:
    messages = [message for request in requests for message in json.loads(request.body)["messages"]]
    blocks = [block for message in messages if message["role"] == "assistant" for block in message["content"]]
    return [block for block in blocks if block["type"] == "tool_use"]


async def test_each_request_extends_the_one_before_and_moves_its_mark(tmp_path: Path) -> None:
    async with Provider(script([TWO_TURNS[0], TWO_TURNS[0], TWO_TURNS[1]])) as provider:
        await run_agent(provider.url, tmp_path)
    histories = [json.loads(exchange.request.body)["messages"] for exchange in provider.exchanges]
    for history in histories:
        assert "cache_control" in history[-1]["content"][-1]
        assert json.dumps(history).count("cache_control") == 1
        del history[-1]["content"][-1]["cache_control"]
    assert [len(history) for history in histories] == [1, 3, 5]
    assert histories[2][:3] == histories[1]
    assert histories[1][:1] == histories[0]


async def test_an_agent_goes_through_the_proxy_of_its_environment(tmp_path: Path) -> None:
    async with Provider(script(TWO_TURNS)) as provider:
        status, said = await run_agent("http://model.invalid", tmp_path, HTTP_PROXY=provider.url)
    assert status == 0, said
    assert provider.exchanges[0].request.target == "http://model.invalid/v1/messages"


async def test_an_agent_trusts_the_bundle_of_its_environment(tmp_path: Path) -> None:
    async with Provider(script(TWO_TURNS), tls=tmp_path / "tls") as provider:
        trusting = await run_agent(provider.tls_url, tmp_path, SSL_CERT_FILE=str(tmp_path / "tls" / "cert.pem"))
        assert trusting[0] == 0, trusting[1]
        assert (await run_agent(provider.tls_url, tmp_path))[0] == 1


async def test_a_process_serves_both_schemes_and_ends_by_itself(tmp_path: Path) -> None:
    turns = tmp_path / "script.json"
    turns.write_text(json.dumps(TWO_TURNS))
    with provider_process(turns, "--tls", str(tmp_path), "--max-seconds", "0.5") as ports:
        assert sorted(ports) == ["http", "https"]
        for _ in range(500):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", ports["http"])
            except ConnectionRefusedError:
                return
            writer.close()
            await asyncio.sleep(0.02)
    pytest.fail("it still listens")


async def test_the_other_paths_of_the_api_answer() -> None:
    async with Provider(script(TWO_TURNS)) as provider, client(provider) as http:
        assert (await http.head("/")).status_code == 200
        assert (await http.post("/v1/messages/count_tokens", json=asks())).json()["input_tokens"] > 10
        models = (await http.get("/v1/models")).json()["data"]
        assert (await http.get(f"/v1/models/{models[0]['id']}")).json() == models[0]
        assert (await http.post("/api/event_logging/v2/batch", json={})).status_code == 200
        assert (await http.get("/nowhere")).json()["error"]["type"] == "not_found_error"
        assert (await http.post("/v1/messages", content=b"{")).status_code == 400
    assert len(provider.exchanges) == 7


@pytest.mark.parametrize(("coding", "code"), [("gzip", gzip.compress), ("zstd", zstandard.compress)])
async def test_request_bodies_may_be_coded_and_chunked(coding: str, code: Any) -> None:
    body = code(json.dumps(asks()).encode())

    async def pieces() -> Any:
        for at in range(0, len(body), 40):
            yield body[at : at + 40]

    async with Provider(script(TWO_TURNS)) as provider, client(provider) as http:
        headers = {"content-encoding": coding}
        response = await http.post("/v1/messages", content=pieces(), headers=headers)
        assert response.text.rstrip().endswith('{"type":"message_stop"}')
        assert provider.exchanges[0].request.body == body
        refused = await http.post("/v1/messages", content=b"not coded", headers=headers)
        assert refused.status_code == 400


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ([{"txet": "x"}], r"main\[0\]: unknown field 'txet'"),
        ([{"tools": [{"tool": "bash"}]}], r"main\[0\]\.tools\[0\]: .*input"),
        ([{"faults": {"drop": {"when": 1}}}], r"main\[0\]\.faults\.drop: unknown field 'when'"),
        ([{}, {"faults": {"refuse": {}}}], "main: .*`refuse` belongs in the first"),
        ({"scripts": {"a_b": []}}, "a_b"),
        ({"scripts": {}}, "at least one"),
    ],
)
def test_a_mistake_in_a_script_is_named(value: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read_script(value)


def test_a_growing_session_repeats_what_was_answered() -> None:
    turns = list(growing_session(12, seed=3))
    assert turns == list(growing_session(12, seed=3))
    assert turns != list(growing_session(12, seed=4))
    for (_, response), (request, _) in pairwise(turns):
        reader = AnthropicReader()
        for data in event_data([response.decode()]):
            reader.feed(data)
        assert reader.done
        assert json.loads(request)["messages"][-2]["content"] == reader.whole["content"]
    sizes = [len(request) for request, _ in turns]
    assert sizes == sorted(sizes)
    assert 45_000 < sizes[0] < 60_000
