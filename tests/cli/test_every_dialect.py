"""`tapes run` with an agent of every dialect: what the provider logged comes back, and calls find their results."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from support import Bench, bench
from tapes_addons.simulators.agent import DIALECTS

QUICK = {"first_ms": 5, "gap_ms": 1, "chars": 16}
SOCKET = "openai-websocket"
FIRST = {
    "thinking": "Two things at once.",
    "text": "Looking.",
    "tools": [
        {"tool": "bash", "input": {"command": "echo one"}},
        {"tool": "bash", "input": {"command": "echo two; exit 3"}},
    ],
}
SECOND = {"text": "Once more, " + "word by word, " * 9, "tools": [{"tool": "bash", "input": {"command": "echo one"}}]}
LAST = {"text": "Done: é 漢字 🙂."}


def script(*turns: object) -> dict[str, object]:
    return {"pace": QUICK, "scripts": {"main": list(turns)}}


def pairs(b: Bench) -> list[tuple[str, str]]:
    """(input of a call, text of its result) of a session, by id; the calls in the order they were made."""
    steps = b.rows("show")
    uses = {s["id"]: json.loads(s["text"])["command"] for s in steps if s["type"] == "tool.use"}
    results = {s["id"]: s["text"] for s in steps if s["type"] == "tool.result"}
    assert uses.keys() == results.keys()
    return [(use, results[id_]) for id_, use in uses.items()]


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_every_byte_comes_back_and_every_call_has_its_result(tmp_path: Path, dialect: str) -> None:
    with bench(tmp_path, script(FIRST, SECOND, LAST)) as b:
        done = b.run(*b.agent("Go.", "--dialect", dialect))
        assert done.returncode == 0, done.stderr.decode()
        assert Counter(b.kept()) == Counter(b.said(""))
        assert len(b.said("")) >= 3
        (first, one), (second, two), (third, again) = pairs(b)
        assert (first, second, third) == ("echo one", "echo two; exit 3", "echo one")
        assert "one" in one and "two" in two and "one" in again
        (row,) = b.rows("log")
        assert set(row["outcomes"]) == {"complete"}
        assert row["model"]
        assert [s["text"] for s in b.rows("show") if s["type"] == "answer"][-1] == LAST["text"]
        b.assert_sound()


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_what_goes_wrong_has_the_right_outcome_and_the_agent_goes_on(tmp_path: Path, dialect: str) -> None:
    faults = ({"error": {"status": 429}}, {"sse_error": {"after": 2}}, {"drop": {"after": 2}})
    # There is no status on a WebSocket: the error is a message.
    refused = "error_event" if dialect == SOCKET else "http_error"
    expected = Counter([refused, "error_event", "partial"])
    with bench(tmp_path, script(*(SECOND | {"faults": fault} for fault in faults), LAST)) as b:
        done = b.run(*b.agent("Go.", "--dialect", dialect))
        assert done.returncode == 0, done.stderr.decode()
        (row,) = b.rows("log")
        assert {name: count for name, count in row["outcomes"].items() if name != "complete"} == expected
        assert len(pairs(b)) == len(faults)
        kept = b.kept()
        for request, answer in b.said(""):
            # Whoever hangs up, or is cut off, may not have received the last piece that was sent.
            assert any(r == request and answer.startswith(a) for r, a in kept), (request, answer)


def test_a_refused_websocket_is_recorded_and_the_agent_falls_back_to_http(tmp_path: Path) -> None:
    with bench(tmp_path, script(SECOND | {"faults": {"refuse": {"status": 426, "times": 1}}}, LAST)) as b:
        done = b.run(*b.agent("Go.", "--dialect", SOCKET))
        assert done.returncode == 0, done.stderr.decode()
        exchanges = b.rows("show", "@", "--exchanges")
        assert (exchanges[0]["status"], exchanges[0]["outcome"]) == (426, "http_error")
        assert {e["method"] for e in exchanges[1:]} == {"POST"}
        assert len(pairs(b)) == 1


def test_messages_of_a_websocket_come_back_one_by_one_and_in_order(tmp_path: Path) -> None:
    with bench(tmp_path, script(FIRST, LAST)) as b:
        assert b.run(*b.agent("Go.", "--dialect", SOCKET)).returncode == 0
        (handshake,) = [e for e in b.rows("show", "@", "--exchanges") if e["status"] == 101 and e["url"][:2] == "ht"]
        said = b.tapes("cat", handshake["hash"], "--messages").stdout.splitlines()
        (file,) = b.truth.glob("*.messages")
        truth = [json.loads(line) for line in file.read_text().splitlines()]
        names = {"agent": "client", "provider": "server"}
        kept = [json.loads(line) for line in said]
        assert [(names[m["from"]], m["text"]) for m in kept] == [(m["sender"], m["text"]) for m in truth]


def test_a_key_that_a_tool_printed_into_a_websocket_is_not_on_the_disk(tmp_path: Path) -> None:
    secret = "sk-proj-" + "Zq8wEr5tYu2iOp7a" * 3
    leak = {"tools": [{"tool": "bash", "input": {"command": "printenv OPENAI_API_KEY"}}], "text": f"It is {secret}."}
    with bench(tmp_path, script(leak, LAST)) as b:
        b.environ["OPENAI_API_KEY"] = secret
        assert b.run(*b.agent("Go.", "--dialect", SOCKET)).returncode == 0
        assert secret.encode() in b"".join(request for request, _ in b.said(""))
        everything = b.everything()
        for spelling in (secret, secret[8:30]):
            assert spelling.encode() not in everything
        b.assert_sound()


def test_a_recorder_killed_in_the_middle_of_a_websocket_costs_the_open_turn_alone(tmp_path: Path) -> None:
    slow = SECOND | {"faults": {"stall": {"after": 3, "seconds": 2.0}}}
    with bench(tmp_path, script(SECOND, slow, LAST)) as b:
        command = b.command(*b.route(), *b.agent("Go.", "--dialect", SOCKET))
        run = subprocess.Popen(command, env=b.env(), cwd=b.project, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        wait_for_calls(b, 3)  # the warm-up, the first turn, and the one that stalls
        time.sleep(1.0)  # a part of the stalled answer has been committed by now
        os.kill(recorder(b), signal.SIGKILL)
        _, err = run.communicate(timeout=60)
        assert run.returncode == 0, err.decode()
        (row,) = b.rows("log")
        assert row["outcomes"]["capture_lost"] == 1
        assert row["gaps"] == 1
        assert len(pairs(b)) == 2, "the agent said it again"
        b.assert_sound()


def wait_for_calls(b: Bench, count: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        done = b.tapes("log", "--json")  # there may be no archive yet
        if done.returncode == 0 and json.loads(done.stdout or "{}").get("calls", 0) >= count:
            return
        time.sleep(0.1)
    raise AssertionError(f"no {count} calls")


def recorder(b: Bench) -> int:
    """The process id of the capture process that works for this archive."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words, environ = (path / "cmdline").read_bytes(), (path / "environ").read_bytes()
        except OSError:
            continue
        if b"tapes_addons.recorder" in words and str(b.home).encode() in environ:
            return int(path.name)
    raise AssertionError("no capture process")
