"""The end of the pipe that the capture process reads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tapes.wire.command import CommandHappening, CommandsMissed
from tapes_addons.terminal.pipe import make_pipe
from tapes_addons.terminal.reports import Reports


@pytest.mark.parametrize("by", ["nothing", "a file", "another pipe"])
def test_a_pipe_that_was_taken_away_is_told_once(tmp_path: Path, by: str) -> None:
    path = tmp_path / "commands"
    held = make_pipe(str(path))
    found: list[CommandHappening] = []
    reports = Reports(str(path), b"n" * 8, found.append)
    os.write(held, b"x")
    path.unlink()
    if by == "a file":
        path.write_bytes(b"")
    elif by == "another pipe":
        os.mkfifo(path)
    os.write(held, b"x")
    reports.finish(5)
    os.close(held)
    told = [each.reason for each in found if isinstance(each, CommandsMissed)]
    assert sum("taken away" in reason for reason in told) == 1


def test_a_pipe_that_is_in_its_place_is_not_spoken_of(tmp_path: Path) -> None:
    held = make_pipe(str(tmp_path / "commands"))
    found: list[CommandHappening] = []
    reports = Reports(str(tmp_path / "commands"), b"n" * 8, found.append)
    reports.finish(5)
    os.close(held)
    assert found == []
