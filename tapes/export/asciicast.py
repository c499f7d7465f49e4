"""A session's terminal as an asciicast, versions 3 and 2 (docs.asciinema.org/manual/asciicast/v3 and …/v2).

The format is JSON text, so it holds no bytes: what is not UTF-8 becomes U+FFFD, and a character that was split between
two writes comes with the later one. Everything else of output and input is there to the byte, at its microsecond.
Sizes are held between 1 and 65535, which players need; one that is not known (0) is 80 by 24. A command is a marker,
`$ LINE`; what the recording lacks is a marker too, in brackets, since the second version knows no comments. Lines are
ASCII: an escape sequence stands in them as `\\u001b`, and is no sequence until a player makes it one.
"""

from __future__ import annotations

import codecs
import json
import shlex
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from tapes.archive.base import Archive
from tapes.session.screen.playback import missing
from tapes.session.screen.tape import Event, Tape
from tapes.session.screen.timeline import Mark, capped, delays, marks, times, with_marks

type Version = Literal[2, 3]
type _Row = tuple[int, str, str]
"""Microseconds since the beginning, code, data."""


def asciicast(
    archive: Archive, tape: Tape, version: Version = 3, *, title: str = "", idle_limit: float | None = None
) -> Iterator[str]:
    """The file's lines, each with its line feed. `idle_limit`, in seconds, shortens longer delays."""
    yield _line(_header(archive, tape, version, title))
    size = _size(tape.size)
    limit = None if idle_limit is None else round(idle_limit * 1e9)
    timed = times(capped(delays(with_marks(tape.events(), marks(archive, tape))), limit))
    before = 0
    for at_us, code, data in _rows(timed, size, _status(archive, tape) if version == 3 else None):
        yield f"[{_seconds(at_us if version == 2 else at_us - before)}, {_json(code)}, {_json(data)}]\n"
        before = at_us


def _header(archive: Archive, tape: Tape, version: Version, title: str) -> dict[str, Any]:
    opened = archive.record(tape.session).body
    columns, rows = _size(tape.size)
    environment = {name: value.decode("utf-8", "replace") for name, value in opened.get("environment", ())}
    shell = environment.get(b"SHELL", "")
    term = tape.term or environment.get(b"TERM", "")
    command = shlex.join(word.decode("utf-8", "replace") for word in opened.get("argv", ()))
    header: dict[str, Any] = {"version": version}
    if version == 3:
        header["term"] = {"cols": columns, "rows": rows} | ({"type": term} if term else {})
    else:
        header |= {"width": columns, "height": rows}
    header["timestamp"] = tape.first.wall_ns // 1_000_000_000
    header |= {name: text for name, text in (("command", command), ("title", title)) if text}
    shown = {"SHELL": shell, "TERM": term if version == 2 else ""}
    env = {name: text for name, text in shown.items() if text}
    return header | ({"env": env} if env else {})


def _rows(timed: Iterable[tuple[int, Event | Mark]], size: tuple[int, int], status: int | None) -> Iterator[_Row]:
    decoders = {kind: codecs.getincrementaldecoder("utf-8")("replace") for kind in ("o", "i")}
    at_us = 0
    for at_ns, event in timed:
        at_us = at_ns // 1000
        if isinstance(event, Mark):
            yield at_us, "m", f"$ {event.text}"
        elif event.kind == "r":
            if (told := _size(event.size)) != size:
                size = told
                yield at_us, "r", f"{size[0]}x{size[1]}"
        elif event.kind == "x":
            yield at_us, "m", f"[{missing(event)}]"
        elif text := decoders[event.kind].decode(event.data):
            yield at_us, event.kind, text
    for kind, decoder in decoders.items():
        if text := decoder.decode(b"", True):
            yield at_us, kind, text
    if status is not None:
        yield at_us, "x", str(status)


def _status(archive: Archive, tape: Tape) -> int | None:
    """How the session's process left, as a shell would say it."""
    found = None
    for _, record in archive.session_records(tape.session):
        if record.type == "session.close":
            signal, status = record.body.get("signal"), record.body.get("status")
            found = 128 + signal if signal else status
    return found


def _size(size: tuple[int, int]) -> tuple[int, int]:
    columns, rows = size
    return min(columns or 80, 0xFFFF), min(rows or 24, 0xFFFF)


def _seconds(us: int) -> str:
    return f"{us // 1_000_000}.{us % 1_000_000:06d}"


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ": "))


def _line(value: object) -> str:
    return json.dumps(value) + "\n"
