"""Trials: a scripted model and a scripted agent on this machine, recorded by a real `tapes run` into an archive that is
thrown away. What comes back from it is compared with what the model really sent.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tapes.wire.agents import recognise
from tapes_cli.checks.finding import Finding, bad, note, ok

HOSTS = ("api.anthropic.com", "api.openai.com", "generativelanguage.googleapis.com", "127.0.0.1:11434")
DIALECTS = {
    "anthropic": "/messages",
    "openai-chat": "/chat/completions",
    "openai-responses": "/responses",
    "openai-websocket": "/responses",
    "gemini": "?alt=sse",
    "gemini-array": ":streamGenerateContent",
    "ollama": "/api/chat",
}
"""By dialect of the scripted agent, how the URLs of its calls end."""
SCRIPT = {
    "pace": {"first_ms": 40, "gap_ms": 15, "chars": 12},
    "scripts": {"main": [{"text": "Hello. This is said in pieces, so that one can see whether it streams."}]},
}
ENOUGH_S = 120
KEYS = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY")


def dialects() -> Iterator[Finding]:
    """One streamed call in each dialect, compared byte for byte."""
    from tapes_addons.simulators.process import provider_process

    with tempfile.TemporaryDirectory(prefix="tapes-doctor-") as folder:
        base = Path(folder)
        script, truth = base / "script.json", base / "truth"
        script.write_text(json.dumps(SCRIPT))
        truth.mkdir()
        with provider_process(script, "--truth", str(truth)) as ports:
            url = f"http://127.0.0.1:{ports['http']}"
            mapped = [word for host in HOSTS for word in ("--map-host", f"{host}={url}")]
            agent = [sys.executable, "-m", "tapes_addons.simulators.every", *DIALECTS]
            done = run([*mapped, "--", *agent], own_environment(base))
        if done.returncode:
            last = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
            yield bad(
                "recording", f"a trial run exited with {done.returncode}: {last[0]}", "tapes run -- env says more"
            )
            return
        yield from compare(base / "home", truth)


def compare(home: Path, truth: Path) -> Iterator[Finding]:
    """What the archive gives back against what the model says it sent."""
    from tapes.archive.lmdb_archive import LmdbArchive
    from tapes.session.exchanges import exchanges

    sent = truth_pairs(truth)
    with LmdbArchive.open(home / "archive", readonly=True) as archive:
        found = [e for e in exchanges(archive, archive.sessions()[-1]) if e.body["class"] == "model"]
        for dialect, ending in DIALECTS.items():
            of_it = [
                e
                for e in found
                if str(e.body["url"]).endswith(ending) and is_socket(e.body["url"]) == is_socket(dialect)
            ]
            if not of_it:
                yield bad(dialect, "no call was recorded", "please report this with the output of tapes doctor --json")
                continue
            call = of_it[-1]
            if call.request is None or call.response is None:
                pair = (b"", b"")
            else:
                pair = (archive.body(call.request), archive.body(call.response))
            if pair not in sent or call.outcome != "complete":
                text = f"the call came back {call.outcome}, and not as it was sent"
                yield bad(dialect, text, "please report this with the output of tapes doctor --json")
            else:
                first, whole = (call.first_byte_us or 0) / 1000, (call.duration_us or 0) / 1000
                yield ok(dialect, f"{len(pair[1])} bytes as sent; the first after {first:.0f} ms of {whole:.0f} ms")


def is_socket(name: str) -> bool:
    return name.startswith("ws") or name.endswith("websocket")


def truth_pairs(folder: Path) -> set[tuple[bytes, bytes]]:
    """(request, response) of every call and every WebSocket turn that the scripted model answered."""
    from tapes_addons.simulators.truth import read_messages, turns

    pairs: set[tuple[bytes, bytes]] = set()
    for file in folder.glob("*.json"):
        pairs.add((file.with_suffix(".req").read_bytes(), file.with_suffix(".resp").read_bytes()))
        messages = file.with_suffix(".messages")
        if messages.exists():
            pairs.update(turns(read_messages(messages)))
    return pairs


def version_of(command: str) -> Iterator[Finding]:
    """Start the agent's version command through us: is it found, known, and does it start with our settings?"""
    what = f"agent {Path(command).name}"
    path = shutil.which(command)
    if path is None:
        yield bad(what, f"{command} is not found", "install it, or give its path to --agent")
        return
    agent = recognise([command])
    if agent.name == "generic":
        text = "not one that we know: it gets the proxy variables, which most programs honour"
        yield note(what, text, f"see whether its calls are recorded: tapes run -- {command}")
    else:
        yield ok(what, f"recognised as {agent.name}: {path}")
    words = [path, *agent.version_words]
    with tempfile.TemporaryDirectory(prefix="tapes-doctor-") as folder:
        done = run(["--", *words], own_environment(Path(folder), clean=False))
    if done.returncode == 0:
        version = (done.stdout.strip() or "no version given").splitlines()[0]
        yield ok(what, f"starts under our settings: {version}")
        return
    asked, said = shlex.join([command, *agent.version_words]), done.stderr.strip().splitlines()
    its_own = [line for line in said if not line.startswith("tapes: ")] or said
    failed = f"`{asked}` exits with {done.returncode} under our settings" + "".join(
        f": {line}" for line in its_own[-1:]
    )
    if start(words, os.environ).returncode:
        yield note(what, f"{failed}; but it fails without us, too", f"see what it says: {asked}")
    else:
        yield bad(what, f"{failed}; without us it does not fail", f"please report this with: tapes run -- {asked}")


def run(words: list[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return start([sys.executable, "-m", "tapes_cli", "run", *words], environ)


def start(command: list[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=ENOUGH_S,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"not done after {ENOUGH_S} s")
    except OSError as error:
        return subprocess.CompletedProcess(command, 126, "", str(error))


def own_environment(base: Path, *, clean: bool = True) -> dict[str, str]:
    """An archive of the trial's own; with `clean`, none of the user's proxies and base URLs (checked apart)."""
    home = base / "home"
    home.mkdir(mode=0o700)
    environ = dict(os.environ) | {"TAPES_HOME": str(home)}
    if not clean:
        return environ
    gone = ("_PROXY", "_BASE_URL", "_API_BASE", "OLLAMA_HOST")
    kept = {name: value for name, value in environ.items() if not name.upper().endswith(gone)}
    return kept | dict.fromkeys(KEYS, "tapes-doctor-has-no-key")
