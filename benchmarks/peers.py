"""How large one session is on disk: our archive beside what somebody would keep instead.

    python benchmarks/peers.py [--claude-tap PATH] [--only=WORD] [turns ...]

The same growing Claude-like session (tapes_addons.simulators.growing) goes, turn by turn,

- through our intake into a new archive (session_size.py: every hash, tool events, every tenth exchange compared),
- as plain bodies into one stream of `zstd -19 --long` (a window of 128 MiB): near the least that any general compressor
  leaves, and of no use until the session is over, for reading one body unpacks all before it,
- into mitmproxy's flow file (what `-w` writes) and its HAR dump,
- through claude-tap, a peer, as its user runs it: its proxy between a client and a server that gives the answers. It
  keeps requests as JSON values and answers as it understood them; with `--tap-store-stream-events` their events too.

claude-tap is found on the PATH or by the option; without it (`pip install claude-tap` in an environment of its own) a
line says so. 200 turns are 177 MB and take a minute; 1,000 turns are 4.2 GB and take many: `--only=zstd`, say, measures
one row.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import session_size
import zstandard
from mitmproxy import http
from mitmproxy.addons.savehar import SaveHar
from mitmproxy.io import FlowWriter
from mitmproxy.test.tflow import tclient_conn, tserver_conn

from tapes_addons.simulators.growing import growing_session

EVENTS = "--tap-store-stream-events"


class Traffic:
    """The pairs of bodies, made anew, and how many bytes went by."""

    def __init__(self, turns: int) -> None:
        self.turns, self.raw = turns, 0

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        for request, response in growing_session(self.turns):
            self.raw += len(request) + len(response)
            yield request, response


class Count:
    """A file that only counts."""

    def __init__(self) -> None:
        self.size = 0

    def write(self, data: bytes) -> int:
        self.size += len(data)
        return len(data)


def zstd(traffic: Traffic) -> int:
    parameters = zstandard.ZstdCompressionParameters.from_level(19, window_log=27, enable_ldm=True)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    size = sum(len(stream.compress(body)) for pair in traffic for body in pair)
    return size + len(stream.flush())


def flows(traffic: Traffic) -> Iterator[http.HTTPFlow]:
    client, server = tclient_conn(), tserver_conn()
    url = "https://api.anthropic.com/v1/messages?beta=true"
    for request, response in traffic:
        flow = http.HTTPFlow(client, server)
        flow.request = http.Request.make("POST", url, request, session_size.HEADERS)
        flow.response = http.Response.make(200, response, {"content-type": "text/event-stream"})
        flow.response.timestamp_end = flow.request.timestamp_end = time.time()
        yield flow


def flow_file(traffic: Traffic) -> int:
    file = Count()
    writer = FlowWriter(file)  # type: ignore[arg-type]
    for flow in flows(traffic):
        writer.add(flow)
    return file.size


def har(traffic: Traffic) -> int:
    dump = SaveHar()
    return sum(len(json.dumps(dump.make_har([flow])["log"]["entries"], indent=4).encode()) for flow in flows(traffic))


@contextmanager
def answering(answers: list[bytes]) -> Iterator[int]:
    """A server that gives these answers, one after the other, as event streams; its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("content-length", str(len(answers[0])))
            self.end_headers()
            self.wfile.write(answers[0])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()


def claude_tap(program: str, traffic: Traffic, *options: str) -> int:
    """Bytes of its database after the session, checked to hold every call."""
    answers = [b""]
    with answering(answers) as target, tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        words = [program, "--tap-no-launch", "--tap-host", "127.0.0.1", "--tap-port", str(port)]
        words += ["--tap-target", f"http://127.0.0.1:{target}", "--tap-no-live", "--tap-no-open", *options]
        words += ["--tap-no-update-check"]
        kept = {k: v for k, v in os.environ.items() if "proxy" not in k.lower() and k != "PYTHONPATH"}
        env = kept | {"HOME": folder, "XDG_DATA_HOME": folder, "CLOUDTAP_DB": f"{folder}/traces.sqlite3"}
        process = subprocess.Popen(words, env=env, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            client = connected(port, process)
            for request, answers[0] in traffic:
                headers = {k.decode(): v.decode() for k, v in session_size.HEADERS} | {"accept-encoding": "identity"}
                client.request("POST", "/v1/messages?beta=true", request, headers)
                got = client.getresponse()
                if got.status != 200 or got.read() != answers[0]:
                    raise SystemExit(f"claude-tap changed an answer (status {got.status})")
        finally:
            process.terminate()
            process.wait(30)
        return sum(path.stat().st_size for path in Path(folder).glob("traces.sqlite3*"))


def connected(port: int, process: subprocess.Popen[bytes]) -> HTTPConnection:
    for _ in range(200):
        time.sleep(0.1)
        client = HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            client.connect()
        except ConnectionRefusedError:
            if process.poll() is not None:
                break
        else:
            return client
    raise SystemExit("claude-tap did not start")


def tapes(traffic: Traffic) -> int:
    with tempfile.TemporaryDirectory() as folder:
        traffic.raw, size = session_size.measure(traffic.turns, Path(folder) / "archive")
        return size


def compare(turns: int, tap: str | None, only: str) -> None:
    print(f"{turns} turns")
    measures: dict[str, Callable[[Traffic], int]] = {
        "tapes": tapes,
        "zstd -19 --long, one stream": zstd,
        "mitmproxy -w": flow_file,
        "mitmproxy HAR": har,
    }
    if tap:
        measures |= {"claude-tap": lambda traffic: claude_tap(tap, traffic)}
        measures |= {f"claude-tap {EVENTS}": lambda traffic: claude_tap(tap, traffic, EVENTS)}
    else:
        print("  claude-tap is not installed here: no rows of it")
    for name, measure in measures.items():
        if only in name:
            began, traffic = time.perf_counter(), Traffic(turns)
            size = measure(traffic)
            took = time.perf_counter() - began
            ratio = 100 * size / traffic.raw
            print(f"  {name:38} {size / 1e6:9.2f} MB  {ratio:7.2f} %  ({took:.0f} s)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("turns", type=int, nargs="*", default=[40, 200])
    parser.add_argument("--claude-tap", default=shutil.which("claude-tap"), metavar="PATH")
    parser.add_argument("--only", default="", metavar="WORD", help="rows whose name has this word")
    options = parser.parse_args()
    for turns in options.turns:
        compare(turns, options.claude_tap, options.only)


if __name__ == "__main__":
    main()
