"""What tests of a standing proxy share: a running `tapes serve`, agents led to it, and what each session has kept."""

from __future__ import annotations

import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support import HOSTS, Bench
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.record.kinds import BodyRef
from tapes_addons import serve_state

PATIENCE_S = 30


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Server:
    """A standing proxy."""

    bench: Bench
    port: int
    process: subprocess.Popen[bytes]
    agents: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def proxied(self, user: str = "") -> dict[str, str]:
        """Variables by hand."""
        named = f"{user}:x@" if user else ""
        url = f"http://{named}127.0.0.1:{self.port}"
        bundle = str(self.bench.home / "ca" / "bundle.pem")
        return {"HTTPS_PROXY": url, "HTTP_PROXY": url, "SSL_CERT_FILE": bundle, "NO_PROXY": ""}

    def start(self, prompt: str, *options: str, environ: dict[str, str]) -> subprocess.Popen[bytes]:
        """The scripted agent."""
        process = subprocess.Popen(
            self.bench.agent(prompt, *options),
            env=self.bench.env() | environ,
            cwd=self.bench.project,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.agents.append(process)
        return process

    def shell(self, script: str) -> subprocess.CompletedProcess[bytes]:
        """A shell in which `tapes` and `agent` are commands."""
        words = f'tapes() {{ {shlex.quote(sys.executable)} -m tapes_cli "$@"; }}\n'
        words += f'agent() {{ {shlex.quote(sys.executable)} -m tapes_addons.simulators.agent --fast "$@"; }}\n'
        return subprocess.run(
            ["sh", "-c", words + script],
            env=self.bench.env(),
            cwd=self.bench.project,
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def wait_for_agents(self) -> None:
        for process in self.agents:
            out = process.communicate(timeout=PATIENCE_S)[0].decode()
            assert process.returncode == 0, out

    def stop(self, number: int = signal.SIGTERM) -> str:
        """What it said."""
        self.process.send_signal(number)
        said = self.process.communicate(timeout=PATIENCE_S)[1].decode()
        assert self.process.returncode == 0, said
        return said


@contextmanager
def serving(bench: Bench, *options: str, port: int = 0, grace_s: float = 5) -> Iterator[Server]:
    """`tapes serve` that sends every model host to the bench's provider; stopped at the end where it still runs."""
    port = port or free_port()
    maps = [f"--map-host={host}={bench.provider_url}" for host in HOSTS] if bench.provider_url else []
    program = f"import tapes_addons.serve as s; s.GRACE_S = {grace_s}; from tapes_cli.entry import main; main()"
    words = [sys.executable, "-c", program, "serve", "--listen", f"127.0.0.1:{port}", *maps, *options]
    process = subprocess.Popen(words, env=bench.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    server = Server(bench, port, process)
    try:
        until(lambda: port in [s.port for s in serve_state.running(bench.home)] or process.poll() is not None)
        yield server
        if process.poll() is None:
            server.stop()
    finally:
        for left in (*server.agents, process):
            if left.poll() is None:
                left.kill()
            left.communicate()


def until(condition: Any) -> None:
    """Wait for something that another process does."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "that did not happen"
        time.sleep(0.02)


Pairs = list[tuple[bytes, bytes]]


def sessions(home: Path) -> dict[str, Pairs]:
    """By label: request and response of each exchange that is over, WebSocket handshakes left out."""
    found: dict[str, Pairs] = {}
    if not (home / "archive" / "data.mdb").exists():
        return found
    with LmdbArchive.open(home / "archive", readonly=True) as archive:
        for session in archive.sessions():
            asked: dict[bytes, bytes] = {}
            kept = found.setdefault(archive.record(session).body.get("label", ""), [])
            for digest, record in archive.session_records(session):
                if record.type == "exchange.open":
                    asked[digest] = archive.body(BodyRef.of(r)) if (r := record.body["request"]) else b""
                elif (record.type == "exchange.end" and record.body["status"] != 101) or _is_turn(record.body):
                    said = archive.body(BodyRef.of(r)) if (r := record.body.get("response")) else b""
                    kept.append((asked[record.parents[0]], said))
    return found


def calls(home: Path) -> int:
    """Model calls that have begun, WebSocket turns among them."""
    if not (home / "archive" / "data.mdb").exists():
        return 0
    with LmdbArchive.open(home / "archive", readonly=True) as archive:
        return sum(record.type == "exchange.open" and record.body["class"] == "model" for _, _, record in archive.log())


def _is_turn(body: Any) -> bool:
    return body.get("http") == "websocket" and "outcome" in body


def provider_said(bench: Bench) -> Pairs:
    """The same from the provider's side."""
    return [pair for pair in bench.said("/") if pair != (b"", b"")]
