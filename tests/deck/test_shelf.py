"""What the deck is tested with: the same bytes each time, and all in it that a deck could trip over."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from deck import shelf
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.verify import verify
from tapes.errors import Damaged
from tapes.session.audit import commands
from tapes.session.view import STEP_TYPES, view


def test_two_shelves_are_the_same_to_the_byte(the_shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    shelf.fill(tmp_path / "again")
    with LmdbArchive.open(the_shelf / "archive") as one, LmdbArchive.open(tmp_path / "again" / "archive") as other:
        assert list(one.log()) == list(other.log())
        assert one.names() == other.names()
    assert os.environ["TZ"] == "Asia/Tokyo"


def test_it_has_every_kind_of_step_and_every_verdict(home: Path) -> None:
    with LmdbArchive.open(home / "archive") as archive:
        types, verdicts = set[str](), set[str]()
        for session in archive.sessions():
            types |= {step.type for step in view(archive, session).steps}
            verdicts |= {command.judgement.verdict for command in commands(archive, session)}
    assert types >= set(STEP_TYPES)
    assert {"matched", "rewritten", "denied", "not-witnessed", "result-differs", "not-requested"} <= verdicts


def test_one_body_is_damaged_and_it_is_the_damaged_sessions(home: Path) -> None:
    with LmdbArchive.open(home / "archive") as archive:
        damaged = archive.names()[shelf.DAMAGED]
        found = {archive.at(finding.pos)[1].session for finding in verify(archive).findings if finding.pos}
        assert found == {damaged}
        with pytest.raises(Damaged):
            [archive.body(ref) for ref in shelf.bodies(archive, damaged)]
