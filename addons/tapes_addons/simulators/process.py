"""The provider as a process of its own, for `tapes demo` and for tests that want real processes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def provider_process(script: Path, *options: str) -> Iterator[dict[str, int]]:
    """A running provider: {"http": port} and, with `--tls`, "https". RuntimeError when it does not start."""
    command = [sys.executable, "-m", "tapes_addons.simulators.provider", "--script", str(script), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        word, *ports = process.stdout.readline().split() or [""]
        if word != "READY":
            raise RuntimeError(f"the scripted provider did not start (status {process.wait()})")
        yield {scheme: int(port) for scheme, port in (entry.split("=") for entry in ports)}
    finally:
        process.terminate()
        process.wait()
        if process.stdout:
            process.stdout.close()
