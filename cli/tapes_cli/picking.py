"""Which commands `tapes commands` is asked for: each option a question to a command, all of them to be answered yes."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tapes.archive.summary import Summary
from tapes.errors import UsageError
from tapes.session.commands import Command
from tapes.values import dataclass, field
from tapes_cli.moments import moment, nanoseconds, span

type Question = Callable[[Command], bool]


@dataclass(frozen=True, slots=True)
class Asked:
    """The options as they were typed; empty where they were not."""

    exit: str = ""
    grep: str = ""
    regex: str = ""
    cwd: str = ""
    participant: str = ""
    tool: str = ""
    since: str = ""
    until: str = ""
    last: str = ""
    verdicts: tuple[str, ...] = ()


@dataclass(slots=True)
class Picking:
    """The questions, and what was seen while they were asked: so that it can be said which option can find nothing."""

    questions: list[Question] = field(default_factory=list)
    since_ns: int = 0
    until_ns: int = 2**63
    verdicts: frozenset[str] = frozenset()
    needs: dict[str, Question] = field(default_factory=dict)
    """By option: has this command what the option asks about?"""
    looked: int = 0
    had: set[str] = field(default_factory=set)

    def facts(self, command: Command) -> bool:
        """By what is known before judging."""
        self.looked += 1
        self.had |= {option for option, has in self.needs.items() if has(command)}
        return all(question(command) for question in self.questions)

    def judged(self, command: Command) -> bool:
        return not self.verdicts or bool(self.verdicts & set(command.judgement.verdicts))

    def may_hold(self, summary: Summary) -> bool:
        """Can a session with this summary have commands of that time?"""
        over = summary.ended_ns if summary.closed else self.since_ns
        return summary.started_ns <= self.until_ns and over >= self.since_ns

    def useless(self) -> Iterator[str]:
        """Options that no command looked at could answer."""
        for option in self.needs:
            if self.looked and option not in self.had:
                yield f"{option} finds nothing here: {_LACKS[option]}"


_LACKS = {
    "--exit": "of no command the end was seen",
    "--cwd": "of no command the directory is known",
    "--tool": "no command is joined to a tool call",
}


def picking(asked: Asked, known: Sequence[str], now: datetime | None = None) -> Picking:
    """`known`: the verdicts there are. UsageError, with what may be typed, for what can not be used."""
    now = now or datetime.now(UTC).astimezone()
    found = Picking(verdicts=_verdicts(asked.verdicts, known))
    if asked.last and asked.since:
        raise UsageError("--last and --since are two beginnings of one time", hint="give one of them")
    if asked.last:
        found.since_ns = nanoseconds(now - span(asked.last))
    if asked.since:
        found.since_ns = nanoseconds(moment(asked.since, now))
    if asked.until:
        # Times are shown with microseconds: to the end of that one.
        found.until_ns = nanoseconds(moment(asked.until, now)) + 999
    if found.since_ns > found.until_ns:
        raise UsageError("--until is before the time that --since or --last begins")
    found.questions.append(lambda command: found.since_ns <= command.wall_ns <= found.until_ns)
    if asked.exit:
        found.questions.append(_exit(asked.exit))
        found.needs["--exit"] = lambda command: command.status is not None or command.signal is not None
    if asked.grep:
        found.questions.append(lambda command: any(asked.grep in text for text in searched(command)))
    if asked.regex:
        pattern = regex(asked.regex, "--regex")
        found.questions.append(lambda command: any(pattern.search(text) for text in searched(command)))
    if asked.cwd:
        folder = os.path.normpath(Path.cwd() / Path(asked.cwd).expanduser())  # a link stays one: so it was recorded
        inside = folder.rstrip("/") + "/"
        found.questions.append(lambda command: command.cwd == folder or command.cwd.startswith(inside))
        found.needs["--cwd"] = lambda command: bool(command.cwd)
    if asked.participant:
        found.questions.append(lambda command: _is(command, asked.participant.casefold()))
    if asked.tool:
        found.questions.append(lambda command: _of_tool(command, asked.tool))
        found.needs["--tool"] = lambda command: command.call is not None
    return found


def searched(command: Command) -> Iterator[str]:
    """Where --grep and --regex look: the line that ran and the one asked for, the directory, and where it worked."""
    yield command.line
    if command.asked is not None:
        yield command.asked.line
    yield command.cwd
    yield from command.surroundings


def regex(pattern: str, option: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise UsageError(
            f"{option} {pattern!r} is no regular expression: {error}", hint="--grep seeks plain text"
        ) from error


def _verdicts(asked: Sequence[str], known: Sequence[str]) -> frozenset[str]:
    found = frozenset(name.strip().lower().replace(" ", "-") for name in asked)
    others = frozenset(known) - {"matched"}
    for name in found - {"unmatched", *known}:
        raise UsageError(
            f"there is no verdict {name!r}", hint=f"verdicts: {', '.join(known)}; unmatched is any but the first"
        )
    return found - {"unmatched"} | (others if "unmatched" in found else frozenset())


def _exit(text: str) -> Question:
    if text == "nonzero":
        return lambda command: command.failed
    if text == "signal":
        return lambda command: bool(command.signal)
    if text.isdecimal() and int(text) < 256:
        status = int(text)
        return lambda command: command.status == status
    name = text.upper() if text.upper().startswith("SIG") else f"SIG{text.upper()}"
    import signal  # its tables of names are made when it is imported

    if name in signal.Signals.__members__:
        number = int(signal.Signals[name])
        return lambda command: command.signal == number
    raise UsageError(
        f"--exit {text!r} is no exit", hint="nonzero, a status (0 to 255), signal, or a signal's name (KILL)"
    )


def _is(command: Command, name: str) -> bool:
    who = command.participant
    return name in {part.casefold() for part in (who.kind, who.name, who.user, who.parent) if part}


def _of_tool(command: Command, text: str) -> bool:
    call = command.call
    if call is None:
        return False
    named = text in (call.id, call.tool) or text.casefold() == call.tool.casefold()
    return named or (len(text) >= 4 and call.use.hex().startswith(text.lower()))
