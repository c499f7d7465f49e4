"""A query as SQL: what the full-text index is asked, and conditions on what it gives.

Every fact of an item is a mark in the full-text index beside its words (`k12`), so that most fields are asked for
there, like words. What it can not say (times, many values at once, without-something alone) is a condition on rows.
"""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from tapes.errors import UsageError
from tapes.index.file import KINDS
from tapes.search.query import All, Any, Field, Node, Not, Words
from tapes.values import dataclass, field

MOST_MARKS = 500
"""Values asked for as words; more are a condition."""
TYPES = (
    "prompt",
    "reminder",
    "thinking",
    "answer",
    "tool.use",
    "tool.result",
    "command",
    "output",
    "media",
    "error",
    "gap",
    "note",
)

type Values = Mapping[str, Mapping[str, int]]
"""By kind of fact, each value there is and its number."""
type Value = str | int


@dataclass(frozen=True, slots=True)
class Asking:
    """What a plan needs to know of the index and of what names mean. All may raise UsageError and NotFound."""

    values: Callable[[str], Mapping[str, int]]
    """Of a kind of fact, each value there is and its number."""
    has_words: Callable[[str], bool]
    """Does the full-text index see a word in it?"""
    session: Callable[[str], str]
    """A REF as the session's hash, in hex."""
    moment: Callable[[str], int]
    """A time as Unix time in nanoseconds."""


@dataclass(frozen=True, slots=True)
class Match:
    """Asked of the full-text index."""

    text: str


@dataclass(frozen=True, slots=True)
class Where:
    """A condition on rows of `items i`."""

    sql: str
    values: tuple[Value, ...] = ()


@dataclass(slots=True)
class Plan:
    """Rows are `items i`, joined with `fts` where `match` is set."""

    match: str = ""
    where: str = "1"
    values: tuple[Value, ...] = ()
    useless: list[str] = field(default_factory=list)
    """Fields with a value that nothing here has."""


def plan(node: Node, asking: Asking) -> Plan:
    """UsageError for a field with a value that it can not have, and for words without a letter or digit."""
    planner = _Planner(asking)
    wanted: list[str] = []
    unwanted: list[str] = []
    where: list[Where] = []
    for part in node.parts if isinstance(node, All) else (node,):
        negative = isinstance(part, Not)
        found = planner.read(part.part if isinstance(part, Not) else part)
        if isinstance(found, Match):
            (unwanted if negative else wanted).append(found.text)
        else:
            where.append(_negated(found) if negative else found)
    match = " AND ".join(wanted)
    if match and unwanted:
        match = f"({match}) NOT ({' OR '.join(unwanted)})"
    elif unwanted:
        where += [_negated(Match(text)) for text in unwanted]
    conditions = " AND ".join(f"({one.sql})" for one in where) or "1"
    return Plan(match, conditions, tuple(value for one in where for value in one.values), planner.useless)


def _row(found: Match | Where) -> Where:
    if isinstance(found, Match):
        return Where("i.id IN (SELECT rowid FROM fts WHERE fts MATCH ?)", (found.text,))
    return found


def _negated(found: Match | Where) -> Where:
    row = _row(found)
    return Where(f"NOT ({row.sql})", row.values)


class _Planner:
    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self.useless: list[str] = []

    def read(self, node: Node) -> Match | Where:
        match node:
            case Words():
                return self._words(node)
            case Field():
                return self._field(node)
            case Not():
                return _negated(self.read(node.part))
            case All() | Any():
                return self._join(node)

    def _join(self, node: All | Any) -> Match | Where:
        if not node.parts:
            return Where("1")
        found = [self.read(part) for part in node.parts]
        word: Literal["AND", "OR"] = "AND" if isinstance(node, All) else "OR"
        if all(isinstance(one, Match) for one in found):
            return Match("(" + f" {word} ".join(one.text for one in found if isinstance(one, Match)) + ")")
        rows = [_row(one) for one in found]
        return Where(f" {word} ".join(f"({row.sql})" for row in rows), tuple(v for row in rows for v in row.values))

    def _words(self, node: Words) -> Match:
        if not self._asking.has_words(node.text):
            raise UsageError(
                f"{node.text!r} has no letters or digits, and the index knows nothing else",
                hint="--substring TEXT looks through every text for it",
            )
        return Match(f"{{text}} : {quoted(node.text)}{' *' if node.prefix else ''}")

    def _field(self, node: Field) -> Match | Where:
        name, value = node.name, node.value
        if name in ("since", "until"):
            # Times are shown with microseconds: until then is until the end of that one.
            at = self._asking.moment(value) + (0 if name == "since" else 999)
            return Where(f"i.wall_ns {'>=' if name == 'since' else '<='} ?", (at,))
        assert name in KINDS
        fits = self._fits(name, value)
        numbers = [number for known, number in self._asking.values(name).items() if fits(known)]
        if not numbers:
            self.useless.append(f"{name}:{value}")
            return Where("0")
        marks = [f"k{number}" for number in numbers]
        if len(marks) > MOST_MARKS:
            return Where("has_mark(i.facts, ?)", (" ".join(marks),))
        return Match("{facts} : (" + " OR ".join(marks) + ")")

    def _fits(self, name: str, value: str) -> Callable[[str], bool]:
        """Which values of a field are meant. UsageError where it can have no such value."""
        match name:
            case "session":
                session = self._asking.session(value)
                return lambda known: known == session
            case "thread":
                return lambda known: known.startswith(value.rstrip("*"))
            case "path" | "cwd":
                return _path(value, name)
            case "exit":
                return _exit(value)
            case "type":
                _check(name, value, TYPES)
            case "is":
                _check(name, value, ("error", "mark"))
            case _:
                pass
        if name == "model" and "*" not in value:
            return lambda known: value.casefold() in known.casefold()
        # Square brackets and question marks are no wildcards here.
        pattern = "".join(c if c == "*" else f"[{c}]" if c in "[?" else c for c in value.casefold())
        return lambda known: fnmatch.fnmatchcase(known.casefold(), pattern)


def _check(name: str, value: str, known: tuple[str, ...]) -> None:
    pattern = value.casefold()
    if not any(fnmatch.fnmatchcase(each, pattern) for each in known):
        raise UsageError(f"{name}: can not be {value!r}", hint=f"{name}: {', '.join(known)}")


def _exit(value: str) -> Callable[[str], bool]:
    if value == "nonzero":
        return lambda known: known != "0"
    if value == "signal":
        return lambda known: known.startswith("SIG")
    if value.lstrip("-").isdecimal():
        return lambda known: known == value
    name = value.upper() if value.upper().startswith("SIG") else f"SIG{value.upper()}"
    import signal

    if name not in signal.Signals.__members__:
        raise UsageError(
            f"exit: can not be {value!r}", hint="nonzero, a status (0 to 255), signal, or a signal's name (KILL)"
        )
    return lambda known: known == name


def _path(value: str, name: str) -> Callable[[str], bool]:
    """The parts of a path in a row, wherever they stand in it; with a slash before them, from its beginning; `*` stands
    for any letters within a part."""
    parts = [part for part in posixpath.normpath(value).split("/") if part not in ("", ".")]
    if value.startswith("~"):
        raise UsageError(f"{name}: can not be {value!r}", hint="write the directory out, or leave the ~/ away")
    rooted = value.startswith("/")

    def fits(known: str) -> bool:
        there = [part for part in posixpath.normpath(known).split("/") if part]
        if rooted and not known.startswith("/"):
            return False
        places = range(1) if rooted else range(len(there) - len(parts) + 1)
        return any(
            len(there) >= at + len(parts)
            and all(fnmatch.fnmatchcase(there[at + n], part.replace("[", "[[]")) for n, part in enumerate(parts))
            for at in places
        )

    return fits


def quoted(text: str) -> str:
    """As a string of the full-text index's own language."""
    return '"' + text.replace('"', '""').replace("\0", " ") + '"'


def positive(node: Node) -> Iterator[Words]:
    """The words that a hit may have: for showing where."""
    match node:
        case Words():
            yield node
        case All() | Any():
            for part in node.parts:
                yield from positive(part)
        case _:
            return
