"""A command of a session: one that ran, or that was asked for and not seen to run; and what it wrote.

Read from the records every time; nothing of it is stored. What a command *was asked to be* comes from tool calls
(tapes.session.asking), what it *was* from the witness's records, which belongs to which from `join` records
(tapes.session.joining), and how they agree from holding them against each other (tapes.session.verdicts).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tapes.archive.base import Archive
from tapes.errors import Damaged, NotFound, Withheld
from tapes.record.digest import Digest
from tapes.record.kinds import BodyRef, Record
from tapes.values import dataclass, field

if TYPE_CHECKING:
    from tapes.session.asking import Asked, Decision
    from tapes.wire.shells.base import Claim


@dataclass(frozen=True, slots=True)
class Participant:
    """Who ran it."""

    kind: str
    """`agent`, `human` or `harness`."""
    name: str
    version: str = ""
    user: str = ""
    parent: str = ""
    """Of a nested agent: the agent that started it."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What the witness saw."""

    start: Digest
    at: Record
    end: Record | None = None
    end_hash: Digest | None = None
    lost: str = ""
    """Why nobody saw how it ended."""
    outputs: tuple[tuple[Digest, Record], ...] = ()
    execs: tuple[Record, ...] = ()

    def said(self, key: str, default: Any = None) -> Any:
        """A fact of its start; that of its end, where the shell went on to something else."""
        if self.end is not None and key in ("argv", "line") and key in self.end.body:
            return self.end.body[key]
        return self.at.body.get(key, default)

    @property
    def line(self) -> str:
        return str(self.said("line", b"").decode("utf-8", "replace"))

    @property
    def counts(self) -> Mapping[str, int]:
        """Bytes by stream: as produced up to its end, as kept from there on, or where nobody saw an end."""
        found = Counter(self.end.body.get("bytes", {}) if self.end else {})
        for _, output in self.outputs:
            if self.end is None or output.body.get("after"):
                for _, stream, length in output.body["pieces"]:
                    found[stream] += length
        return found


@dataclass(frozen=True, slots=True)
class Judgement:
    """What holding the sides against each other gave."""

    verdict: str = ""
    """One of verdicts.VERDICTS; empty for what nobody was to ask for (a person's own commands, an agent's own
    housekeeping, what a nested shell did), and where a join is missing."""
    why: str = ""
    also: tuple[str, ...] = ()
    """Further verdicts that hold."""
    denied_by: str = ""
    """A word for who denied it, where it was."""
    compared: tuple[str, ...] = ()
    """What could be held against each other and was: `line`, `exit`, `output`."""

    @property
    def verdicts(self) -> tuple[str, ...]:
        return (self.verdict, *self.also) if self.verdict else ()


@dataclass(frozen=True, slots=True)
class Command:
    """One line of the audit."""

    session: Digest
    seq: int
    """Of the record that it begins with: the order of commands in their session."""
    wall_ns: int
    participant: Participant
    thread: str = ""
    asked: Claim | None = None
    call: Asked | None = None
    """The tool call that asked for it, or in which it ran."""
    ran: Ran | None = None
    """None: it was not seen to run."""
    method: str = ""
    """How the two were joined; empty where they were not."""
    exact: bool = False
    told: bool = False
    """What the model was told of the call was told of this command: it is the call's only one, or the last attempt."""
    outer: Digest | None = None
    """Start of the command in which this one ran."""
    decision: Decision | None = None
    judgement: Judgement = field(default_factory=Judgement)

    @property
    def hash(self) -> Digest:
        """The record that stands for it: its start, or the call that was not seen to run."""
        if self.ran is not None:
            return self.ran.start
        assert self.call is not None
        return self.call.use

    @property
    def records(self) -> Iterator[Digest]:
        """All records that it was read from."""
        if self.ran is not None:
            yield self.ran.start
            yield from (digest for digest, _ in self.ran.outputs)
            yield from (digest for digest in (self.ran.end_hash,) if digest)
        if self.call is not None:
            yield self.call.use
            yield from (digest for digest in (self.call.result_hash,) if digest)

    @property
    def line(self) -> str:
        """What ran, or else was asked for."""
        if self.ran is not None:
            return self.ran.line or b" ".join(self.ran.said("argv", ())).decode("utf-8", "replace")
        return self.asked.line if self.asked else ""

    @property
    def cwd(self) -> str:
        if self.ran is not None:
            return str(self.ran.said("cwd", b"").decode("utf-8", "replace"))
        return self.asked.cwd if self.asked else ""

    @property
    def status(self) -> int | None:
        return self.ran.end.body["status"] if self.ran and self.ran.end else None

    @property
    def signal(self) -> int | None:
        return self.ran.end.body["signal"] if self.ran and self.ran.end else None

    @property
    def failed(self) -> bool:
        return bool(self.status or self.signal)

    @property
    def duration_ns(self) -> int | None:
        return self.ran.end.body.get("duration_ns") if self.ran and self.ran.end else None

    @property
    def surroundings(self) -> Iterator[str]:
        """Where it worked: `NAME=value` of the variables that are kept, and what they lead to (`kube=…`)."""
        if self.ran is None:
            return
        for name, value in self.ran.said("environment", ()):
            yield f"{_name(name)}={value.decode('utf-8', 'replace')}"
        for name, text in self.ran.said("context", {}).items():
            yield f"{name}={text}"


def outputs(ran: Ran, most: int | None = None) -> list[Record]:
    """The records of its output in order; of more than about `most` bytes those of the beginning and of the end."""
    ordered = [record for _, record in sorted(ran.outputs, key=lambda part: part[1].body["n"])]
    left = sum(map(_length, ordered))
    kept = left if most is None else most // 2
    read = 0
    found = []
    for record in ordered:
        length = _length(record)
        if read < kept or left <= kept:
            found.append(record)
        read += length
        left -= length
    return found


def signal_name(number: int) -> str:
    """As kill(1) names it, with SIG before."""
    import signal  # its tables of names are made when it is imported

    return signal.Signals(number).name if number in set(signal.Signals) else f"SIG{number}"


def pieces(archive: Archive, ran: Ran, most: int | None = None) -> Iterator[tuple[str, bytes]]:
    """What it wrote, redacted, in the order it came: stream and bytes. No more than about `most` bytes where that is
    given: then as much of the beginning as of the end. Where the output was not stored by itself, what its end has of
    it. Raises Withheld, Damaged and NotFound as the archive does."""
    if not ran.outputs:
        if ran.end is not None:
            yield from (("m", ran.end.body[key]) for key in ("head", "tail") if ran.end.body.get(key))
        return
    for record in outputs(ran, most):
        yield from _streams(archive, record)


def _streams(archive: Archive, record: Record) -> Iterator[tuple[str, bytes]]:
    data = archive.body(BodyRef.of(record.body["data"]))
    at = 0
    for _, stream, length in record.body["pieces"]:
        yield stream, data[at : at + length]
        at += length
    if at != len(data):
        raise Damaged("the pieces of a command's output are not as long as the output")


def _length(record: Record) -> int:
    return BodyRef.of(record.body["data"]).length


def output_text(archive: Archive, ran: Ran) -> str:
    """All of it as text; empty where it can not be read."""
    try:
        return b"".join(data for _, data in pieces(archive, ran)).decode("utf-8", "replace")
    except (Withheld, Damaged, NotFound):
        return ""


def _name(name: str | bytes) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name
