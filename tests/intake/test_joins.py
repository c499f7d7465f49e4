"""Joins: exact where something names the call, honest guesses where nothing does, in whatever order news come."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapes.archive.base import Draft
from tapes.intake.joins import LATE_NS, MOST_COMMANDS, MOST_USES, Join, Joiner
from tapes.record.digest import Digest, blob_digest
from tapes.record.kinds import Record
from tapes.wire.command import ToolSeen
from tapes.wire.exchange import Moment
from tapes.wire.shells import Claim, Told

S = 1_000_000_000
Found = tuple[str, str, str, bool]
"""Call, command, method, exact."""


@dataclass
class Bench:
    """A joiner and its news, by short names; times in seconds."""

    joiner: Joiner = field(default_factory=Joiner)
    names: dict[int, str] = field(default_factory=dict)
    drafts: dict[str, Draft] = field(default_factory=dict)
    count: itertools.count[int] = field(default_factory=itertools.count)

    def draft(self, name: str, type_: str, body: dict[str, object], at: float) -> Draft:
        draft = Draft(type=type_, body=body, session=None, wall_ns=0, mono_ns=int(at * S))
        self.names[id(draft)], self.drafts[name] = name, draft
        return draft

    def use(self, name: str, *lines: str, at: float = 0, agent: str = "claude", certain: bool = True) -> None:
        claims = tuple(Claim(line, certain=certain) for line in lines)
        self.joiner.use(name, self.draft(name, "tool.use", {"id": name}, at), agent, "Bash", claims, int(at * S))

    def result(self, name: str, told: Told | None = None, at: float = 9) -> None:
        self.joiner.result(name, told or Told(), int(at * S))

    def command(
        self,
        name: str,
        line: str = "ls",
        *,
        at: float = 1,
        agent: str = "claude",
        kind: str = "agent",
        pid: int = 0,
        **marks: str,
    ) -> None:
        body: dict[str, object] = {
            "id": next(self.count).to_bytes(16, "big"),
            "participant": {"kind": kind, "name": agent},
            "line": line.encode(),
            "pid": pid,
            "pgid": pid,
        }
        if marks:
            body["marks"] = marks
        self.joiner.command(self.draft(name, "command.start", body, at))

    def seen(self, call: str, mark: str = "", at: float = 1, method: str = "traceparent") -> None:
        moment = Moment(0, int(at * S))
        self.joiner.seen(ToolSeen(moment, call, "hook" if method == "hook" else "traceparent", mark))

    def found(self) -> list[Found]:
        return [self.told(join) for join in self.joiner.take()]

    def told(self, join: Join) -> Found:
        use, command = join.parents
        assert join.body["reader"] == "join" and join.body["version"] == 1
        assert self.names.get(id(use), join.body["tool"]) == join.body["tool"]
        body = join.body
        return str(body["tool"]), self.names[id(command)], str(body["method"]), bool(body["exact"])

    def end(self) -> list[Found]:
        self.joiner.finish()
        return self.found()


# -- exact


def test_a_call_named_in_the_environment_is_joined_whichever_comes_first() -> None:
    bench = Bench()
    bench.command("c1", env="t1", agent="codex")
    assert bench.found() == []
    bench.use("t1", "ls", agent="codex")
    assert bench.found() == [("t1", "c1", "env", True)]
    bench.command("c2", env="t1", agent="codex")
    assert bench.found() == [("t1", "c2", "env", True)], "a call may run several commands"
    bench.command("c3", plugin="t2")
    bench.use("t2")
    assert bench.found() == [("t2", "c3", "plugin", True)]


NEWS = ["use:0", "use:1", "use:2", "command:0", "command:1", "command:2", "seen:0", "seen:1", "seen:2"]


@given(st.permutations(NEWS))
def test_spans_tell_identical_parallel_commands_apart_in_any_order_of_news(order: list[str]) -> None:
    bench = Bench()
    for news in order:
        kind, _, n = news.partition(":")
        if kind == "use":
            bench.use(f"t{n}", "same")
        elif kind == "command":
            bench.command(f"c{n}", "same", traceparent=f"span{n}")
        else:
            bench.seen(f"t{n}", f"span{n}")
    assert sorted(bench.found()) == [(f"t{n}", f"c{n}", "traceparent", True) for n in range(3)]
    for n in range(3):
        bench.result(f"t{n}")
    assert bench.end() == []


def test_a_process_group_in_a_result_is_exact_and_a_number_that_came_again_is_the_last_ones() -> None:
    bench = Bench()
    bench.use("t0", "old", at=0, agent="gemini")
    bench.command("c0", "old", at=1, agent="gemini", pid=77)
    bench.result("t0", Told(pgid=77), at=2)
    assert bench.found() == [("t0", "c0", "pgid", True)]
    bench.command("c1", "'echo nested'; echo 2", at=4, agent="gemini", pid=77)
    bench.use("t1", "bash -c 'echo nested'; echo 2", at=3, agent="gemini")
    bench.command("c2", "other", at=5, agent="gemini", pid=78)
    bench.result("t1", Told(status=0, pgid=77), at=6)
    assert bench.found() == [("t1", "c1", "pgid", True)]


def test_a_process_group_outside_of_the_calls_time_is_somebody_elses() -> None:
    bench = Bench()
    bench.command("early", "x", at=1, agent="gemini", pid=77)
    bench.use("t", "ls", at=2, agent="gemini")
    bench.result("t", Told(pgid=77), at=3)
    assert bench.end() == []


# -- guesses


def test_text_and_time_are_a_guess_and_made_only_when_nothing_better_came() -> None:
    bench = Bench()
    bench.use("t", "ls -l", at=0)
    bench.command("c", "ls -l", at=1)
    bench.result("t", at=2)
    assert bench.found() == []
    bench.command("later", "pwd", at=2 + LATE_NS / S)
    assert bench.found() == [("t", "c", "text", False)]


def test_a_span_that_comes_late_but_in_time_is_believed() -> None:
    bench = Bench()
    bench.use("t0", "same", at=0)
    bench.use("t1", "same", at=0)
    bench.command("c0", "same", at=1, traceparent="b")
    bench.command("c1", "same", at=1, traceparent="a")
    bench.result("t0", at=2)
    bench.result("t1", at=2)
    bench.seen("t0", "a", at=3)
    bench.seen("t1", "b", at=3)
    assert sorted(bench.found()) == [("t0", "c1", "traceparent", True), ("t1", "c0", "traceparent", True)]


def test_identical_parallel_commands_are_joined_by_their_order_and_said_to_be_guessed() -> None:
    bench = Bench()
    for name in ("t0", "t1"):
        bench.use(name, "same")
    for name in ("c0", "c1"):
        bench.command(name, "same")
    for name in ("t0", "t1"):
        bench.result(name)
    assert bench.end() == [("t0", "c0", "text", False), ("t1", "c1", "text", False)]


def test_hooks_tell_when_a_call_began() -> None:
    bench = Bench()
    bench.use("t0", "same", at=0)
    bench.seen("t0", at=1, method="hook")
    bench.seen("t1", at=3, method="hook")
    bench.use("t1", "same", at=0)
    bench.command("c0", "same", at=2)
    bench.command("c1", "same", at=4)
    bench.result("t1", at=5)
    bench.result("t0", at=5)
    assert sorted(bench.end()) == [("t0", "c0", "hook", False), ("t1", "c1", "hook", False)]


def test_a_rewritten_command_is_joined_where_no_other_call_was_open() -> None:
    bench = Bench()
    bench.use("t", "bash -c 'ls'")
    bench.command("c", "ls")
    bench.result("t")
    assert bench.end() == [("t", "c", "text", False)]


def test_a_rewritten_command_beside_another_call_is_not_guessed_at() -> None:
    bench = Bench()
    bench.use("t0", "a")
    bench.use("t1", "b")
    bench.command("c", "c")
    bench.result("t0")
    bench.result("t1")
    assert bench.end() == []


@pytest.mark.parametrize("lines", [("echo 1", "echo 2"), ("",), ("echo 2", "")])
def test_a_program_of_code_mode_may_have_run_several(lines: tuple[str, ...]) -> None:
    bench = Bench()
    bench.use("t", *lines, agent="codex", certain=False)
    bench.command("c1", "echo 1", agent="codex")
    bench.command("c2", "echo 2", agent="codex")
    bench.result("t")
    assert bench.end() == [("t", "c1", "text", False), ("t", "c2", "text", False)]


def test_programs_of_code_mode_with_the_same_line_share_what_ran() -> None:
    bench = Bench()
    for name in ("t0", "t1"):
        bench.use(name, "same", agent="codex", certain=False)
    for name in ("c0", "c1"):
        bench.command(name, "same", agent="codex")
    for name in ("t0", "t1"):
        bench.result(name)
    assert bench.end() == [("t0", "c0", "text", False), ("t1", "c1", "text", False)]


def test_what_is_not_this_calls_is_left_alone() -> None:
    bench = Bench()
    bench.use("t", "ls", at=2)
    bench.command("before", "ls", at=1)
    bench.command("after", "ls", at=10)
    bench.command("another agent's", "ls", at=3, agent="codex")
    bench.command("a person's", "ls", at=3, kind="human")
    bench.command("the harness's", "ls", at=3, kind="harness")
    bench.command("another call's", "ls", at=3, traceparent="x")
    bench.seen("t9", "x")
    bench.result("t", at=9)
    assert bench.end() == []


def test_a_refused_call_and_one_that_runs_no_command_have_none() -> None:
    bench = Bench()
    bench.use("denied", "ls", at=0)
    bench.use("read", at=0)
    bench.command("c", "ls", at=1)
    bench.result("denied", Told(denied="rule"), at=2)
    bench.result("read", at=2)
    assert bench.end() == []


def test_a_command_is_joined_once() -> None:
    bench = Bench()
    bench.command("c", "ls", traceparent="a")
    bench.seen("t0", "a")
    bench.use("t0", "ls")
    bench.use("t1", "ls")
    bench.result("t1")
    assert bench.end() == [("t0", "c", "traceparent", True)]


# -- how much is kept in mind, and going on


def test_what_waits_is_bounded_and_what_is_committed_is_let_go() -> None:
    bench = Bench()
    for n in range(MOST_COMMANDS + 10):
        bench.command(f"c{n}", str(n), traceparent=str(n))
        bench.use(f"t{n}", str(n))
        bench.seen(f"elsewhere{n}", f"span{n}")
        bench.seen(f"hooked{n}", method="hook")
    joiner = bench.joiner
    assert len(joiner._commands) == MOST_COMMANDS and len(joiner._uses) == MOST_USES
    assert len(joiner._seen) <= 4_000 and len(joiner._hooks) <= 4_000
    for name, draft in bench.drafts.items():
        draft.hash = blob_digest(name.encode())
    bench.command("last", at=2)
    held = [one.record for one in (*joiner._uses.values(), *joiner._commands.values())]
    assert sum(isinstance(record, Draft) for record in held) == 1


def record(type_: str, body: dict[str, object], at: int, *parents: Digest) -> Record:
    return Record(1, type_, None, 0, None, parents, b"", 0, at * S, "", b"", body)


def test_an_adopted_session_goes_on_with_what_was_not_joined() -> None:
    def start(n: int, line: str, **more: object) -> dict[str, object]:
        who = {"kind": "agent", "name": "codex"}
        return {"id": bytes([n] * 16), "participant": who, "line": line.encode(), "pid": 9, **more}

    def use(id_: str, cmd: str) -> dict[str, object]:
        return {"id": id_, "name": "exec_command", "input": json.dumps({"cmd": cmd}).encode()}

    records = [
        record("session.open", {"agent": "codex"}, 0),
        record("tool.use", use("t0", "a"), 1),
        record("command.start", start(1, "a", marks={"env": "t0"}), 2),
        record("join", {"tool": "t0", "method": "env", "exact": True}, 2, blob_digest(b"1"), blob_digest(b"2")),
        record("tool.use", use("t1", "b"), 3),
        record("command.start", start(2, "b", marks={"env": "t1"}), 4),
        record("tool.use", use("t2", "c"), 5),
        record("command.start", start(3, "c"), 6),
        record("tool.result", {"id": "t2"}, 7),
    ]
    joiner = Joiner()
    for n, each in enumerate(records):
        joiner.known(blob_digest(str(n).encode()), each)
    assert [(join.body["tool"], join.parents[1]) for join in joiner.take()] == [("t1", blob_digest(b"5"))]
    joiner.finish()
    assert [(join.body["tool"], join.parents[1]) for join in joiner.take()] == [("t2", blob_digest(b"7"))]
