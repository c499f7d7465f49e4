"""A session's log as events with stable names, for programs: what happened and when, without what was said.

Commands begin and end (with exit or signal), the terminal changes its size, its title or rings, steps have their
numbers and hashes, and what is missing is said. The text of a step is `tapes show REF:N`, the output of a command
`tapes commands --output`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tapes.archive.base import Archive
from tapes.record.digest import Digest
from tapes.record.kinds import Record
from tapes.record.tomb import WITHHELD
from tapes.session.screen.playback import missing, show
from tapes.session.screen.tape import Event, Tape, tape_of
from tapes.session.screen.vt import Screen
from tapes.session.view import Step, in_order, steps

type Row = dict[str, Any]
"""JSON values, but for `time`: Unix time in nanoseconds."""


def events(archive: Archive, session: Digest) -> Iterator[Row]:
    """Every event of the session, in the order of its records. The first keys of each: event, time, hash."""
    told: dict[Digest, list[Step]] = {}
    for step in steps(archive, session):
        told.setdefault(step.hash, []).append(step)
    tape = tape_of(archive, session)
    terminal = _Terminal(tape) if tape else None
    for digest, record in in_order(list(archive.session_records(session))):
        if terminal and digest in terminal.places:
            yield from terminal.of(digest)
        elif facts := _facts(record):
            yield row(record.type, record.wall_ns, digest, **facts)
        for step in told.get(digest, ()):
            yield row("step", step.wall_ns, digest, **_step(step))


def row(event: str, wall_ns: int, digest: Digest, **facts: Any) -> Row:
    return {"event": event, "time": wall_ns, "hash": digest.hex()} | facts


def _step(step: Step) -> Row:
    exchange = step.exchange.hex() if step.exchange else None
    return {"step": step.number, "type": step.type, "item": step.item, "exchange": exchange} | {
        "thread": step.thread,
        "failed": step.failed,
        "name": step.facts.get("name"),
        "id": step.facts.get("id"),
    }


# -- records


def _facts(record: Record) -> Row:
    """What is told of a record; empty for one that only its steps tell of."""
    body = record.body
    match record.type:
        case "session.open":
            return {"agent": body["agent"], "argv": [_text(word) for word in body["argv"]], "cwd": _text(body["cwd"])}
        case "session.close":
            return {"status": body.get("status"), "signal": body.get("signal")}
        case "command.start":
            return {
                "id": _id(body.get("id")),
                "line": _text(body.get("line")),
                "argv": [_text(word) for word in body.get("argv", ())],
                "cwd": _text(body.get("cwd")),
                "participant": _plain(body.get("participant")),
                "level": body.get("level"),
                "shell": body.get("shell"),
                "pid": body.get("pid"),
                "tty": body.get("tty"),
                "parents": _parents(record),
            }
        case "command.end":
            return {
                "parents": _parents(record),
                "status": body.get("status"),
                "signal": body.get("signal"),
                "duration_ns": body.get("duration_ns"),
                "bytes": _plain(body.get("bytes")),
                "dropped": body.get("dropped", 0),
                "open": body.get("open", False),
            }
        case "command.lost":
            return {"parents": _parents(record), "reason": body.get("reason")}
        case "join":
            names = ("tool", "method", "exact")
            return {"parents": _parents(record)} | {name: body.get(name) for name in names}
        case "snapshot":
            told = {name: body.get(name) for name in ("n", "part", "cause", "full", "head", "branch")}
            return told | {"root": _text(body.get("root")), "last": body.get("last", False)}
        case "gap":
            return {name: _plain(value) for name, value in body.items() if not isinstance(value, bytes)}
        case "redaction":
            return {"who": body["who"], "reason": body["reason"], "what": body["what"]}
        case name if name == WITHHELD:
            return {"type": body["type"], "by": body["by"].hex()}
        case _:
            return {}


def _parents(record: Record) -> list[str]:
    return [parent.hex() for parent in record.parents]


def _id(value: object) -> str | None:
    return value.hex() if isinstance(value, bytes) else None


def _text(value: object) -> str | None:
    """What is not UTF-8 stands as \\xNN."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return value if isinstance(value, str) else None


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, dict):
        return {key: _plain(held) for key, held in value.items()}
    return [_plain(held) for held in value] if isinstance(value, list | tuple) else value


# -- the terminal


class _Terminal:
    """Reads the recording part by part, in their order, through a screen."""

    def __init__(self, tape: Tape) -> None:
        self._tape = tape
        self.places = {part.hash: index for index, part in enumerate(tape.parts)}
        self._rows: list[Row] = []
        self._size: tuple[int, int] | None = None
        self._event: Event | None = None
        self._screen = Screen(*tape.size, self._told)

    def of(self, digest: Digest) -> Iterator[Row]:
        """The events in one of its records."""
        place = self.places[digest]
        part = self._tape.parts[place]
        if place == 0:
            columns, rows = part.size
            self._size = part.size
            self._add("terminal.open", part.at_ns, digest, columns=columns, rows=rows, term=self._tape.term or None)
        for event in self._tape.events(place, place + 1):
            self._event = event
            show(event, self._screen)
            if event.kind == "r" and event.size != self._size:
                self._size = event.size
                self._add("terminal.resize", event.at_ns, digest, columns=event.size[0], rows=event.size[1])
            elif event.kind == "x":
                self._add("terminal.missed", event.at_ns, digest, bytes=event.missed, reason=missing(event))
        if part.record.body.get("last"):
            self._add("terminal.close", self._event.at_ns if self._event else part.at_ns, digest)
        yield from self._rows
        self._rows = []

    def _told(self, what: str, text: str) -> None:
        assert self._event is not None  # the screen only speaks while it is fed one
        if what == "title":
            self._add("terminal.title", self._event.at_ns, self._event.record, title=text)
        elif what == "bell":
            self._add("terminal.bell", self._event.at_ns, self._event.record)

    def _add(self, event: str, at_ns: int, digest: Digest, **facts: Any) -> None:
        self._rows.append(row(event, self._tape.first.wall_ns + at_ns, digest, **facts))
