"""How things stood at a step, in a line: so that whoever goes back sees what was true there."""

from __future__ import annotations

from collections.abc import Sequence

from tapes_cli import output
from tapes_cli.deck.model.course import Standing
from tapes_cli.deck.model.styled import BLANK, Line, dotted, joined, styled
from tapes_cli.story import flow

DONE = frozenset({"completed", "done", "cancelled"})


def told_in_a_line(at: Standing, home: str, whole: bool = True) -> Sequence[Line]:
    """In full, and shorter each time. `home`: the session's own directory, which is said shortly. `whole`: the session
    has been read to its end; before, it is not known what failed later."""
    below = at.cwd.removeprefix(home + "/") if home else at.cwd
    where = at.cwd if below == at.cwd else f"./{below}"
    last = where if where.count("/") < 2 else f"…/{where.rstrip('/').rpartition('/')[2]}"
    flowed = styled(flow(at.given, at.made), "dim") if at.given or at.made else BLANK
    known, failed = styled(f"{output.plural(at.files, 'file')} known"), _failures(at, whole)
    full, short = _todo(at, words=True), _todo(at, words=False)
    forms = (
        (where, full, flowed),
        (where, full, BLANK),
        (last, full, BLANK),
        (where, short, BLANK),
        (last, short, BLANK),
    )
    return [
        dotted([part for part in (styled(f"cwd {cwd}") if cwd else BLANK, known, todo, failed, tokens) if part])
        for cwd, todo, tokens in forms
    ]


def _todo(at: Standing, *, words: bool) -> Line:
    done = sum(state in DONE for state, _ in at.todo)
    now = next((text for state, text in at.todo if state == "in_progress" and words), "")
    return styled(f"todo {done}/{len(at.todo)}{f': {now}' if now else ''}") if at.todo else BLANK


def _failures(at: Standing, whole: bool) -> Line:
    return joined(
        styled("failures ", "dim"),
        styled(f"{at.failures_before} before", "error" if at.failures_before else "dim"),
        styled(f", {at.failures_after if whole else '-'} after", "dim"),
    )
