"""A whole agent run under `tapes run` against the same run without, and how much later the agent starts.

    python benchmarks/run_overhead.py [rounds]

The scripted agent works through the demo's task against a scripted model that is paced like a real one (first byte
after 300 ms, 40 pieces a second), with and without us in turn. Prints medians and ratios of one run. To reach: the
whole run <= 1.05, the agent's start <= 0.15 s later.
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

HOST = "api.anthropic.com"
PACE = {"first_ms": 300, "gap_ms": 25, "chars": 12}


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if "proxy" not in k.lower()}
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


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    tapes = [sys.executable, "-m", "tapes_cli", "run"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = json.loads(demo.SCRIPT.read_text())
        (folder / "script.json").write_text(json.dumps(script | {"pace": PACE}))
        with provider_process(folder / "script.json") as ports:
            url = f"http://127.0.0.1:{ports['http']}"
            agent = [sys.executable, "-m", "tapes_addons.simulators.agent", "--script", "demo-a"]
            agent += ["--cwd", str(folder / "project"), demo.PROMPT]
            plain: list[float] = []
            recorded: list[float] = []
            for _ in range(rounds):
                demo.demo_project(folder / "project")
                plain.append(timed(agent, environment(folder / "home", ANTHROPIC_BASE_URL=url)))
                demo.demo_project(folder / "project")
                mapped = [*tapes, "--map-host", f"{HOST}={url}", "--", *agent]
                recorded.append(timed(mapped, environment(folder / "home")))
        env = environment(folder / "home")
        delays = [start_delay([*tapes, "--"], env) - start_delay([], env) for _ in range(2 * rounds)]
    with_us, without = statistics.median(recorded), statistics.median(plain)
    print(f"whole run    {with_us:.2f} s against {without:.2f} s, ratio {with_us / without:.3f}")
    low, middle, high = (1e3 * f(delays) for f in (min, statistics.median, max))
    print(f"agent starts {middle:.0f} ms later (from {low:.0f} to {high:.0f})")


if __name__ == "__main__":
    main()
