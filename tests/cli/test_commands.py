"""`tapes commands`: the audit as a person reads it, and as a script does."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support import Bench
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.errors import UsageError
from tapes_cli.moments import moment, span
from witnessed import BEGINNING, SECOND, Session

DOCS = Path(__file__).parents[2] / "docs" / "cli.md"
SCALE = "kubectl scale deploy/api --replicas=0"
UNDO = "kubectl rollout undo deploy/api"
NOW_NS = round(datetime.now(UTC).timestamp()) * SECOND


def bench(folder: Path, *stories: Callable[[Session], Any], began: int = BEGINNING) -> Bench:
    """An archive with a session of Claude's for each story, an hour apart."""
    found = Bench(folder)
    found.environ |= {"HOME": "/home/alice", "TZ": "UTC"}
    found.home.mkdir(mode=0o700)
    with LmdbArchive.open(found.home / "archive", create=True) as archive:
        for n, story in enumerate(stories):
            session = Session(archive, agent="claude", name=story.__name__, began=began + n * 3600 * SECOND)
            story(session)
            session.exchange()
            session.close()
    return found


def lines(b: Bench, *words: str, columns: int = 80, status: int = 0) -> list[str]:
    b.environ["COLUMNS"] = str(columns)
    done = b.tapes("commands", *words)
    assert done.returncode == status, done.stderr.decode()
    assert max(map(len, done.stdout.decode().splitlines()), default=0) <= columns
    return done.stdout.decode().splitlines()[1:]


def release(session: Session) -> None:
    """One of each."""
    session.run("git status --short", b" M a.py\n", told="M a.py")
    use = session.ask("make test")
    start = session.start("make test")
    session.join(use, start)
    session.end(start, ("o", b"3 passed\n"), ("e", b"1 failed\n"), status=2)
    session.tell((use, "3 passed\n1 passed"))
    use = session.ask("bash -c 'echo nested'; echo after")
    start = session.start("'echo nested'; echo after")
    session.join(use, start, "pgid")
    session.end(start, ("e", b"'echo nested': not found\n"), ("o", b"after\n"))
    session.tell((use, "'echo nested': not found\nafter"))
    refused = "Permission to use Bash with command rm -rf / has been denied."
    session.tell((session.ask("rm -rf /"), refused), is_error=True)
    session.tell((session.ask("make deploy"), "deployed"))
    session.exchange()
    session.start("curl http://203.0.113.7/x")


def incident(session: Session) -> None:
    """An agent and a person at work on the same trouble."""
    session.run("kubectl get pods", b"api-1 CrashLoopBackOff\n", told="api-1 CrashLoopBackOff")
    west = session.run("terraform plan", b"3 to change\n", told="3 to change")
    west.body["environment"].append(["AWS_PROFILE", b"prod-west-2"])  # type: ignore[index]
    start = session.start(SCALE, kind="human", context={"kube": "prod-west-2"})
    session.end(start, status=1)
    session.end(session.start(UNDO, kind="human"))
    session.run("kubectl get pods", b"api-1 Running\n", told="api-1 Running")


def test_one_line_for_each_command_and_one_more_for_what_is_wrong_with_it(tmp_path: Path) -> None:
    found = lines(bench(tmp_path, release), "@")
    assert found == [
        "  time     cwd       command                   exit took bytes verdict",
        "  08:53:23 ~/project git status --short           0 1.5s   8 B matched",
        "! 08:53:33 ~/project make test                    2 1.5s  18 B result differs",
        "           the model was told another output than it wrote",
        "! 08:53:43 ~/project 'echo nested'; echo after    0 1.5s  31 B rewritten",
        "           asked: bash -c 'echo nested'; echo after",
        "! 08:53:52           rm -rf /                     -            denied",
        "           by a rule",
        "! 08:53:58           make deploy                  -            not witnessed",
        "           no trace of it",
        "! 08:54:04 ~/project curl http://203.0.113.7/x    …            not requested",
        "           no call asked for it",
        "  4 commands witnessed, 1 matched, 1 rewritten, 1 denied, 1 not witnessed, 1 not",
        "  requested, 1 result differs",
    ]


def test_a_wide_terminal_has_room_for_everything(tmp_path: Path) -> None:
    found = lines(bench(tmp_path, incident), "@", columns=200)
    assert found[0].split() == ["time", "who", "cwd", "command", "exit", "took", "bytes", "verdict"]
    (line,) = (line for line in found if SCALE in line)
    assert line.split()[2:] == ["alice", "~/project", *SCALE.split(), "1", "1.5s", "0", "B", "-"]
    assert line.startswith("✗")


def test_the_exit_code_says_whether_all_is_matched(tmp_path: Path) -> None:
    b = bench(tmp_path, release, incident)
    lines(b, "release", "--exit-code", status=1)
    lines(b, "incident", "--exit-code")
    lines(b, "release", "--grep", "git status", "--exit-code")


def lines_run(b: Bench, *words: str) -> list[str]:
    return [row["ran"] or row["asked"] for row in b.rows("commands", *words)]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["--exit", "nonzero"], ["make test", SCALE]),
        (["--exit", "2"], ["make test"]),
        (["--exit", "signal"], []),
        (["--verdict", "rewritten"], ["'echo nested'; echo after"]),
        (["--verdict", "not witnessed", "--verdict", "rewritten"], ["'echo nested'; echo after", "make deploy"]),
        (["--grep", "bash -c"], ["'echo nested'; echo after"]),
        (["--regex", r"replicas=\d"], [SCALE]),
        (["incident", "--participant", "claude"], ["kubectl get pods", "terraform plan", "kubectl get pods"]),
        (["--participant", "human"], [SCALE, UNDO]),
        (["--tool", "call_0"], ["git status --short", "kubectl get pods"]),
        (["--cwd", "~/project/", "--tool", "bash", "--until", "2025-10-09T08:53:30"], ["git status --short"]),
        (["--cwd", "/home/alice/proj"], []),
        (["--since", "2025-10-09T09:53:30", "--exit", "0"], ["terraform plan", UNDO, "kubectl get pods"]),
    ],
)  # fmt: skip
def test_what_is_asked_for_is_found_and_nothing_else(tmp_path: Path, words: list[str], found: list[str]) -> None:
    assert lines_run(bench(tmp_path, release, incident), *words) == found


def test_the_four_questions_of_a_post_mortem_are_one_command_each(tmp_path: Path) -> None:
    b = bench(tmp_path, release, incident, began=NOW_NS - 3610 * SECOND)
    answers = {
        "tapes commands --grep prod-west-2": ["terraform plan", SCALE],
        "tapes commands --participant alice --last 30m": [
            SCALE,
            UNDO,
        ],
        "tapes commands --exit nonzero": ["make test", SCALE],
        "tapes commands @ --before 'rollout undo'": [
            "kubectl get pods",
            "terraform plan",
            SCALE,
        ],
    }
    documented = DOCS.read_text("utf-8")
    for question, answer in answers.items():
        assert question in documented
        words = question.replace("'rollout undo'", "rollout_undo").split()[2:]
        assert lines_run(b, *(word.replace("_", " ") for word in words)) == answer, question


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--exit", "sometimes"], 2, "nonzero"),
        (["--regex", "("], 2, "no regular expression"),
        (["--last", "soon"], 2, "30m"),
        (["--since", "yesterday-ish"], 2, "14:30"),
        (["--last", "1h", "--since", "2h"], 2, "one of them"),
        (["--verdict", "fine"], 2, "not-witnessed"),
        (["--before", "nothing like it"], 3, "no command that ran"),
        (["@:999"], 3, "no step 999"),
    ],
)
def test_a_filter_that_can_not_be_used_says_so(tmp_path: Path, words: list[str], status: int, said: str) -> None:
    done = bench(tmp_path, release).tapes("commands", *words)
    assert (done.returncode, done.stdout) == (status, b"") and said in done.stderr.decode()


def test_a_filter_that_nothing_here_can_answer_says_so(tmp_path: Path) -> None:
    def unseen(session: Session) -> None:
        session.tell((session.ask("make"), "made"))

    done = bench(tmp_path, unseen).tapes("commands", "--exit", "nonzero")
    assert done.returncode == 0 and b"of no command the end was seen" in done.stderr


def test_output_is_shown_by_stream_and_can_not_drive_the_terminal(tmp_path: Path) -> None:
    def evil(session: Session) -> None:
        start = session.start("work\n\x1b[2J")
        session.end(start, ("o", b"\x1b]0;owned\x07one\r\n"), ("e", b"two\n"), ("o", b"three"))

    found = lines(bench(tmp_path, evil), "--output")
    assert found[2:] == [
        "           no call asked for it",
        "    | ␛]0;owned␇one",
        "    ! two",
        "    | three",
        "  1 commands witnessed, 0 matched, 1 not requested",
    ]
    assert "work⏎␛[2J" in found[1]


def test_an_object_says_what_is_known_and_null_of_the_rest(tmp_path: Path) -> None:
    b = bench(tmp_path, release)
    row = b.rows("commands", "--grep", "make test", "--output")[0]
    assert (row["exit"], row["signal"], row["bytes"]) == (2, None, {"out": 9, "err": 9, "both": 0})
    assert (row["verdict"], row["join"], row["output"]) == (
        "result-differs",
        {"method": "env", "exact": True},
        "3 passed\n1 failed\n",
    )
    assert row["authority"] == {"decision": None, "by": None, "mode": None}
    unseen = b.rows("commands", "--grep", "make deploy")[0]
    assert (unseen["ran"], unseen["exit"], unseen["bytes"], unseen["verdict"]) == (None, None, None, "not-witnessed")
    names = DOCS.read_text("utf-8").partition("## tapes commands")[2].partition("\n## ")[0]
    assert all(f"`{name}`" in names for name in row)


def test_a_record_or_a_step_gives_its_command_and_cat_what_it_wrote(tmp_path: Path) -> None:
    b = bench(tmp_path, release)
    (step,) = (row for row in b.rows("show") if row["type"] == "command" and row["text"] == "make test")
    row = b.rows("commands", f"@:{step['step']}")[0]
    assert row["hash"] == step["hash"]
    for ref in (row["hash"], row["end_hash"], row["tool"]["use"], f"@:{step['step']}"):
        assert b.rows("commands", ref) == [row]
        assert b.tapes("cat", ref, "--output").stdout == b"3 passed\n1 failed\n"
    done = b.tapes("cat", row["session"], "--output")
    assert done.returncode == 2 and b"tapes commands" in done.stderr


def test_show_has_commands_under_their_calls_and_says_how_far_they_agree(tmp_path: Path) -> None:
    b = bench(tmp_path, release)
    shown = b.tapes("show").stdout.decode().splitlines()
    assert shown[3].startswith("4 commands witnessed, 1 matched, 1 rewritten")
    at = next(n for n, line in enumerate(shown) if "make test" in line)
    assert "⚙ Bash" in shown[at] and "✗ exit 2, 1.5s, RESULT DIFFERS: make test" in shown[at + 1]
    assert any("⚙ Bash (NOT WITNESSED)" in line for line in shown)


NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("30m", NOON - timedelta(minutes=30)),
        ("1h30m", NOON - timedelta(minutes=90)),
        ("2 d", NOON - timedelta(days=2)),
        ("2026-11-20T10:00Z", NOON - timedelta(hours=26)),
        ("2026-11-20T10:00+02:00", NOON - timedelta(hours=28)),
    ],
)
def test_a_time_is_a_date_a_time_of_today_or_so_long_ago(text: str, meant: datetime) -> None:
    assert moment(text, NOON) == meant


def test_a_time_without_a_zone_is_this_machines() -> None:
    assert moment("10:15", NOON).replace(tzinfo=None) == datetime(2026, 11, 21, 10, 15)
    assert moment("2026-11-20", NOON).replace(tzinfo=None) == datetime(2026, 11, 20)


@pytest.mark.parametrize("text", ["", "m", "3x", "30m ago", "12", "25:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        moment(text, NOON)
    if text != "25:00":
        with pytest.raises(UsageError):
            span(text)


def test_objects_are_one_a_line_in_ascii(tmp_path: Path) -> None:
    def strange(session: Session) -> None:
        session.end(session.start("echo é\x1b"))

    done = bench(tmp_path, strange).tapes("commands", "--json")
    (line,) = done.stdout.splitlines()
    assert line.isascii() and json.loads(line)["ran"] == "echo é\x1b"
