"""Commands and terminals played into a session in a memory archive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tapes.archive.memory_archive import MemoryArchive
from tapes.intake.commands import Surroundings
from tapes.intake.left import Left
from tapes.intake.opening import Facts, adopt, open_session
from tapes.intake.split import Splitter
from tapes.record.kinds import BodyRef, Record
from tapes.wire.command import CommandEnded, CommandOutput, CommandStarted, Stream
from tapes.wire.exchange import Happening, Moment
from tapes.wire.redact import Redactor
from tapes.wire.shells import ALL

KEY = "0123456789abcdef" * 2
OTHER = "fedcba9876543210" * 2
WALL = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


def at(seconds: float) -> Moment:
    return Moment(WALL + int(seconds * SECOND), int(seconds * SECOND))


def started(key: str = KEY, seconds: float = 0, environ: Mapping[bytes, bytes] | None = None, **how: Any) -> Any:
    given = {"level": "supervisor", "argv": (b"/bin/bash", b"-c", b"make all"), "cwd": b"/w", "pid": 7} | how
    return CommandStarted(key, at(seconds), environ=tuple((environ or {}).items()), **given)


def said(data: bytes, seconds: float = 0, stream: Stream = "o", key: str = KEY) -> CommandOutput:
    return CommandOutput(key, int(seconds * SECOND), stream, data)


def ended(seconds: float = 1, status: int | None = 0, key: str = KEY, **how: Any) -> CommandEnded:
    given = {"signal": None, "duration_ns": int(seconds * SECOND)} | how
    return CommandEnded(key, at(seconds), status, **given)


class CommandTape:
    """One commit a happening."""

    def __init__(self, redactor: Redactor | None = None, **surroundings: Any) -> None:
        self.archive = MemoryArchive()
        self.redactor = redactor or Redactor()
        self.surroundings = Surroundings(**({"agent": "claude", "shells": ALL} | surroundings))
        self.session, _ = open_session(self.archive, Facts(agent="claude", argv=[b"x"], cwd=b"/"), self.redactor)
        self.splitter = Splitter(self.session, self.redactor, self.surroundings)

    def play(self, *happenings: Happening) -> None:
        for happening in happenings:
            self.splitter.take(happening)
            self.commit()

    def wait(self, seconds: float) -> None:
        self.splitter.write_due(int(seconds * SECOND))
        self.commit()

    def stop(self, seconds: float = 9) -> None:
        self.splitter.end_live(at(seconds))
        self.commit()

    def adopted(self) -> None:
        """The capture process is killed, and another takes over."""
        left = Left()
        adopt(self.archive, self.session, 1, left.see)
        self.splitter = Splitter(self.session, self.redactor, self.surroundings)
        self.splitter.go_on(left, self.archive)

    def commit(self) -> None:
        batch, _ = self.splitter.take_batch()
        if batch.drafts:
            self.archive.commit(batch)

    def records(self, type_: str = "") -> list[Record]:
        every = [record for _, record in self.archive.session_records(self.session)][1:]
        return [record for record in every if not type_ or record.type == type_]

    def one(self, type_: str) -> Mapping[str, Any]:
        (record,) = self.records(type_)
        return record.body

    def output(self, type_: str = "command.output") -> bytes:
        refs = [record.body["data"] for record in self.records(type_)]
        return b"".join(self.archive.body(BodyRef.of(ref)) for ref in refs if ref)
