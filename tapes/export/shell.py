"""The commands of a session as a shell script that a person reads, and may run after that: the runbook of an incident.

Each command is one word for `bash -c`, so that no quote, here-document or line feed in one can reach into the next.
What failed, was kept from running or ran within another command is a comment; what an agent ran for itself is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tapes.export.quoting import commented, shell_word
from tapes.session.commands import Command, signal_name
from tapes.session.moments import iso
from tapes.values import dataclass

GUARD = (
    "# It is for reading: nothing here was run by tapes, and what it did once it would do again, to today's files.",
    "# So it ends here. Take the next line out to run it, when you have read what is below.",
    'echo "$0: recorded commands, for reading; its first lines say how to run it" >&2; return 1 2>/dev/null; exit 1',
)


@dataclass(frozen=True, slots=True)
class Line:
    """One command of the script."""

    command: Command
    number: int
    """Of its step."""
    told: str = ""
    """Where nothing witnessed what ran: what the model was told of it."""
    went_well: bool = False
    """As it was told."""
    cwd: bytes = b""
    """Where the session was, for a command of which no directory is known."""


def script(heading: Sequence[str], commands: Iterable[Line]) -> Iterator[str]:
    """The lines, in the order in which the commands began."""
    yield "#!/usr/bin/env bash"
    for line in heading:
        yield from commented(line)
    yield from GUARD
    for one in commands:
        command = one.command
        yield ""
        yield from commented(about(command, one.number, one.told))
        if command.participant.kind == "harness":
            yield f"# the agent's own housekeeping, in full in: tapes show {command.session.short()}:{one.number}"
            continue
        cwd = where(command) or one.cwd or b"."
        line = f"(cd -- {shell_word(cwd)} && bash -c {shell_word(line_of(command))})"
        if why := _not_live(one):
            yield f"# not to be run: {why}"
            yield from (f"# {part}" for part in line.split("\n"))
        else:
            yield line


def about(command: Command, number: int, told: str = "") -> str:
    """Who, when, and how it ended, in a line; `told` where nobody saw that."""
    who = command.participant.name or command.participant.kind
    verdict = "" if told else command.judgement.verdict
    parts = [f"step {number}", iso(command.wall_ns), who, told or ending(command)]
    return " · ".join([*parts, verdict] if verdict not in ("", "matched") else parts)


def ending(command: Command) -> str:
    if command.signal:
        return signal_name(command.signal)
    if command.status is not None:
        return f"exit {command.status}"
    return "not seen to end" if command.ran is not None else "not seen to run"


def line_of(command: Command) -> bytes:
    """What ran, else was asked for, as bytes."""
    if command.ran is None:
        return command.line.encode("utf-8", "surrogatepass")
    line: bytes = command.ran.said("line", b"")
    return line or b" ".join(command.ran.said("argv", ()))


def where(command: Command) -> bytes:
    if command.ran is None:
        return command.cwd.encode("utf-8", "surrogatepass")
    cwd: bytes = command.ran.said("cwd", b"")
    return cwd


def _not_live(one: Line) -> str:
    command = one.command
    if command.failed:
        return "it failed"
    if one.told:
        return "" if one.went_well else one.told
    if command.ran is None:
        denied = command.judgement.verdict == "denied"
        return "it was kept from running" if denied else "nobody saw it run"
    if command.ran.end is None:
        return "nobody saw it end"
    if command.outer is not None:
        return "it ran within another command"
    return ""
