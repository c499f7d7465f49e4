"""The commands of a session as `tapes commands` tells them: as rows, filtered by its options, and each in full.

Every command has a step, by which the other screens of the session know it: that of its start, or of the call that
asked for it where nobody saw it run.
"""

from __future__ import annotations

import codecs
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Self

from tapes.archive.base import Archive
from tapes.errors import UsageError
from tapes.pattern import pattern
from tapes.record.digest import Digest
from tapes.session.audit import Coverage, commands_in, coverage
from tapes.session.commands import Command, Ran, pieces, signal_name
from tapes.session.verdicts import VERDICTS
from tapes_cli import output
from tapes_cli.audit_screen import Cells, Table, cells, doubts, execs_of, mark, on_many_days
from tapes_cli.deck.model.document import Block, Document
from tapes_cli.deck.model.styled import BLANK, Line, joined, styled
from tapes_cli.deck.model.tape import Told
from tapes_cli.picking import Asked, picking, searched

MODES: Mapping[str, Callable[[Command], bool]] = {
    "all": lambda one: True,
    "failed": lambda one: one.failed,
    "unmatched": lambda one: bool(doubts(one)),
}
"""What is listed at a key."""
OPTIONS = {"verdict", "exit", "cwd", "participant", "tool", "since", "until", "last", "regex"}
_TOKEN = pattern(r'([a-z]+):(?=\s|$)|(?:([a-z]+):)?("[^"]*"|[^\s"]\S*|"\S*)')
NO_WITNESS = {
    "": "no witness was at work when this was recorded. tapes run -- AGENT has one; tapes serve has none.",
    "none": "this run was not to witness commands (tapes run --no-witness).",
}


@dataclass(frozen=True, slots=True)
class Audit:
    """The commands of one reading of a session."""

    all: Sequence[Command]
    cells: Sequence[Cells]
    numbers: Sequence[int]
    """The step of each; ascending."""
    of_record: Mapping[Digest, int]
    """By each record that one was read from its place: the first one's, where several have it."""
    coverage: Coverage
    level: str
    """What was to be witnessed; empty where nothing was said of it."""

    @classmethod
    def of(cls, archive: Archive, told: Told) -> Self:
        """Reads, where nothing was seen to run: then it is what was asked for. Damaged as the archive does."""
        records = told.view.records
        found = told.view.commands or list(commands_in(archive, records, told.view.calls))
        steps = {step.hash: step.number for step in reversed(told.steps)}
        found = [one for one in found if one.hash in steps]  # else nobody can go there: the reading was not whole
        of_record: dict[Digest, int] = {}
        for place, one in enumerate(found):
            for digest in one.records:
                of_record.setdefault(digest, place)
        many_days = on_many_days(found)
        opening = next((record.body for _, record in records if record.type == "session.open"), {})
        level = str((opening.get("witness") or {}).get("level", ""))
        rows = [cells(one, many_days) for one in found]
        return cls(found, rows, [steps[one.hash] for one in found], of_record, coverage(found), level)

    def place(self, told: Told, number: int) -> int:
        """The command of a step; else the last one before it, else the first."""
        step = told.step(number)
        if step is not None and step.hash in self.of_record:
            return self.of_record[step.hash]
        return max(0, bisect_right(self.numbers, number) - 1)

    def counts(self) -> Line:
        """How many there are, of each kind."""
        if not self.all:
            return styled("no commands: none was seen to run, and no call is of a tool known to run one", "dim")
        failed = sum(one.failed for one in self.all)
        unmatched = [f"{count} {verdict.replace('-', ' ')}" for verdict, count in self.coverage.unmatched.items()]
        told = [styled(output.plural(len(self.all), "command"), "bold")]
        if self.coverage.witnessed != len(self.all):
            told.append(styled(f"{self.coverage.witnessed} witnessed", "" if self.coverage.witnessed else "warn"))
        told.append(styled(f"{failed} failed", "error" if failed else "dim"))
        told.append(styled(f"{self.coverage.matched} matched", "ok" if self.coverage.matched else "dim"))
        told += [styled(text, "warn") for text in unmatched]
        return tuple(piece for n, part in enumerate(told) for piece in ((((", ", "dim"),) if n else BLANK) + part))

    def unwitnessed(self) -> str:
        """Why nothing was seen to run; empty where something was."""
        if self.coverage.witnessed or not self.all:
            return ""
        return "nothing was seen to run: " + NO_WITNESS.get(self.level, "nothing that was asked for came to a shell.")


@dataclass(slots=True)
class Listed:
    """The commands that are listed; a `Source`."""

    audit: Audit
    places: Sequence[int]
    remarks: Sequence[str] = ()
    """Options that can find nothing here."""
    _tables: dict[int, Table] = field(default_factory=dict)

    @classmethod
    def of(cls, audit: Audit, text: str = "", mode: str = "all") -> Self:
        """Those that fit what was typed. UsageError, with what may be typed, for what can not be used."""
        asked, words = options(text)
        picked = picking(asked, VERDICTS)
        picked.questions += [_saying(word) for word in words]
        picked.questions.append(MODES[mode])
        found = [n for n, one in enumerate(audit.all) if picked.facts(one) and picked.judged(one)]
        return cls(audit, found, list(picked.useless()))

    def __len__(self) -> int:
        return len(self.places)

    def command(self, row: int) -> Command | None:
        return self.audit.all[self.places[row]] if 0 <= row < len(self.places) else None

    def number(self, row: int) -> int:
        return self.audit.numbers[self.places[row]]

    def row_of(self, place: int) -> int:
        """The row of a command; where it is not listed, of the last one before it that is."""
        return max(0, bisect_right(self.places, place) - 1)

    def next(self, row: int, direction: int, wanted: Callable[[Command], bool]) -> int | None:
        rows = range(row + 1, len(self.places)) if direction > 0 else range(row - 1, -1, -1)
        return next((n for n in rows if wanted(self.audit.all[self.places[n]])), None)

    def line(self, index: int, width: int) -> Line:
        place = self.places[index]
        one = self.audit.all[place]
        style = "warn bold" if doubts(one) else "error" if one.failed else "" if one.judgement.verdict else "dim"
        return ((f"{mark(one)} ", style), (self._table(width).row(one, self.audit.cells[place]), style))

    def head(self, width: int) -> Line:
        return styled(self._table(width).head, "bold") if self.audit.all else BLANK

    def lifted(self, width: int) -> str:
        """What is the same in all of them, and has no column where there is no room for it."""
        return " · ".join(self._table(width).lifted) if self.audit.all else ""

    def _table(self, width: int) -> Table:
        if width not in self._tables:
            self._tables[width] = Table.of(self.audit.all, width, self.audit.cells)
        return self._tables[width]


def options(text: str) -> tuple[Asked, list[str]]:
    """Words, and `name:value` of the options that `tapes commands` has."""
    asked, words = Asked(), list[str]()
    for found in _TOKEN.finditer(text):
        name, value = found[1] or found[2], (found[3] or "").strip('"')
        if name not in OPTIONS:
            words.append(found[0].strip('"'))
        elif not value:
            raise UsageError(f"{name}: has no value")
        elif name == "verdict":
            asked = replace(asked, verdicts=(*asked.verdicts, value))
        else:
            given: dict[str, Any] = {name: value}
            asked = replace(asked, **given)
    return asked, [word for word in words if word]


def _saying(word: str) -> Callable[[Command], bool]:
    """In whatever case."""
    sought = word.casefold()
    return lambda command: any(sought in text.casefold() for text in searched(command))


# -- one in full


def document(archive: Archive, told: Told, one: Command, number: int) -> Document:
    """Read as far as it is looked at."""
    return Document(_blocks(archive, told, one, number))


def _blocks(archive: Archive, told: Told, one: Command, number: int) -> Iterator[Block]:
    ran = one.ran
    yield Block(f"{'ran' if ran else 'asked for'} · step {number}", _about(one), failed=one.failed)
    if ran is not None:
        yield Block("the line that ran", text=(one.line,), style="command", empty="(not known)")
        if one.asked is not None and one.asked.line != one.line:
            yield Block("the line that was asked for", text=(one.asked.line,), style="tool")
    elif one.asked is not None:
        yield Block("the line that was asked for", text=(one.asked.line,), style="tool")
    if ran is not None:
        yield from written(archive, ran)
    if one.call is not None:
        yield from _told_of(told, one)
    if kept := list(one.surroundings):
        yield Block("where it worked: what is kept of its environment", [styled(text) for text in kept])
    if ran is not None and ran.execs:
        yield Block("programs started below it", (_exec(found) for found in execs_of(ran)))
    yield Block("records", _records(one))


def _about(one: Command) -> Iterator[Line]:
    judged, who = one.judgement, one.participant
    if judged.verdict:
        words = " and ".join(verdict.replace("-", " ") for verdict in judged.verdicts)
        yield _fact("verdict", words + (f": {judged.why}" if judged.why else ""), "warn" if doubts(one) else "ok")
        if judged.compared:
            yield _fact("compared", ", ".join(judged.compared))
    else:
        yield _fact("verdict", f"none: {judged.why}" if judged.why else "none")
    yield _fact("ended", _ended(one), "error" if one.failed else "")
    yield _fact("who", " ".join(filter(None, (who.name, who.version, f"({who.kind})"))))
    if who.user or who.parent:
        yield _fact("for", " · ".join(filter(None, (who.user, f"below {who.parent}" if who.parent else ""))))
    yield _fact("begun", output.wall(one.wall_ns))
    yield _fact("cwd", one.cwd or "not known")
    if one.call is not None:
        how = f", joined by {one.method}{'' if one.exact else ', which is not exact'}" if one.method else ""
        yield _fact("call", f"{one.call.tool} {one.call.id}{how}")
    if one.thread:
        yield _fact("thread", one.thread)
    decision = one.decision
    if decision is not None:
        said = "allowed" if decision.allowed else "denied"
        by = (f" by {decision.by}" if decision.by else "") + (f", mode {decision.mode}" if decision.mode else "")
        yield _fact("decided", said + by)
    if one.ran is not None:
        yield _fact("witness", str(one.ran.said("level") or "not known"))
        if one.ran.said("sandbox"):
            yield _fact("sandbox", str(one.ran.said("sandbox")))


def _ended(one: Command) -> str:
    ran = one.ran
    if ran is None:
        return "not seen to run"
    if ran.end is None:
        return f"not seen: {ran.lost}" if ran.lost else "it is still running"
    how = f"by signal {signal_name(one.signal)}" if one.signal else f"exit {one.status}"
    took = "" if one.duration_ns is None else f", took {output.duration(one.duration_ns)}"
    return how + took + (", and left something running" if ran.end.body.get("open") else "")


def _fact(name: str, text: str, style: str = "") -> Line:
    return joined(styled(f"{name:<9}", "dim"), styled(text, style))


def written(archive: Archive, ran: Ran) -> Iterator[Block]:
    """What a command wrote, in the order it came; standard error in its own style."""
    size = sum(ran.counts.values())
    end = ran.end.body if ran.end is not None else {}
    dropped = int(end.get("dropped", 0))
    wrote = ", ".join(f"{output.size(ran.counts[key])} {name}" for key, name in NAMES.items() if ran.counts.get(key))
    title = "what it wrote" + (f": {wrote}" if wrote else "")
    notes = [styled(f"{output.size(dropped)} of it were dropped, and are not kept", "warn")] if dropped else []
    if not ran.outputs and size > sum(len(end.get(key) or b"") for key in ("head", "tail")):
        notes.append(styled("only its beginning and its end were kept", "warn"))
    if not size and not notes:
        yield Block(title, empty=_nothing(ran))
        return
    runs = groupby(pieces(archive, ran), key=lambda piece: piece[0])
    yield Block(title, notes, size=size)
    for stream, parts in runs:
        yield Block(text=_decoded(data for _, data in parts), style="error" if stream == "e" else "")


def _nothing(ran: Ran) -> str:
    """Why there is no output."""
    level = ran.said("level")
    if level != "supervisor":
        return f"(not known: a witness of the kind `{level}` does not see what is written)"
    if ran.end is not None:
        return "(nothing)"
    return f"(nothing was seen: {ran.lost})" if ran.lost else "(nothing yet)"


NAMES = {"o": "to standard output", "e": "to standard error", "m": "to its terminal, or to both"}


def _decoded(chunks: Iterable[bytes]) -> Iterator[str]:
    """Which may break within a character."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for chunk in chunks:
        yield decoder.decode(chunk)
    yield decoder.decode(b"", True)


def _told_of(told: Told, one: Command) -> Iterator[Block]:
    """What the model heard of the call."""
    call = one.call
    assert call is not None
    if call.result is None or call.result_hash is None:
        yield Block("what the model was told of it", empty="(nothing)")
        return
    step = next((step for step in told.steps if step.hash == call.result_hash), None)
    where = f" · step {step.number}" if step is not None else ""
    title = "what the model was told of it" if one.told else "what the model was told of the call, which did more"
    text = (told.view.calls.result(result) for result in (call.result,))
    yield Block(title + where, text=text, failed=bool(call.result.body.get("is_error")), empty="(an empty text)")


def _records(one: Command) -> Iterator[Line]:
    if one.ran is not None:
        yield _fact("start", one.ran.start.hex())
        if one.ran.end_hash is not None:
            yield _fact("end", one.ran.end_hash.hex())
    if one.call is not None:
        yield _fact("call", one.call.use.hex())
        if one.call.result_hash is not None:
            yield _fact("result", one.call.result_hash.hex())


def _exec(found: Mapping[str, object]) -> Line:
    argv = found["argv"]
    return styled(f"{found['pid']:>7} {' '.join(argv) if isinstance(argv, list) else argv}")
