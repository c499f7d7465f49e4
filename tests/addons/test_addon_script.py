"""The script in a mitmdump of the user's own: it records, and leaves everything else as it was."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from mitmproxy.http import HTTPFlow
from mitmproxy.io import FlowReader
from mitmproxy.test import taddons

import tapes_addons
from serving import free_port, provider_said, sessions, until
from support import HOSTS, Bench, bench
from tapes_addons.standalone import Standalone

SCRIPT = Path(tapes_addons.__path__[0]) / "scripts" / "capture_script.py"
MITMDUMP = "from mitmproxy.tools.main import mitmdump; mitmdump()"
WITHOUT_TAPES = "import sys; sys.modules['tapes_addons'] = None; " + MITMDUMP
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
SLOW = {"pace": {"first_ms": 5, "gap_ms": 50, "chars": 4}, "scripts": {"main": [{"text": "Slowly, but surely. " * 12}]}}


@dataclass
class Mitmdump:
    bench: Bench
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def environ(self, user: str = "alice") -> dict[str, str]:
        url = f"http://{user}:x@127.0.0.1:{self.port}"
        ca = str(self.bench.folder / "conf" / "mitmproxy-ca-cert.pem")
        return {"HTTPS_PROXY": url, "HTTP_PROXY": url, "SSL_CERT_FILE": ca, "NO_PROXY": ""}

    def start(self, *options: str, user: str = "alice", **environ: str) -> subprocess.Popen[bytes]:
        """The scripted agent; through the proxy, or where `environ` leads it."""
        return subprocess.Popen(
            self.bench.agent("Go.", *options),
            env=self.bench.env() | (environ or self.environ(user)),
            cwd=self.bench.project,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, *options: str, user: str = "alice", **environ: str) -> None:
        process = self.start(*options, user=user, **environ)
        out = process.communicate(timeout=30)[0].decode()
        assert process.returncode == 0, out + self.log.read_text()

    def stop(self) -> str:
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(30) == 0, self.log.read_text()
        return self.log.read_text()


@contextmanager
def mitmdump(
    b: Bench, *options: str, scripts: Sequence[Path] = (SCRIPT,), program: str = MITMDUMP
) -> Iterator[Mitmdump]:
    """A regular proxy that sends model hosts to the bench's provider by mitmproxy's own `map_remote`."""
    port, log = free_port(), b.folder / "mitmdump.log"
    words = [sys.executable, "-c", program, "-p", str(port), "--set", f"confdir={b.folder / 'conf'}"]
    words += ["--set", "connection_strategy=lazy"]  # there is no network here to reach the hosts by their names
    for script in scripts:
        words += ["-s", str(script)]
    for host in HOSTS:
        words += ["--map-remote", f"|https://{host}/|{b.provider_url}/"]
    with open(log, "wb") as out:
        process = subprocess.Popen([*words, *options], env=b.env(), stdout=out, stderr=out)
    try:
        until(lambda: "recording ON" in log.read_text() or process.poll() is not None)
        yield Mitmdump(b, port, process, log)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_every_byte_is_kept_and_the_users_flow_file_as_well(tmp_path: Path) -> None:
    flows = tmp_path / "flows"
    with bench(tmp_path, WORK) as b, mitmdump(b, "-w", str(flows)) as proxy:
        proxy.run("--dialect", "anthropic", "--no-ids")
        proxy.run("--dialect", "openai-websocket", "--ids", "--session=by-socket", user="bob")
        said = proxy.stop()
        kept = sessions(b.home)
        assert sorted(kept) == ["mitmproxy: alice", "mitmproxy: bob by-socket"]
        assert Counter(pair for pairs in kept.values() for pair in pairs) == Counter(provider_said(b))
        assert {row["url"].partition("/v1")[0] for row in b.rows("show", "@~1", "--exchanges")} == {
            f"https://{HOSTS[0]}"
        }
        for row in b.rows("log"):
            assert said.count(row["hash"][:12]) == 2, said
        assert "Traceback" not in said
        b.assert_sound()
    with open(flows, "rb") as file:
        written = [flow for flow in FlowReader(file).stream() if isinstance(flow, HTTPFlow)]
    assert len(written) == 3
    assert [len(flow.websocket.messages) > 2 for flow in written if flow.websocket] == [True]

    # What is read from a file was not said now.
    with bench(tmp_path, WORK) as b, mitmdump(b, "-n", "-r", str(flows)) as proxy:
        until(lambda: proxy.process.poll() is not None)
        assert len(b.rows("log")) == 2


def test_a_reverse_proxys_model_paths_are_model_calls(tmp_path: Path) -> None:
    with bench(tmp_path, WORK) as b, mitmdump(b, "--mode", f"reverse:{b.provider_url}") as proxy:
        proxy.run("--no-ids", ANTHROPIC_BASE_URL=f"http://127.0.0.1:{proxy.port}")
        proxy.stop()
        kept = sessions(b.home)
        assert list(kept) == ["mitmproxy: unassigned"]
        assert Counter(kept["mitmproxy: unassigned"]) == Counter(provider_said(b))
        assert {row["route"] for row in b.rows("show", "@", "--exchanges")} == {"base-url"}


def test_a_reload_in_the_middle_of_a_stream_loses_nothing(tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    shutil.copy(SCRIPT, script)
    with bench(tmp_path, SLOW) as b, mitmdump(b, scripts=[script]) as proxy:
        agent = proxy.start("--no-ids")
        until(lambda: sessions(b.home))
        script.write_text(script.read_text() + "\n# edited\n")
        until(lambda: proxy.log.read_text().count("Loading script") == 2)
        assert agent.poll() is None
        assert agent.wait(30) == 0
        assert proxy.log.read_text().count("recording ON") == 1
        proxy.stop()
        kept = sessions(b.home)
        assert Counter(kept["mitmproxy: alice"]) == Counter(provider_said(b))
        assert [row["outcome"] for row in b.rows("show", "@", "--exchanges")] == ["complete"]


def test_an_edit_that_is_wrong_lets_calls_under_way_end_and_says_when_recording_stops(tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    shutil.copy(SCRIPT, script)
    impatient = f"import tapes_addons.standalone as s; s.RELOAD_S = 0.1; {MITMDUMP}"
    with bench(tmp_path, SLOW) as b, mitmdump(b, scripts=[script], program=impatient) as proxy:
        agent = proxy.start("--no-ids")
        until(lambda: sessions(b.home))
        script.write_text("this is (no Python")
        until(lambda: "the 1 under way to their end" in proxy.log.read_text())
        assert "STOPPED" not in proxy.log.read_text()
        assert agent.wait(30) == 0
        until(lambda: "recording has STOPPED" in proxy.log.read_text())
        assert [row["outcome"] for row in b.rows("show", "@", "--exchanges")] == ["complete"]
        assert [row["outcome"] for row in b.rows("log")] == ["closed"]
        proxy.run("--no-ids")
        shutil.copy(SCRIPT, script)
        until(lambda: proxy.log.read_text().count("recording ON") == 2)
        proxy.run("--no-ids", user="bob")
        proxy.stop()
        assert {label: len(pairs) for label, pairs in sessions(b.home).items()} == {
            "mitmproxy: alice": 1,
            "mitmproxy: bob": 1,
        }
        b.assert_sound()


async def test_a_script_that_came_back_in_time_has_the_whole_time_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAPES_HOME", str(tmp_path))
    addon = Standalone()
    with taddons.context(addon) as context:
        addon.running()
        manager = context.master.addons
        manager.remove(addon)
        first = addon._timer
        assert first is not None
        manager.add(addon)
        assert first.cancelled()
        manager.remove(addon)
        assert addon._timer is not None
        assert not addon._timer.cancelled()
        addon._timer.cancel()
        addon._leave()
        assert addon._recorder is None


def test_sessions_of_a_mitmdump_that_was_killed_are_ended_by_the_next(tmp_path: Path) -> None:
    with bench(tmp_path, SLOW) as b:
        with mitmdump(b) as lost:
            agent = lost.start("--no-ids")
            until(lambda: sessions(b.home))
            lost.process.kill()
            lost.process.wait()
            agent.kill()
            agent.communicate()
        with mitmdump(b) as proxy:
            until(lambda: "for the mitmproxy was lost" in proxy.log.read_text())
            proxy.stop()
        (row,) = b.rows("log")
        assert (row["outcome"], row["outcomes"]) == ("closed", {"capture_lost": 1})
        b.assert_sound()


CHANGES = """
class Changes:
    def requestheaders(self, flow):
        flow.request.headers["x-mine"] = "1"
        flow.request.stream = lambda data: [data]

    def responseheaders(self, flow):
        flow.response.stream = lambda data: [data[:5].upper(), data[5:]] if data else data


addons = [Changes()]
"""


def test_what_another_addon_makes_of_a_call_is_what_is_recorded(tmp_path: Path) -> None:
    other = tmp_path / "other.py"
    other.write_text(CHANGES)
    script = {"pace": QUICK, "scripts": {"main": [{"text": "All is well. " * 5}]}}
    with bench(tmp_path, script) as b:
        b.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        with mitmdump(b, "--mode", f"reverse:{b.provider_url}", scripts=[SCRIPT, other]) as proxy:
            agent = proxy.start("--no-ids", ANTHROPIC_BASE_URL=f"http://127.0.0.1:{proxy.port}")
            agent.communicate(timeout=30)
            proxy.stop()
        ((request, response),) = sessions(b.home)["mitmproxy: unassigned"][:1]
        (sent, said) = provider_said(b)[0]
        assert request == sent
        assert response != said
        assert response.lower() == said.lower()


def test_without_streaming_the_whole_answer_is_kept_too(tmp_path: Path) -> None:
    with bench(tmp_path, WORK) as b, mitmdump(b, "--set", "tapes_stream=false") as proxy:
        proxy.run("--no-ids")
        proxy.stop()
        assert Counter(sessions(b.home)["mitmproxy: alice"]) == Counter(provider_said(b))


def test_a_python_without_tapes_is_told_what_to_do(tmp_path: Path) -> None:
    with mitmdump(Bench(tmp_path), program=WITHOUT_TAPES) as proxy:
        assert proxy.process.wait(30) == 1
        said = proxy.log.read_text()
    assert "NOT RECORDING" in said
    assert "-m pip install agent-tapes" in said
    assert "Traceback" not in said


def test_a_python_too_old_for_our_files_is_told_which_one_it_takes(tmp_path: Path) -> None:
    folder = tmp_path / "old" / "tapes_addons"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "standalone.py").write_text("class Recent[K V]: ...")  # as 3.11 reads what 3.12 has brought
    program = f"import sys; sys.path.insert(0, {str(folder.parent)!r}); {MITMDUMP}"
    with mitmdump(Bench(tmp_path), program=program) as proxy:
        assert proxy.process.wait(30) == 1
        said = proxy.log.read_text()
    assert "NOT RECORDING" in said
    assert "needs Python 3.12 or newer" in said
    assert "Traceback" not in said


def test_an_archive_that_can_not_be_opened_ends_mitmdump_and_says_why(tmp_path: Path) -> None:
    b = Bench(tmp_path)
    (b.home / "archive").mkdir(parents=True, mode=0o700)
    (b.home / "archive" / "data.mdb").write_bytes(b"something else" * 1000)
    with mitmdump(b) as proxy:
        assert proxy.process.wait(30) == 1
        assert "NOT RECORDING" in proxy.log.read_text()


BROKEN = """
from tapes_addons import flow
def broken(*args):
    raise RuntimeError("planted")
flow.answered = broken
"""


def test_a_defect_of_ours_is_told_and_the_agent_works_on(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text(BROKEN)
    with bench(tmp_path, WORK) as b, mitmdump(b, scripts=[SCRIPT, broken]) as proxy:
        proxy.run("--no-ids")
        assert "NOT recorded in full: planted" in proxy.stop()
        rows = b.rows("show", "@", "--exchanges")
        assert {row["outcome"] for row in rows} == {"capture_lost"}
        assert {row["error"] for row in rows} == {"defect in tapes: RuntimeError"}
