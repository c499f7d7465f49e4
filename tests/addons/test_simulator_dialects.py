"""One script in every API's words: the agent is told and does the same, and faults have each API's own shape."""

import json
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from simulation import base_url, run_agent, script
from tapes_addons.simulators.agent import DIALECTS, SOCKET
from tapes_addons.simulators.clients.base import Setting
from tapes_addons.simulators.http1 import Request
from tapes_addons.simulators.provider import Provider
from tapes_addons.simulators.truth import read_messages, turns

HTTP = [name for name in DIALECTS if name != SOCKET]
WITH_IDS = {"anthropic", "openai-responses", SOCKET}
TURNS: list[dict[str, Any]] = [
    {
        "thinking": "Häßlich —\u2028 but short.",
        "text": "Two things at once.",
        "tools": [
            {"tool": "bash", "input": {"command": "echo one"}},
            {"tool": "bash", "input": {"command": "echo two >&2; exit 3"}},
        ],
    },
    {"tools": [{"tool": "write_file", "input": {"file_path": "new.txt", "content": 'ä "quoted" \\ line\n'}}]},
    {"text": "Done, all of it: " + "word " * 20},
]
TOLD = {
    "> Go.": 1,
    "✻ Häßlich —": 1,
    "Two things at once.": 1,
    "$ echo one": 1,
    "  one": 1,
    "$ echo two >&2; exit 3": 1,
    "  Exit code 3": 1,
    "● write_file new.txt": 1,
    "  new.txt is written.": 1,
    "Done, all of it: " + "word " * 20: 1,
}
"""Lines of the agent's account, and how often each is there; calls of one turn end in any order."""
STREAM_ERRORS = {
    "anthropic": b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"',
    "openai-chat": b'data: {"error":{"message":"Overloaded","type":"server_error"',
    "openai-responses": b'event: response.failed\ndata: {"type":"response.failed"',
    "gemini": b'data: {"error":{"code":503,',
    "gemini-array": b',\r\n{\n  "error": {\n    "code": 503',
    "ollama": b'\n{"error":"the model is overloaded"}\n',
}
ERRORS: dict[str, Any] = {
    "anthropic": lambda body: body["type"] == "error" and body["error"]["type"] == "rate_limit_error",
    "openai-chat": lambda body: body["error"]["code"] == "rate_limit_exceeded",
    "openai-responses": lambda body: body["error"]["code"] == "rate_limit_exceeded",
    "gemini": lambda body: body["error"]["code"] == 429 and body["error"]["status"] == "RESOURCE_EXHAUSTED",
    "gemini-array": lambda body: body[0]["error"]["status"] == "RESOURCE_EXHAUSTED",
    "ollama": lambda body: isinstance(body["error"], str),
}


def assert_told(said: str) -> None:
    lines = said.split("\n")
    assert {line: lines.count(line) for line in TOLD} == TOLD, said


def faulty(**faults: Any) -> Any:
    return script([{**TURNS[0], "faults": faults}, *TURNS[1:]])


@pytest.mark.parametrize("options", [[], ["--no-stream"], ["--hang-up"]], ids=str)
@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_same_script_is_played_in_every_dialect(dialect: str, options: list[str], tmp_path: Path) -> None:
    async with Provider(script(TURNS)) as provider:
        status, said = await run_agent(base_url(provider, dialect), tmp_path, "--dialect", dialect, *options)
    assert status == 0, said
    assert_told(said)
    assert (tmp_path / "new.txt").read_text() == 'ä "quoted" \\ line\n'
    asked = [exchange.turn for exchange in provider.exchanges]
    assert asked == ([None] if dialect == SOCKET else [0, 1, 2])


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_the_truth_holds_every_byte_of_a_run(dialect: str, tmp_path: Path) -> None:
    truth = tmp_path / "truth"
    async with Provider(script(TURNS), truth=truth) as provider:
        await run_agent(base_url(provider, dialect), tmp_path, "--dialect", dialect)
    for exchange in provider.exchanges:
        stem = truth / f"{exchange.number:04d}"
        assert stem.with_suffix(".req").read_bytes() == exchange.request.body
        assert stem.with_suffix(".resp").read_bytes() == exchange.response
        if dialect == SOCKET:
            assert read_messages(stem.with_suffix(".messages")) == exchange.messages
            assert [len(said) > 0 for _, said in turns(exchange.messages)] == [True] * 4
    calls = b"".join(exchange.response for exchange in provider.exchanges) or b"".join(
        message.text.encode() for message in provider.exchanges[0].messages if message.sender == "server"
    )
    assert b"write_file" in calls


@pytest.mark.parametrize("dialect", HTTP)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_what_a_client_receives_is_the_truth(dialect: str, stream: bool) -> None:
    async with Provider(script(TURNS), encode="gzip") as provider:
        async with httpx.AsyncClient(trust_env=False) as http:
            response = await http.post(**request_of(provider, dialect, stream))
        (exchange,) = provider.exchanges
    assert response.status_code == 200
    assert response.content == exchange.response
    assert exchange.request.body == response.request.content
    assert (len(exchange.chunks) > 3) == stream
    assert response.headers["content-encoding"] == "gzip"


def request_of(provider: Provider, dialect: str, stream: bool = True) -> dict[str, Any]:
    """httpx's arguments for the first request of a conversation."""
    speaks = DIALECTS[dialect]()
    setting = Setting(speaks.model, "Be brief.", "Here.", str(uuid.uuid4()), stream=stream)
    body = speaks.request(setting, speaks.begin(setting, "Go."))
    return {"url": base_url(provider, dialect) + speaks.path(setting), "json": body, "timeout": 20}


@pytest.mark.parametrize("dialect", HTTP)
async def test_an_error_status_has_the_dialects_own_shape_and_is_retried(dialect: str, tmp_path: Path) -> None:
    async with Provider(faulty(error={"status": 429, "times": 2})) as provider:
        status, said = await run_agent(base_url(provider, dialect), tmp_path, "--dialect", dialect)
    assert status == 0, said
    assert_told(said)
    assert [exchange.status for exchange in provider.exchanges] == [429, 429, 200, 200, 200]
    assert ERRORS[dialect](json.loads(provider.exchanges[0].response))
    assert len({exchange.request.body for exchange in provider.exchanges[:3]}) == 1
    assert said.count("↻ 429") == 2


@pytest.mark.parametrize("dialect", HTTP)
async def test_an_error_inside_the_stream_has_the_dialects_own_shape_and_is_retried(
    dialect: str, tmp_path: Path
) -> None:
    async with Provider(faulty(sse_error={"after": 3})) as provider:
        status, said = await run_agent(base_url(provider, dialect), tmp_path, "--dialect", dialect)
    assert status == 0, said
    broken, again, *_ = provider.exchanges
    assert STREAM_ERRORS[dialect] in broken.response
    assert (broken.status, broken.fault) == (200, "sse_error")
    assert again.request.body == broken.request.body
    assert "↻ BrokenStream" in said


@pytest.mark.parametrize("dialect", HTTP)
async def test_a_cut_and_a_stall_come_in_every_dialect(dialect: str, tmp_path: Path) -> None:
    faults = {"drop": {"after": 4}, "stall": {"after": 2, "seconds": 0.05}}
    async with Provider(faulty(**faults)) as provider:
        status, said = await run_agent(base_url(provider, dialect), tmp_path, "--dialect", dialect)
    assert status == 0, said
    assert_told(said)
    first, second, *_ = provider.exchanges
    assert (first.end, first.fault, len(first.chunks)) == ("dropped", "drop, stall", 4)
    assert second.response.startswith(first.response[:40])
    assert first.chunks[2].after_ns - first.chunks[1].after_ns >= 50_000_000


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_ids_stand_in_headers_only_where_real_agents_have_them(dialect: str, tmp_path: Path) -> None:
    tasks = [{"tool": "task", "input": {"description": "x", "prompt": "[script:sub] Look."}}] * 2
    plays = script([{"tools": tasks}, {"text": "Both back."}], sub=TURNS[:1] + TURNS[2:])
    async with Provider(plays) as provider:
        options = ["--dialect", dialect, "--session", "s1"]
        status, said = await run_agent(base_url(provider, dialect), tmp_path, *options)
        assert status == 0, said
        assert said.count("  │ Two things at once.") == 2
        await run_agent(base_url(provider, dialect), tmp_path, *options, "--no-ids")
    ran = [ids(exchange.request) for exchange in provider.exchanges]
    with_ids, without = ran[: len(ran) // 2], ran[len(ran) // 2 :]
    assert {session for session, _ in with_ids} == ({"s1"} if dialect in WITH_IDS else {""})
    assert len({agent for _, agent in with_ids}) == (3 if dialect in WITH_IDS else 1)
    assert set(without) == {("", "")}


def ids(request: Request) -> tuple[str, str]:
    return request.header("x-tapes-demo-session"), request.header("x-tapes-demo-agent-id")


@pytest.mark.parametrize(
    ("dialect", "variable"),
    [("openai-chat", "OPENAI_BASE_URL"), ("gemini", "GOOGLE_GEMINI_BASE_URL"), ("ollama", "OLLAMA_HOST")],
)
async def test_the_usual_variable_says_where_the_api_is(dialect: str, variable: str, tmp_path: Path) -> None:
    async with Provider(script(TURNS)) as provider:
        url = base_url(provider, dialect)
        url = url.removeprefix("http://") if dialect == "ollama" else url
        status, said = await run_agent("", tmp_path, "--dialect", dialect, **{variable: url})
    assert status == 0, said


async def test_the_other_paths_of_each_api_answer() -> None:
    async with Provider(script(TURNS)) as provider, httpx.AsyncClient(base_url=provider.url, trust_env=False) as http:
        listed = await http.get("/v1/models", headers={"authorization": "Bearer x"})
        assert listed.json()["object"] == "list"
        assert (await http.get("/v1beta/models")).json()["models"][0]["name"].startswith("models/")
        counted = await http.post("/v1beta/models/m:countTokens", json={"contents": []})
        assert counted.json()["totalTokens"] > 0
        assert (await http.get("/api/tags")).json()["models"]
        assert "version" in (await http.get("/api/version")).json()
        for path in ("/v1/chat/completions", "/v1/responses", "/v1beta/models/m:generateContent", "/api/chat"):
            refused = await http.post(path, content=b"{")
            assert refused.status_code == 400
            assert "error" in refused.json()


async def test_a_response_can_be_gone_on_from_by_its_id() -> None:
    """What the SDKs do with `previous_response_id` and a server that stores: only the new items are sent."""
    async with Provider(script(TURNS)) as provider, httpx.AsyncClient(base_url=provider.url, trust_env=False) as http:
        tools = [{"type": "function", "name": "bash", "parameters": {}}]
        first = (await http.post("/v1/responses", json={"input": "Go.", "tools": tools})).json()
        calls = [item for item in first["output"] if item["type"] == "function_call"]
        results = [{"type": "function_call_output", "call_id": call["call_id"], "output": "x"} for call in calls]
        new = {"input": results, "tools": tools, "previous_response_id": first["id"]}
        second = (await http.post("/v1/responses", json=new)).json()
        assert [item["name"] for item in second["output"]] == ["write_file"]
        unknown = await http.post("/v1/responses", json={**new, "previous_response_id": "resp_unheard"})
        assert unknown.status_code == 400


SCHEMA = {
    "type": "OBJECT",
    "properties": {
        "why": {"type": "STRING"},
        "score": {"type": "INTEGER", "minimum": 3},
        "next": {"anyOf": [{"enum": ["user", "model"]}]},
        "more": {"type": "object", "properties": {"sure": {"type": "boolean"}, "list": {"type": "array"}}},
        "unwanted": {},
    },
    "required": ["why", "score", "next", "more"],
}


@pytest.mark.parametrize(
    ("dialect", "asks"),
    [
        ("anthropic", {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}),
        ("openai-chat", {"response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA}}}),
        ("openai-responses", {"text": {"format": {"type": "json_schema", "schema": SCHEMA}}}),
        ("gemini", {"generationConfig": {"responseJsonSchema": SCHEMA}}),
        ("ollama", {"format": SCHEMA}),
    ],
)
async def test_a_question_beside_the_conversation_gets_an_answer_that_fits(dialect: str, asks: dict[str, Any]) -> None:
    async with Provider(faulty(error={"status": 500})) as provider, httpx.AsyncClient(trust_env=False) as http:
        request = request_of(provider, dialect, stream=False)
        response = await http.post(**{**request, "json": {**request["json"], **asks}})
    speaks = DIALECTS[dialect]()
    expected = {"why": "OK", "score": 3, "next": "user", "more": {"sure": True, "list": []}}
    assert json.loads(speaks.said(response.json()).text) == expected


async def test_code_mode_calls_its_one_freeform_tool(tmp_path: Path) -> None:
    async with Provider(script(TURNS)) as provider:
        url = base_url(provider, "openai-responses")
        status, said = await run_agent(url, tmp_path, "--dialect", "openai-responses", "--code-mode")
    assert status == 0, said
    assert_told(said)
    first, *_, last = (json.loads(exchange.request.body) for exchange in provider.exchanges)
    assert "tools" not in first
    assert first["input"][0]["tools"][0]["tools"][0]["name"] == "exec"
    made = [item for item in last["input"] if item["type"] == "custom_tool_call"]
    assert made[0]["namespace"] == "functions"
    assert made[0]["input"] == 'const r = await tools.exec_command({"cmd": "echo one"}); text(r);'
    results = [item["call_id"] for item in last["input"] if item["type"] == "custom_tool_call_output"]
    assert results == [item["call_id"] for item in made]
