"""A pair of a comparison in full: which steps they are, and both texts as one."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tapes.compare.around import File
from tapes.compare.ran import Ran, written
from tapes.compare.requests import pretty
from tapes.compare.rows import Row
from tapes.compare.run import Run
from tapes.session.view import Step
from tapes_cli import output
from tapes_cli.deck.model.document import Block
from tapes_cli.deck.model.file_pages import git_lines
from tapes_cli.deck.model.styled import Line, joined, styled
from tapes_cli.deck.model.unlike import unlike
from tapes_cli.diff_all import Everything
from tapes_cli.story import ending
from tapes_cli.worktrees import shown

_WHAT = {
    "text": "the text is not the same",
    "input": "the input is not the same",
    "tool": "another tool does it",
    "result": "the result is not the same",
    "command": "the line is not the same",
    "exit": "it ended otherwise",
    "failed": "one of them failed",
    "output": "the output is not the same",
    "line": "the line is not the same",
}
type Blocks = Iterator[Block]


def of_steps(found: Everything, row: Row) -> Blocks:
    a, b = row.a, row.b
    yield Block(lines=[*_heads(found, a, b), styled(_said(row), "dim" if row.kind == "same" else "bold")])
    yield Block("both" if a and b else "its text", _texts(_text(a), _text(b), both=a is not None and b is not None))
    if "command" in (a.type if a else "", b.type if b else ""):
        yield from _outputs(found, a, b)


def of_commands(found: Everything, ran: Ran) -> Blocks:
    said = "the same" if ran.what == "same" else _WHAT.get(ran.what, "")
    yield Block(lines=[*_heads(found, ran.a, ran.b), *([styled(said, "bold")] if said else [])])
    yield Block("its line", _texts(_text(ran.a), _text(ran.b), both=ran.a is not None and ran.b is not None))
    if ran.variables:
        yield Block("of its environment", _variables(ran))
    yield from _outputs(found, ran.a, ran.b)


def _said(row: Row) -> str:
    match row.kind:
        case "same":
            return "the same, but for directories, dates, times or ids" if row.masked else "the same"
        case "moved":
            assert row.peer is not None
            return f"it stands elsewhere in {'B' if row.a else 'A'}: step {row.peer.number}"
        case "changed":
            return _WHAT.get(row.what, "changed")
        case _:
            return f"only in {'A' if row.a else 'B'}"


def _heads(found: Everything, a: Step | None, b: Step | None) -> Iterator[Line]:
    for name, style, typed, step in (("A", "error", found.names[0], a), ("B", "ok", found.names[1], b)):
        if step is None:
            continue
        facts = [f"{typed}:{step.number}", step.hash.short(12), step.type]
        facts += [ending(step.facts)] if step.type == "command" else []
        facts += [str(step.facts["name"])] if step.facts.get("name") else []
        facts += ["failed"] if step.failed else []
        told = " · ".join([*facts, output.wall(step.wall_ns)])
        yield joined(styled(f"{name} ", f"bold {style}"), styled(told, "error" if step.failed else ""))


def _text(step: Step | None) -> str:
    """As it can be compared by lines: of a call's input each value on its own."""
    if step is None or step.type != "tool.use" or not step.text.startswith("{"):
        return step.text if step is not None else ""
    try:
        value = json.loads(step.text)
    except (ValueError, RecursionError):
        return step.text
    return "\n".join(f"{name}: {_value(pretty(one))}" for name, one in value.items())


def _value(text: str | None) -> str:
    return "null" if text is None else f"\n{text}" if "\n" in text else text


def _texts(a: str, b: str, *, both: bool) -> Iterator[Line]:
    if both:
        yield from unlike(a, b)
    else:
        yield from (line for text in (a, b) if text for line in unlike(text, text))


def _outputs(found: Everything, a: Step | None, b: Step | None) -> Blocks:
    a, b = (step if step is not None and step.type == "command" else None for step in (a, b))
    one, other = _output(found.a, a), _output(found.b, b)
    if one or other:
        yield Block("what it wrote", _texts(one, other, both=a is not None and b is not None))
    elif a is not None or b is not None:
        yield Block("what it wrote", [styled("(nothing)", "dim")])


def _output(run: Run, step: Step | None) -> str:
    return written(step, run) if step is not None else ""


def _variables(ran: Ran) -> Iterator[Line]:
    for name, a, b in ran.variables:
        yield from (joined(styled(f"{name}="), line) for line in unlike(a or "(unset)", b or "(unset)"))


# -- what is no step


def file_halves(one: File) -> tuple[str, str]:
    """The path, and each side's size and hash."""
    plus, minus = one.texts.counts()
    size = f"+{plus} −{minus}" if not one.texts.why else one.texts.why
    by = {(True, True): "both", (True, False): "A", (False, True): "B"}.get(one.touched, "neither run")
    more = [f"changed by {by}"] if one.where == "end" else []
    more += [] if one.counts else ["not counted as a difference"]
    sides = []
    for held in (one.diff.was, one.diff.now):
        hashed = held.hash.short(8) if held is not None and held.hash is not None else ""
        sides.append(f"{shown(one.path)}  {output.size(held.size)} {hashed}".rstrip() if held is not None else "")
    told = " · ".join([size, *more])
    return (f"{sides[0]}  {told}", sides[1]) if sides[0] else ("", f"{sides[1]}  {told}")


def of_file(one: File) -> Blocks:
    yield Block(f"{shown(one.path)}, from A to B", git_lines(one.diff, one.texts))


def of_texts(name: str, a: str | None, b: str | None, note: str = "") -> Blocks:
    if note:
        yield Block(lines=[styled(note, "dim")])
    only = "" if a is not None and b is not None else ", only in A" if b is None else ", only in B"
    yield Block(f"{name}{only}", _texts(a or "", b or "", both=a is not None and b is not None))
