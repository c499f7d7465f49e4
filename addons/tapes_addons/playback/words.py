"""What a player says of itself: of a request without an answer, and at the end."""

from __future__ import annotations

from tapes.playback.matching import Refused, Tape
from tapes.playback.recorded import Recorded
from tapes.values import dataclass, field

SHOWN = 4


@dataclass(slots=True)
class Counts:
    """What became of the requests."""

    how: dict[str, int] = field(default_factory=dict)
    """Of model calls, by how they were matched."""
    overlooked: list[str] = field(default_factory=list)
    """Answers that were given although what tools gave back differs: where."""
    refused: list[str] = field(default_factory=list)
    """Model calls and token counts without an answer: what was said of each."""
    behind: list[str] = field(default_factory=list)
    """The same, when all of the recording had been played. That is no failure of its own: an agent may have ended
    while a subagent of its was still at work, and that one get further today."""
    absent: dict[str, int] = field(default_factory=dict)
    """Other calls that the recording has not, as METHOD path."""


def name(recorded: Recorded) -> str:
    """A recorded exchange, as other commands take it."""
    return recorded.name[:12]


def why(found: Refused, what: str) -> str:
    """One line on a request that has no answer."""
    said = f"no recorded answer for {what}: {found.reason}"
    if found.nearest is not None:
        said += f". The nearest recorded request is {name(found.nearest)}"
        if found.difference is not None:
            said += f", which differs {found.difference}"
    return said


def summary(counts: Counts, tape: Tape, session: str, *, brief: bool = False) -> list[str]:
    """What is said at the end; `brief` where each refused request stands right above."""
    calls = sum(one.cls == "model" for one in tape.recorded)
    left = tape.left
    how = ", ".join(f"{n} {how}" for how, n in sorted(counts.how.items()))
    lines = [f"played {calls - len(left)} of {calls} model calls of {session[:12]}" + (f" ({how})" if how else "")]
    if left:
        lines.append(f"{len(left)} were not asked for: {some([name(one) for one in left])}")
    if counts.overlooked:
        n = len(counts.overlooked)
        answers = "1 answer was" if n == 1 else f"{n} answers were"
        lines.append(f"{answers} given although what a tool gave back differs: {some(counts.overlooked, 1)}")
    if counts.refused:
        n = len(counts.refused)
        requests = "1 request had" if n == 1 else f"{n} requests had"
        lines.append(f"{requests} NO recorded answer" + ("" if brief else f"; the first: {counts.refused[0]}"))
    if counts.behind:
        n = len(counts.behind)
        requests = "1 request" if n == 1 else f"{n} requests"
        lines.append(f"{requests} went on where the recording ends, and had no answer")
    if counts.absent:
        paths = some([f"{what} ({n})" for what, n in counts.absent.items()])
        lines.append(f"other calls that are not in the recording: {paths}")
    return lines


def report(counts: Counts, tape: Tape, session: str) -> dict[str, object]:
    """The same for programs."""
    return {
        "session": session,
        "calls": sum(one.cls == "model" for one in tape.recorded),
        "left": [one.name for one in tape.left],
        "matched": counts.how,
        "overlooked": counts.overlooked,
        "refused": counts.refused,
        "behind": counts.behind,
        "absent": counts.absent,
    }


def some(names: list[str], shown: int = SHOWN) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
