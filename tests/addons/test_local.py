"""What an agent tells us at our own address is heard, answered at once, and goes nowhere else."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path

import httpx
import pytest

from proxied import proxy
from tapes.wire.command import ToolSeen
from tapes.wire.exchange import Happening

SPAN = {
    "name": "claude_code.tool.execution",
    "spanId": "44dcf55e42f69f76",
    "attributes": [{"key": "tool_use_id", "value": {"stringValue": "toolu_1"}}],
}
TRACES = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [SPAN]}]}]}).encode()


@pytest.mark.parametrize("through", ["directly", "by the proxy setting"])
@pytest.mark.parametrize("form", ["plain", "gzip", "chunked"])
async def test_telemetry_is_heard_in_every_form_it_comes_in(tmp_path: Path, form: str, through: str) -> None:
    heard: list[Happening] = []
    async with proxy(tmp_path, [], seen=heard.append) as port:
        own = f"http://127.0.0.1:{port}"
        body = gzip.compress(TRACES) if form == "gzip" else TRACES
        headers = {"content-type": "application/json"} | ({"content-encoding": "gzip"} if form == "gzip" else {})

        async def pieces():  # type: ignore[no-untyped-def]
            yield body[:50]
            yield body[50:]

        content = pieces() if form == "chunked" else body
        async with httpx.AsyncClient(proxy=own if through != "directly" else None, trust_env=False) as client:
            answer = await client.post(f"{own}/.tapes/otlp/v1/traces", content=content, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {})
    assert [(seen.tool_id, seen.mark) for seen in heard if isinstance(seen, ToolSeen)] == [
        ("toolu_1", "44dcf55e42f69f76")
    ]
    assert len(heard) == 1, "no model call, no egress, nothing counted"


async def test_whatever_is_said_the_answer_is_200_and_decides_nothing(tmp_path: Path) -> None:
    heard: list[Happening] = []
    odd = ("never heard of", "hooks?x=1", "otlp/v1/metrics")
    bodies = (b"", b"{}", b"\xff", b"[" * 50_000, b'{"hook_event_name": "PreToolUse"}')
    async with (
        proxy(tmp_path, [], seen=heard.append, reason="the disk is full") as port,
        httpx.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{port}/.tapes/") as client,
    ):
        answers = [
            await client.post(path, content=body)
            for path in ("hooks", "otlp/v1/traces", "otlp/v1/logs", *odd)
            for body in bodies
        ]
        answers.append(await client.post("hooks", content=b"no gzip", headers={"content-encoding": "gzip"}))
    assert {(answer.status_code, answer.text) for answer in answers} == {(200, "{}")}
    assert heard == []


async def test_a_tunnel_to_us_ends_with_us(tmp_path: Path) -> None:
    """As Claude Code's hooks come where HTTPS_PROXY is set."""
    heard: list[Happening] = []
    async with proxy(tmp_path, [], seen=heard.append) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        head = (
            f"POST /.tapes/otlp/v1/traces HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(TRACES)}\r\n\r\n"
        )
        writer.write(head.encode() + TRACES)
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        writer.close()
    assert [type(seen) for seen in heard] == [ToolSeen]
