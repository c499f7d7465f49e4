"""`tapes forget` and `tapes archive gc` as typed, on sessions that were really recorded: no file keeps a word of it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from archive.test_damage import change_pack, changed
from support import Bench, bench
from tapes.archive import destroy
from tapes.archive.base import Batch, Draft
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.errors import ArchiveError, ArchiveFull, ArchiveInUse, UsageError
from tapes.session.rows import summary_of
from tapes_addons.simulators.agent import DIALECTS
from tapes_cli.commands import forget
from tapes_cli.commands.retention import judge
from tapes_cli.keeping import Keeping
from tapes_cli.main import tapes

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
        # thought, asked for, told; and run, where a shell that reports is there
        assert len(chosen) in (3, 4) and HIDDEN.encode() in b.everything()
        # Whoever reports a command may be late, and its record come after the last answer, which is to stay.
        last = max(row["step"] for row in b.rows("show", "one") if row["type"] == "answer")
        parts = [part for part in ([n for n in chosen if n < last], [n for n in chosen if n > last]) if part]
        ref, *late = (f"one:{min(part)}..{max(part)}" for part in parts)
        plan = b.rows("forget", ref, "--dry-run")
        assert {row["what"] for row in plan} == {"body", "record"} and all(row["goes"] for row in plan)
        assert HIDDEN.encode() in b.everything()
        said, *more = (forgotten(b, one) for one in (ref, *late))
        held = b.everything()
        assert HIDDEN.encode() not in held and b"cellar door" in held
        assert [row["text"] for row in b.rows("show", "one") if row["type"] == "answer"][-1] == "All is done here."
        after = numbers(b, "one")
        assert after.keys() == before.keys() and after[1] == before[1]
        assert {after[n] for n in chosen} == {"withheld"}
        b.assert_sound()
        by, *others = (one.rpartition("withheld by record ")[2].strip() for one in (said, *more))
        record = json.loads(b.tapes("cat", by).stdout)
        assert record["type"] == "redaction" and record["body"]["reason"] == "a test" and record["body"]["who"]
        step = next(row for row in b.rows("show", "one") if row["step"] == min(chosen))
        read = b.tapes("cat", step["exchange"], "--response")
        assert read.returncode == 3 and by[:12].encode() in read.stderr and read.stdout == b""
        report = json.loads(b.tapes("verify", "--json").stdout)
        assert report["sound"] and sorted(gone["by"] for gone in report["withheld"]) == sorted([by, *others])
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


def test_an_agent_whose_command_line_went_with_its_prompt_is_still_named(tmp_path: Path) -> None:
    with bench(tmp_path, SCRIPT) as b:
        recorded(b, "one", "Begin with the cellar door, and then go on.")
        before = b.rows("log")[0]
        forgotten(b, "one:1")
        after = b.rows("log")[0]
        assert json.loads(b.tapes("cat", before["hash"]).stdout)["type"] == "withheld"
        assert (after["agent"], after["agent_version"]) == (before["agent"], before["agent_version"]) == ("demo", "1.0")


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


def test_a_damaged_session_stays_and_keeps_no_other_from_going(aged: LmdbArchive) -> None:
    with aged as archive:
        sessions = archive.sessions()
        rows = {session: summary_of(archive, session).to_bytes() for session in sessions}
        archive.commit(Batch(summaries=dict(rows)))  # so that no row has to look at a record
        pos = archive.position(archive.session_record(sessions[1], 1)[0])
        raw = archive.record_raw(archive.at(pos)[0])
        change_pack(archive, pos, raw, changed(raw))
    with LmdbArchive.open(aged.path) as archive:
        judged = judge(archive, Keeping(10), time.time_ns())
        assert "damaged" in next(each.stays for each in judged if each.session == sessions[1])
        assert [sessions.index(each.session) for each in judged if not each.stays] == [0, 2, 4]


def test_pins_that_are_set_at_the_same_time_all_hold(tmp_path: Path, aged: LmdbArchive) -> None:
    with aged as archive:
        sessions = [session.hex() for session in archive.sessions()]
    b = Bench(tmp_path / "b")
    b.home.mkdir(parents=True, mode=0o700)
    aged.path.rename(b.home / "archive")
    pinning = [subprocess.Popen(b.command("archive", "pin", session), env=b.env()) for session in sessions]
    assert [process.wait(60) for process in pinning] == [0] * len(sessions)
    assert {pin.hex() for pin in Keeping.load(b.home).pins} == set(sessions)


def test_a_policy_that_cannot_be_written_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="cannot write"):
        Keeping(7).save(tmp_path / "nowhere")


@pytest.fixture
def asked(aged: LmdbArchive, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], str]:
    """Forgets the first session, after something has happened while the person was asked; what it was."""
    aged.close()
    monkeypatch.setenv("TAPES_HOME", str(aged.path.parent))
    with LmdbArchive.open(aged.path) as archive:
        first = archive.sessions()[0].hex()

    def run(happens: Callable[[], object]) -> str:
        monkeypatch.setattr(forget, "ask", lambda yes: happens())
        tapes.main(["forget", first], standalone_mode=False)
        return first

    return run


def tombs(path: Path) -> int:
    with LmdbArchive.open(path) as archive:
        return sum(record.type == "withheld" for _, _, record in archive.log())


def test_what_was_recorded_while_somebody_was_asked_is_not_overlooked(
    aged: LmdbArchive, asked: Callable[[Callable[[], object]], str]
) -> None:
    def record(nth: int) -> None:
        with LmdbArchive.open(aged.path) as archive:
            archive.commit(Batch([Draft("note", {"kind": "k", "text": "said again"}, archive.sessions()[nth])]))

    with pytest.raises(ArchiveInUse, match="nothing was destroyed"):
        asked(lambda: record(0))
    assert tombs(aged.path) == 0
    asked(lambda: record(1))  # another session's records are none of this one's business
    assert tombs(aged.path) == 3


def test_a_pin_that_is_set_while_somebody_is_asked_holds(
    aged: LmdbArchive, asked: Callable[[Callable[[], object]], str]
) -> None:
    def pin() -> None:
        with LmdbArchive.open(aged.path) as archive:
            Keeping(None, {archive.sessions()[0]}).save(aged.path.parent)

    with pytest.raises(UsageError, match="pinned"):
        asked(pin)
    assert tombs(aged.path) == 0


def test_where_there_is_no_room_to_destroy_it_is_said_that_it_is_only_written_down(
    aged: LmdbArchive, asked: Callable[[Callable[[], object]], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        raise ArchiveFull("no room")

    with monkeypatch.context() as patched:
        patched.setattr(destroy, "carry_out", full)
        with pytest.raises(ArchiveFull, match="nothing is destroyed yet"):
            asked(lambda: None)
    assert tombs(aged.path) == 0
    asked(lambda: None)
    assert tombs(aged.path) == 2


def test_a_session_with_a_damaged_record_is_destroyed_and_that_is_said(
    aged: LmdbArchive, asked: Callable[[Callable[[], object]], str], capsys: pytest.CaptureFixture[str]
) -> None:
    with LmdbArchive.open(aged.path) as archive:
        pos = archive.position(archive.session_record(archive.sessions()[0], 1)[0])
        raw = archive.record_raw(archive.at(pos)[0])
        change_pack(archive, pos, raw, changed(raw))
    asked(lambda: None)
    assert "destroyed: 1 records" in capsys.readouterr().out
