"""`tapes forget` and `tapes archive gc` as typed, on sessions that were really recorded: no file keeps a word of it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from support import Bench, bench
from tapes.archive.base import Batch, Draft
from tapes.archive.lmdb_archive import LmdbArchive
from tapes_addons.simulators.agent import DIALECTS
from tapes_cli.commands.retention import judge
from tapes_cli.keeping import Keeping

QUICK = {"first_ms": 5, "gap_ms": 1, "chars": 7}
HIDDEN = "the-vault-code-is-four-nine-seven-one"
SCRIPT = {
    "pace": QUICK,
    "scripts": {
        "main": [
            {
                "thinking": f"Let me think about {HIDDEN} for a while.",
                "text": "Looking around first.",
                "tools": [{"tool": "bash", "input": {"command": f"echo {HIDDEN}"}}],
            },
            {"text": "Once more.", "tools": [{"tool": "bash", "input": {"command": "echo something-else-entirely"}}]},
            {"text": "All is done here."},
        ]
    },
}


def recorded(b: Bench, name: str, prompt: str, *options: str) -> None:
    assert b.run(*b.agent(prompt, *options), options=["--name", name]).returncode == 0


def numbers(b: Bench, ref: str) -> dict[int, str]:
    return {row["step"]: row["type"] for row in b.rows("show", ref)}


def forgotten(b: Bench, *words: str) -> str:
    done = b.tapes("forget", *words, "--yes", "--reason", "a test")
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.mark.parametrize(
    "dialect",
    [pytest.param(name, marks=[] if name == "anthropic" else [pytest.mark.slow]) for name in sorted(DIALECTS)],
)
def test_steps_are_destroyed_in_streams_parts_histories_and_tool_events(tmp_path: Path, dialect: str) -> None:
    with bench(tmp_path, SCRIPT) as b:
        recorded(b, "one", "Begin with the cellar door.", "--dialect", dialect)
        before = numbers(b, "one")
        chosen = [row["step"] for row in b.rows("show", "one") if HIDDEN in row["text"]]
        assert len(chosen) == 3 and HIDDEN.encode() in b.everything()
        ref = f"one:{min(chosen)}..{max(chosen)}"
        plan = b.rows("forget", ref, "--dry-run")
        assert {row["what"] for row in plan} == {"body", "record"} and all(row["goes"] for row in plan)
        assert HIDDEN.encode() in b.everything()
        said = forgotten(b, ref)
        held = b.everything()
        assert HIDDEN.encode() not in held and b"cellar door" in held
        assert b.rows("show", "one")[-1]["text"] == "All is done here."
        after = numbers(b, "one")
        assert after.keys() == before.keys() and after[1] == before[1]
        assert {after[n] for n in chosen} == {"withheld"}
        b.assert_sound()
        by = said.rpartition("withheld by record ")[2].strip()
        record = json.loads(b.tapes("cat", by).stdout)
        assert record["type"] == "redaction" and record["body"]["reason"] == "a test" and record["body"]["who"]
        step = next(row for row in b.rows("show", "one") if row["step"] == min(chosen))
        read = b.tapes("cat", step["exchange"], "--response")
        assert read.returncode == 3 and by[:12].encode() in read.stderr and read.stdout == b""
        report = json.loads(b.tapes("verify", "--json").stdout)
        assert report["sound"] and [gone["by"] for gone in report["withheld"]] == [by]
        assert b"withheld by record " + by.encode() in b.tapes("verify", "one").stdout
        again = b.tapes("forget", ref, "--yes")
        assert again.returncode == 0 and b"nothing was left" in again.stdout


def test_a_session_is_destroyed_and_others_that_share_its_pieces_are_read_as_before(tmp_path: Path) -> None:
    with bench(tmp_path, SCRIPT) as b:
        recorded(b, "one", "Begin with the cellar door.")
        recorded(b, "two", "Begin with the attic window.")
        kept = b.kept("two")
        shown = b.tapes("forget", "one", "--dry-run").stdout.decode()
        two = b.rows("log", "-n", "1")[0]["hash"]
        assert two[:12] in shown
        session = b.rows("log")[1]["hash"]
        forgotten(b, "one")
        held = b.everything()
        assert b"cellar door" not in held and b"attic window" in held and b.kept("two") == kept
        b.assert_sound()
        row = b.rows("log")[1]
        assert (row["hash"], row["name"], row["agent"]) == (session, None, "withheld")
        opening = json.loads(b.tapes("cat", session).stdout)
        assert (opening["type"], opening["was"]) == ("withheld", "session.open")
        assert b.tapes("show", session[:12]).returncode == 0
        assert b.tapes("forget", "one", "--yes").returncode == 3  # its name went with it
        assert b.tapes("archive", "rebuild").returncode == 0
        b.assert_sound()


def test_nothing_is_destroyed_without_a_yes_nor_while_it_is_recorded(tmp_path: Path) -> None:
    with bench(tmp_path, SCRIPT) as b:
        recorded(b, "one", "Begin with the cellar door.")
        assert b.tapes("forget", "one").returncode == 2
        with LmdbArchive.open(b.home / "archive"):
            done = b.tapes("forget", "one", "--yes")
            assert done.returncode == 2 and b"in use" in done.stderr
        assert b.tapes("forget", "one:5..2", "--yes").returncode == 2
        assert b.tapes("forget", "one:400", "--yes").returncode == 3
        assert len(b.rows("show", "one")) == len(numbers(b, "one")) and b"cellar door" in b.everything()
        b.assert_sound()


def test_retention_is_kept_and_applied_only_when_asked(tmp_path: Path) -> None:
    with bench(tmp_path, SCRIPT) as b:
        recorded(b, "old", "Begin with the cellar door.")
        assert b.tapes("archive", "retention").stdout == b"keep\n"
        assert b.tapes("archive", "gc", "--yes").returncode == 0
        assert b.tapes("archive", "retention", "30d").stdout == b"30d\n"
        assert b.tapes("archive", "retention", "soon").returncode == 2
        done = b.tapes("archive", "gc", "--yes")
        assert b"not that old" in done.stdout and b"cellar door" in b.everything()
        assert b.tapes("archive", "pin", "old").returncode == 0
        refused = b.tapes("forget", "old", "--yes")
        assert refused.returncode == 2 and b"unpin" in refused.stderr
        assert b.tapes("archive", "unpin", "old").returncode == 0
        assert b.tapes("archive", "retention", "keep").stdout == b"keep\n"


DAY = 86_400 * 10**9


@pytest.fixture
def aged(tmp_path: Path) -> LmdbArchive:
    """Sessions of 50, 40 (which continues the first), 35 (open), 20 days ago; and another of 60."""
    archive = LmdbArchive.open(tmp_path / "archive", create=True)
    now = time.time_ns()
    opened: list[Draft] = []
    for age, continues, closed in ((60, None, True), (50, None, True), (40, 1, True), (35, None, False), (20, 2, True)):
        body = {"agent": "a", "argv": [], "cwd": b"/", "scheme": "plain"}
        if continues is not None:
            body["continues"] = opened[continues].hash
        first = Draft("session.open", body, None, wall_ns=now - age * DAY)
        drafts = [first]
        if closed:
            drafts.append(Draft("session.close", {"status": 0}, first, wall_ns=now - age * DAY + 1))
        archive.commit(Batch(drafts))
        opened.append(first)
    return archive


def test_only_closed_old_unpinned_sessions_that_nobody_who_stays_continues_may_go(aged: LmdbArchive) -> None:
    with aged as archive:
        sessions, now = archive.sessions(), time.time_ns()

        def going(days: int | None, *pins: int) -> list[int]:
            keeping = Keeping(days, {sessions[pin] for pin in pins})
            return [sessions.index(each.session) for each in judge(archive, keeping, now) if not each.stays]

        assert going(None) == []
        assert going(30) == [0]  # the one of 20 days continues that of 40, and so that of 50
        assert going(30, 0) == []
        assert going(10) == [0, 1, 2, 4]
        assert going(10, 2) == [0, 4]
        assert going(55) == [0] and going(90) == []


def test_a_policy_that_cannot_be_read_collects_nothing(tmp_path: Path) -> None:
    keeping = Keeping(7)
    keeping.save(tmp_path)
    assert Keeping.load(tmp_path).days == 7 and (tmp_path / "retention.json").stat().st_mode & 0o777 == 0o600
    for text in ("", "{}", '{"days": 0, "pins": []}', '{"days": 1, "pins": ["x"]}', '{"days": "1", "pins": []}'):
        (tmp_path / "retention.json").write_text(text)
        with pytest.raises(Exception, match="cannot be read"):
            Keeping.load(tmp_path)
