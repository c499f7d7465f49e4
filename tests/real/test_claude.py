"""Claude Code itself, from its registry, against our scripted provider: on both routes, every byte.

Run by `./dev real`. Skips loudly where the package can not be installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import KEY, Bench, bench

pytestmark = pytest.mark.real_agent

PACKAGE = "@anthropic-ai/claude-code"
SCRIPT: dict[str, Any] = {
    "pace": {"first_ms": 10, "gap_ms": 2, "chars": 24},
    "scripts": {
        "main": [
            {
                "thinking": "Look around first.",
                "text": "Two things at once.",
                "tools": [
                    {"tool": "bash", "input": {"command": "echo one", "description": "First"}},
                    {"tool": "bash", "input": {"command": "echo two; exit 3", "description": "Second"}},
                ],
            },
            {
                "text": "What the environment says.",
                "tools": [{"tool": "bash", "input": {"command": "env", "description": "Environment"}}],
                "faults": {"error": {"status": 529, "times": 1}},
            },
            {"text": "Done: é 漢字 🙂."},
        ]
    },
}


@pytest.fixture(scope="session")
def claude(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The agent's program, installed for this test run."""
    if shutil.which("npm") is None:
        pytest.skip("REAL AGENT NOT RUN: npm is not on this machine")
    folder = tmp_path_factory.mktemp("claude")
    done = subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), PACKAGE],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    program = folder / "node_modules" / ".bin" / "claude"
    if done.returncode or not program.exists():
        pytest.skip(f"REAL AGENT NOT RUN: {PACKAGE} could not be installed: {done.stderr[-300:]}")
    return str(program)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path, SCRIPT) as b:
        (tmp_path / "user").mkdir()
        b.environ |= {"HOME": str(tmp_path / "user"), "IS_SANDBOX": "1", "SHELL": "/bin/bash"}
        for name in os.environ:
            if name.startswith(("CLAUDE", "ANTHROPIC")):
                b.environ.setdefault(name, "")
        b.environ["ANTHROPIC_API_KEY"] = KEY
        yield b


@pytest.mark.parametrize("route", ["proxy", "base-url"])
def test_claude_is_recorded_whole_on_both_routes(claude: str, desk: Bench, route: str) -> None:
    agent = [claude, "-p", "Do it.", "--dangerously-skip-permissions", "--output-format", "stream-json", "--verbose"]
    if route == "base-url":
        desk.environ["ANTHROPIC_BASE_URL"] = desk.provider_url
        done = desk.tapes("run", "--route", "base-url", "--", *agent, timeout=120)
    else:
        desk.environ["ANTHROPIC_BASE_URL"] = "https://api.anthropic.com"
        done = desk.run(*agent, timeout=120)
    assert done.returncode == 0, done.stderr.decode()[-2000:] + done.stdout.decode()[-2000:]
    (row,) = desk.rows("log")
    assert (row["agent"], row["outcome"]) == ("claude", "exit 0")
    assert row["agent_version"]
    kept = desk.kept()
    # The key that `env` printed was sent to the model and is not in the archive; every other byte is.
    sent = [(request, answer) for request, answer in desk.said() if KEY.encode() not in request]
    assert not Counter(sent) - Counter(kept)
    assert len(kept) == len(desk.said())
    steps = desk.rows("show")
    uses = Counter(s["id"] for s in steps if s["type"] == "tool.use")
    results = Counter(s["id"] for s in steps if s["type"] == "tool.result")
    assert uses == results
    assert len(uses) == 3
    assert [s["status"] for s in steps if s["type"] == "error"] == [529]
    assert KEY.encode() not in desk.everything()
    desk.assert_sound()
