"""Which command was run for which tool call: a `join` record names both.

Some agents put the call's id into the command's environment, or a mark of which they tell beside the wire what call it
belongs to, or tell the model the command's process group: such a join is exact. Where there is nothing of the kind, a
command is joined by its text and its time, and where several calls say the same at once, by their order. That is a
guess, said to be one, and made only when a call's result is there and nothing better came within a while.

News come in any order: a command starts before the answer that asked for it is committed, telemetry comes late. So all
that is not joined yet waits here, each kind in a table of bounded size, the oldest being given up first.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from typing import Any, Literal

from tapes.archive.base import Draft
from tapes.intake.linker import Event
from tapes.record.digest import Digest
from tapes.record.kinds import Record
from tapes.values import dataclass, field
from tapes.wire.agents import speaking
from tapes.wire.command import CommandStarted, ToolSeen
from tapes.wire.exchange import Opened
from tapes.wire.shells import Claim, Told, by_name
from tapes.wire.turns import Json

Method = Literal["env", "traceparent", "plugin", "pgid", "hook", "text"]

MOST_USES, MOST_COMMANDS, MOST_MARKS = 2_000, 2_000, 4_000
LATE_NS = 5 * 1_000_000_000
"""How long after a call's result an exact join may still come: telemetry is sent once a second."""
VERSION = 1


@dataclass(frozen=True, slots=True)
class Join:
    """A `join` to be written."""

    body: dict[str, object]
    parents: tuple[Digest | Draft, Digest | Draft]


@dataclass(slots=True)
class _Use:
    id: str
    record: Digest | Draft
    agent: str
    """Whose it is; "" where that is not known."""
    tool: str
    claims: tuple[Claim, ...]
    since_ns: int
    """When the request that was answered with it was opened: its commands start after that (monotonic)."""
    until_ns: int = 0
    """When the request with its result was opened; 0 while there is none."""
    announced: bool = False
    """A hook told of it."""
    joined: bool = False


@dataclass(slots=True)
class _Command:
    record: Digest | Draft
    agent: str
    line: str
    marks: Mapping[str, str]
    pids: frozenset[int]
    at_ns: int


@dataclass(slots=True)
class Joiner:
    """The joins of one session. Only the writer's thread touches it."""

    _agent: str = ""
    _uses: dict[str, _Use] = field(default_factory=dict)
    _answered: dict[str, _Use] = field(default_factory=dict)
    """Calls with a result for which nothing exact came yet."""
    _commands: dict[bytes, _Command] = field(default_factory=dict)
    """Those that are not joined yet."""
    _seen: dict[tuple[str, str], str] = field(default_factory=dict)
    """The call's id by method and mark."""
    _hooks: dict[str, int] = field(default_factory=dict)
    """When a hook told of a call that was not written yet."""
    _fresh: list[_Use | _Command] = field(default_factory=list)
    """Those whose record was a draft when last looked at: a draft holds on to its body and to all its parents."""
    _ready: list[Join] = field(default_factory=list)

    def take(self) -> list[Join]:
        """The joins that were found since the last time."""
        ready, self._ready = self._ready, []
        return ready

    # -- news

    def hear(self, news: deque[tuple[CommandStarted | ToolSeen, Draft | None]]) -> None:
        """Take away what witnesses told (`Commands.news`)."""
        while news:
            told, draft = news.popleft()
            if isinstance(told, ToolSeen):
                self.seen(told)
            elif draft is not None:
                self.command(draft)

    def event(self, event: Event, record: Draft, opened: Opened, launched: str) -> None:
        """A tool event was written. `opened`: its exchange; `launched`: the agent whose session this is."""
        names = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in opened.headers}
        agent = speaking(names).name
        agent = launched if agent == "generic" else agent
        id_, at_ns = str(event.body["id"]), opened.at.mono_ns
        if event.type == "tool.use":
            tool = str(event.body["name"])
            self.use(id_, record, agent, tool, claims_of(agent, tool, event.said), at_ns)
        elif use := self._uses.get(id_):
            text = event.said.decode("utf-8", "surrogatepass")
            self.result(id_, by_name(agent).told(use.tool, text, event.body["is_error"] is True), at_ns)

    def use(
        self, id_: str, record: Digest | Draft, agent: str, tool: str, claims: tuple[Claim, ...], since_ns: int
    ) -> None:
        """A call, and when the request was opened whose answer it is in (monotonic)."""
        use = self._uses[id_] = _Use(id_, record, agent, tool, claims, since_ns)
        self._fresh.append(use)
        _bound(self._uses, MOST_USES)
        if id_ in self._hooks:
            use.announced, use.since_ns = True, self._hooks.pop(id_)
        for key in [key for key, command in self._commands.items() if id_ in self._named(command)]:
            self._by_mark(key)

    def result(self, id_: str, told: Told, at_ns: int) -> None:
        """What was told of a call, and when the request was opened that told it (monotonic)."""
        self._told(id_, told, at_ns)
        self.settle(at_ns)

    def _told(self, id_: str, told: Told, at_ns: int) -> None:
        use = self._uses.get(id_)
        if use is None:
            return
        use.until_ns = at_ns
        if told.pgid is not None:
            self._by_group(told.pgid, use)
        if use.claims and not use.joined and not told.denied:
            self._answered[id_] = use
            _bound(self._answered, MOST_USES)

    def command(self, draft: Draft) -> None:
        """A `command.start` whose `line` and `marks` are the agent's own, unwrapped and redacted."""
        self._started(draft.body, draft, draft.mono_ns)
        self.settle(draft.mono_ns)

    def seen(self, told: ToolSeen) -> None:
        """An agent told beside the wire of one of its calls."""
        if told.method != "hook":
            self._seen[told.method, told.mark] = told.tool_id
            _bound(self._seen, MOST_MARKS)
            for key in [key for key, command in self._commands.items() if command.marks.get(told.method) == told.mark]:
                self._by_mark(key)
        elif use := self._uses.get(told.tool_id):
            use.announced, use.since_ns = True, told.at.mono_ns
        else:
            self._hooks[told.tool_id] = told.at.mono_ns
            _bound(self._hooks, MOST_MARKS)
        self.settle(told.at.mono_ns)

    def known(self, digest: Digest, record: Record) -> None:
        """A record that the archive has already (adopting a session), in the order of its chain."""
        body, at_ns = record.body, record.mono_ns
        match record.type:
            case "session.open":
                self._agent = str(body.get("agent", ""))
            case "tool.use":
                id_, tool = str(body["id"]), str(body.get("name", ""))
                self._uses[id_] = _Use(
                    id_, digest, "", tool, claims_of(self._agent, tool, bytes(body.get("input", b""))), at_ns
                )
                _bound(self._uses, MOST_USES)
            case "tool.result":
                # What it told is not at hand; where that was a refusal, no command will fit its time.
                self._told(str(body["id"]), Told(), at_ns)
            case "command.start":
                self._started(body, digest, at_ns)
            case "join":
                self._ready = [join for join in self._ready if join.parents[1] not in record.parents]
                self._commands = {key: one for key, one in self._commands.items() if one.record not in record.parents}
                if use := self._uses.get(str(body["tool"])):
                    self._is_joined(use)

    # -- exact

    def _started(self, body: Mapping[str, Any], record: Digest | Draft, at_ns: int) -> None:
        who = body["participant"]
        if who["kind"] != "agent":
            return
        key, line = bytes(body["id"]), bytes(body.get("line", b"")).decode("utf-8", "backslashreplace").strip()
        pids = frozenset(pid for name in ("pid", "pgid") if (pid := body.get(name, 0)) > 1)
        command = _Command(record, str(who.get("name", "")), line, dict(body.get("marks", {})), pids, at_ns)
        self._commands[key] = command
        self._fresh.append(command)
        _bound(self._commands, MOST_COMMANDS)
        self._by_mark(key)

    def _named(self, command: _Command) -> dict[str, str]:
        """The calls that a command's marks name, by id, with the method."""
        calls = {self._seen.get((method, mark), ""): method for method, mark in command.marks.items()}
        # The plugin is told the wire's id itself; what it says beside the wire is not needed for it.
        calls |= {mark: method for method, mark in command.marks.items() if method in ("env", "plugin")}
        calls.pop("", None)
        return calls

    def _by_mark(self, key: bytes) -> None:
        for id_, method in self._named(self._commands[key]).items():
            if use := self._uses.get(id_):
                self._join(key, use, method, exact=True)
                return

    def _by_group(self, pgid: int, use: _Use) -> None:
        # Numbers come again: of several, it is the last that started before the result was told.
        fitting = [
            key
            for key, command in self._commands.items()
            if pgid in command.pids and use.since_ns <= command.at_ns <= use.until_ns and _same(command, use)
        ]
        if fitting:
            self._join(fitting[-1], use, "pgid", exact=True)

    # -- by text and time

    def settle(self, now_ns: int) -> None:
        """Guess for the calls whose result has been there for so long that nothing exact will come."""
        self._let_go()
        for use in [use for use in self._answered.values() if use.until_ns + LATE_NS <= now_ns]:
            del self._answered[use.id]
            self._guess(use)

    def finish(self) -> None:
        """The session ends: nothing better will come."""
        self.settle(max((use.until_ns for use in self._answered.values()), default=0) + LATE_NS)
        # Some agents stop at their last command and tell nobody what came of it.
        end_ns = max((command.at_ns for command in self._commands.values()), default=0)
        for use in [use for use in self._uses.values() if use.claims and not use.joined and not use.until_ns]:
            use.until_ns = end_ns
            self._guess(use, by_time=False)

    def _guess(self, use: _Use, *, by_time: bool = True) -> None:
        """`by_time`: a command of another text will do, where it alone ran in the time of this call alone."""
        near = [
            key
            for key, command in self._commands.items()
            if use.since_ns <= command.at_ns <= use.until_ns and _same(command, use) and not self._named(command)
        ]
        method: Method = "hook" if use.announced else "text"
        certain = all(claim.certain for claim in use.claims)
        lines = [line for claim in use.claims if (line := claim.line.strip())]
        fitting: list[bytes] = []
        for line in dict.fromkeys(lines):
            same = [key for key in near if self._commands[key].line == line]
            # Another of the same text is another call's; but a program may have run its one line several times.
            share = lines.count(line) if certain else max(1, len(same) // (1 + len(self._rivals(use, line))))
            fitting += same[:share]
        if by_time and (not certain or (not fitting and len(near) == 1)) and self._is_alone(use):
            # No other call was open in that time. Of a program, which may put lines together, it is all that ran.
            fitting = near
        for key in fitting:
            self._join(key, use, method, exact=False)

    def _is_alone(self, use: _Use) -> bool:
        return not self._open_beside(use)

    def _rivals(self, use: _Use, line: str) -> list[_Use]:
        return [other for other in self._open_beside(use) if any(claim.line.strip() == line for claim in other.claims)]

    def _open_beside(self, use: _Use) -> list[_Use]:
        """Other calls that were open in this one's time and wait for their command."""
        return [
            other
            for other in self._uses.values()
            if other is not use
            and other.claims
            and not other.joined
            and other.since_ns < use.until_ns  # the next call is in the answer to the very request that ends this one
            and (not other.until_ns or other.until_ns > use.since_ns)
        ]

    # -- what is found

    def _join(self, key: bytes, use: _Use, method: str, *, exact: bool) -> None:
        command = self._commands.pop(key)
        self._is_joined(use)
        body: dict[str, object] = {
            "tool": use.id,
            "method": method,
            "exact": exact,
            "reader": "join",
            "version": VERSION,
        }
        self._ready.append(Join(body, (use.record, command.record)))

    def _is_joined(self, use: _Use) -> None:
        use.joined = True
        self._answered.pop(use.id, None)

    def _let_go(self) -> None:
        """Keep the hashes of what has been committed, not the drafts."""
        for one in self._fresh:
            if isinstance(one.record, Draft) and one.record.hash is not None:
                one.record = one.record.hash
        self._fresh = [one for one in self._fresh if isinstance(one.record, Draft)]
        del self._fresh[: -(MOST_USES + MOST_COMMANDS)]


def claims_of(agent: str, tool: str, said: bytes) -> tuple[Claim, ...]:
    """The commands that a call asks for, by the text of its input: JSON, or a freeform tool's own language."""
    text = said.decode("utf-8", "replace")
    arguments: Json
    try:
        arguments = json.loads(text)
    except (ValueError, RecursionError):
        arguments = text
    return by_name(agent).claims(tool, arguments)


def _same(command: _Command, use: _Use) -> bool:
    """May it be this call's, by whose it is?"""
    return not use.agent or not command.agent or command.agent == use.agent


def _bound[K, V](table: dict[K, V], most: int) -> None:
    while len(table) > most:
        del table[next(iter(table))]
