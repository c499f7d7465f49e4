"""`tapes run --playback` and `tapes playback` with real processes: the same run again, elsewhere, with no provider."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from support import HOSTS, Bench, bench

DOCS = Path(__file__).parents[2] / "docs"
QUICK = {"first_ms": 2, "gap_ms": 1, "chars": 7}


def script(place: Path) -> dict[str, Any]:
    """The model names files by where they are, as real ones do, also in pieces of seven characters."""
    look = {"tool": "bash", "input": {"command": f"pwd; date; cat {place}/greeting.txt"}}
    mend = {"tool": "write_file", "input": {"file_path": f"{place}/greeting.txt", "content": "hello\n"}}
    task = {"tool": "task", "input": {"script": "sub", "prompt": "[script:sub] Look."}}
    return {
        "pace": QUICK,
        "scripts": {
            "main": [
                {"thinking": "First look.", "tools": [look, look, task]},
                {"text": "Mending.", "tools": [mend], "faults": {"error": {"status": 529}}},
                {"text": "Done."},
            ],
            "sub": [
                {"tools": [{"tool": "bash", "input": {"command": f"wc -c {place}/greeting.txt"}}]},
                {"text": "Ok."},
            ],
        },
    }


def project(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "greeting.txt").write_text("helo\n")
    return folder


def uses(b: Bench, ref: str, place: Path) -> list[str]:
    return sorted(s["text"].replace(str(place), "@") for s in b.rows("show", ref) if s["type"] == "tool.use")


def go(b: Bench, place: Path, *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(b.command(*words), env=b.env(), cwd=place, capture_output=True, timeout=60, check=False)


@pytest.mark.parametrize("dialect", ["openai-websocket", "gemini"])  # and Anthropic in the docs' example
def test_the_run_is_repeated_elsewhere_with_no_provider(tmp_path: Path, dialect: str) -> None:
    here, there = project(tmp_path / "here"), project(tmp_path / "else" / "where")
    agent = ("Fix the greeting.", "--dialect", dialect)
    with bench(tmp_path, script(here)) as b:
        done = go(b, here, *b.route("--name", "first"), *b.agent(*agent))
        assert done.returncode == 0, done.stderr.decode()
    (here / "greeting.txt").unlink()
    done = go(b, there, "run", "--playback", "first", "--fast", "--", *b.agent(*agent))
    assert done.returncode == 0, done.stderr.decode()
    assert (there / "greeting.txt").read_text() == "hello\n"
    assert not (here / "greeting.txt").exists(), "the old directory is left alone"
    assert uses(b, "@", there) == uses(b, "first", here)
    assert re.search(rb"played (\d+) of \1 model calls", done.stderr)
    opened = json.loads(b.tapes("cat", "@").stdout)["body"]
    assert opened["playback"] == json.loads(b.tapes("cat", "first").stdout)["hash"]
    assert b"played from" in b.tapes("show", "@").stdout
    once, named = (b.rows("stats", *refs)[-1]["calls"] for refs in ([], ["first", "@"]))
    assert named == 2 * once, "what was played cost nothing"
    b.assert_sound()


def test_a_call_that_was_not_recorded_fails_the_run_and_is_told(recording: Bench, tmp_path: Path) -> None:
    here = project(tmp_path / "here")
    with bench(tmp_path, script(here)) as b:
        go(b, here, *b.route("--name", "first"), *b.agent("Fix the greeting."))
    done = go(
        b, here, "run", "--playback", "first", "--", "sh", "-c", f"{' '.join(map(repr, b.agent('Other.')))}; true"
    )
    assert done.returncode == 1, done.stderr.decode()
    assert b'recorded "Fix the greeting."' in done.stderr
    assert b"which differs at messages[0]" in done.stderr
    (row,) = b.rows("show", "@", "--exchanges")
    assert row["status"] == 400


def test_there_is_no_network_but_this_machines_own(recording: Bench, tmp_path: Path) -> None:
    b, here = recording, project(tmp_path / "here")
    asking = (
        "import urllib.request as u\n"
        "for url in 'http://example.invalid/', 'https://example.invalid/':\n"
        "    try: print(u.urlopen(url).status)\n"
        "    except Exception as error: print(error)\n"
    )
    done = go(b, here, "run", "--playback", "first", "--", sys.executable, "-c", asking)
    assert done.stdout.count(b"502") == 2, done.stdout + done.stderr
    rows = b.rows("show", "@", "--egress")
    assert [(row["host"], row["how"]) for row in rows] == [("example.invalid", "refused")] * 2


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["run", "--fast", "--", "true"], 125),
        (["run", "--playback", "first", "--map-host", "a=http://127.0.0.1:1", "--", "true"], 125),
        (["run", "--playback", "nosuch", "--", "true"], 125),
        (["playback", "nosuch"], 3),
        (["playback", "first", "--listen", "0.0.0.0:0"], 2),
        (["playback", "first:1"], 2),
    ],
)
def test_what_can_not_be_played_is_said_at_once(recording: Bench, words: list[str], status: int) -> None:
    done = recording.tapes(*words)
    assert done.returncode == status, done.stderr.decode()
    assert done.stderr.startswith(b"tapes: ")


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("recording")
    here = project(folder / "project")
    with bench(folder, script(here)) as b:
        done = go(b, here, *b.route("--name", "first"), *b.agent("Fix the greeting."))
        assert done.returncode == 0, done.stderr.decode()
    return b


def test_a_server_learns_where_the_agent_works_and_reports(recording: Bench, tmp_path: Path) -> None:
    there = project(tmp_path / "there")
    words = recording.command("playback", "first", "--fast", "--report", str(tmp_path / "report.json"))
    with subprocess.Popen(
        words, env=recording.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as player:
        assert player.stdout is not None
        url = player.stdout.readline().strip()
        agent = recording.agent("Fix the greeting.", "--base-url", url)
        done = subprocess.run(agent, cwd=there, env=recording.env(), capture_output=True, timeout=60, check=False)
        player.send_signal(signal.SIGTERM)
        _, said = player.communicate(timeout=30)
    assert done.returncode == 0, done.stdout.decode() + said
    assert player.returncode == 0, said
    assert (there / "greeting.txt").read_text() == "hello\n"
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["calls"], report["left"], report["refused"]) == (6, [], [])
    assert f"ANTHROPIC_BASE_URL={url}" in said


def test_the_players_death_leaves_no_process_and_is_told(recording: Bench, tmp_path: Path) -> None:
    find = "import os, signal, pathlib\n" + (
        "for p in pathlib.Path('/proc').glob('[0-9]*/cmdline'):\n"
        "    try: words = p.read_bytes().split(b'\\0')\n"
        "    except OSError: continue\n"
        "    status = p.with_name('status').read_text()\n"
        "    if b'tapes_cli.playing' in words and f'PPid:\\t{os.environ[\"TAPES_PARENT\"]}\\n' in status:\n"
        "        os.kill(int(p.parent.name), signal.SIGKILL)\n"
    )
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("processes are found by /proc")
    done = recording.tapes("run", "--playback", "first", "--", sys.executable, "-c", find)
    assert done.returncode == 1
    assert b"the process that played the recording was lost" in done.stderr


def test_the_example_of_the_docs_works(tmp_path: Path) -> None:
    """Only the agent is another one."""
    example = re.search(r"```python\n(.*?)```", (DOCS / "playback.md").read_text("utf-8"), re.DOTALL)
    assert example is not None
    here = project(tmp_path / "tests" / "project")
    with bench(tmp_path, script(here)) as b:
        agent = b.agent("fix the greeting")
        done = go(b, here, *b.route("--name", "fix-greeting"), *agent)
        assert done.returncode == 0, done.stderr.decode()
    (here / "greeting.txt").write_text("helo\n")
    saved = go(b, tmp_path, "archive", "backup", str(tmp_path / "tests" / "recordings.mdb"))
    assert saved.returncode == 0, saved.stderr.decode()
    text, replaced = re.subn(r"(?m)^AGENT = .*$", lambda _: f"AGENT = {agent!r}", example[1])
    assert replaced == 1
    (tmp_path / "tests" / "test_agent.py").write_text(text)
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "tapes").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tapes_cli "$@"\n')
    (bin_ / "tapes").chmod(0o755)
    shutil.rmtree(b.home)
    environ = b.env() | {"PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}"}
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_agent.py"]
    done = subprocess.run(words, cwd=tmp_path / "tests", env=environ, capture_output=True, timeout=90, check=False)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert b"2 passed" in done.stdout


def test_no_connection_is_ever_opened_to_a_provider(recording: Bench, tmp_path: Path) -> None:
    """Whatever the agent's own settings say: a listener where they point to hears nothing."""
    heard: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as trap:
        port = trap.getsockname()[1]

        def listen() -> None:
            try:
                heard.append(trap.accept())
            except OSError:
                return  # nobody came, and it was closed

        thread = threading.Thread(target=listen, daemon=True)
        thread.start()
        there = project(tmp_path / "there")
        environ = recording.env() | {"ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}"}
        words = recording.command("run", "--playback", "first", "--fast", "--", *recording.agent("Fix the greeting."))
        done = subprocess.run(words, cwd=there, env=environ, capture_output=True, timeout=60, check=False)
        trap.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    assert done.returncode == 0, done.stderr.decode()
    assert not heard
    assert HOSTS[0] not in done.stderr.decode()
