"""Which point of a session a person means by REF:STEP, and what the places and settings of that point are."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from tapes.archive.base import Archive
from tapes.archive.refs import Ref, resolve
from tapes.errors import NotFound, UsageError
from tapes.record.digest import Digest
from tapes.session.commands import Command
from tapes.session.transcript import Moment, moment
from tapes.session.view import Step, View, view
from tapes.values import dataclass

_OF_THE_PROCESS = frozenset(
    [
        *("HOME", "USER", "LOGNAME", "SHELL", "TERM", "PWD", "TMUX", "SSH_CONNECTION", "CI", "GITHUB_ACTIONS"),
        *("container", "CLAUDECODE", "AI_AGENT", "TRACEPARENT", "DIRENV_DIR"),
    ]
)
_OF_THE_AGENT = ("CLAUDE_CODE_", "CODEX_", "GEMINI_CLI", "OPENCODE", "TAPES_")


@dataclass(frozen=True, slots=True)
class Point:
    """A point in a session."""

    session: Digest
    found: View
    at: Moment
    step: Step | None
    """The last that is over at it; None where nothing was."""

    @property
    def hash(self) -> tuple[str, str, int]:
        """As `session.open` of a branch names it: session, record and item."""
        record, item = (self.step.hash, self.step.item) if self.step else (self.session, 0)
        return self.session.hex(), record.hex(), item

    @property
    def name(self) -> str:
        """What people call the session."""
        return str(self.found.records[0][1].body.get("name") or self.session.short()[:8])

    @property
    def title(self) -> str:
        return f"{self.name}:{self.at.number}"

    @property
    def agent(self) -> str:
        return str(self.found.records[0][1].body.get("agent", ""))

    @property
    def folder(self) -> str:
        """Where the session was started; empty where that is not known."""
        return os.fsdecode(self.found.records[0][1].body.get("cwd", b""))

    @property
    def last_folder(self) -> str:
        """Where the last command before the point ran, or was still running."""
        return next((command.cwd for command in reversed(self.commands) if command.cwd), self.folder)

    @property
    def commands(self) -> list[Command]:
        """Those that had a witness and had begun at the point, in their order."""
        begun = {step.hash for step in self.at.steps if step.type == "command"}
        return [command for command in self.found.commands if command.ran and command.ran.start in begun]


def point(archive: Archive, ref: str, thread: str = "") -> Point:
    """The point that a REF means: `REF:12` the end of step 12, a record's hash the end of what was read from it, else
    the end of the session. Raises what `resolve` and `moment` do."""
    meant = resolve(archive, ref)
    found = view(archive, meant.session)
    steps = list(found.steps)
    at = moment(found, steps, step_of(meant, found, steps), thread)
    return Point(meant.session, found, at, at.steps[-1] if at.steps else None)


def step_of(ref: Ref, found: View, steps: Sequence[Step]) -> int | None:
    """The step that a REF means; None for the end. A record means the last step that was read from it or before it."""
    if ref.step is not None or ref.record is None:
        return ref.step
    own = [step.number for step in steps if step.hash == ref.record]
    if not own:
        order = {digest: n for n, (digest, _) in enumerate(found.records)}
        place = order[ref.record]
        own = [step.number for step in steps if order[step.hash] <= place]
    if not own:
        raise NotFound(f"no step had happened by the record {ref.record.short()}", hint="`tapes show` lists the steps")
    return max(own)


def step_meant(archive: Archive, ref: Ref) -> Step:
    """The one step that a REF means: `REF:12`, or a record's hash where one step was read from it. UsageError for what
    means several, NotFound where there is none."""
    short = ref.session.short()
    if ref.step is None and ref.record is None:
        raise UsageError("a session has many steps: which?", hint=f"{short}:12 is its step 12; tapes show {short}")
    found = [
        step
        for step in view(archive, ref.session).steps
        if (step.number == ref.step if ref.step is not None else step.hash == ref.record)
    ]
    if not found:
        said = f"step {ref.step}" if ref.record is None else "step that was read from this record"
        raise NotFound(f"session {short} has no {said}", hint=f"its steps: tapes show {short}")
    if len(found) > 1:
        numbers = ", ".join(f"{short}:{step.number}" for step in found)
        raise UsageError("several steps were read from this record", hint=f"which? {numbers}")
    return found[0]


def settings(at: Point) -> tuple[dict[str, str], list[str]]:
    """The variables with which a shell goes into the point again: those whose values are recorded and that tell of the
    project, not of the process or its terminal. And the names of those whose values were redacted."""
    kept: dict[str, str] = {}
    hidden: list[str] = []
    last = at.commands[-1].ran if at.commands else None
    told = list(at.found.records[0][1].body.get("environment", ()))
    # The agent's own shell may have been given a PATH of its own; all else of it is the project's.
    told += [pair for pair in (last.said("environment", ()) if last else ()) if bytes(pair[0]) != b"PATH"]
    for name, value in told:
        variable, text = os.fsdecode(name), os.fsdecode(value)
        if variable in _OF_THE_PROCESS or variable.startswith(_OF_THE_AGENT):
            continue
        if "[REDACTED:" in text:
            hidden.append(variable)
        else:
            kept[variable] = text
    return kept, hidden


def differing(kept: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Of these variables those that have other values now."""
    return {name: value for name, value in kept.items() if environ.get(name) != value}
