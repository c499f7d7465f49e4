"""`tapes show` as a person reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from support import Bench
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.record.digest import Digest
from tapes.session.threads import Thread
from tapes.session.view import Step
from tapes_cli.story import Story
from witnessed import BEGINNING, SECOND, Session

NASTY = "\x1b[2J\x1b]0;owned\x07‮evil"


def step(number: int, type_: str, text: str, thread: str = "main", *, failed: bool = False, **facts: Any) -> Step:
    return Step(number, type_, digest(number), 0, None, thread, BEGINNING, text, failed, facts)


def digest(number: int) -> Digest:
    return Digest(bytes([number]) + bytes(31))


def drawn(monkeypatch: pytest.MonkeyPatch, steps: list[Step], *threads: Thread, columns: int = 80) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(columns))
    found = list(Story({thread.id: thread for thread in threads}, "/work").lines(steps))
    assert max(map(len, found)) <= columns
    return [" ".join(line.split()) for line in found]


TOLD = [
    step(1, "prompt", "Fix it."),
    step(2, "tool.use", '{"prompt":"Look."}', name="Task", action="spawn", path="explorer"),
    step(3, "tool.use", '{"prompt":"Look too."}', name="Task", action="spawn", path="explorer"),
    step(4, "prompt", "Look too.", "two"),
    step(5, "prompt", "Look.", "one"),
    step(6, "answer", "Seen too.", "two"),
    step(7, "tool.use", '{"prompt":"Deeper."}', "one", name="Task", action="spawn"),
    step(8, "prompt", "Deeper.", "three"),
    step(9, "answer", "A title", "title"),
    step(10, "answer", "All done."),
]
THREADS = [
    Thread("main"),
    Thread("one", "subagent", "main", digest(2)),
    Thread("two", "subagent", "main", digest(3)),
    Thread("three", "subagent", "one", digest(7)),
    Thread("title", "title", "main"),
]


def test_reminders_in_a_row_are_one_line_unless_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    told = [step(n, "reminder", "be brief") for n in (1, 2, 3)] + [step(4, "prompt", "Go."), step(5, "reminder", "hm")]
    found = drawn(monkeypatch, told, Thread("main"))
    assert [line.partition(" ")[0] for line in found] == ["1", "4", "5"]
    assert "3 reminders (1–3, 24 B): be brief" in found[0] and "reminder: hm" in found[2]
    monkeypatch.setenv("COLUMNS", "80")
    assert len(list(Story({}).lines(told, folded=False))) == 5


def test_what_an_agent_did_stands_under_the_call_that_started_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [line.replace(" 1970-01-01", "") for line in drawn(monkeypatch, TOLD, *THREADS)]
    order = [line.partition(" ")[0] for line in found]
    assert order == ["1", "2", "┌", "5", "7", "│", "8", "3", "┌", "4", "6", "9", "10"]
    assert found[2].startswith("┌ subagent one · 2 steps") and "│ │ ▶ Deeper." in found[6]


def test_each_kind_of_call_says_what_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    found = drawn(
        monkeypatch,
        [
            step(1, "tool.use", '{"command":"make test"}', name="Bash"),
            step(2, "tool.use", "{}", name="Edit", action="edit", path="/work/a.py", diff="-x\n+y\n+z"),
            step(3, "tool.use", '{"offset":3}', name="Read", action="read", path="/else/b.py"),
            step(4, "tool.use", "{}", name="TodoWrite", action="todo", said="[x] a\n[ ] b"),
            step(5, "tool.result", "x\n" * 600, name="Bash", bytes=1200),
            step(6, "error", "http_error 529", failed=True, retries=2, outcomes=["http_error", "complete"]),
        ],
    )
    words = [line.split(" ", 2)[2] for line in found]
    assert words[:4] == [
        "⚙ Bash make test",
        "± Edit a.py +2 −1",
        "◇ Read /else/b.py (offset 3)",
        "☰ TodoWrite [x] a · [ ] b",
    ]
    assert words[4].startswith("↳ Bash (1.2 KB, 601 lines, 05000000): x x")
    assert words[5] == "✗ http_error 529 · tried again 2×: http_error, complete"


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_lines_fit_and_nothing_captured_drives_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    steps = [
        step(1, "prompt", NASTY * 40),
        step(2, "tool.use", json.dumps({"command": NASTY}), name=NASTY),
        step(3, "answer", "漢字" * 200, "sub", duration_us=5, usage={"input": 1, "output": 2}),
    ]
    for line in drawn(monkeypatch, steps, Thread("sub", "subagent", "main", path=NASTY), columns=columns):
        assert "\x1b" not in line and "\x07" not in line and "‮" not in line


def story(session: Session) -> None:
    use = session.ask("make test")
    start = session.start("make test")
    session.join(use, start)
    session.end(start, ("o", b"3 passed\n"), ("e", NASTY.encode()), status=2)
    session.tell((use, f"3 passed{NASTY}"))
    session.exchange({"type": "text", "text": f"Done.{NASTY}"})


@pytest.fixture
def b(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    found.environ |= {"TZ": "UTC", "COLUMNS": "100"}
    found.home.mkdir(mode=0o700)
    with LmdbArchive.open(found.home / "archive", create=True) as archive:
        for n, name in enumerate(("early", "late")):
            session = Session(archive, agent="claude", name=name, began=BEGINNING + n * 3600 * SECOND)
            story(session)
            session.close()
    yield found


def shown(b: Bench, *words: str) -> str:
    done = b.tapes("show", *words)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_a_step_in_full_has_its_command_its_result_and_hashes(b: Bench) -> None:
    (use,) = [row for row in b.rows("show", "late") if row["type"] == "tool.use"]
    page = shown(b, f"late:{use['step']}")
    assert "── result" in page and "── ran" in page and "3 passed" in page and "exit 2" in page
    assert use["hash"] in page and use["exchange"] in page and "\x1b" not in page


def test_types_narrow_and_an_unknown_one_is_refused(b: Bench) -> None:
    assert {row["type"] for row in b.rows("show", "late", "--type", "tool")} == {"tool.use", "tool.result"}
    assert {row["type"] for row in b.rows("show", "late", "--type", "answer", "--type", "command")} == {
        "answer",
        "command",
    }
    assert b.tapes("show", "--type", "nonsense").returncode == 2


def test_a_thread_that_is_not_there_is_said_with_those_that_are(b: Bench) -> None:
    assert b.rows("show", "late", "--thread", "main")
    done = b.tapes("show", "late", "--thread", "nobody")
    assert done.returncode == 3 and b"main" in done.stderr


def test_each_call_and_each_conversation_says_what_it_took(b: Bench) -> None:
    (thread,) = b.rows("show", "late", "--threads")
    calls = [row for row in b.rows("show", "late", "--exchanges") if row["class"] == "model"]
    assert thread["thread"] == "main" and thread["calls"] == len(calls) > 1
    assert thread["steps"] == len(b.rows("show", "late"))
    told = [row["usage"] for row in calls if row["usage"]]
    assert thread["usage"] == {kind: sum(usage[kind] for usage in told) for kind in thread["usage"]}
    assert {row["purpose"] for row in calls} == {"main"} and "main" in shown(b, "late", "--threads")


def test_the_list_of_sessions_says_what_they_took_as_their_threads_do(b: Bench) -> None:
    for row in b.rows("log", "--usage"):
        (thread,) = b.rows("show", row["name"], "--threads")
        assert (row["usage"], row["cost"], row["unpriced"]) == (thread["usage"], thread["cost"], thread["unpriced"])
    assert "tokens" in b.tapes("log", "--usage").stdout.decode()
    assert b.tapes("log", "--usage", "--tree").returncode == 2


def test_the_heading_is_whole_where_there_is_little_room(b: Bench) -> None:
    b.environ |= {"COLUMNS": "40"}
    text = shown(b, "late")
    assert "hosts bypassed" in text and max(map(len, text.splitlines())) <= 40


def test_raw_gives_the_words_and_nothing_else(b: Bench) -> None:
    assert shown(b, "late", "--raw", "--type", "answer") == f"Done.{NASTY}\n"


def test_around_a_moment_stand_the_steps_of_all_sessions(b: Bench) -> None:
    def names(*words: str) -> set[str]:
        return {row["session"] for row in b.rows("show", "late", "--around", *words)}

    assert names("1", "--window", "10s") == {"late"}
    assert names("1", "--window", "2h") == {"early", "late"}
    at = datetime.fromtimestamp(BEGINNING / SECOND, UTC).isoformat()
    assert names(at, "--window", "1m") == {"early"}
    text = shown(b, "late", "--around", "1", "--window", "2h")
    assert "early" in text and "late" in text and "\x1b" not in text
    assert b.tapes("show", "--around", "nonsense").returncode == 2
    assert b.tapes("show", "--around", "999").returncode == 3
