"""The breakpoints that people have set: `breaks.json` in the home directory. What they mean: `tapes.session.breaks`."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Self, cast, get_args

from tapes.archive.base import Archive
from tapes.errors import ArchiveError, NotFound, UsageError
from tapes.pattern import pattern
from tapes.record.digest import Digest
from tapes.record.tomb import WITHHELD
from tapes.session.breaks import Break, Kind, compiled
from tapes.session.view import Step
from tapes.values import dataclass, field
from tapes_cli.beside import held, put

FILE = "breaks.json"
LONGEST = 1000
"""Bytes of a pattern."""
_ESCAPED = pattern(r"\\(.)", re.DOTALL)


@dataclass(slots=True)
class Breaks:
    all: list[Break] = field(default_factory=list)
    """By their ids."""
    last: int = 0
    """The highest id that was ever given: none is given twice."""

    @classmethod
    def load(cls, home: Path) -> Self:
        """Those that there are. ArchiveError for a file that is not ours."""
        try:
            value = json.loads((home / FILE).read_text("utf-8"))
            found = [_read(row) for row in value["breaks"]]
            last = max([_number(value["last"]), *(each.id for each in found)])
            if len({each.id for each in found}) < len(found):
                raise ValueError("an id is there twice")
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, KeyError, TypeError, RecursionError, UsageError) as error:
            raise ArchiveError(f"{home / FILE} cannot be read: {error}", hint="mend it, or remove it") from error
        return cls(sorted(found, key=lambda each: each.id), last)

    def save(self, home: Path) -> None:
        """A crash leaves the old file or the new one. ArchiveError where it can not be written."""
        rows = [_written(each) for each in self.all]
        put(home / FILE, json.dumps({"last": self.last, "breaks": rows}, indent=1) + "\n")

    @classmethod
    @contextmanager
    def changing(cls, home: Path) -> Iterator[Self]:
        """Those that there are, to be changed: they are saved at the end. Of two changes at once both hold."""
        with held(home):
            found = cls.load(home)
            before = (list(found.all), found.last)
            yield found
            if (found.all, found.last) != before:
                found.save(home)

    def add(self, new: Break) -> Break:
        """It with its id; that of one that says the same, where there is one."""
        for each in self.all:
            if replace(each, id=0, step=0) == replace(new, id=0, step=0):
                return each
        self.last += 1
        self.all.append(replace(new, id=self.last))
        return self.all[-1]

    def remove(self, gone: Collection[Break]) -> None:
        self.all = [each for each in self.all if each not in gone]

    def at(self, step: Step) -> list[Break]:
        """Those that are at just this step."""
        return [each for each in self.all if each.kind == "step" and (each.record, each.item) == (step.hash, step.item)]


def at_step(session: Digest, step: Step) -> Break:
    return Break(0, session, "step", step.hash, step.item, step.number)


def on_pattern(session: Digest | None, text: str, types: tuple[str, ...], environ: Mapping[bytes, bytes]) -> Break:
    """UsageError for what is no pattern, is too long, or has a secret in it: nothing that looks like a key is kept."""
    from tapes.wire.redact import Redactor, secret_variables  # which nothing but a new pattern waits for

    if not text:
        raise UsageError("an empty pattern fits everything")
    compiled(text)
    data = text.encode("utf-8", "surrogateescape")
    if len(data) > LONGEST:
        raise UsageError(f"a pattern has {LONGEST} bytes at most")
    redactor = Redactor(secret_variables(dict(environ)))
    if any(
        redactor.redact(each.encode("utf-8", "surrogateescape")).spans for each in (text, _ESCAPED.sub(r"\1", text))
    ):
        raise UsageError("there is a secret in this pattern, and patterns are kept on the disk", hint="leave it out")
    return Break(0, session, "pattern", pattern=text, types=tuple(dict.fromkeys(types)))


def on_error(session: Digest | None) -> Break:
    return Break(0, session, "error")


def is_gone(archive: Archive, session: Digest) -> bool:
    """Whether nothing is left of a session: it was forgotten, or is of another archive."""
    try:
        return archive.record(session).type == WITHHELD
    except NotFound:
        return True


def forget(home: Path, sessions: Collection[Digest]) -> list[str]:
    """Remove the breaks of sessions of which something is forgotten: a pattern may say it. What there is to tell."""
    try:
        if not Breaks.load(home).all:
            return []
        with Breaks.changing(home) as breaks:
            gone = [each for each in breaks.all if each.session in sessions]
            breaks.remove(gone)
    except (ArchiveError, OSError) as error:
        return [f"Not reached: {home / FILE}: {error}"]
    said = [f"Removed: its breaks ({len(gone)})."] if gone else []
    if any(each.session is None and each.kind == "pattern" for each in breaks.all):
        said.append("Not reached: patterns of breaks for every session. Look: tapes break list.")
    return said


def _written(one: Break) -> dict[str, Any]:
    found: dict[str, Any] = {"id": one.id, "session": one.session.hex() if one.session else None, "kind": one.kind}
    if one.record is not None:
        found |= {"record": one.record.hex(), "item": one.item, "step": one.step}
    if one.kind == "pattern":
        found |= {"pattern": one.pattern, "types": list(one.types)}
    return found


def _read(row: Mapping[str, Any]) -> Break:
    """ValueError, KeyError, TypeError, UsageError for what `_written` does not write."""
    kind = row["kind"]
    session = None if row["session"] is None else Digest.parse(row["session"])
    one = Break(_number(row["id"]), session, cast(Kind, kind))
    match kind:
        case "step" if session is not None:
            where = (Digest.parse(row["record"]), _number(row["item"]), _number(row["step"]))
            return replace(one, record=where[0], item=where[1], step=where[2])
        case "pattern":
            compiled(row["pattern"])
            return replace(one, pattern=row["pattern"], types=tuple(str(each) for each in row["types"]))
        case "error":
            return one
    raise ValueError(f"{kind!r} is none of {', '.join(get_args(Kind.__value__))}")


def _number(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no number")
    return value
