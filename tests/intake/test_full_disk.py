"""The disk is full: what can be kept is, what can not is counted, and the archive itself says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from small_disk import on_a_small_disk

SIZE = 2 * 1024 * 1024


def recorded(tmp_path: Path, how: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(on_a_small_disk(tmp_path / "disk", Path(__file__).parent / "full_disk.py", how))
    assert said["sound"]
    return said


def test_a_disk_that_stays_full_leaves_a_gap_that_counts_all_and_a_closed_session(tmp_path: Path) -> None:
    said = recorded(tmp_path, "stays")
    assert said["types"][-2:] == ["gap", "session.close"]
    assert sum(said["gaps"]) == 12 and not said["closed"]
    assert len(said["said"]) == 1 and "no room" in said["said"][0]
    # What the last words did not need is held again, and made whole when there is room.
    assert said["left"] < 256 * 1024
    assert said["reserve"] == [SIZE, SIZE]


def test_without_a_reserve_the_gap_can_not_be_written(tmp_path: Path) -> None:
    said = recorded(tmp_path, "no-reserve")
    assert said["gaps"] == [] and "session.close" not in said["types"]


def test_a_disk_that_has_room_again_has_cost_only_what_the_queue_did_not_take(tmp_path: Path) -> None:
    said = recorded(tmp_path, "comes-back")
    assert said["closed"] and said["types"].count("exchange.end") == 1 + said["whole"]
    assert sum(said["gaps"]) == 12 - said["whole"]  # in one record, or as the queue had room in between
    assert "again" in said["said"][-1]
