"""First byte of a stream, requests per second: `tapes run` against bare mitmproxy with a pass-through stream hook.

    python benchmarks/stream_overhead.py [--rounds N]

Both proxies run at the same time beside one scripted provider; one client takes turns between them, so that whatever
else the machine does hits both. Prints medians and the ratios of one run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import httpx

from tapes_addons.simulators.process import provider_process

HOST = "api.anthropic.com"
BARE = """
from mitmproxy import ctx

class Bare:
    def load(self, loader):
        loader.add_option("to_port", int, 0, "")
    def requestheaders(self, flow):
        data = flow.request.data
        data.scheme, data.host, data.port = b"http", "127.0.0.1", ctx.options.to_port
    def responseheaders(self, flow):
        flow.response.stream = lambda data: data

addons = [Bare()]
"""
SCRIPT = {
    "pace": {"first_ms": 20, "gap_ms": 2, "chars": 24},
    "scripts": {
        "main": [{"text": "A sentence of some length that is streamed in pieces. " * 4}],
        "quick": [{"text": "ok"}],
    },
}


def request_body(stream: bool, size: int = 20_000) -> bytes:
    text = "word " * (size // 5)
    messages = [{"role": "user", "content": [{"type": "text", "text": text}]}]
    return json.dumps({"model": "m", "max_tokens": 100, "stream": stream, "messages": messages}).encode()


def client(bare_url: str, bare_ca: str, rounds: int) -> None:
    """Inside `tapes run`: measure both proxies alternately and print the figures as JSON."""
    proxies = {"tapes": (os.environ["HTTPS_PROXY"], os.environ["SSL_CERT_FILE"]), "bare": (bare_url, bare_ca)}
    clients = {
        name: httpx.Client(proxy=url, verify=ca, trust_env=False, timeout=60) for name, (url, ca) in proxies.items()
    }
    first: dict[str, list[float]] = {name: [] for name in clients}
    rate: dict[str, list[float]] = {name: [] for name in clients}
    url = f"https://{HOST}/v1/messages"
    for round_ in range(rounds + 3):
        order = list(clients) if round_ % 2 else list(reversed(clients))
        for name in order:
            began = time.perf_counter()
            with clients[name].stream("POST", url, content=request_body(True)) as answer:
                chunks = answer.iter_raw()
                next(chunks)
                first_ms = (time.perf_counter() - began) * 1e3
                for _ in chunks:
                    pass
            if round_ >= 3:
                first[name].append(first_ms)
        for name in order:
            began = time.perf_counter()
            for _ in range(20):
                clients[name].post(url, content=request_body(False, 2000), headers={"x-tapes-demo-script": "quick"})
            if round_ >= 3:
                rate[name].append(20 / (time.perf_counter() - began))
    print(json.dumps({"first": first, "rate": rate}))


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    import socket

    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise SystemExit("mitmdump did not start")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--client", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.client:
        client(*options.client, options.rounds)
        return
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "script.json").write_text(json.dumps(SCRIPT))
        (folder / "bare.py").write_text(BARE)
        ports = stack.enter_context(provider_process(folder / "script.json"))
        import socket

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            bare_port = probe.getsockname()[1]
        words = [
            Path(sys.executable).parent / "mitmdump",
            "-q",
            "-s",
            str(folder / "bare.py"),
            "-p",
            str(bare_port),
        ]
        words += [
            "--listen-host",
            "127.0.0.1",
            "--set",
            f"confdir={folder}/ca",
            "--set",
            f"to_port={ports['http']}",
        ]
        bare = subprocess.Popen([*words, "--set", "connection_strategy=lazy"], stdout=subprocess.DEVNULL)
        stack.callback(bare.wait)
        stack.callback(bare.terminate)
        wait_for_port(bare_port, bare)
        run = [
            sys.executable,
            "-m",
            "tapes_cli",
            "run",
            "--map-host",
            f"{HOST}=http://127.0.0.1:{ports['http']}",
            "--",
        ]
        run += [sys.executable, __file__, "--rounds", str(options.rounds), "--client"]
        run += [f"http://127.0.0.1:{bare_port}", f"{folder}/ca/mitmproxy-ca-cert.pem"]
        done = subprocess.run(
            run, env=os.environ | {"TAPES_HOME": f"{folder}/home"}, stdout=subprocess.PIPE, check=True
        )
    figures = json.loads(done.stdout)
    report("first byte ", figures["first"], "ms", "<= 1.1")
    report("requests/s ", figures["rate"], "/s", ">= 0.9")


def report(what: str, figures: dict[str, list[float]], unit: str, reach: str) -> None:
    """Medians, and the ratios of neighbouring measurements with their quartiles."""
    ours, bare = (statistics.median(figures[name]) for name in ("tapes", "bare"))
    ratios = sorted(t / b for t, b in zip(figures["tapes"], figures["bare"], strict=True))
    low, middle, high = (ratios[(len(ratios) - 1) * part // 4] for part in (1, 2, 3))
    print(
        f"{what} tapes {ours:.1f} {unit}, bare mitmproxy {bare:.1f} {unit}, "
        f"ratio {middle:.3f} (quartiles {low:.3f} to {high:.3f}), to reach {reach}"
    )


if __name__ == "__main__":
    main()
