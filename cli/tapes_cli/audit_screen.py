"""How commands are shown: a table that fits the terminal, what is wrong said under its line; or one object each.

A narrow terminal has no room for what is the same in every line: then who ran it and where go into the heading.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap
from typing import Any

import click

from tapes.archive.base import Archive
from tapes.errors import Damaged, NotFound, Withheld
from tapes.session.audit import coverage
from tapes.session.commands import Command, Ran, output_text, pieces, signal_name
from tapes.session.rows import Row
from tapes.values import dataclass, field
from tapes_cli import output

NARROW = 110
"""Columns below which room is made for the command lines."""
STREAMS = {"o": "out", "e": "err", "m": "both"}
HEAD = ("time", "who", "cwd", "command", "exit", "took", "bytes", "verdict")
LINE = HEAD.index("command")
RIGHT = frozenset({"exit", "took", "bytes"})
type Cells = tuple[str, ...]


@dataclass(slots=True)
class Screen:
    """Lines of one session after the other; outputs are written as they are read."""

    archive: Archive
    with_output: bool = False
    with_execs: bool = False
    lines: list[str] = field(default_factory=list)

    def add(self, row: Row, found: list[Command]) -> None:
        if not found:
            return
        if self.lines:
            self.lines.append("")
        for line in self._session(row, found):
            if self.with_output:
                click.echo(line)
            else:
                self.lines.append(line)

    def show(self) -> None:
        output.page(self.lines)

    def _session(self, row: Row, found: list[Command]) -> Iterator[str]:
        table = Table.of(found, output.width())
        name = f" {row.summary.name or row.summary.label}".rstrip()
        about = [f"session {row.session.short()}{name}", *table.lifted, output.wall(row.summary.started_ns)]
        yield output.styled(output.fit(output.harmless(" · ".join(about)), output.width()), bold=True)
        yield table.head
        for one in found:
            yield from table.lines(one)
            if self.with_execs and one.ran:
                yield from (output.fit(line, output.width()) for line in _execs(one.ran))
            if self.with_output and one.ran:
                yield from _output(self.archive, one.ran)
        yield from wrap(str(coverage(found)), output.width(), initial_indent="  ", subsequent_indent="  ")


@dataclass(frozen=True, slots=True)
class Table:
    """Columns for some commands."""

    shown: tuple[int, ...]
    """Which of HEAD."""
    widths: tuple[int, ...]
    lifted: tuple[str, ...]
    """What stands in the heading instead."""
    depths: dict[Any, int]
    many_days: bool

    @classmethod
    def of(cls, found: Sequence[Command], width: int, rows: Sequence[Cells] = ()) -> Table:
        """`rows`: their cells, where these were made before."""
        depths: dict[Any, int] = {}
        for one in found:
            depths[one.hash] = depths.get(one.outer, -1) + 1
        many_days = on_many_days(found)
        rows = rows or [cells(one, many_days) for one in found]
        narrow = width < NARROW
        same = {n for n in (1, 2) if narrow and len({row[n] for row in rows}) == 1}
        lifted = tuple(("" if n == 1 else "in ") + rows[0][n] for n in sorted(same) if rows[0][n])
        shown = tuple(n for n in range(len(HEAD)) if n not in same)
        most = {1: 10, 2: 14} if narrow else {1: 18, 2: 36}
        widths = [max(len(HEAD[n]), *(output.cell_width(row[n]) for row in rows)) for n in range(len(HEAD))]
        widths = [min(widths[n], most.get(n, widths[n])) for n in range(len(HEAD))]
        rest = 2 + sum(widths[n] + 1 for n in shown if n != LINE)
        widths[LINE] = max(8, min(widths[LINE] + 2 * max(depths.values()), width - rest))
        return cls(shown, tuple(widths), lifted, depths, many_days)

    @property
    def head(self) -> str:
        return "  " + " ".join(_placed(HEAD[n], n, self.widths[n]) for n in self.shown).rstrip()

    def row(self, one: Command, row: Cells) -> str:
        """Its cells, each in its column."""
        told = list(row)
        told[2] = _tail_of(told[2], self.widths[2])
        told[LINE] = "  " * self.depths[one.hash] + told[LINE]
        return " ".join(_placed(output.fit(told[n], self.widths[n]), n, self.widths[n]) for n in self.shown)

    def lines(self, one: Command) -> Iterator[str]:
        """One line; a second where asked and ran are two, and one for what is wrong."""
        wrong = doubts(one)
        text = self.row(one, cells(one, self.many_days)).rstrip()
        colour = "yellow" if wrong else "red" if one.failed else None
        yield output.styled(f"{mark(one)} {text}", fg=colour, bold=bool(wrong) or None)
        before = range(1 if output.width() < NARROW else LINE)
        indent = 2 + sum(self.widths[n] + 1 for n in self.shown if n in before)
        room = output.width() - indent
        if "rewritten" in wrong and one.asked:
            yield " " * indent + output.fit(output.harmless(f"asked: {one.asked.line}"), room)
        if wrong - {"rewritten"}:
            yield " " * indent + output.fit(output.harmless(one.judgement.why), room)


def doubts(one: Command) -> set[str]:
    """Verdicts by which not all is as it should be."""
    return set(one.judgement.verdicts) - {"matched"}


def mark(one: Command) -> str:
    return "!" if doubts(one) else "✗" if one.failed else " "


def on_many_days(found: Iterable[Command]) -> bool:
    return len({output.wall(one.wall_ns)[:10] for one in found}) > 1


def cells(one: Command, many_days: bool) -> Cells:
    """By HEAD, harmless."""
    who = one.participant
    name = who.name or who.kind if who.kind != "harness" else f"{who.name} (own)"
    return tuple(
        output.harmless(cell)
        for cell in (
            output.wall(one.wall_ns)[5 if many_days else 11 :],
            name,
            _home_as_tilde(one.cwd),
            one.line,
            _exit(one),
            "" if one.duration_ns is None else output.duration(one.duration_ns),
            _bytes(one),
            _words(one),
        )
    )


def _words(one: Command) -> str:
    """The verdict; without one, whether something is missing for it (`not joined`, `not known`)."""
    missing = one.judgement.why.partition(":")
    return one.judgement.verdict.replace("-", " ") or (missing[0] if missing[1] else "-")


def _exit(one: Command) -> str:
    if one.ran is None:
        return "-"
    if one.signal:
        return signal_name(one.signal).removeprefix("SIG")
    if one.status is not None:
        return str(one.status)
    return "?" if one.ran.lost else "…"


def _bytes(one: Command) -> str:
    if one.ran is None or one.ran.end is None:
        return ""
    return output.size(sum(one.ran.counts.values())) + ("+" if one.ran.end.body.get("dropped") else "")


def _home_as_tilde(path: str) -> str:
    home = os.environ.get("HOME", "")
    if path == home:
        return "~"
    return "~" + path[len(home) :] if len(home) > 1 and path.startswith(home + "/") else path


def _tail_of(path: str, columns: int) -> str:
    """Of a long path its end, which tells it from others."""
    if output.cell_width(path) <= columns:
        return path
    kept = path
    while output.cell_width(kept) > columns - 1 and kept:
        kept = kept[1:]
    return "…" + kept


def _placed(text: str, column: int, columns: int) -> str:
    if HEAD[column] in RIGHT:
        return " " * max(0, columns - output.cell_width(text)) + text
    return output.pad(text, columns)


def _output(archive: Archive, ran: Ran) -> Iterator[str]:
    """What it wrote, line by line: `|` before standard output, `!` before standard error. No line is held back longer
    than its stream is interrupted."""
    stream, line = "", b""
    try:
        for name, data in pieces(archive, ran):
            if line and name != stream:
                yield _written(stream, line)
                line = b""
            *whole, line = (line + data).split(b"\n")
            stream = name
            yield from (_written(stream, one) for one in whole)
    except (Withheld, Damaged, NotFound) as error:
        yield f"    {output.harmless(str(error))}"
    if line:
        yield _written(stream, line)


def _written(stream: str, line: bytes) -> str:
    text = output.harmless(line.removesuffix(b"\r").decode("utf-8", "replace"))
    return f"    {'!' if stream == 'e' else '|'} {text}"


def execs_of(ran: Ran) -> Iterator[dict[str, Any]]:
    """Programs that something below a command tried to start (`tapes run --deep`)."""
    for record in ran.execs:
        at = record.wall_ns
        for delta, pid, ppid, argv, cwd in record.body["execs"]:
            at += delta * 1000
            yield {
                "time": output.iso(at),
                "pid": pid,
                "ppid": ppid,
                "argv": [_text(word) for word in argv],
                "cwd": _text(cwd),
            }


def _execs(ran: Ran) -> Iterator[str]:
    for one in execs_of(ran):
        yield f"    + {one['pid']:>7} {output.harmless(' '.join(one['argv']))}"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


# -- as an object


def as_object(archive: Archive, one: Command, *, with_output: bool, with_execs: bool) -> dict[str, Any]:
    """Names as in docs/cli.md; what is not known is null."""
    ran, who = one.ran, one.participant
    end = ran.end.body if ran and ran.end else {}
    found: dict[str, Any] = {
        "session": one.session.hex(),
        "hash": one.hash.hex(),
        "end_hash": ran.end_hash.hex() if ran and ran.end_hash else None,
        "time": output.iso(one.wall_ns),
        "duration_us": None if one.duration_ns is None else one.duration_ns // 1000,
        "participant": {key: getattr(who, key) or None for key in ("kind", "name", "version", "user", "parent")},
        "thread": one.thread or None,
        "cwd": one.cwd or None,
        "asked": one.asked.line if one.asked else None,
        "ran": one.line if ran else None,
        "argv": [_text(word) for word in ran.said("argv", ())] if ran else None,
        "witness": ran.said("level") if ran else None,
        "exit": one.status,
        "signal": one.signal,
        "lost": ran.lost or None if ran else None,
        "running": ran is not None and ran.end is None and not ran.lost,
        "background": bool(end.get("open")) or bool(one.asked and one.asked.background),
        "bytes": {word: ran.counts.get(name, 0) for name, word in STREAMS.items()} if ran and ran.end else None,
        "dropped": end.get("dropped", 0) if end else None,
        "tool": {"id": one.call.id, "name": one.call.tool, "use": one.call.use.hex()} if one.call else None,
        "join": {"method": one.method, "exact": one.exact} if one.method else None,
        "verdict": one.judgement.verdict or None,
        "also": list(one.judgement.also),
        "why": one.judgement.why or None,
        "compared": list(one.judgement.compared),
        "authority": _authority(one),
        "outer": one.outer.hex() if one.outer else None,
        "sandbox": ran.said("sandbox") if ran else None,
        "surroundings": dict(text.split("=", 1) for text in one.surroundings),
        "execs": sum(len(record.body["execs"]) for record in ran.execs) if ran else None,
    }
    if with_execs:
        found["execs"] = list(execs_of(ran)) if ran else []
    if with_output:
        found["output"] = output_text(archive, ran) if ran else None
    return found


def _authority(one: Command) -> dict[str, Any]:
    """Unknown stays unknown."""
    decision = one.decision
    if decision is None:
        return {
            "decision": "denied" if one.judgement.denied_by else None,
            "by": one.judgement.denied_by or None,
            "mode": None,
        }
    said = "allowed" if decision.allowed else "denied"
    return {"decision": said, "by": decision.by or None, "mode": decision.mode or None}
