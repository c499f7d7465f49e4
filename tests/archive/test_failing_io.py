"""Each write, sync and truncate of the archive's file fails in turn, in several ways: nothing that was reported is
lost, nothing is there twice, nothing but our own errors comes out, and when the disk is well again so is the archive.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from archive.failing_io import HOW
from conftest import Faults

HERE = Path(__file__).parent
EVER = 1_000_000


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs a C compiler and Linux to make calls fail; see docs/testing.md")
    path = tmp_path_factory.mktemp("shim") / "failing_io.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", path, HERE / "failing_io.c", "-ldl"], check=True)
    return path


def outcomes(shim: Path, folder: Path, cases: list[str]) -> list[dict[str, Any]]:
    environ = os.environ | {"LD_PRELOAD": str(shim), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(HERE / "failing_io.py"), str(folder), str(shim), *cases]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_an_error_at_any_call_loses_nothing_that_was_reported(shim: Path, tmp_path: Path, faults: Faults) -> None:
    (counted,) = outcomes(shim, tmp_path, ["count"])
    assert counted["calls"] > 20
    cases = [
        f"{at}:{times}:{error}:{how}"
        for at in range(1, counted["calls"] + 1)
        for error in ("EIO", "ENOSPC")
        for how in HOW
        for times in (1, 2, EVER)
    ]
    tried = faults.some(cases, 120)
    said = outcomes(shim, tmp_path, tried)
    assert len(said) == len(tried)
    wrong = {case: said for case, said in zip(tried, said, strict=True) if not _well(said)}
    assert wrong == {}
    assert {"ArchiveFull", "ArchiveError"} <= {error for one in said for error in one["errors"]}


def _well(said: dict[str, Any]) -> bool:
    if "raised" in said or not said["look"].startswith("sound"):
        return False
    stored = Counter(said["stored"])
    return set(said["kept"]) <= set(stored) and set(stored.values()) == {1}
