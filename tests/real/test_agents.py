"""Real agents, from their registry, against our scripted provider: on both routes, every byte and every message.

Run by `./dev real`. Skips loudly where a package can not be installed. Claude Code (HTTP) and Codex (WebSocket) are
always tried; TAPES_REAL=all tries the others too, which are large.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from support import KEY, Bench, bench
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.refs import resolve
from tapes.native.carried import carried
from tapes.session.transcript import moment
from tapes.session.view import view
from tapes_addons.terminal import supervisor

pytestmark = pytest.mark.real_agent

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


@dataclass(frozen=True)
class Real:
    """A real agent: where it comes from, how it is asked to work on its own, and where its user sets a base URL."""

    name: str
    package: str
    words: tuple[str, ...]
    key: str
    """The variable with its key."""
    base_variable: str = ""
    path: str = ""
    """Of the base URL, behind the host."""
    fault: bool = True
    """Does it try again after a 529?"""
    environment: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[Path, str], None] = lambda home, url: None
    """Write the user's own configuration; the URL is that of a base-URL run, else empty."""


def codex_home(home: Path, url: str) -> None:
    (home / ".codex").mkdir()
    base = f'openai_base_url = "{url}/v1"\n' if url else ""
    (home / ".codex" / "config.toml").write_text(f"check_for_update_on_startup = false\n{base}")


def gemini_home(home: Path, url: str) -> None:
    (home / ".gemini").mkdir()
    settings = {"security": {"auth": {"selectedType": "gemini-api-key"}}, "general": {"disableAutoUpdate": True}}
    (home / ".gemini" / "settings.json").write_text(json.dumps(settings))


def opencode_home(home: Path, url: str) -> None:
    folder = home / ".config" / "opencode"
    folder.mkdir(parents=True)
    config: dict[str, Any] = {"model": "anthropic/claude-sonnet-4-5", "autoupdate": False, "share": "disabled"}
    if url:
        config["provider"] = {"anthropic": {"options": {"baseURL": f"{url}/v1"}}}
    (folder / "opencode.json").write_text(json.dumps(config))


AGENTS = (
    Real(
        "claude",
        "@anthropic-ai/claude-code",
        ("-p", "Do it.", "--dangerously-skip-permissions", "--output-format", "stream-json", "--verbose"),
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_BASE_URL",
        environment={"IS_SANDBOX": "1"},
    ),
    Real(
        "codex",
        "@openai/codex",
        ("exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "--json", "Do it."),
        "CODEX_API_KEY",
        fault=False,  # an error message on its WebSocket ends the run
        prepare=codex_home,
    ),
    Real(
        "gemini",
        "@google/gemini-cli",
        ("-p", "Do it.", "--yolo"),
        "GEMINI_API_KEY",
        "GOOGLE_GEMINI_BASE_URL",
        environment={"GEMINI_CLI_TRUST_WORKSPACE": "true"},
        prepare=gemini_home,
    ),
    Real(
        "opencode",
        "opencode-ai",
        ("run", "--format", "json", "Do it."),
        "ANTHROPIC_API_KEY",
        environment={"OPENCODE_DISABLE_AUTOUPDATE": "1"},
        prepare=opencode_home,
    ),
)
ALWAYS = ("claude", "codex")
CLEARED = ("CLAUDE", "ANTHROPIC", "OPENAI", "CODEX", "GEMINI", "GOOGLE", "OPENCODE")


@pytest.fixture(scope="session")
def install(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Real], str]:
    """An agent's program, installed once for this test run."""
    programs: dict[str, str] = {}

    def installed(real: Real) -> str:
        if real.name in programs:
            return programs[real.name]
        if real.name not in ALWAYS and os.environ.get("TAPES_REAL") != "all":
            pytest.skip("tried with TAPES_REAL=all")
        if shutil.which("npm") is None:
            pytest.skip("REAL AGENT NOT RUN: npm is not on this machine")
        folder = tmp_path_factory.mktemp(real.name)
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), real.package]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        program = folder / "node_modules" / ".bin" / real.name
        if done.returncode or not program.exists():
            pytest.skip(f"REAL AGENT NOT RUN: {real.package} could not be installed: {done.stderr[-300:]}")
        programs[real.name] = str(program)
        return programs[real.name]

    return installed


@contextmanager
def desk_for(real: Real, folder: Path) -> Iterator[Bench]:
    """A provider and an archive, and a user who has nothing but this agent's key."""
    main = SCRIPT["scripts"]["main"]
    plain = [{k: v for k, v in turn.items() if k != "faults"} for turn in main]
    with bench(folder, {**SCRIPT, "scripts": {"main": main if real.fault else plain}}) as b:
        (folder / "user").mkdir()
        b.environ |= {name: "" for name in os.environ if name.startswith(CLEARED)}
        b.environ |= {"HOME": str(folder / "user"), "SHELL": "/bin/bash", **real.environment, real.key: KEY}
        yield b


@pytest.mark.parametrize("route", ["proxy", "base-url"])
@pytest.mark.parametrize("real", AGENTS, ids=lambda real: real.name)
def test_a_real_agent_is_recorded_whole_on_both_routes(
    install: Callable[[Real], str], tmp_path: Path, real: Real, route: str
) -> None:
    program = install(real)
    with desk_for(real, tmp_path) as desk:
        real.prepare(tmp_path / "user", desk.provider_url if route == "base-url" else "")
        if route == "base-url":
            if real.base_variable:
                desk.environ[real.base_variable] = desk.provider_url
            done = desk.tapes("run", "--route", "base-url", "--", program, *real.words, timeout=150)
        else:
            done = desk.run(program, *real.words, options=elsewhere(desk), timeout=150)
        assert done.returncode == 0, done.stderr.decode()[-2000:] + done.stdout.decode()[-2000:]
        check(desk, real)


def elsewhere(desk: Bench) -> list[str]:
    """Nothing leaves the machine that an agent asks of its maker beside its model calls."""
    return ["--map-host", f"chatgpt.com={desk.provider_url}"]


def check(desk: Bench, real: Real) -> None:
    (row,) = desk.rows("log")
    assert (row["agent"], row["outcome"]) == (real.name, "exit 0")
    assert row["agent_version"]
    kept = desk.kept()
    # The key that `env` printed was sent to the model and is not in the archive; every other byte is.
    sent = [(request, answer) for request, answer in desk.said("") if is_call(request) and KEY.encode() not in request]
    assert len(sent) >= 2
    assert not Counter(sent) - Counter(kept)
    steps = desk.rows("show")
    uses = Counter(s["id"] for s in steps if s["type"] == "tool.use")
    results = Counter(s["id"] for s in steps if s["type"] == "tool.result")
    assert uses == results
    assert len(uses) == 3
    # Where there is no network, other hosts (lists of models) fail, without us too.
    assert [s["status"] for s in steps if s["type"] == "error" if s["status"] == 529] == ([529] if real.fault else [])
    assert KEY.encode() not in desk.everything()
    check_commands(desk)
    check_checkouts(desk, [s["step"] for s in steps if s["type"] == "tool.result"])
    desk.assert_sound()


def check_checkouts(desk: Bench, results: list[int]) -> None:
    """At every result the request that carries it is, to the byte, one that the provider received."""
    received = {request for request, _ in desk.said("")}
    for step in results:
        out = desk.folder / f"out-{step}"
        (told,) = desk.rows("checkout", f"@:{step}", "-o", str(out))
        body = (out / "request.json").read_bytes()
        assert told["request"] == "sent"
        assert body in received or b"[REDACTED:" in body  # the key that `env` printed


def check_commands(desk: Bench) -> None:
    """What ran is what was asked for, and the model was told what came of it."""
    ran = [row for row in desk.rows("commands", "@") if row["participant"]["kind"] == "agent"]
    assert {row["ran"]: row["exit"] for row in ran} == {"echo one": 0, "echo two; exit 3": 3, "env": 0}, ran
    assert [row["verdict"] for row in ran] == ["matched"] * 3, ran
    level, _ = supervisor.level()
    assert {row["witness"] for row in ran} == {level}


def is_call(request: bytes) -> bool:
    """A call to a model has the words of a conversation in it; telemetry and settings have not."""
    return any(word in request for word in (b'"messages"', b'"contents"', b'"input"'))


@pytest.mark.parametrize("real", AGENTS[:2], ids=lambda real: real.name)
def test_a_real_agent_goes_on_from_the_middle_of_a_run_and_sends_the_same_history(
    install: Callable[[Real], str], tmp_path: Path, real: Real
) -> None:
    program = install(real)
    with desk_for(replace(real, fault=False), tmp_path) as desk:
        real.prepare(tmp_path / "user", "")
        assert desk.run(program, *real.words, options=[*elsewhere(desk), "--name", "first"]).returncode == 0
        results = [step["step"] for step in desk.rows("show", "first") if step["type"] == "tool.result"]
        shutil.rmtree(tmp_path / "user" / ".claude" / "projects", ignore_errors=True)  # as if it had deleted its own
        words = ["Go on." if word == "Do it." else word for word in real.words]
        origin = ["--from", f"first:{results[1]}", "--yes"]
        done = desk.run(program, *words, options=[*elsewhere(desk), *origin], timeout=150)
        assert done.returncode == 0, done.stderr.decode()[-2000:]
        before = history_of(desk, "first", results[1])
        asked = (step for step in desk.rows("show", "first-b1") if step["type"] == "prompt")
        prompt = next(step for step in asked if step["text"] == "Go on.")
        now = history_of(desk, "first-b1", prompt["step"])
        assert len(before) > 4
        assert now[: len(before)] == before
        desk.assert_sound()


def history_of(desk: Bench, name: str, step: int) -> list[Any]:
    """What the model was told up to a step: blocks, or items, without what moves with each request."""
    with LmdbArchive.open(desk.home / "archive", readonly=True) as archive:
        found = view(archive, resolve(archive, name).session)
        items = carried(archive, found, moment(found, list(found.steps), step)).items
    moving = ("cache_control", "internal_chat_message_metadata_passthrough")
    said = []
    for item in items:
        assert isinstance(item, dict)
        content = item.get("content") if "type" not in item else [item]
        for block in content if isinstance(content, list) else [{"type": "text", "text": content}]:
            assert isinstance(block, dict)
            kept = {key: value for key, value in block.items() if key not in moving and value is not None}
            said.append((item.get("role"), kept))
    return said


@pytest.mark.parametrize("real", AGENTS, ids=lambda real: real.name)
def test_a_real_agent_repeats_its_run_from_the_recording_elsewhere_and_with_no_provider(
    install: Callable[[Real], str], tmp_path: Path, real: Real
) -> None:
    program = install(real)
    with desk_for(real, tmp_path) as desk:
        real.prepare(tmp_path / "user", "")
        assert desk.run(program, *real.words, options=[*elsewhere(desk), "--name", "first"]).returncode == 0
    there = tmp_path / "somewhere" / "else"
    there.mkdir(parents=True)
    (tmp_path / "other").mkdir()
    real.prepare(tmp_path / "other", "")
    words = desk.command("run", "--playback", "first", "--fast", "--", program, *real.words)
    environ = desk.env() | {"HOME": str(tmp_path / "other")}
    done = subprocess.run(words, cwd=there, env=environ, capture_output=True, timeout=150, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    uses = [[s["text"] for s in desk.rows("show", ref) if s["type"] == "tool.use"] for ref in ("first", "@")]
    assert uses[0] == uses[1]
    assert len(uses[0]) == 3
    desk.assert_sound()
