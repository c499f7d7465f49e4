"""What tests with real processes share: a scripted provider, `tapes` as a person types it, and every stored byte."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lmdb
from click.testing import CliRunner

from tapes.archive.lmdb_archive import LmdbArchive
from tapes_addons.simulators.process import provider_process
from tapes_addons.simulators.truth import read_messages, turns
from tapes_cli.main import tapes as verbs

HOST = "api.anthropic.com"
HOSTS = (HOST, "api.openai.com", "generativelanguage.googleapis.com", "127.0.0.1:11434")
"""Where the scripted agent looks for its APIs."""
KEY = "sk-ant-api03-test-key-0123456789"
CLEARED = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@dataclass
class Bench:
    """One archive, one provider, one project directory."""

    folder: Path
    provider_url: str = ""
    tls_url: str = ""
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def truth(self) -> Path:
        return self.folder / "truth"

    @property
    def project(self) -> Path:
        path = self.folder / "project"
        path.mkdir(exist_ok=True)
        return path

    def env(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k.lower() not in CLEARED}
        return kept | {"TAPES_HOME": str(self.home), "ANTHROPIC_API_KEY": KEY, "COLUMNS": "160"} | self.environ

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "tapes_cli", *words]

    def tapes(self, *words: str, timeout: float = 60) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self.command(*words),
            env=self.env(),
            capture_output=True,
            timeout=timeout,
            check=False,
            cwd=self.project,
        )

    def read(self, *words: str) -> bytes:
        """What a reading verb prints, run in this process: a test asks a hundred times, and a start costs more than an
        answer. That the verbs work as processes, tests say that are about a verb (`tapes`)."""
        with contextlib.chdir(self.project):
            done = CliRunner().invoke(verbs, words, env=self.env(), catch_exceptions=False, standalone_mode=False)
        assert not done.exit_code and not done.return_value, done.output
        return done.stdout_bytes

    def rows(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.read(*words, "--json").splitlines()]

    def route(self, *options: str) -> list[str]:
        mapped = [word for host in HOSTS for word in ("--map-host", f"{host}={self.provider_url}")]
        return ["run", *mapped, *options, "--"]

    def agent(self, prompt: str = "Do the work.", *options: str) -> list[str]:
        return [sys.executable, "-m", "tapes_addons.simulators.agent", "--fast", *options, prompt]

    def run(self, *agent: str, options: Sequence[str] = (), timeout: float = 90) -> subprocess.CompletedProcess[bytes]:
        """`tapes run` of the scripted agent, or of another command."""
        return self.tapes(*self.route(*options), *(agent or self.agent()), timeout=timeout)

    def said(self, path_part: str = "/v1/messages") -> list[tuple[bytes, bytes]]:
        """What the provider received and answered, in its own words; a WebSocket turn for turn, after its handshake."""
        found = []
        for file in sorted(self.truth.glob("*.json")):
            about = json.loads(file.read_text())
            if path_part in about["target"]:
                found.append((file.with_suffix(".req").read_bytes(), file.with_suffix(".resp").read_bytes()))
                if file.with_suffix(".messages").exists():
                    found += turns(read_messages(file.with_suffix(".messages")))
        return found

    def kept(self, ref: str = "@") -> list[tuple[bytes, bytes]]:
        """What the archive has of the same; b"" where no response came."""
        return [
            (
                self.read("cat", row["hash"], "--request"),
                b"" if row["outcome"] == "no_response" else self.read("cat", row["hash"], "--response"),
            )
            for row in self.rows("show", ref, "--exchanges")
        ]

    def assert_sound(self) -> None:
        """The last line of other tests: nothing that they did has harmed the archive."""
        self.read("verify")

    def everything(self) -> bytes:
        """Every byte of ours on the disk, and every record, object, tail and summary unpacked."""
        parts = [path.read_bytes() for path in self.home.rglob("*") if path.is_file() and "ca" not in path.parts]
        with lmdb.open(str(self.home / "archive"), readonly=True, max_dbs=32) as env:
            packs = env.open_db(b"pack", create=False)
            with env.begin() as txn:
                numbers = {int.from_bytes(key[:8]) for key, _ in txn.cursor(db=packs)}
        with LmdbArchive.open(self.home / "archive", readonly=True) as archive:
            assert numbers and archive.size()["packs"] == len(numbers)
            parts += [archive._packed(number) for number in sorted(numbers)]
            for _, digest, _ in archive.log():
                parts += [archive._bytes(digest), archive.tail(digest) or b""]
            parts += [archive.summary(session) or b"" for session in archive.sessions()]
        return b"\0".join(parts)


def processes_of(module: str, home: Path) -> list[int]:
    """Processes of ours that run this module for this archive."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words, environ = (path / "cmdline").read_bytes(), (path / "environ").read_bytes()
        except OSError:
            continue
        if module.encode() in words and str(home).encode() in environ:
            found.append(int(path.name))
    return found


@contextmanager
def bench(folder: Path, script: object, *provider_options: str) -> Iterator[Bench]:
    """A provider that follows `script` (a list of turns, or a whole script file's content)."""
    path = folder / "script.json"
    path.write_text(json.dumps(script))
    with provider_process(path, "--truth", str(folder / "truth"), *provider_options) as ports:
        tls = f"https://127.0.0.1:{ports['https']}" if "https" in ports else ""
        yield Bench(folder, f"http://127.0.0.1:{ports['http']}", tls)
