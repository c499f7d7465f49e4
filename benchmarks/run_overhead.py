"""A whole agent run under `tapes run` against the same run without, and how much later the agent starts.

    python benchmarks/run_overhead.py [rounds]

The scripted agent works through the demo's task against a scripted model that is paced like a real one (first byte
after 300 ms, 40 pieces a second) and speaks TLS as real ones do, with and without us in turn. An agent that does
nothing but connect at once shows how long the first call waits for the capture process, which starts beside it. Prints
medians, ratios and quartiles of one run. To reach: the whole run <= 1.05, the agent's start <= 0.15 s later.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tapes_addons.simulators import demo
from tapes_addons.simulators.process import provider_process
from tapes_addons.trust import system_bundle

HOST = "api.anthropic.com"
TAPES = [sys.executable, "-c", "import sys; from tapes_cli.entry import main; sys.exit(main())", "run"]
CONNECT = """
import os, socket, sys, time
began = time.time()
host, port = os.environ["HTTPS_PROXY"].partition("//")[2].strip("/").split(":")
line = socket.create_connection((host, int(port)))
line.sendall(b"CONNECT api.anthropic.com:443 HTTP/1.1\\r\\nHost: api.anthropic.com:443\\r\\n\\r\\n")
assert b" 200 " in line.recv(1000)
sys.stdout.write(repr(time.time() - began))
"""
PACE = {"first_ms": 300, "gap_ms": 25, "chars": 12}


def environment(home: Path, **more: str) -> dict[str, str]:
    dropped = ("proxy", "dontwritebytecode")  # installers compile; a checkout that runs first does so here
    kept = {k: v for k, v in os.environ.items() if not any(word in k.lower() for word in dropped)}
    return kept | {"TAPES_HOME": str(home), "ANTHROPIC_API_KEY": "no-key"} | more


def timed(words: list[str], env: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(words, env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def start_delay(words: list[str], env: dict[str, str]) -> float:
    """Seconds until the launched program runs its first line."""
    program = "import sys, time; sys.stdout.write(repr(time.time()))"
    began = time.time()
    done = subprocess.run([*words, sys.executable, "-S", "-c", program], env=env, capture_output=True, check=True)
    return float(done.stdout) - began


def first_wait(env: dict[str, str]) -> float:
    """Seconds until the proxy answers an agent that connects with its first line."""
    words = [*TAPES, "--", sys.executable, "-S", "-c", CONNECT]
    return float(subprocess.run(words, env=env, capture_output=True, check=True).stdout)


def quartiles(values: list[float], unit: float = 1.0) -> str:
    """Median, and in brackets the quartiles."""
    values = sorted(values)
    low, middle, high = (values[(len(values) - 1) * part // 4] * unit for part in (1, 2, 3))
    digits = 3 if unit == 1 else 0
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = json.loads(demo.SCRIPT.read_text())
        (folder / "script.json").write_text(json.dumps(script | {"pace": PACE}))
        with provider_process(folder / "script.json", "--tls", str(folder / "tls")) as ports:
            bundle = folder / "bundle.pem"
            bundle.write_bytes(system_bundle().read_bytes() + (folder / "tls" / "cert.pem").read_bytes())
            url = f"https://127.0.0.1:{ports['https']}"
            env = environment(folder / "home", SSL_CERT_FILE=str(bundle))
            agent = [sys.executable, "-m", "tapes_addons.simulators.agent", "--script", "demo-a"]
            agent += ["--cwd", str(folder / "project"), demo.PROMPT]
            plain: list[float] = []
            recorded: list[float] = []
            for _ in range(rounds + 1):
                demo.demo_project(folder / "project")
                plain.append(timed(agent, env | {"ANTHROPIC_BASE_URL": url}))
                demo.demo_project(folder / "project")
                recorded.append(timed([*TAPES, "--map-host", f"{HOST}={url}", "--", *agent], env))
        # The first round makes our CA and fills the caches.
        ratios = [ours / theirs for ours, theirs in zip(recorded[1:], plain[1:], strict=True)]
        delays = [start_delay([*TAPES, "--"], env) - start_delay([], env) for _ in range(2 * rounds)]
        waits = [first_wait(env) for _ in range(2 * rounds)]
    with_us, without = statistics.median(recorded[1:]), statistics.median(plain[1:])
    print(f"whole run    {with_us:.2f} s against {without:.2f} s, ratio {quartiles(ratios)}")
    print(f"agent starts {quartiles(delays, 1e3)} ms later")
    print(f"first call of an agent that makes it at once waits {quartiles(waits, 1e3)} ms")


if __name__ == "__main__":
    main()
