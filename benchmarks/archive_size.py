"""How large an archive of a growing session is, against the bytes that went over the wire.

Claim (DESIGN §9): at 200 turns at most 1.0 %, at 1,000 turns at most 0.3 %, with every sampled body byte-exact.
The session is made up like an agent's: `messages` grows by an answer and a tool result per turn, the system prompt and
the tools (50 KB) stand behind it, and a `cache_control` marker moves to the newest message each time.

    python benchmarks/archive_size.py [turns …]
"""

from __future__ import annotations

import argparse
import ast
import asyncio.base_events
import difflib
import inspect
import json
import os
import random
import re
import subprocess
import sys
import tarfile
import tempfile
import time
import typing
from base64 import b64encode
from pathlib import Path
from typing import Any

from tapes.archive.base import Batch, Draft
from tapes.archive.cut import Cutter, cut_once
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.verify import verify
from tapes.record.digest import blob_digest
from tapes.record.kinds import BodyRef

REACH = {200: 0.010, 1000: 0.003}

AGAIN = 0.2
"""Of the tool results, how many are one that came before: the same file read again, the same status asked for."""


class Talk:
    """A made-up conversation whose requests grow as an agent's do."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        # What agents read is source code and the output of tools; the standard library stands for it.
        modules = (argparse, ast, asyncio.base_events, difflib, inspect, subprocess, tarfile, typing)
        self._source = "\n".join(Path(module.__file__ or "").read_text() for module in modules)
        self._seen: list[str] = []
        self.messages: list[dict[str, Any]] = [self._say("user", self.text(400))]
        self.system = [{"type": "text", "text": self.text(14_000), "cache_control": {"type": "ephemeral"}}]
        self.tools = [self._tool(n) for n in range(16)]

    def text(self, size: int) -> str:
        start = self._random.randrange(len(self._source) - size)
        return self._source[start : start + size]

    def _say(self, role: str, text: str) -> dict[str, Any]:
        return {"role": role, "content": [{"type": "text", "text": text}]}

    def _tool(self, n: int) -> dict[str, Any]:
        properties = {self.text(8): {"type": "string", "description": self.text(120)} for _ in range(4)}
        schema = {"type": "object", "properties": properties}
        return {"name": f"Tool{n}", "description": self.text(1600), "input_schema": schema}

    def turn(self) -> tuple[bytes, bytes]:
        """The next request body and its answer (an event stream)."""
        last = self.messages[-1]["content"][-1]
        last["cache_control"] = {"type": "ephemeral"}
        request = json.dumps(
            {"model": "a-model", "max_tokens": 32000, "messages": self.messages}
            | {"system": self.system, "tools": self.tools, "stream": True},
            separators=(",", ":"),
        ).encode()
        del last["cache_control"]
        return request, self._answer()

    def _answer(self) -> bytes:
        thought, text = self.text(250), self.text(200)
        signature = b64encode(self._random.randbytes(225)).decode()
        call = self._call()
        blocks = [
            {"type": "thinking", "thinking": thought, "signature": signature},
            {"type": "text", "text": text},
            call,
        ]
        self.messages.append({"role": "assistant", "content": blocks})
        self.messages.append({"role": "user", "content": [self._result(call["id"])]})
        deltas = [{"type": "thinking_delta", "thinking": part} for part in thought.split("\n")]
        deltas += [{"type": "signature_delta", "signature": signature}]
        deltas += [{"type": "text_delta", "text": part} for part in text.split("\n")]
        deltas += [{"type": "input_json_delta", "partial_json": json.dumps(call["input"])}]
        events = [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas]
        return b"".join(
            f"event: {e['type']}\ndata: {json.dumps(e, separators=(',', ':'))}\n\n".encode() for e in events
        )

    def _call(self) -> dict[str, Any]:
        call = f"toolu_{self._random.getrandbits(96):024x}"
        command = {"command": self.text(60), "description": self.text(30)}
        return {"type": "tool_use", "id": call, "name": "Bash", "input": command}

    def _result(self, call: str) -> dict[str, Any]:
        size = self._random.randint(1000, 14_000)
        output = self._random.choice((self._read, self._grep, self._tests))(size)[:size]
        if self._seen and self._random.random() < AGAIN:
            output = self._random.choice(self._seen)
        self._seen.append(output)
        return {"tool_use_id": call, "type": "tool_result", "content": output}

    def _read(self, size: int) -> str:
        first = self._random.randint(1, 2000)
        return "\n".join(f"{n:6}\t{line}" for n, line in enumerate(self.text(size).split("\n"), first))

    def _grep(self, size: int) -> str:
        lines = self.text(size).split("\n")
        return "\n".join(f"src/package/module_{n // 7}.py:{n * 13}:{line}" for n, line in enumerate(lines))

    def _tests(self, size: int) -> str:
        names = re.findall(r"def (\w+)", self._source)
        picked = (self._random.choice(names) for _ in range(size // 30))
        return "\n".join(f"tests/test_module.py::test_{name} PASSED [{n:3}%]" for n, name in enumerate(picked))


def _headers(text: str) -> list[list[bytes]]:
    return [[part.encode() for part in line.split(": ")] for line in text.strip().split("\n")]


ASKED = _headers("""
accept: application/json
anthropic-beta: claude-code-20250219,interleaved-thinking-2025-05-14
anthropic-version: 2023-06-01
content-type: application/json
user-agent: claude-cli/2.1.4 (external, cli)
x-app: cli
x-stainless-lang: js
x-stainless-retry-count: 0
accept-encoding: gzip, deflate, br, zstd
host: api.anthropic.com
""")
ANSWERED = _headers("""
date: Tue, 14 Apr 2026 09:30:11 GMT
content-type: text/event-stream; charset=utf-8
transfer-encoding: chunked
connection: keep-alive
cache-control: no-cache
anthropic-ratelimit-unified-status: allowed
request-id: req_011CSHoEeqs5C35K2UUqR7Fy
server: cloudflare
cf-cache-status: DYNAMIC
""")


def record_turn(archive: LmdbArchive, session: Draft, cutter: Cutter, request: bytes, answer: bytes) -> BodyRef:
    """Two commits, as while capturing: the request when it is complete, then the answer with its tool events."""
    cut = cutter.cut(request)
    body = {
        "method": "POST",
        "url": "https://api.anthropic.com/v1/messages?beta=true",
        "class": "model",
        "provider": "anthropic",
    }
    opened = Draft("exchange.open", body | {"request": cut.ref.to_value(), "headers": ASKED}, session)
    archive.commit(Batch([opened], cut.objects))
    part_body = {"n": 0, "offset": 0, "length": len(answer), "data": blob_digest(answer), "times": [200, 90_000] * 8}
    part = Draft("exchange.part", part_body | {"headers": ANSWERED}, session, (opened,))
    response = cut_once(answer)
    ended = {"outcome": "complete", "status": 200, "response": response.ref.to_value(), "times": []}
    end = Draft("exchange.end", ended, session, (opened,))
    use = Draft("tool.use", {"id": "toolu_" + "0" * 24, "name": "Bash", "reader": "r 1"}, session, (end,))
    result = Draft("tool.result", {"id": "toolu_" + "0" * 24, "reader": "r 1"}, session, (use,))
    archive.commit(Batch([part], tails={part: answer}))
    archive.commit(Batch([end, use, result], response.objects, drop_tails=[part]))
    return cut.ref


def measure(turns: int, folder: str) -> bool:
    talk, cutter, archive = Talk(7), Cutter(), LmdbArchive.open(Path(folder) / "archive", create=True)
    session = Draft("session.open", {"agent": "a", "argv": [b"a"], "cwd": b"/w", "scheme": "plain"}, None)
    archive.commit(Batch([session]))
    raw, spent, slowest, samples = 0, 0.0, 0.0, []
    for n in range(turns):
        request, answer = talk.turn()
        raw += len(request) + len(answer)
        start = time.perf_counter()
        ref = record_turn(archive, session, cutter, request, answer)
        took = time.perf_counter() - start
        spent, slowest = spent + took, max(slowest, took)
        if n % max(1, turns // 20) == 0:
            samples.append((ref, request))
    exact = all(archive.body(ref) == request for ref, request in samples)
    size = archive.size()
    ratio = size["file_bytes"] / raw
    start = time.perf_counter()
    report = verify(archive)
    took = time.perf_counter() - start
    archive.close()
    print(
        f"{turns} turns: {raw / 1e6:.0f} MB raw, {size['file_bytes'] / 1e6:.2f} MB file, {ratio:.3%}, "
        f"{size['file_bytes'] / turns / 1e3:.1f} KB a turn, {spent / turns * 1e3:.1f} ms a turn "
        f"(slowest {slowest * 1e3:.1f}), largest body {len(request) / 1e6:.1f} MB, {len(samples)} bodies "
        f"{'exact' if exact else 'WRONG'}; verify {took:.2f} s ({report.bytes / took / 1e6:.0f} MB/s of bodies, "
        f"{size['file_bytes'] / took / 1e6:.1f} MB/s of file), {len(report.findings)} findings"
    )
    return exact and report.ok and ratio <= REACH.get(turns, 1.0)


def main() -> int:
    turns = [int(arg) for arg in sys.argv[1:]] or list(REACH)
    held = True
    for count in turns:
        with tempfile.TemporaryDirectory(dir=os.environ.get("TAPES_BENCH_DIR")) as folder:
            held &= measure(count, folder)
    return 0 if held else 1


if __name__ == "__main__":
    raise SystemExit(main())
