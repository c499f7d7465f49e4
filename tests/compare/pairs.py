"""Ten pairs of runs of one task with their true alignment, made by hand; the benchmark uses them too.

A run is a list of turns, and a turn a list of things that are said or called at once. Each has a name: in truth, things
of the same name belong together, and nothing else does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tapes.compare.units import Side
from tapes.record.digest import Digest, blob_digest
from tapes.session.threads import Thread
from tapes.session.view import Step


@dataclass(frozen=True)
class Thing:
    """Something said (`tool` empty) or called."""

    name: str
    text: str = ""
    tool: str = ""
    arguments: Mapping[str, Any] | None = None
    result: str = ""
    failed: bool = False
    type: str = "answer"
    within: tuple[tuple[Thing, ...], ...] = ()
    """Turns of the agent that it starts."""


def say(name: str, text: str) -> Thing:
    return Thing(name, text)


def ask(name: str, text: str) -> Thing:
    return Thing(name, text, type="prompt")


def bash(name: str, line: str, result: str = "", *, failed: bool = False, tool: str = "Bash") -> Thing:
    key = "cmd" if tool == "exec_command" else "command"
    return Thing(name, "", tool, {key: line}, result, failed)


def read(name: str, path: str, result: str = "text") -> Thing:
    return Thing(name, "", "Read", {"file_path": path}, result)


def edit(name: str, path: str, old: str, new: str) -> Thing:
    return Thing(name, "", "Edit", {"file_path": path, "old_string": old, "new_string": new}, "done")


def agent(name: str, prompt: str, *turns: Sequence[Thing]) -> Thing:
    given = {"subagent_type": "general", "prompt": prompt}
    return Thing(name, "", "Task", given, "ok", within=tuple(map(tuple, turns)))


class Recorder:
    """Makes steps of turns, and remembers each one's name."""

    def __init__(self, seed: str, cwd: str, agent: str = "claude") -> None:
        self.seed, self.cwd, self.agent = seed, cwd, agent
        self.steps: list[Step] = []
        self.threads: dict[str, Thread] = {"main": Thread("main")}
        self.names: dict[int, str] = {}
        """By step number, of the step that a thing begins with."""

    def side(self) -> Side:
        return Side(self.steps, self.threads, self.agent, self.cwd)

    def turns(self, turns: Sequence[Sequence[Thing]], thread: str = "main") -> None:
        for turn in turns:
            exchange = self._digest()
            calls = []
            for thing in turn:
                if thing.tool:
                    calls.append((thing, self._call(thing, exchange, thread)))
                else:
                    self._add(thing.type, thing.text, exchange, thread, thing.name)
            for thing, identifier in calls:
                facts = {"name": thing.tool, "id": identifier}
                self._add("tool.result", self._here(thing.result), exchange, thread, "", thing.failed, facts)

    def _call(self, thing: Thing, exchange: Digest, thread: str) -> str:
        identifier = f"call_{self.seed}_{len(self.steps)}"
        facts: dict[str, Any] = {"name": thing.tool, "id": identifier}
        below = f"{self.seed}-agent-{len(self.steps)}"
        if thing.within:
            facts["spawned"] = below
        self._add("tool.use", self._here(json.dumps(thing.arguments)), exchange, thread, thing.name, False, facts)
        if thing.within:
            self.threads[below] = Thread(below, "subagent", thread, self.steps[-1].hash)
            self.turns(thing.within, below)
        return identifier

    def _here(self, text: str) -> str:
        return text.replace("$CWD", self.cwd)

    def _digest(self) -> Digest:
        return blob_digest(f"{self.seed} {len(self.steps)}".encode())

    def _add(
        self,
        kind: str,
        text: str,
        exchange: Digest,
        thread: str,
        name: str,
        failed: bool = False,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        number = len(self.steps) + 1
        found = Step(number, kind, self._digest(), 0, exchange, thread, number, text, failed, facts or {})
        self.steps.append(found)
        if name:
            self.names[number] = name


@dataclass(frozen=True)
class Case:
    """A pair of runs, and what is true of it."""

    name: str
    a: Sequence[Sequence[Thing]]
    b: Sequence[Sequence[Thing]]
    moved: frozenset[str] = frozenset()
    """Names of what stands elsewhere: it is in both, and not a pair."""
    agents: tuple[str, str] = ("claude", "claude")

    def recorded(self) -> tuple[Recorder, Recorder]:
        a = Recorder("a", "/home/alice/one/project", self.agents[0])
        b = Recorder("b", "/srv/ci/run-2/project", self.agents[1])
        a.turns(self.a)
        b.turns(self.b)
        return a, b

    def truth(self) -> set[tuple[str, str]]:
        a, b = self.recorded()
        both = set(a.names.values()) & set(b.names.values()) - self.moved
        return {(name, name) for name in both}


TASK = ask("task", "Fix the failing test in tests/test_parser.py")
LOOK = bash("ls", "ls", "README.md\nsrc\ntests")
TEST = "pytest -q tests/test_parser.py"
FAILS = "1 failed in 0.31s"
PASSES = "1 passed in 0.28s"
READ = read("read", "$CWD/src/parser.py", "def parse(): ...")
FIX = edit("fix", "$CWD/src/parser.py", "return None", "return tree")
DONE = say("done", "The parser returns its tree now, and the test passes.")


def turns(*things: Thing) -> list[tuple[Thing, ...]]:
    return [(thing,) for thing in things]


BASE = turns(TASK, LOOK, bash("t1", TEST, FAILS, failed=True), READ, FIX, bash("t2", TEST, PASSES), DONE)

CASES = (
    Case(
        "an insertion in the middle",
        BASE,
        [
            *BASE[:3],
            *turns(bash("log", "git log --oneline -5", "abc1234 x"), bash("rg", "rg parse src", "x")),
            *BASE[3:],
        ],
    ),
    Case(
        "a deletion at the front and one at the end",
        BASE,
        [BASE[0], *BASE[2:-2], BASE[-1]],
    ),
    Case(
        "a loop that goes round three more times",
        BASE,
        [
            *BASE[:5],
            *turns(
                bash("x1", TEST, FAILS, failed=True),
                edit("y1", "$CWD/src/lexer.py", "a", "b"),
                bash("x2", TEST, FAILS, failed=True),
                edit("y2", "$CWD/src/lexer.py", "b", "c"),
            ),
            *BASE[5:],
        ],
    ),
    Case(
        "the same call again and again",
        turns(TASK, bash("r1", "make deploy", "busy", failed=True), bash("ok", "make status", "up"), DONE),
        turns(
            TASK,
            bash("r1", "make deploy", "busy", failed=True),
            bash("r2", "make deploy", "busy", failed=True),
            bash("r3", "make deploy", "busy", failed=True),
            bash("ok", "make status", "up"),
            DONE,
        ),
    ),
    Case(
        "parallel calls in another order",
        [(TASK,), (READ, LOOK, bash("v", "python3 --version", "Python 3.13.1")), (FIX,), (DONE,)],
        [(TASK,), (bash("v", "python3 --version", "Python 3.13.1"), READ, LOOK), (FIX,), (DONE,)],
    ),
    Case("a run that stops early", BASE, BASE[:4]),
    Case(
        "two agents with other tools",
        turns(TASK, LOOK, READ, FIX, bash("t2", TEST, PASSES), DONE),
        turns(
            TASK,
            bash("ls", "ls -la", "total 3\nREADME.md\nsrc\ntests", tool="exec_command"),
            bash("read", "sed -n 1,200p src/parser.py", "def parse(): ...", tool="exec_command"),
            bash("fix", "sed -i 's/return None/return tree/' src/parser.py", "", tool="exec_command"),
            bash("t2", f"cd $CWD && python3 -m {TEST}", PASSES, tool="exec_command"),
            say("done", "The test passes: the parser returns its tree now."),
        ),
        agents=("claude", "codex"),
    ),
    Case(
        "as many calls of the same tool that do something else",
        turns(TASK, LOOK, bash("pytest", TEST, FAILS, failed=True), bash("kept", "git diff", ""), DONE),
        turns(TASK, LOOK, bash("rm", "rm -rf build", ""), bash("kept", "git diff", ""), DONE),
    ),
    Case(
        "a step that comes later",
        turns(TASK, bash("deps", "pip install -r requirements.txt", "ok"), LOOK, READ, FIX, DONE),
        turns(TASK, LOOK, READ, FIX, bash("deps", "pip install -r requirements.txt", "ok"), DONE),
        moved=frozenset({"deps"}),
    ),
    Case(
        "agents below, one of which went another way",
        [
            (TASK,),
            (
                agent(
                    "tests",
                    "Look at the tests, all of them",
                    turns(bash("s1", "ls tests", "a"))[0],
                    (say("s2", "One."),),
                ),
                agent("docs", "Read the documentation", (read("d1", "docs/a.md"),), (say("d2", "It says so."),)),
            ),
            (DONE,),
        ],
        [
            (TASK,),
            (
                agent("docs", "Read the documentation", (read("d1", "docs/a.md"),), (say("d2", "It says so."),)),
                agent(
                    "tests",
                    "Look at the tests, all of them",
                    turns(bash("s1", "ls tests", "a"))[0],
                    (bash("s3", "wc -l tests/a", "9"),),
                    (say("s2", "One."),),
                ),
            ),
            (DONE,),
        ],
    ),
)
