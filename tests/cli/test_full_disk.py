"""The disk fills up under `tapes run`: the agent notices nothing, and the session tells what is missing from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from small_disk import on_a_small_disk


@pytest.mark.slow
def test_a_disk_that_fills_up_costs_the_agent_nothing_and_is_told(tmp_path: Path) -> None:
    said = json.loads(on_a_small_disk(tmp_path / "disk", Path(__file__).parent / "full_disk.py"))
    assert (said["status"], said["turns"]) == (0, 7), said["stderr"]
    assert said["records"][-1] == "session.close"
    assert "gap" in said["records"][-12:]  # joins may stand behind it
    assert 1 <= said["row"]["gaps"] <= 2 and said["row"]["outcome"] == "exit 0"
    assert "takes no records" in said["stderr"]
    assert "exchanges could NOT be written" in said["stderr"]
    assert said["verify"] == 0
