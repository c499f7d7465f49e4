"""What the tests of the simulators share: scripts, and the agent at work in this process (which is quicker)."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from tapes_addons.simulators import agent
from tapes_addons.simulators.provider import Provider
from tapes_addons.simulators.script import Script, read_script

FAST: dict[str, Any] = {"first_ms": 0, "gap_ms": 0}
TWO_TURNS: list[dict[str, Any]] = [
    {"thinking": "Häßlich —\u2028 but short.", "tools": [{"tool": "bash", "input": {"command": "echo one"}}]},
    {"text": "Done, all of it: " + "word " * 40},
]


def script(turns: list[dict[str, Any]], **others: list[dict[str, Any]]) -> Script:
    return read_script({"scripts": {"main": turns, **others}, "pace": FAST})


def with_fault(**faults: Any) -> Script:
    return script([{**TWO_TURNS[0], "faults": faults}, TWO_TURNS[1]])


def base_url(provider: Provider, dialect: str, tls: bool = False) -> str:
    url = provider.tls_url if tls else provider.url
    return url + "/v1" if dialect.startswith("openai") else url


async def run_agent(url: str, cwd: Path, *options: str, prompt: str = "Go.", **env: str) -> tuple[int, str]:
    """(exit status, what it said)."""
    told = [prompt, "--fast", "--cwd", str(cwd), "--base-url", url, *options]
    said = io.StringIO()
    with environment(**env), contextlib.redirect_stdout(said):
        status = await asyncio.wait_for(asyncio.to_thread(agent.main, told), 60)
    return status, said.getvalue()


@contextlib.contextmanager
def environment(**env: str) -> Iterator[None]:
    """This process's environment with these variables, and without what names proxies, keys and bundles."""
    dropped = ("proxy", "_api_key", "_base_url", "ssl_cert")
    clean = {key: value for key, value in os.environ.items() if not any(word in key.lower() for word in dropped)}
    with mock.patch.dict(os.environ, {**clean, **env}, clear=True):
        yield
