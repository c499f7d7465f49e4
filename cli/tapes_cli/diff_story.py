"""Two runs beside each other in a terminal: where they part, the steps in two columns or one, and what they took."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

from tapes.compare.requests import Difference
from tapes.compare.rows import Row
from tapes.compare.runs import Divergence
from tapes.compare.words import Piece, shortened, words
from tapes.session.threads import MAIN
from tapes.session.view import Step
from tapes_cli import output
from tapes_cli.diff_all import Everything
from tapes_cli.diff_parts import command_lines, fact_lines, file_lines, took_lines
from tapes_cli.story import ACTION_ICONS, ICONS, Story

_STYLE = re.compile(r"(\x1b\[[0-9;]*m)")
SIGNS = {"same": " ", "changed": "|", "only_a": "<", "only_b": ">", "moved": "~"}
COLOURS = {"same": None, "changed": "yellow", "only_a": "red", "only_b": "green", "moved": "magenta"}
_MOST_LINES = 4
"""Of the words that differ in one step."""


def lines(found: Everything, face: str | None, *, unified: bool, around: int) -> Iterator[str]:
    """All that a face shows, no line wider than the terminal."""
    return (fitted(line) for line in _lines(found, face, unified=unified, around=around))


def fitted(line: str) -> str:
    """A line of ours, with colours or without, cut at the terminal's edge."""
    if "\x1b" not in line:
        return output.fit(line, output.width())
    left, kept = output.width(), ""
    for part in _STYLE.split(line):
        if part.startswith("\x1b"):
            kept += part
        elif left > 0:
            shown = output.fit(part, left)
            kept, left = kept + shown, left - output.cell_width(shown)
    return kept


def _lines(found: Everything, face: str | None, *, unified: bool, around: int) -> Iterator[str]:
    match face:
        case "stat":
            yield from [*heads(found), "", *counts(found), *took_lines(found)]
        case "first":
            yield from [*heads(found), "", *parting(found), *context_lines(found), *screens(found)]
        case "commands":
            yield from command_lines(found)
        case "files":
            yield from file_lines(found, diffs=unified)
        case "prompts":
            yield from prompt_lines(found)
        case _:
            yield from [*heads(found), "", *parting(found), *context_lines(found), ""]
            yield from _Columns(found).unified(around) if unified else _Columns(found).beside(around)
            yield from ["", *counts(found), *fact_lines(found)]
            for part in (command_lines(found), file_lines(found, diffs=unified)):
                yield from ["", *part]
            yield from ["", *took_lines(found)]


def heads(found: Everything) -> Iterator[str]:
    for side, said in zip("AB", sides(found), strict=True):
        colour = COLOURS["only_a" if side == "A" else "only_b"]
        yield output.styled(side, fg=colour, bold=True) + "  " + output.fit(said, output.width() - 3)


def sides(found: Everything) -> tuple[str, str]:
    """Which run either is, and how it went."""
    said = []
    for run, row, typed in zip((found.a, found.b), found.summaries, found.names, strict=True):
        agent = f"{row.agent} {row.agent_version}".strip()
        model = max(row.models, key=lambda name: row.models[name], default="no model")
        name = row.name if row.name and row.name != typed else ""
        part = f"{len(run.steps)} of {len(run.all)} steps" if not run.whole else f"{len(run.steps)} steps"
        thread = f"thread {run.wanted.thread}" if run.wanted.thread else ""
        words = [typed, thread, name, run.session.short(), agent, model, row.outcome, part, output.wall(row.started_ns)]
        said.append(output.harmless(" · ".join(word for word in words if word)))
    return said[0], said[1]


# -- where they part


def parting(found: Everything) -> Iterator[str]:
    first = found.made.first
    yield output.styled(output.harmless(parted(found)), bold=True)
    if first is None:
        return
    for side, run, step in (("a", found.a, first.a), ("b", found.b, first.b)):
        name = found.names[side == "b"]
        if step is None:
            yield f"  {side.upper()}  has no such step"
            continue
        brief = Story(run.found.threads, run.cwd).brief(step)
        head = f"  {side.upper()}  {name}:{step.number} {step.hash.short(12)} {step.type} "
        text = output.fit(output.harmless(head + brief), output.width())
        yield output.styled(text, fg=COLOURS["only_a" if side == "a" else "only_b"])
    if first.a and first.b and first.a.type == first.b.type:
        yield from _words(first.a.text, first.b.text, 6)
    yield f"  {met(first)}"
    for side, step in (("A", first.a), ("B", first.b)):
        if step is not None:
            ref = f"{found.names[side == 'B']}:{step.number}"
            yield output.harmless(f"  open {side}: tapes show {ref} · tapes checkout {ref}")


def parted(found: Everything) -> str:
    first = found.made.first
    if first is None:
        return f"the same in all {len(found.made.rows)} steps"
    row = found.made.rows[first.row]
    alike = sum(not one.differs for one in found.made.rows[: first.row])
    thread = f" in thread {row.thread[0] or row.thread[1]}" if {*row.thread} - {MAIN, ""} else ""
    return f"they part{thread} after {alike} steps that are the same"


def met(first: Divergence) -> str:
    if first.again is not None and first.again.a and first.again.b:
        return f"they meet again at A {first.again.a.number}, B {first.again.b.number} ({first.again.a.type})"
    return "they do not meet again"


def context_lines(found: Everything) -> Iterator[str]:
    """What the model had been given, where it was not the same."""
    at = found.context or found.begun
    if at.exchanges == (None, None):
        return  # nobody asked a model
    yield ""
    telling = [one for one in at.differences if not one.masked]
    masked = [one for one in at.differences if one.masked]
    when = "just before" if found.context else "at the first call"
    hashes = " / ".join(digest.short() if digest else "none" for digest in at.exchanges)
    if not telling and not at.unread:
        yield f"context {when}: the same model, system text, tools and parameters ({hashes})"
    elif telling:
        yield output.styled(f"context {when}: {output.plural(len(telling), 'difference')} ({hashes})", bold=True)
    for one in telling:
        yield from difference_lines(one)
    if masked:
        names = ", ".join(f"{one.part} {one.name}".strip() for one in masked)
        yield output.fit(output.harmless(f"  the same but for directories, dates and ids: {names}"), output.width())
    for unread in at.unread:
        yield output.styled(f"  {output.harmless(unread)}", fg="red")
    for row in at.earlier:
        if row.differs:
            yield from _earlier(row)
    only_masked = [row for row in at.earlier if not row.differs]
    if only_masked:
        yield f"  {output.plural(len(only_masked), 'earlier step')} with other directories, dates, times or ids:"
    for row in only_masked[-3:]:
        yield from _earlier(row)


def _earlier(row: Row) -> Iterator[str]:
    """A step before they part that was not the same."""
    if row.a and row.b:
        yield f"    A {row.a.number}, B {row.b.number} ({row.a.type})"
        yield from _words(row.a.text, row.b.text, 2)
        return
    side = "A" if row.a else "B"
    moved = f", in the other run at {row.peer.number}" if row.peer else ""
    text = f"    only in {side} here{moved}: {row.step.number} {row.step.type}: {' '.join(row.step.text[:400].split())}"
    yield output.styled(output.fit(output.harmless(text), output.width()), fg=COLOURS[row.kind])


def difference_lines(one: Difference) -> Iterator[str]:
    name = output.harmless(f"{one.part} {one.name}".strip())
    if one.a is None or one.b is None:
        side, text = ("B", one.b) if one.a is None else ("A", one.a)
        yield output.styled(f"  {name}: only in {side}", fg=COLOURS["only_b" if side == "B" else "only_a"])
        yield output.fit(output.harmless("    " + " ".join((text or "").split())), output.width())
        return
    yield output.styled(f"  {name}:", fg="yellow")
    yield from _words(one.a, one.b, 8)


def prompt_lines(found: Everything) -> Iterator[str]:
    """The drift between two versions of an agent."""
    yield from heads(found)
    if not found.prompts:
        yield "no model call is in both"
    for name, at in found.prompts:
        hashes = " / ".join(digest.short() if digest else "none" for digest in at.exchanges)
        yield ""
        yield output.styled(output.harmless(f"── {name}, its first call ({hashes})"), bold=True)
        for one in at.differences:
            if not one.masked:
                yield from difference_lines(one)
        masked = sum(one.masked for one in at.differences)
        if not at.differences:
            yield "  the same"
        elif masked:
            yield f"  {output.plural(masked, 'part')} with other directories, dates or ids only"
        yield from (output.styled(output.harmless(f"  {unread}"), fg="red") for unread in at.unread)


def screens(found: Everything) -> Iterator[str]:
    """Both terminals where they part."""
    first = found.made.first
    if first is None:
        return
    shown = [
        found.screen(run, step) if step is not None else [] for run, step in ((found.a, first.a), (found.b, first.b))
    ]
    if not any(shown):
        return
    yield ""
    yield output.styled("the screens at that step", bold=True)
    half = (output.width() - 3) // 2
    for n in range(max(map(len, shown))):
        whole = [rows[n] if n < len(rows) else "" for rows in shown]
        sign = " " if len({found.made.masks.output(row) for row in whole}) == 1 else "|"
        left, right = (output.fit(row, half) for row in whole)
        yield f"{output.pad(left, half)} {sign} {right}".rstrip()


# -- the steps


class _Columns:
    """The rows, with stretches that are the same folded."""

    def __init__(self, found: Everything) -> None:
        self._found, self._rows = found, found.made.rows
        self._stories = tuple(Story(run.found.threads, run.cwd) for run in (found.a, found.b))
        self._wide = output.width()

    def beside(self, around: int) -> Iterator[str]:
        yield from self._told(around, self._beside)

    def unified(self, around: int) -> Iterator[str]:
        yield from self._told(around, self._unified)

    def _told(self, around: int, draw: Callable[[Row], Iterator[str]]) -> Iterator[str]:
        if self._found.made.same:
            return
        shown = self._shown(around)
        hidden, thread = 0, ("", "")
        for n, row in enumerate(self._rows):
            if n not in shown:
                hidden += 1
                continue
            if hidden:
                yield output.styled(f"     … {hidden} steps the same", dim=True)
                hidden = 0
            if row.thread != thread:
                if thread != ("", "") or {*row.thread} - {MAIN}:
                    yield output.styled(output.harmless(f"── thread {threads_of(row.thread)}"), bold=True)
                thread = row.thread
            yield from draw(row)
        if hidden:
            yield output.styled(f"     … {hidden} steps the same", dim=True)

    def _shown(self, around: int) -> set[int]:
        found: set[int] = set()
        for first, behind in self._found.made.hunks():
            found |= set(range(max(0, first - around), min(len(self._rows), behind + around)))
        return found

    def _beside(self, row: Row) -> Iterator[str]:
        half = (self._wide - 3) // 2
        left = self._cell(row.a, 0, half) if row.a else self._elsewhere(row, half)
        right = self._cell(row.b, 1, half) if row.b else self._elsewhere(row, half)
        text = f"{output.pad(left, half)} {SIGNS[row.kind]} {right}".rstrip()
        yield output.styled(text, fg=COLOURS[row.kind], dim=row.kind == "same")
        yield from self._differing(row)

    def _unified(self, row: Row) -> Iterator[str]:
        if not row.differs and row.a and row.b:
            yield output.styled("  " + self._cell(row.a, 0, self._wide - 2), dim=True)
            return
        for sign, side, step in (("-", 0, row.a), ("+", 1, row.b)):
            if step is not None:
                moved = f" (moved: {row.peer.number} in {'AB'[1 - side]})" if row.peer else ""
                cell = self._cell(step, side, self._wide - 2 - len(moved))
                yield output.styled(f"{sign} {cell}{moved}", fg="red" if sign == "-" else "green")
        yield from self._differing(row)

    def _elsewhere(self, row: Row, columns: int) -> str:
        return output.fit(f"     ({row.peer.number}: elsewhere)", columns) if row.peer else ""

    def _cell(self, step: Step, side: int, columns: int) -> str:
        return cell(self._stories[side], step, columns)

    def _differing(self, row: Row) -> Iterator[str]:
        if row.kind != "changed" or row.a is None or row.b is None:
            return
        if row.what not in ("text", "input", "result", "command"):
            return
        yield from _words(row.a.text, row.b.text, _MOST_LINES)


def cell(story: Story, step: Step, columns: int, *, bare: bool = False) -> str:
    """A step in so many columns; but for `bare` ones with its hash and what it took, where there is room."""
    icon = ACTION_ICONS.get(step.facts.get("action", ""), ICONS[step.type]) if step.type == "tool.use" else ""
    icon = "✗" if step.failed else icon or ICONS[step.type]
    mark = f" {step.hash.short(8)}" if columns >= 60 and not bare else ""
    brief = output.harmless(story.brief(step))
    took = _took(step) if columns >= 75 and not bare else ""
    text = output.fit(f"{step.number:>4}{mark} {icon} {brief}", columns - len(took) - 1 if took else columns)
    return f"{output.pad(text, columns - len(took))}{took}" if took else text


def _took(step: Step) -> str:
    """What the model call took that a step is the first of: to its first byte, and the tokens it made."""
    ttft, usage = step.facts.get("ttft_us"), step.facts.get("usage") or {}
    told = [f"{ttft / 1000:.0f} ms"] if ttft is not None else []
    return " · ".join([*told, f"{output.count(usage['output'])} tok"] if usage.get("output") else told)


def threads_of(names: tuple[str, str]) -> str:
    a, b = names
    return a if a == b else f"{a or '(none)'} / {b or '(none)'}"


def _words(old: str, new: str, most: int) -> Iterator[str]:
    """The words that differ, with some around; `[-gone-]{+come+}` where there are no colours."""
    pieces = words(old[:200_000], new[:200_000])
    kept = sum(len("".join(piece.text.split())) for piece in pieces if piece.sign == " ")
    if kept * 5 < max(len(old), len(new), 1):
        return  # two texts with nothing in common are told by their beginnings
    told = _changed_lines(shortened(pieces, 40))
    room = output.width() - 6
    for line in told[:most]:
        yield "      " + (line if output.colour() else output.fit(line, room))
    if len(told) > most:
        yield output.styled(f"      … {output.plural(len(told) - most, 'more line')} with other words", dim=True)


def _changed_lines(pieces: Iterator[Piece]) -> list[str]:
    """Those lines in which there is a change."""
    lines: list[tuple[str, bool]] = [("", False)]
    for piece in pieces:
        drawn = _drawn(piece).split("\n")
        lines[-1] = (lines[-1][0] + drawn[0], lines[-1][1] or piece.sign != " ")
        lines += [(line, piece.sign != " ") for line in drawn[1:]]
    return [line for line, changed in lines if changed and line.strip()]


def _drawn(piece: Piece) -> str:
    text = output.harmless(piece.text if len(piece.text) <= 400 else piece.text[:400] + "…", lines=True)
    if piece.sign == " ":
        return text
    if not output.colour():
        return "[-" + text + "-]" if piece.sign == "-" else "{+" + text + "+}"
    colour = "red" if piece.sign == "-" else "green"
    return "\n".join(output.styled(line, fg=colour, strikethrough=piece.sign == "-") for line in text.split("\n"))


# -- how much


def counts(found: Everything) -> Iterator[str]:
    """How many steps are what."""
    kinds = Counter(row.kind for row in found.made.rows)
    said = {"same": "the same", "changed": "changed", "only_a": "only in A", "only_b": "only in B", "moved": "moved"}
    told = [f"{kinds[kind]} {text}" for kind, text in said.items() if kinds[kind]]  # type: ignore[index]
    tried = [
        f"{len(steps)} in {side} that were tried again"
        for side, steps in zip("AB", found.made.tried, strict=True)
        if steps
    ]
    yield f"steps: {', '.join([*told, *tried]) or 'none'}"
