"""What each agent is launched with so that its commands are witnessed and joined."""

from __future__ import annotations

import json
import socket
import subprocess
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tapes.wire import agents
from tapes.wire.agents.base import Launch, Settings, Trust
from tapes.wire.shells import Witness, by_name

OWN = "http://127.0.0.1:{port}"
WITNESS = Witness("/r/bash_env", "/r/zsh", "/r/python", f"{OWN}/.tapes/otlp", f"{OWN}/.tapes/hooks", "/r/a plugin.js")
LOCKED = '{"packages": {"": {"dependencies": {"@opencode-ai/plugin": "1"}}}}'


def witnessed(
    line: str,
    environ: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
    witness: Witness = WITNESS,
    route: str = "proxy",
) -> Settings:
    read = dict(files or {})
    launch = Launch(
        line.split(),
        {"SHLVL": "1", **(environ or {})},
        "base-url" if route == "base-url" else "proxy",
        OWN,
        Trust("/b", "/x"),
        "/home/u",
        "/w/p",
        lambda path: read.get(path, ""),
    )
    agent = agents.recognise(launch.argv)
    return by_name(agent.name).witnessed(launch, witness, agent.settings(launch))


@pytest.mark.parametrize("line", ["claude", "codex", "gemini", "opencode", "aider", "mini", "python x.py"])
def test_every_agents_shells_find_the_trampoline_and_nothing_else_is_lost(line: str) -> None:
    settings = witnessed(line, {"PYTHONPATH": "/mine"})
    assert settings.environment["BASH_ENV"] == "/r/bash_env"
    assert settings.environment["ZDOTDIR"] == "/r/zsh"
    assert settings.environment["HTTPS_PROXY"] == OWN
    assert "SHLVL" not in settings.environment
    python = settings.environment.get("PYTHONPATH")
    assert python == (None if line in ("claude", "codex", "gemini", "opencode") else "/r/python:/mine")


def test_bash_with_a_socket_as_its_input_reads_its_file_once_there_is_a_level(tmp_path: Path) -> None:
    trampoline = tmp_path / "env"
    trampoline.write_text("echo seen\n")
    level = witnessed("claude", {"SHLVL": ""}).environment["SHLVL"]
    ours, theirs = socket.socketpair()  # as Node's pipes are
    with ours, theirs:
        environ = {"BASH_ENV": str(trampoline), "HOME": str(tmp_path), "SHLVL": level}
        ended = subprocess.run(["bash", "-c", "true"], stdin=theirs, env=environ, capture_output=True, check=True)
    assert ended.stdout == b"seen\n"


# -- claude


def test_claude_sends_its_telemetry_to_us_where_nobody_has_one() -> None:
    given = witnessed("claude").environment
    assert given["OTEL_EXPORTER_OTLP_ENDPOINT"] == f"{OWN}/.tapes/otlp"
    assert given["CLAUDE_CODE_PROPAGATE_TRACEPARENT"] == "1"
    assert witnessed("claude").arguments == ()


@pytest.mark.parametrize(
    ("environ", "files"),
    [
        ({"OTEL_METRICS_EXPORTER": "console"}, {}),
        ({"CLAUDE_CODE_ENABLE_TELEMETRY": "0"}, {}),
        ({}, {"/home/u/.claude/settings.json": '{"env": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://mine"}}'}),
        ({}, {"/w/p/.claude/settings.local.json": '{"env": {"CLAUDE_CODE_ENABLE_TELEMETRY": "1"}}'}),
    ],
)
def test_a_telemetry_of_the_users_own_is_left_alone_and_hooks_are_used(
    environ: Mapping[str, str], files: Mapping[str, str]
) -> None:
    settings = witnessed("claude", environ, files)
    assert not any(name.startswith("OTEL_") for name in settings.environment)
    flag, said = settings.arguments
    assert flag == "--settings"
    assert json.loads(said)["hooks"]["PreToolUse"][0]["hooks"] == [
        {"type": "http", "url": f"{OWN}/.tapes/hooks", "timeout": 2}
    ]


def test_a_settings_word_of_the_users_own_is_never_hidden() -> None:
    settings = witnessed("claude --settings mine.json", {"OTEL_METRICS_EXPORTER": "console"})
    assert settings.arguments == ()


def test_ours_of_the_base_url_route_and_the_hooks_share_one_settings_word() -> None:
    files = {"/home/u/.claude/settings.json": '{"env": {"ANTHROPIC_BASE_URL": "https://g.example"}}'}
    settings = witnessed("claude", {}, files, replace(WITNESS, join="hooks"), "base-url")
    assert settings.arguments.count("--settings") == 1
    said = json.loads(settings.arguments[1])
    assert said["env"] == {"ANTHROPIC_BASE_URL": OWN} and "PreToolUse" in said["hooks"]


def test_without_joins_claude_is_told_nothing() -> None:
    settings = witnessed("claude", witness=replace(WITNESS, join="none"))
    assert settings.arguments == () and "OTEL_TRACES_EXPORTER" not in settings.environment


# -- codex


def words_of(settings: Settings) -> dict[str, object]:
    pairs = [word for word in settings.arguments if word != "-c"]
    return {key: value for pair in pairs for key, value in tomllib.loads(pair).items()}


def test_codex_policy_for_the_environment_gets_ours_and_the_idle_word_is_not_needed() -> None:
    assert words_of(witnessed("codex")) == {"shell_environment_policy": {"set": {"ZDOTDIR": "/r/zsh"}}}
    assert [word for word in witnessed("codex").arguments if word != "-c"] == [
        'shell_environment_policy.set.BASH_ENV="/r/bash_env"',
        'shell_environment_policy.set.ZDOTDIR="/r/zsh"',
    ]


def test_codex_keeps_its_words_of_the_base_url_route() -> None:
    said = " ".join(witnessed("codex", {"CODEX_API_KEY": "k"}, route="base-url").arguments)
    assert "openai_base_url=" in said and "shell_environment_policy.set.BASH_ENV" in said


# -- opencode


def content(settings: Settings) -> dict[str, object]:
    return dict(json.loads(settings.environment["OPENCODE_CONFIG_CONTENT"]))


def test_opencode_gets_the_plugin_where_it_need_not_wait_for_an_installation() -> None:
    files = {"/home/u/.config/opencode/package-lock.json": LOCKED}
    assert content(witnessed("opencode", {}, files)) == {"plugin": ["file:///r/a%20plugin.js"]}


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"/home/u/.config/opencode/package-lock.json": '{"packages": {}}'},
        {
            "/home/u/.config/opencode/package-lock.json": LOCKED,
            "/home/u/.config/opencode/package.json": '{"dependencies": {"more": "1"}}',
        },
        {"/home/u/.config/opencode/package-lock.json": LOCKED, "/w/p/.opencode/opencode.json": "{}"},
    ],
)
def test_opencode_is_not_made_to_wait_for_one(files: Mapping[str, str]) -> None:
    assert "OPENCODE_CONFIG_CONTENT" not in witnessed("opencode", {}, files).environment


def test_the_plugin_stands_beside_what_the_user_has() -> None:
    own = {"OPENCODE_CONFIG_CONTENT": '{"plugin": ["mine"], "permission": {"bash": "ask"}}'}
    assert content(witnessed("opencode", own)) == {
        "plugin": ["mine", "file:///r/a%20plugin.js"],
        "permission": {"bash": "ask"},
    }
    assert "OPENCODE_CONFIG_CONTENT" not in witnessed("opencode", own, witness=replace(WITNESS, plugin="")).environment


# -- what is read back from a command's environment


def test_marks_name_the_call() -> None:
    trace = {b"TRACEPARENT": b"00-9c84ed61ce7b9108e1fc55f28fcd09eb-44dcf55e42f69f76-01"}
    assert by_name("claude").join_marks(trace) == {"traceparent": "44dcf55e42f69f76"}
    assert by_name("claude").join_marks({b"TRACEPARENT": b"00-junk"}) == {}
    assert by_name("codex").join_marks({b"CODEX_TOOL_CALL_ID": b"call_1"} | trace) == {"env": "call_1"}
    assert by_name("codex").join_marks({b"CODEX_TOOL_CALL_ID": b"exec-0eb86836-20b9-4663-ac59-37ac880b7088"}) == {}
    assert by_name("opencode").join_marks({b"TAPES_CALL": b"toolu_1"}) == {"plugin": "toolu_1"}
    assert by_name("gemini").join_marks(trace) == {}


def test_an_agents_own_shells_are_known() -> None:
    harness = {b"CLAUDECODE": b"1", b"AI_AGENT": b"claude-code_2-1-197_harness"}
    assert by_name("claude").is_harness(harness, [b"/bin/bash", b"-c", b"env"])
    assert not by_name("claude").is_harness({b"AI_AGENT": b"claude-code_2-1-197_agent"}, [])
    assert by_name("codex").is_harness({}, [b"/bin/bash", b"-lc", b"declare -f"])
    assert not by_name("codex").is_harness({b"CODEX_THREAD_ID": b"t"}, [])
