"""`tapes demo`: two runs of a scripted agent against a scripted model, recorded through the real proxy, offline."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from tapes.errors import NotFound, TapesError
from tapes_cli.home import open_archive

HOST = "api.anthropic.com"
KEY = "sk-ant-api03-only-for-the-demo"


@click.command("demo")
def command() -> int:
    """Record two runs of a small scripted agent (no network, no real agent) and say what to look at.

    A scripted model server is started on loopback. The agent really runs commands, in a temporary folder of its own.
    Both runs are of the same task and part at one step.
    """
    from tapes_addons.simulators import demo
    from tapes_addons.simulators.process import provider_process

    names = free_names(demo.RUNS)
    with tempfile.TemporaryDirectory(prefix="tapes-demo-") as folder, provider_process(demo.SCRIPT) as ports:
        for run, name in zip(demo.RUNS, names, strict=True):
            place = Path(folder) / "project"
            demo.demo_project(place)
            click.echo(f"$ tapes run --name {name} -- demo-agent {demo.PROMPT!r}", err=True)
            url = f"http://127.0.0.1:{ports['http']}"
            status = record(name, run, url, place, demo.PROMPT)
            if status:
                raise TapesError(f"the demo's run {name} exited with {status}", hint=f"look at it: tapes show {name}")
    first, second = names
    click.echo(
        f"""
Two runs are in the archive. Look at them:
  tapes log                       all sessions
  tapes show {first:<20} what the agent was told, said and did, step by step
  tapes show {second:<20} the same task: it parts from {first} at its first edit
  tapes show {first} --exchanges   each model call, with sizes, outcome and hashes
  tapes commands                  what really ran, and whether that is what was asked for and told
  tapes cat HASH --response       the exact bytes that the model answered
  tapes verify                    re-derive every hash and link"""
    )
    return 0


def free_names(wanted: tuple[str, ...]) -> list[str]:
    """The names, with a number behind them when the demo has been run before."""
    try:
        with open_archive() as archive:
            taken = archive.names()
    except NotFound:
        taken = {}
    number = 1
    while any(f"{name}-{number}" in taken or (number == 1 and name in taken) for name in wanted):
        number += 1
    return list(wanted) if number == 1 else [f"{name}-{number}" for name in wanted]


def record(name: str, script: str, url: str, place: Path, prompt: str) -> int:
    """One `tapes run`, as a person would type it."""
    agent = [
        sys.executable,
        "-m",
        "tapes_addons.simulators.agent",
        "--script",
        script,
        "--cwd",
        str(place),
        prompt,
    ]
    words = [
        sys.executable,
        "-m",
        "tapes_cli",
        "run",
        "--name",
        name,
        "--map-host",
        f"{HOST}={url}",
        "--worktree",
        str(place),
        "--",
        *agent,
    ]
    environ = {k: v for k, v in os.environ.items() if k.lower() not in ("https_proxy", "http_proxy", "all_proxy")}
    environ.pop("ANTHROPIC_BASE_URL", None)
    return subprocess.run(words, env=environ | {"ANTHROPIC_API_KEY": KEY}, check=False).returncode
