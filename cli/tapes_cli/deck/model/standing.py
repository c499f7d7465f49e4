"""How things stood at a step, in a line: so that whoever goes back sees what was true there."""

from __future__ import annotations

from tapes_cli import output
from tapes_cli.deck.model.course import Standing
from tapes_cli.deck.model.styled import BLANK, Line, joined, styled
from tapes_cli.story import flow

DONE = frozenset({"completed", "done", "cancelled"})


def told_in_a_line(at: Standing, home: str) -> Line:
    """`home`: the session's own directory, which is said shortly."""
    parts: list[Line] = []
    if at.cwd:
        below = at.cwd.removeprefix(home + "/") if home else at.cwd
        parts.append(styled(f"cwd {at.cwd if below == at.cwd else f'./{below}'}"))
    parts.append(styled(f"{output.plural(at.files, 'file')} known"))
    if at.todo:
        done = sum(state in DONE for state, _ in at.todo)
        now = next((text for state, text in at.todo if state == "in_progress"), "")
        parts.append(styled(f"todo {done}/{len(at.todo)}{f': {now}' if now else ''}"))
    failed = "error" if at.failures_before else "dim"
    parts.append(
        joined(
            styled("failures ", "dim"),
            styled(f"{at.failures_before} before", failed),
            styled(f", {at.failures_after} after", "dim"),
        )
    )
    if at.given or at.made:
        parts.append(styled(flow(at.given, at.made), "dim"))
    dot = styled(" · ", "dim")
    return joined(*(joined(dot if n else BLANK, part) for n, part in enumerate(parts)))
