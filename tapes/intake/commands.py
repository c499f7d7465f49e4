"""The commands of one session: what witnesses tell of them, into drafts. command.py has what one command says.

A witness is beside the command, not above it, and its reports may be lost. So whatever comes is written down: output
without a start gets a start that says what is known, and everything that fits nowhere is counted in a gap. What a
command left open tells nothing of, `command.lost` says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from tapes.archive.base import Draft
from tapes.intake.command import Command, Excerpt
from tapes.intake.drafting import Drafting, Spans
from tapes.intake.surroundings import names, shown
from tapes.record.digest import Digest
from tapes.values import dataclass, field
from tapes.wire.command import (
    CommandClosed,
    CommandEnded,
    CommandExec,
    CommandHappening,
    CommandLost,
    CommandOutput,
    CommandRefined,
    CommandsMissed,
    CommandStarted,
    Decided,
    ToolSeen,
)
from tapes.wire.exchange import Moment
from tapes.wire.redact import secret_variables
from tapes.wire.shells.base import Shells
from tapes.wire.shells.generic import GenericShells

_OVER_MOST = 1024
"""Commands that are over and kept in mind for output that comes late."""
_MISSED_NS = 1_000_000_000
"""So long reports that are missing for one reason gather."""
_NEWS_MOST = 4096
_SANDBOXES = (b"CODEX_SANDBOX", b"CODEX_SANDBOX_NETWORK_DISABLED", b"SANDBOX", b"SANDBOX_RUNTIME")

_ANYBODY = GenericShells()
"""A person, or a program that nobody knows: their lines are what they gave to a shell."""

type ContextOf = Callable[[Mapping[bytes, bytes], bytes], Mapping[str, str]]


def _nowhere(environ: Mapping[bytes, bytes], cwd: bytes) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Whose commands these are."""

    agent: str = "generic"
    """The launched program, as in wire/agents."""
    user: str = ""
    person: str = ""
    """Who types, where the launched program is a shell of a person's; "" where it is an agent."""
    shells: Sequence[Shells] = ()
    context_of: ContextOf = _nowhere
    """What an environment and a directory point to: {"kube": context}. MUST be quick and MUST NOT fail."""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A command as its records tell it, of which another capture process saw the beginning."""

    start: Digest
    key: str
    at: Moment
    name: str
    outputs: int
    bytes: Mapping[str, int]
    excerpt: Excerpt


@dataclass(slots=True)
class _Told:
    """What a start says of whose it is."""

    participant: dict[str, object]
    name: str
    shells: Shells | None
    marks: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Missed:
    at: Moment
    frames: int = 0
    bytes: int = 0


class Commands:
    """Only the writer's thread touches it."""

    def __init__(self, drafting: Drafting, surroundings: Surroundings) -> None:
        self._drafting = drafting
        self._surroundings = surroundings
        self._known: dict[str, Command] = {}
        self._waiting: dict[str, Command] = {}
        """Those with something that no record has yet."""
        self._over: dict[str, None] = {}
        self._missed: dict[str, _Missed] = {}
        self._awaited: set[str] = set()
        """Those that have ended while reports of their output were waiting."""
        self.news: deque[tuple[CommandStarted | ToolSeen, Draft | None]] = deque(maxlen=_NEWS_MOST)
        """For whoever joins commands with tool calls, to be taken away by them: what was told, with the start's draft
        once that is in a batch."""

    def __bool__(self) -> bool:
        return len(self._known) > len(self._over)

    @property
    def live(self) -> bool:
        """Is there something that falls due by time?"""
        return bool(self._waiting or self._missed)

    def know(self, left: Unfinished) -> None:
        """Go on with a command of which another capture process wrote the start."""
        command = Command(self._drafting, left.at, left.start, left.name)
        command.outputs, command.excerpt = left.outputs, left.excerpt
        command.bytes |= left.bytes
        self._known[left.key] = command

    def take(self, told: CommandHappening) -> None:
        match told:
            case CommandStarted():
                self._start(told)
            case CommandRefined():
                self._refine(told)
            case CommandOutput():
                self._touch(told.key, Moment(0, told.mono_ns)).output(told)
            case CommandExec():
                self._touch(told.key, Moment(0, told.mono_ns)).exec(told)
            case CommandEnded() | CommandLost():
                self._end(told)
            case CommandClosed():
                self._close(told)
            case ToolSeen():
                self.news.append((told, None))
            case Decided():
                self._decided(told)
            case CommandsMissed():
                missed = self._missed.setdefault(told.reason, _Missed(told.at))
                missed.frames += told.frames
                missed.bytes += told.bytes

    def write_due(self, now_ns: int) -> None:
        """Draft what has waited long enough (`now_ns`: monotonic)."""
        self._write_missed(now_ns - _MISSED_NS)
        for key, command in list(self._waiting.items()):
            command.write_due(now_ns)
            if not command.waiting:
                del self._waiting[key]

    def end_all(self, at: Moment, reason: str) -> None:
        """Nobody looks any more: every command without an end is lost."""
        self._write_missed(at.mono_ns)
        if self._awaited:
            self._odd(at, "reports of output were still to come when the run ended", commands=len(self._awaited))
            self._awaited.clear()
        for command in self._known.values():
            if command.ended:
                command.flush()
            else:
                command.lose(at, reason)
        self._known, self._waiting, self._over = {}, {}, {}

    def _write_missed(self, before_ns: int) -> None:
        """A gap for each reason first seen by then: one who floods the pipe is not to flood the archive."""
        for reason, missed in [(r, m) for r, m in self._missed.items() if m.at.mono_ns <= before_ns]:
            del self._missed[reason]
            body = {"reason": reason, "frames": missed.frames, "bytes": missed.bytes}
            self._drafting.draft("gap", missed.at, dict(body))

    def _start(self, told: CommandStarted) -> None:
        if told.key in self._known or not _is_key(told.key):
            self._odd(told.at, "a command was told to start twice, or without a key")
            return
        for rule, secret in secret_variables(dict(told.environ)):
            self._drafting.redactor.learn(rule, secret)
        outer = self._known.get(told.within)
        if outer:
            outer.begin()
        whose = self._whose(told, outer)
        draft = self._drafting.unplaced(
            "command.start", told.at, self._body(told, whose), [outer.start] if outer else []
        )
        self._known[told.key] = self._waiting[told.key] = Command(
            self._drafting, told.at, draft, whose.name, lambda: self.news.append((told, draft))
        )

    def _body(self, told: CommandStarted, whose: _Told) -> dict[str, object]:
        spans, clean = Spans(), self._drafting.clean_bytes
        environ = dict(told.environ)
        body: dict[str, object] = {
            "id": bytes.fromhex(told.key),
            "participant": whose.participant,
            "level": told.level,
            **self._line(told.argv, whose.shells, spans),
            "cwd": clean(told.cwd, "cwd", spans),
            "pid": told.pid,
            "ppid": told.ppid,
            "pgid": told.pgid,
            "tty": told.is_tty,
            "environment": [
                [name, clean(value, f"environment:{name.decode('latin-1')}", spans)]
                for name, value in shown(told.environ)
            ],
            "variables": names(told.environ),
        }
        sandbox = next((name for name in _SANDBOXES if environ.get(name)), None)
        further: dict[str, object] = {
            "marks": whose.marks,
            "context": {
                name: self._drafting.clean(value, f"context:{name}", spans)
                for name, value in self._surroundings.context_of(environ, told.cwd).items()
            },
            "sandbox": sandbox and f"{sandbox.decode()}={environ[sandbox].decode('utf-8', 'backslashreplace')}"[:200],
        }
        body |= {name: value for name, value in further.items() if value}
        return body | ({"redactions": spans} if spans else {})

    def _line(self, argv: Sequence[bytes], shells: Shells | None, spans: Spans) -> dict[str, object]:
        line = (shells or _ANYBODY).unwrap(argv)
        clean = self._drafting.clean_bytes
        shell = (argv[0] if argv else b"").rpartition(b"/")[2].decode("utf-8", "surrogateescape")
        return {
            "shell": self._drafting.clean(shell, "shell", spans),
            "argv": [clean(word, f"argv:{n}", spans) for n, word in enumerate(argv)],
            "line": clean(line, "line", spans),
        }

    def _whose(self, told: CommandStarted, outer: Command | None) -> _Told:
        """The innermost agent whose marks are there: those of the one around it are inherited."""
        around = self._surroundings
        environ = dict(told.environ)
        marked = [each for each in around.shells if any(name.encode() in environ for name in each.marks)]
        inner = [each for each in marked if outer is None or each.name != outer.name]
        launched = next((each for each in around.shells if each.name == around.agent), None)
        shells = next(iter(inner or marked), launched if outer is None else None)
        name = shells.name if shells and (shells in marked or not around.person) else around.agent
        kind = "agent"
        if told.level == "prompt" or (around.person and not marked):
            kind, name = "human", around.person or around.user
        elif shells and shells.is_harness(environ, told.argv):
            kind = "harness"
        participant: dict[str, object] = {"kind": kind, "name": name}
        if around.user:
            participant["user"] = around.user
        parent = outer.name if outer else around.person if kind != "human" else ""
        if parent:
            participant["parent"] = {"name": parent}
        return _Told(participant, name, shells, dict(shells.join_marks(environ)) if shells else {})

    def _refine(self, told: CommandRefined) -> None:
        if told.key not in self._known:
            return  # of another run's command, around which this one was started
        command = self._touch(told.key, told.at)
        spans = Spans()
        shells = next((each for each in self._surroundings.shells if each.name == command.name), None)
        line = self._line(told.argv, shells, spans)
        command.refine(line["argv"], line["line"], spans)  # type: ignore[arg-type]

    def _touch(self, key: str, at: Moment) -> Command:
        """The command `key`, which is waiting from now on. One whose start was lost gets a start that says so."""
        command = self._known.get(key)
        if command is None:
            command = self._known[key] = self._without_start(key, at)
        self._waiting[key] = command
        return command

    def _without_start(self, key: str, at: Moment) -> Command:
        if not at.wall_ns:
            now = Moment.now()
            at = Moment(now.wall_ns - now.mono_ns + at.mono_ns, at.mono_ns)
        self._odd(at, "the start of a command was not reported", commands=1)
        name = self._surroundings.agent
        body: dict[str, object] = {
            "id": bytes.fromhex(key) if _is_key(key) else bytes(16),
            "participant": {"kind": "agent", "name": name},
            "level": "supervisor",
            "shell": "",
            "argv": [],
            "line": b"",
            "cwd": b"",
            "pid": 0,
            "ppid": 0,
            "pgid": 0,
            "tty": False,
            "environment": [],
            "variables": [],
        }
        draft = self._drafting.unplaced("command.start", at, body)
        command = Command(self._drafting, at, draft, name)
        command.begin()
        return command

    def _end(self, told: CommandEnded | CommandLost) -> None:
        command = self._touch(told.key, told.at)
        if command.ended:
            self._odd(told.at, "a command was told to end twice")
            return
        if isinstance(told, CommandEnded):
            command.end(told)
        else:
            command.lose(told.at, told.reason)
        if not (isinstance(told, CommandEnded) and told.open):
            self._done(told.key)
        elif told.overtaken:
            self._awaited.add(told.key)

    def _close(self, told: CommandClosed) -> None:
        self._awaited.discard(told.key)
        command = self._known.get(told.key)
        if command is None:
            return
        uncounted = command.close(told.dropped)
        if uncounted:
            body: dict[str, object] = {"reason": "output of a command after its end was not kept", "bytes": uncounted}
            self._drafting.draft("gap", told.at, body, [command.start])
        if command.ended:
            self._done(told.key)

    def _done(self, key: str) -> None:
        """Keep it in mind: the last output may come behind the end."""
        self._over[key] = None
        for old in list(islice(self._over, max(0, len(self._over) - _OVER_MOST))):
            self._known[old].flush()
            for kept in (self._over, self._known, self._waiting):
                kept.pop(old, None)

    def _decided(self, told: Decided) -> None:
        spans = Spans()
        by = self._drafting.clean(told.by, "by", spans)
        body: dict[str, object] = {
            "kind": "decision",
            "id": told.tool_id,
            "tool": told.tool,
            "decision": told.decision,
            "by": by,
            "text": f"{told.tool} {told.decision} by {by}",
        }
        if told.mode:
            body["mode"] = told.mode
        self._drafting.draft("note", told.at, body)

    def _odd(self, at: Moment, reason: str, **counts: int) -> None:
        self._drafting.draft("gap", at, {"reason": reason, **(counts or {"frames": 1})})


def _is_key(key: str) -> bool:
    return len(key) == 32 and all(letter in "0123456789abcdef" for letter in key)
