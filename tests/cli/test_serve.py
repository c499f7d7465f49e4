"""`tapes serve` with real processes: many agents through one proxy, a session for each, and an end in good order."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from serving import calls, free_port, provider_said, serving, sessions, until
from support import Bench, bench
from tapes.archive.lmdb_archive import LmdbArchive
from tapes_addons import serve_state

QUICK = {"first_ms": 5, "gap_ms": 1, "chars": 16}
WORK = {
    "pace": QUICK,
    "scripts": {
        "main": [
            {"text": "Looking.", "tools": [{"tool": "bash", "input": {"command": "echo one"}}]},
            {"text": "Done: é 漢字 🙂."},
        ]
    },
}
SLOW = {"pace": {"first_ms": 5, "gap_ms": 20, "chars": 8}, "scripts": {"main": [{"text": "Slowly, but surely. " * 10}]}}
ENDLESS = {
    "pace": QUICK,
    "scripts": {"main": [{"text": "Long. " * 9, "faults": {"stall": {"after": 3, "seconds": 60}}}]},
}


def test_agents_at_once_have_a_session_each_and_none_is_mixed_up(tmp_path: Path) -> None:
    with bench(tmp_path, WORK) as b, serving(b) as server:
        starts = [
            ("wire-1", "anthropic", "--session=one-of-the-ids"),
            ("wire-2", "openai-websocket", "--ids", "--session=two-of-the-ids"),
            ("alice", "openai-chat", "--no-ids"),
            ("bob", "gemini", "--no-ids"),
            ("carol", "openai-responses", "--no-ids"),
            ("nobody", "anthropic", "--no-ids"),
        ]
        for name, dialect, *options in starts:
            user = name if name in ("alice", "bob", "carol") else ""
            server.start(f"Mark-{name}.", "--dialect", dialect, *options, environ=server.proxied(user))
        server.wait_for_agents()
        said = server.stop()
        kept = sessions(b.home)
        assert {label: marks(pairs) for label, pairs in kept.items()} == {
            "serve: one-of-the-i…": {"wire-1"},
            "serve: two-of-the-i…": {"wire-2"},
            "serve: alice": {"alice"},
            "serve: bob": {"bob"},
            "serve: carol": {"carol"},
            "serve: unassigned": {"nobody"},
        }
        assert Counter(pair for pairs in kept.values() for pair in pairs) == Counter(provider_said(b))
        rows = {row["label"]: row for row in b.rows("log")}
        assert rows["serve: one-of-the-i…"]["agent_session"] == "one-of-the-ids"
        assert {row["outcome"] for row in rows.values()} == {"closed"}
        for row in rows.values():
            assert said.count(row["hash"][:12]) == 2, said
        assert "recording ON" in said
        b.assert_sound()


def marks(pairs: list[tuple[bytes, bytes]]) -> set[str]:
    """Whose prompts stand in these requests."""
    text = b" ".join(request for request, _ in pairs).decode()
    names = {word.rpartition("Mark-")[2].partition(".")[0] for word in text.split() if "Mark-" in word}
    return {name.strip('"') for name in names}


def test_the_settings_that_env_prints_lead_an_agent_here_on_either_route(tmp_path: Path) -> None:
    with bench(tmp_path, WORK) as b, serving(b, f"--upstream=anthropic={b.provider_url}") as server:
        done = server.shell('eval "$(tapes env generic --session alice)" && agent --no-ids "Mark-alice."')
        assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
        words = 'eval "$(tapes env generic --session bob --route base-url)" && agent --no-ids "Mark-bob."'
        done = server.shell(words.replace("eval", "export ANTHROPIC_BASE_URL=" + b.provider_url + "; eval"))
        assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
        server.stop()
        kept = sessions(b.home)
        assert {label: marks(pairs) for label, pairs in kept.items()} == {
            "serve: alice": {"alice"},
            "serve: bob": {"bob"},
        }
        assert Counter(pair for pairs in kept.values() for pair in pairs) == Counter(provider_said(b))
        routes = [row["route"] for n in (0, 1) for row in b.rows("show", f"@~{n}", "--exchanges")]
        assert routes == ["base-url"] * 2 + ["proxy"] * 2


def test_an_id_that_comes_again_in_a_later_serve_continues_its_session(tmp_path: Path) -> None:
    with bench(tmp_path, WORK) as b:
        for _ in range(2):
            with serving(b) as server:
                server.start("Go on.", "--session", "the-same", environ=server.proxied())
                server.wait_for_agents()
        second, first = b.rows("log")
        assert first["continues"] is None
        assert second["continues"] == first["hash"]
        assert first["agent_session"] == second["agent_session"] == "the-same"


@pytest.mark.parametrize(("dialect", "begun"), [("anthropic", 1), ("openai-websocket", 2)])
def test_a_call_under_way_may_end_when_serve_is_stopped(tmp_path: Path, dialect: str, begun: int) -> None:
    with bench(tmp_path, SLOW) as b, serving(b) as server:
        server.start("Go.", "--dialect", dialect, environ=server.proxied("alice"))
        until(lambda: calls(b.home) >= begun)  # on the WebSocket a warm-up comes first
        server.stop(signal.SIGINT)
        server.wait_for_agents()
        assert {row["outcome"] for row in b.rows("show", "@", "--exchanges")} == {"complete"}


def test_what_does_not_end_in_time_is_cut_and_recorded_as_cut_by_us(tmp_path: Path) -> None:
    with bench(tmp_path, ENDLESS) as b, serving(b, grace_s=0.3) as server:
        server.start("Go.", environ=server.proxied("alice"))
        until(lambda: sessions(b.home))
        server.stop()
        server.agents.pop().kill()
        (row,) = b.rows("show", "@", "--exchanges")
        assert (row["outcome"], row["error"]) == ("capture_lost", "tapes serve was stopped")
        assert b.rows("log")[0]["outcome"] == "closed"
        b.assert_sound()


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with bench(tmp_path, ENDLESS) as b, serving(b) as server:
        server.start("Go.", environ=server.proxied("alice"))
        until(lambda: sessions(b.home))
        server.process.send_signal(signal.SIGINT)
        time.sleep(0.7)
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(10) == 130
        assert serve_state.running(b.home) == []
        assert b.rows("log")[0]["outcome"] == "open"
        b.assert_sound()


def test_what_a_killed_serve_left_open_is_ended_by_the_next_and_not_by_one_beside_it(tmp_path: Path) -> None:
    with bench(tmp_path, ENDLESS) as b:
        with serving(b) as lost:
            lost.start("Go.", environ=lost.proxied("alice"))
            until(lambda: sessions(b.home) and parts(b.home))
            with serving(b) as beside:
                said = beside.stop()
            assert "was lost" not in said
            assert b.rows("log")[0]["outcome"] == "open"
            lost.process.kill()
            lost.process.wait()
        with serving(b) as server:
            until(lambda: b.rows("log")[0]["outcome"] == "closed")
            said = server.stop()
        (row,) = b.rows("log")
        assert f"session {row['hash'][:12]}  {row['label']}: ended, for the serve was lost; 1 exchanges cut" in said
        assert row["gaps"] == 1
        (exchange,) = b.rows("show", "@", "--exchanges")
        assert exchange["outcome"] == "capture_lost"
        assert b.tapes("cat", exchange["hash"], "--response").stdout.startswith(b"event: message_start")
        b.assert_sound()


def test_a_prefix_that_stands_for_nothing_is_answered_with_those_that_do_and_counted(tmp_path: Path) -> None:
    with bench(tmp_path, WORK) as b, serving(b, "--upstream=own=https://gateway.example") as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        connection.request("POST", "/~alice/nobodys/v1/messages", b"{}")
        answer = connection.getresponse()
        said = answer.read().decode()
        connection.close()
        assert answer.status == 421
        assert "/anthropic, " in said
        assert "/own, " in said
        assert "--upstream NAME=URL" in said
        assert "session " in server.stop()
        (row,) = b.rows("log")
        assert (row["label"], row["exchanges"]) == ("serve: alice", 0)
        with LmdbArchive.open(b.home / "archive", readonly=True) as archive:
            *_, (_, _, close) = archive.log()
        assert close.body["passed_by"] == {f"POST 127.0.0.1:{server.port}/nobodys/v1/messages": 1}


def parts(home: Path) -> int:
    with LmdbArchive.open(home / "archive", readonly=True) as archive:
        return sum(record.type == "exchange.part" for _, _, record in archive.log())


def test_a_port_that_is_taken_says_who_has_it_and_a_killed_serve_leaves_its_place_to_the_next(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    with serving(b) as server:
        done = b.tapes("serve", "--listen", f"127.0.0.1:{server.port}")
        assert done.returncode == 2
        assert f"another tapes serve (pid {server.process.pid})".encode() in done.stderr
        server.process.kill()
        server.process.wait()
    assert b.tapes("env", "claude").returncode == 3
    with serving(b, port=server.port) as again:
        assert [state.pid for state in serve_state.running(b.home)] == [again.process.pid]
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = b.tapes("serve", "--listen", f"127.0.0.1:{other.getsockname()[1]}")
    assert (done.returncode, b"in use" in done.stderr) == (2, True)


def test_a_signal_that_its_starter_had_ignored_does_not_end_it(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with serving(Bench(tmp_path)) as server:
            server.process.send_signal(signal.SIGHUP)
            time.sleep(0.3)
            assert server.process.poll() is None
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.0.2.1:7878"])
def test_only_loopback_unless_told_otherwise(tmp_path: Path, listen: str) -> None:
    done = Bench(tmp_path).tapes("serve", "--listen", listen)
    assert (done.returncode, b"--allow-network" in done.stderr) == (2, True)


def test_the_network_is_allowed_with_a_warning_in_words(tmp_path: Path) -> None:
    with bench(tmp_path, WORK) as b:
        port = free_port()
        words = b.command("serve", "--listen", f"0.0.0.0:{port}", "--allow-network", f"--upstream=own={b.provider_url}")
        process = subprocess.Popen(words, env=b.env(), stderr=subprocess.PIPE)
        try:
            until(lambda: serve_state.running(b.home))
            # By a name that is not loopback's, as from another machine.
            with socket.create_connection(("127.0.0.1", port)) as client:
                body = json.dumps({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi."}]})
                head = f"POST /~far/own/v1/messages HTTP/1.1\r\nHost: build-box:{port}\r\nConnection: close\r\n"
                client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
                assert client.recv(64).startswith(b"HTTP/1.1 200")
                while client.recv(65536):
                    pass
        finally:
            process.terminate()
            said = process.communicate(timeout=30)[1].decode()
        assert "WARNING: other machines can reach" in said
        assert list(sessions(b.home)) == ["serve: far"]


def test_where_other_hosts_were_spoken_to_is_listed_with_the_session_of_the_same_user(tmp_path: Path) -> None:
    with bench(tmp_path, WORK) as b, serving(b) as server:
        port = b.provider_url.rpartition(":")[2]
        program = (
            "import httpx, os; p = os.environ['HTTPS_PROXY'];"
            f"print(httpx.Client(proxy=p).get('http://127.0.0.1:{port}/elsewhere').status_code)"
        )
        environ = b.env() | server.proxied("alice")
        subprocess.run([sys.executable, "-c", program], env=environ, check=True, capture_output=True)
        assert sessions(b.home) == {}
        server.start("Go.", environ=environ)
        server.wait_for_agents()
        server.stop()
        (row,) = b.rows("log")
        assert row["label"].startswith("serve: alice ")
        assert [seen["how"] for seen in b.rows("show", "@", "--egress")] == ["plain"]


def test_its_own_address_as_the_users_proxy_is_no_loop(tmp_path: Path) -> None:
    with bench(tmp_path, WORK) as b:
        port = free_port()
        b.environ |= {"HTTPS_PROXY": f"http://alice:x@127.0.0.1:{port}"}
        with serving(b, "--strict", port=port) as server:
            server.start("Go.", environ=server.proxied("alice"))
            server.wait_for_agents()
            assert "ignored" in server.stop()
        assert {row["outcome"] for row in b.rows("show", "@", "--exchanges")} == {"complete"}


def test_every_option_of_serve_and_env_is_documented() -> None:
    from tapes_cli.commands import env, serve

    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")
    for parameter in (*serve.command.params, *env.command.params):
        for option in parameter.opts:
            assert not option.startswith("--") or f"`{option}" in text, option
