"""The commands of two runs: which belong together, and how each ended and what it wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from tapes.compare.masks import Masks
from tapes.compare.rows import alike_lines, ending
from tapes.compare.run import Run
from tapes.compare.runs import Comparison
from tapes.errors import Damaged, NotFound
from tapes.session.commands import pieces
from tapes.session.linediff import Same, matches
from tapes.session.view import Step
from tapes.values import dataclass

type What = Literal["same", "only_a", "only_b", "moved", "exit", "output", "line"]

LONGEST = 1 << 20
"""Bytes of an output that are compared, of its beginning and its end."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A command of either run, or the same one of both."""

    what: What
    a: Step | None
    b: Step | None
    output: tuple[str, str] = ("", "")
    """Where it differs."""
    variables: tuple[tuple[str, str | None, str | None], ...] = ()
    """Of its environment what differs: name, in A, in B."""


def commands(made: Comparison, a: Run, b: Run) -> Iterator[Ran]:
    """Those of calls as their calls are aligned, then those of no call by their lines; none of an agent's own."""
    for row in made.rows:
        if row.step.type != "command" or _own(row.step, a, b):
            continue
        if row.a is None or row.b is None:
            yield Ran(row.kind if row.kind != "changed" else "line", row.a, row.b)
        else:
            yield _both(row.a, row.b, made.masks, a, b)
    ours, theirs = ([step for step in steps if not _own(step, a, b)] for steps in made.loose)
    lines = [[made.masks.output(step.text) for step in steps] for steps in (ours, theirs)]
    x = y = 0
    for same in [*matches(*lines), Same(len(ours), len(theirs), 0)]:
        yield from (Ran("only_a", step, None) for step in ours[x : same.old])
        yield from (Ran("only_b", None, step) for step in theirs[y : same.new])
        x, y = same.old + same.size, same.new + same.size
        for one, other in zip(ours[same.old : x], theirs[same.new : y], strict=True):
            yield _both(one, other, made.masks, a, b)


def _own(step: Step, a: Run, b: Run) -> bool:
    """Did the agent run it for itself? Its housekeeping is nobody's doing, and never twice the same."""
    command = a.commands.get(step.hash) or b.commands.get(step.hash)
    return command is not None and command.participant.kind == "harness"


def _both(one: Step, other: Step, masks: Masks, a: Run, b: Run) -> Ran:
    if masks.output(one.text) != masks.output(other.text):
        return Ran("line", one, other, variables=tuple(_variables(one, other, masks, a, b)))
    texts = written(one, a), written(other, b)
    differs = not alike_lines(*texts, masks)
    if ending(one) == ending(other) and not differs:
        return Ran("same", one, other)
    what: What = "exit" if ending(one) != ending(other) else "output"
    variables = tuple(_variables(one, other, masks, a, b))
    return Ran(what, one, other, texts if differs else ("", ""), variables)


def written(step: Step, run: Run) -> str:
    """What a command wrote; where that can not be read, why."""
    command = run.commands.get(step.hash)
    if command is None or command.ran is None:
        return ""
    try:
        return b"".join(data for _, data in pieces(run.archive, command.ran, LONGEST)).decode("utf-8", "replace")
    except (Damaged, NotFound) as error:
        return f"({error})"


def _variables(one: Step, other: Step, masks: Masks, a: Run, b: Run) -> Iterator[tuple[str, str | None, str | None]]:
    ours, theirs = (
        dict(text.partition("=")[::2] for text in command.surroundings) if command else {}
        for command in (a.commands.get(one.hash), b.commands.get(other.hash))
    )
    yield from apart(ours, theirs, masks)


def apart(
    ours: Mapping[str, str], theirs: Mapping[str, str], masks: Masks
) -> Iterator[tuple[str, str | None, str | None]]:
    """Names whose values differ in more than what is masked."""
    for name in sorted(ours.keys() | theirs.keys()):
        one, other = ours.get(name), theirs.get(name)
        if one is None or other is None or masks.output(one) != masks.output(other):
            yield name, one, other
