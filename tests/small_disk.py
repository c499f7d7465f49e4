"""A small file system to fill, for tests of full disks.

Linux lets anybody mount a tmpfs in a namespace of their own, mostly. Where that is forbidden, TAPES_SMALL_DISK may name
a folder on a small file system that holds nothing else (docs/testing.md says how to make one).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MEGABYTES = 12
WORDS = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
MOUNT = f'mount -t tmpfs -o size={MEGABYTES}m,mode=700 none "$0" && exec "$@"'
CLOSED = "no small disk: namespaces are closed here; see docs/testing.md for TAPES_SMALL_DISK"


def on_a_small_disk(folder: Path, script: Path, *words: str, timeout: float = 120) -> str:
    """What a Python script says that is given a folder on a small file system, and words. Skips where there is none."""
    folder.mkdir(exist_ok=True)
    given = os.environ.get("TAPES_SMALL_DISK")
    if given:
        place = Path(given) / "test"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(mode=0o700)
        command = [sys.executable, str(script), str(place), *words]
    else:
        if not _may_mount(folder):
            pytest.skip(CLOSED)
        command = [*WORDS, MOUNT, str(folder), sys.executable, str(script), str(folder), *words]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=timeout, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _may_mount(folder: Path) -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*WORDS, MOUNT, str(folder), "true"], capture_output=True, check=False).returncode == 0


def fill(folder: Path) -> Path:
    """Take all room that is left."""
    path = folder / "fill"
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return path
