"""What a standing proxy left open is ended by the next one; what a living one writes is not touched."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tapes.archive.base import Batch, Draft
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.archive.summary import Summary
from tapes.intake.opening import Facts, opening
from tapes.wire.redact import Redactor
from tapes_addons.held import content, held
from tapes_addons.left_open import Ending, alive, left_open


def begun(archive: LmdbArchive, route: str = "serve", label: str = "serve: alice") -> Draft:
    """A session that has only begun, with its summary."""
    draft = opening(Facts("generic", (), b"", route=route, label=label), Redactor())
    summary = Summary()
    summary.fold(draft.type, draft.body, draft.wall_ns)
    archive.commit(Batch(drafts=[draft], summaries={draft: summary.to_bytes()}))
    return draft


def ended(home: Path, archive: LmdbArchive) -> list[str]:
    said: list[str] = []
    ending = Ending(home, archive, said.append)
    ending.start()
    ending._thread.join(30)
    return said


def test_only_sessions_of_standing_proxies_that_are_gone_are_ended_and_once(tmp_path: Path) -> None:
    place = tmp_path / "archive"
    with (
        LmdbArchive.open(place, create=True) as dead,
        LmdbArchive.open(place) as other,
        LmdbArchive.open(place) as ours,
        alive(tmp_path, other.writer),
        alive(tmp_path, ours.writer),
    ):
        lost = [begun(dead), begun(dead, "mitmproxy", "mitmproxy: bob")]
        kept = [begun(dead, "proxy", ""), begun(other), begun(ours)]
        said = ended(tmp_path, ours)
        assert [draft.hash.short() in line for draft, line in zip(lost, said, strict=True) if draft.hash] == [True] * 2
        for draft, how in zip(lost, ("the serve was lost", "the mitmproxy was lost"), strict=True):
            assert draft.hash is not None
            *_, gap, last = [record for _, record in ours.session_records(draft.hash)]
            assert (gap.type, gap.body["since_ns"]) == ("gap", draft.wall_ns)
            assert (last.type, last.body["how"], last.body["gaps"]) == ("session.close", how, 1)
            summary = Summary.from_bytes(ours.summary(draft.hash))
            assert summary is not None
            assert (summary.closed, summary.upto) == (True, 2)
        for draft in kept:
            assert draft.hash is not None
            assert ours.head(draft.hash) == (draft.hash, 0)
        assert ended(tmp_path, ours) == []


def test_a_session_without_a_summary_is_ended_too(tmp_path: Path) -> None:
    with LmdbArchive.open(tmp_path / "archive", create=True) as archive:
        draft = begun(archive)
        assert draft.hash is not None
        archive.commit(Batch(summaries={draft.hash: b""}))
        assert [session for session, _ in left_open(archive, tmp_path)] == [draft.hash]


def test_a_file_is_held_for_as_long_as_its_process_lives_and_no_longer(tmp_path: Path) -> None:
    path = tmp_path / "run" / "x"
    words = f"from pathlib import Path; from tapes_addons.held import held\nwith held(Path({str(path)!r}), b'y'):"
    program = [sys.executable, "-c", f"{words} print(flush=True); input()"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert content(path) == b"y"
        process.kill()
        process.wait()
    assert path.exists()
    assert content(path) is None
    assert not path.exists()
    with held(path, b"again"):
        assert content(path) == b"again"
    assert content(path) is None
