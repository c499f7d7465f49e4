"""`tapes run` with real processes: what the provider logged is what the archive gives back."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support import KEY, Bench, bench, processes_of
from tapes_addons.terminal import supervisor

QUICK = {"first_ms": 5, "gap_ms": 1, "chars": 16}
TWO_TOOLS = {
    "pace": QUICK,
    "scripts": {
        "main": [
            {
                "thinking": "Two things at once.",
                "text": "Looking.",
                "tools": [
                    {"tool": "bash", "input": {"command": "echo one"}},
                    {"tool": "bash", "input": {"command": "echo two; exit 3"}},
                ],
            },
            {"text": "Done: é 漢字 🙂."},
        ]
    },
}


def test_every_byte_the_provider_logged_comes_back(tmp_path: Path) -> None:
    with bench(tmp_path, TWO_TOOLS) as b:
        done = b.run()
        assert done.returncode == 0, done.stderr.decode()
        assert Counter(b.kept()) == Counter(b.said())
        assert len(b.said()) == 2
        b.assert_sound()


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, br"])
def test_encoded_answers_are_kept_decoded_and_whole(tmp_path: Path, coding: str) -> None:
    with bench(tmp_path, TWO_TOOLS, "--encode", coding) as b:
        assert b.run().returncode == 0
        assert Counter(b.kept()) == Counter(b.said())
        assert {row["response_encoding"] for row in b.rows("show", "@", "--exchanges")} == {coding}


def test_tool_calls_and_results_are_there_and_paired(tmp_path: Path) -> None:
    with bench(tmp_path, TWO_TOOLS) as b:
        b.run()
        steps = b.rows("show")
        uses = {s["id"]: s["text"] for s in steps if s["type"] == "tool.use"}
        results = {s["id"]: (s["text"].strip(), s["is_error"]) for s in steps if s["type"] == "tool.result"}
        assert sorted(uses.values()) == ['{"command": "echo one"}', '{"command": "echo two; exit 3"}']
        assert uses.keys() == results.keys()
        assert [s["type"] for s in steps][:4] == ["prompt", "thinking", "answer", "tool.use"]
        assert [s["text"] for s in steps if s["type"] == "answer"][-1] == "Done: é 漢字 🙂."


def test_the_base_url_route_keeps_the_same_and_names_the_real_host(tmp_path: Path) -> None:
    with bench(tmp_path, TWO_TOOLS) as b:
        claude = b.folder / "claude"
        words = " ".join(b.agent())
        claude.write_text(f"#!/bin/sh\nexec {words.replace('Do the work.', 'work')}\n")
        claude.chmod(0o755)
        b.environ["ANTHROPIC_BASE_URL"] = b.provider_url
        done = b.tapes("run", "--route", "base-url", "--", str(claude))
        assert done.returncode == 0, done.stderr.decode()
        assert Counter(b.kept()) == Counter(b.said())
        assert b.rows("show", "@", "--exchanges")[0]["url"].startswith(f"{b.provider_url}/v1/messages")


def test_a_preset_base_url_makes_its_host_a_model_host(tmp_path: Path) -> None:
    with bench(tmp_path, TWO_TOOLS) as b:
        b.environ |= {"ANTHROPIC_BASE_URL": b.provider_url, "NO_PROXY": "localhost,127.0.0.1"}
        done = b.tapes("run", "--", *b.agent())
        assert done.returncode == 0, done.stderr.decode()
        assert Counter(b.kept()) == Counter(b.said())


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        ({"error": {"status": 529, "times": 1}}, "http_error"),
        ({"error": {"status": 429, "times": 1, "retry_after": 0}}, "http_error"),
        ({"sse_error": {"after": 3, "times": 1}}, "error_event"),
        ({"drop": {"after": 4, "times": 1}}, "partial"),
        ({"drop": {"after": -1, "times": 1}}, "no_response"),
    ],
)
def test_a_fault_is_kept_with_its_outcome_and_the_retry_names_it(tmp_path: Path, fault: object, outcome: str) -> None:
    with bench(tmp_path, {"pace": QUICK, "scripts": {"main": [{"text": "All is well. " * 9, "faults": fault}]}}) as b:
        done = b.run()
        assert done.returncode == 0, done.stderr.decode()
        first, second = b.rows("show", "@", "--exchanges")
        assert (first["outcome"], second["outcome"]) == (outcome, "complete")
        assert second["retry_of"] == first["hash"]
        assert Counter(request for request, _ in b.kept()) == Counter(request for request, _ in b.said())
        sent, kept = b.said()[0][1], b.kept()[0][1]
        assert kept == sent
        assert [s["type"] for s in b.rows("show")].count("error") == 1


def test_an_agent_that_hangs_up_after_the_last_event_is_complete(tmp_path: Path) -> None:
    with bench(tmp_path, TWO_TOOLS) as b:
        assert b.run(*b.agent("Go.", "--hang-up")).returncode == 0
        assert [row["outcome"] for row in b.rows("show", "@", "--exchanges")] == ["complete", "complete"]


# -- the agent comes first


def test_the_exit_status_is_the_agents(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    assert b.tapes("run", "--", "sh", "-c", "exit 7").returncode == 7
    assert b.tapes("run", "--", "sh", "-c", "kill -TERM $$").returncode == 128 + signal.SIGTERM
    assert [row["outcome"] for row in b.rows("log")] == ["signal 15", "exit 7"]


def test_a_program_that_is_not_there_is_127_and_one_that_can_not_run_126(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    plain = b.project / "plain"
    plain.write_text("no program")
    missing, unrunnable = b.tapes("run", "--", "no-such-program"), b.tapes("run", "--", str(plain))
    assert (missing.returncode, unrunnable.returncode) == (127, 126)
    assert b"no-such-program" in missing.stderr


def test_output_input_and_environment_pass_through(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    words = b.command("run", "--", "sh", "-c", 'cat; echo "$MARK" >&2; exit 0')
    done = subprocess.run(
        words, input=b"typed", env=b.env() | {"MARK": "seen"}, capture_output=True, timeout=60, check=False
    )
    assert done.stdout == b"typed"
    assert b"seen" in done.stderr


def test_a_signal_to_the_launcher_reaches_the_agent(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    words = b.command("run", "--", "sh", "-c", 'trap "echo got; exit 5" TERM; echo up; while :; do sleep 0.05; done')
    process = subprocess.Popen(words, env=b.env(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30)[0] == b"got\n"
    assert process.returncode == 5


def test_a_run_without_a_model_call_is_a_loud_warning(tmp_path: Path) -> None:
    done = Bench(tmp_path).tapes("run", "--", "true")
    assert done.returncode == 0
    assert b"WARNING: no model call was captured" in done.stderr


# -- what can be refused is refused before the agent starts


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--map-host", "nonsense"], b"HOST=URL"),
        (["--name", "a b"], b"name"),
        (["--name", "@x"], b"name"),
    ],
)
def test_a_bad_option_is_125_and_nothing_is_started(tmp_path: Path, options: list[str], said: bytes) -> None:
    b = Bench(tmp_path)
    done = b.tapes("run", *options, "--", "touch", str(tmp_path / "started"))
    assert (done.returncode, said in done.stderr) == (125, True), done.stderr.decode()
    assert not (tmp_path / "started").exists()


def test_a_taken_name_is_refused_and_the_session_that_has_it_can_be_shown(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    assert b.tapes("run", "--name", "mine", "--", "true").returncode == 0
    done = b.tapes("run", "--name", "mine", "--", "true")
    assert done.returncode == 125
    assert b"tapes show mine" in done.stderr
    assert len(b.rows("log")) == 1


def test_an_archive_of_another_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    (b.home / "archive").mkdir(parents=True, mode=0o700)
    b.home.chmod(0o700)
    (b.home / "archive" / "data.mdb").write_bytes(b"something else" * 1000)
    done = b.tapes("run", "--", "true")
    assert done.returncode == 125
    assert (b.home / "archive" / "data.mdb").read_bytes() == b"something else" * 1000


def test_a_port_that_is_taken_is_125_and_says_so(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = Bench(tmp_path).tapes("run", "--port", str(other.getsockname()[1]), "--", "true")
    assert done.returncode == 125
    assert b"--port" in done.stderr


# -- faults of our own


LONG = {
    "pace": {"first_ms": 5, "gap_ms": 10, "chars": 8},
    "scripts": {
        "main": [
            *[
                {
                    "text": f"Step {n}, said at some length.",
                    "tools": [{"tool": "bash", "input": {"command": "sleep 0.3"}}],
                }
                for n in range(6)
            ],
            {"text": "Done."},
        ]
    },
}


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds capture processes in /proc")
@pytest.mark.parametrize("words", [["--no-such-option", "--", "true"], ["--name", "not a name!", "--", "true"]])
def test_a_run_that_is_refused_leaves_no_capture_process_behind(tmp_path: Path, words: list[str]) -> None:
    b = Bench(tmp_path)
    assert b.tapes("run", *words).returncode == 125
    until = time.monotonic() + 20
    while processes_of("tapes_addons.recorder", b.home) and time.monotonic() < until:
        time.sleep(0.05)
    assert processes_of("tapes_addons.recorder", b.home) == []
    assert b.tapes("log").stdout == b""


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds capture processes in /proc")
def test_killing_the_capture_process_costs_the_agent_nothing_but_a_retry(tmp_path: Path) -> None:
    with bench(tmp_path, LONG) as b:
        process = subprocess.Popen(
            b.command(*b.route(), *b.agent()),
            env=b.env(),
            cwd=b.project,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        killed = 0
        deadline = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline:
            time.sleep(1.3)
            # One that has not begun the session yet leaves nothing to be a gap in.
            for pid in (
                processes_of("tapes_addons.recorder", b.home) if killed < 2 and b.tapes("log", "--json").stdout else []
            ):
                os.kill(pid, signal.SIGKILL)
                killed += 1
        out = process.communicate(timeout=60)[0].decode()
        assert process.returncode == 0, out
        (row,) = b.rows("log")
        assert killed == 2
        # One a kill; and one where a command's start was in memory only, which its end then tells.
        assert 2 <= row["gaps"] <= 4, out
        assert row["outcome"] == "exit 0"
        uses = [s for s in b.rows("show") if s["type"] == "tool.use"]
        assert len(uses) == 6
        b.assert_sound()


@pytest.mark.slow
def test_ten_agents_at_once_are_ten_whole_sessions(tmp_path: Path) -> None:
    with bench(tmp_path, TWO_TOOLS) as b:
        with ThreadPoolExecutor(10) as pool:
            done = list(pool.map(lambda n: b.run(options=["--name", f"run-{n}"]), range(10)))
        assert [d.returncode for d in done] == [0] * 10, [d.stderr for d in done]
        assert sorted(row["name"] for row in b.rows("log")) == [f"run-{n}" for n in range(10)]
        kept = Counter(pair for n in range(10) for pair in b.kept(f"run-{n}"))
        assert kept == Counter(b.said())
        b.assert_sound()


def test_no_key_reaches_the_disk_wherever_it_was_printed(tmp_path: Path) -> None:
    secret = "hunter2-correct-horse-battery"
    turns = [
        {
            "text": "Environment.",
            "tools": [{"tool": "bash", "input": {"command": "env; echo $DB_PASSWORD | base64"}}],
        },
        {"text": f"The key is {KEY}, and ghp_{'a1B2' * 9} as well."},
    ]
    with bench(tmp_path, {"pace": {"first_ms": 1, "gap_ms": 1, "chars": 7}, "scripts": {"main": turns}}) as b:
        b.environ["DB_PASSWORD"] = secret
        done = b.run(*b.agent(f"Use {secret} on https://x.example/?api_key={KEY}"))
        assert done.returncode == 0, done.stderr.decode()
        import base64

        sent = b"".join(request for request, _ in b.said())
        everything = b.everything()
        for planted in (
            KEY.encode(),
            secret.encode(),
            base64.b64encode(secret.encode())[:-4],
            b"ghp_a1B2a1B2",
        ):
            assert planted in sent or planted.startswith(b"ghp_")
            assert planted not in everything
        assert b.rows("log")[0]["redactions"] > 0
        texts = " ".join(s["text"] for s in b.rows("show"))
        assert "The key is [REDACTED:" in texts
        b.assert_sound()


def test_other_hosts_pass_unread_and_are_listed(tmp_path: Path) -> None:
    with bench(tmp_path, TWO_TOOLS) as b:
        port = b.provider_url.rpartition(":")[2]
        program = (
            "import httpx, os; p = os.environ['HTTPS_PROXY'];"
            f"print(httpx.Client(proxy=p).get('http://127.0.0.1:{port}/' + 'terces'[::-1] + '-path').status_code)"
        )
        done = b.tapes("run", "--", sys.executable, "-c", program)
        assert done.returncode == 0, done.stderr.decode()
        (row,) = b.rows("show", "@", "--egress")
        assert (row["host"], str(row["port"]), row["how"]) == ("127.0.0.1", port, "plain")
        assert b"secret-path" not in b.everything()


PROBE = """
import json, os, sys, urllib.request
request = urllib.request.Request(
    os.environ["OPENAI_BASE_URL"] + "/chat/completions?x=1",
    json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hello."}]}).encode(),
    {"content-type": "application/json", "authorization": "Bearer sk-test"},
)
try:
    urllib.request.urlopen(request).read()
except urllib.error.HTTPError as error:
    error.read()
"""


def test_any_program_is_led_by_a_base_url_with_a_prefix_that_the_provider_never_sees(tmp_path: Path) -> None:
    with bench(tmp_path, TWO_TOOLS) as b:
        b.environ["OPENAI_BASE_URL"] = f"{b.provider_url}/v1"
        done = b.tapes("run", "--route", "base-url", "--", sys.executable, "-c", PROBE)
        assert done.returncode == 0, done.stderr.decode()
        (row,) = b.rows("show", "@", "--exchanges")
        assert row["url"] == f"{b.provider_url}/v1/chat/completions?x=1"
        assert Counter(b.kept()) == Counter(b.said("/v1/chat/completions?x=1"))


def test_a_base_url_in_a_configuration_file_makes_its_host_a_model_host(tmp_path: Path) -> None:
    with bench(tmp_path, TWO_TOOLS) as b:
        (b.project / ".env").write_text(f"OPENAI_BASE_URL={b.provider_url}/v1\n")
        words = ["env", f"OPENAI_BASE_URL={b.provider_url}/v1", sys.executable, "-c", PROBE]
        done = b.tapes("run", "--", *words)
        assert done.returncode == 0, done.stderr.decode()
        assert Counter(b.kept()) == Counter(b.said("/v1/chat/completions?x=1"))


def test_words_of_ours_stand_behind_the_agents_own_and_are_no_part_of_what_the_user_said(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    codex = b.folder / "codex"
    codex.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    codex.chmod(0o755)
    b.environ |= {"CODEX_HOME": str(tmp_path / "none"), "CODEX_API_KEY": "sk-test-key-0123456789"}
    done = b.tapes("run", "--route", "base-url", "--", str(codex), "exec", "hi there")
    first, second, *rest = done.stdout.decode().splitlines()
    assert first == "-c"
    assert second.startswith('openai_base_url="http://127.0.0.1:') and second.endswith('/openai"')
    assert rest[-2:] == ["exec", "hi there"]
    (row,) = b.rows("log")
    record = b.tapes("cat", row["hash"]).stdout.decode()
    assert "hi there" in record and "openai_base_url" not in record


def test_a_program_that_ignores_the_proxy_is_told_from_one_that_made_no_call(tmp_path: Path) -> None:
    with bench(tmp_path, TWO_TOOLS) as b:
        done = b.run("sleep", "1")
        assert b"made no call: no connection" in done.stderr
        port = b.provider_url.rpartition(":")[2]
        program = f"import socket, time; s = socket.create_connection(('127.0.0.1', {port})); time.sleep(2)"
        done = b.run(sys.executable, "-c", program)
        assert done.returncode == 0
        assert f"past us, to 127.0.0.1:{port}".encode() in done.stderr
        closing = next(row for row in b.rows("log"))
        assert closing["calls"] == 0


@pytest.mark.parametrize(("options", "level"), [([], supervisor.level()[0]), (["--no-witness"], "none")])
def test_a_session_says_how_its_commands_are_witnessed(tmp_path: Path, options: list[str], level: str) -> None:
    b = Bench(tmp_path)
    program = "import subprocess; subprocess.run(['bash', '-c', 'exit 3'])"
    assert b.tapes("run", *options, "--", sys.executable, "-c", program).returncode == 0
    (row,) = b.rows("log")
    opened = json.loads(b.tapes("cat", row["hash"]).stdout)
    assert opened["body"]["witness"]["level"] == level
    assert [command["exit"] for command in b.rows("commands", "@")] == ([] if options else [3])
