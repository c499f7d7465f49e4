"""Bodies made to hurt, through decoding, redaction, cutting, committing and reading: kept to the byte, within bounds.

Each goes through a process of its own (hostile.py) that may use only so much processor time. Larger ones:
pytest tests/intake/test_hostile.py --fault-scale 25
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Faults
from intake.hostile import KINDS, MB

CALLS = (
    ("api.anthropic.com", "/v1/messages"),
    ("api.openai.com", "/v1/chat/completions"),
    ("api.openai.com", "/v1/responses"),
    ("generativelanguage.googleapis.com", "/v1beta/models/m:streamGenerateContent"),
    ("127.0.0.1:11434", "/api/chat"),
)
OF_DECODED = 5
"""Copies of a decoded body that may be in memory at a time."""


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_body_is_kept_within_bounds(kind: str, tmp_path: Path, faults: Faults) -> None:
    call = CALLS[(list(KINDS).index(kind) + faults.seed) % len(CALLS)]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, str(Path(__file__).parent / "hostile.py"), str(tmp_path), kind, str(faults.scale), *call]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["closed"] and said["sound"]
    assert said["types"][0] == "session.open" and said["types"][-1] == "session.close"
    coding, _ = KINDS[kind]
    if not coding:
        assert said["same"] == [True, True]
    assert said["grown"] <= 100 * MB * faults.scale + OF_DECODED * max(said["size"], *said["stored"])
    assert not [note for note in said["notes"] if "defect" in note]
