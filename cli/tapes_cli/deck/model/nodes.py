"""What is a row of a session's outline: a step, the heading of a thread with all its steps below it, or reminders that
follow one another as one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tapes.session.threads import Thread
from tapes.session.view import Step

type Heading = tuple[Thread, list[Step]]
"""Of a thread, with its steps."""
type _Flat = tuple[Step, int, str, Thread | None, Sequence[Step]]


@dataclass(frozen=True, slots=True)
class Node:
    """A row. `end`: the place of the first node behind all that hangs below it."""

    step: Step
    depth: int
    place: int
    """Among the nodes."""
    end: int
    key: str = ""
    """What it is folded by; empty where nothing hangs below it."""
    thread: Thread | None = None
    group: Sequence[Step] = ()

    @property
    def number(self) -> int:
        return self.step.number


def nodes(telling: Iterable[tuple[Heading | Step, int]]) -> list[Node]:
    """In the order of the story."""
    flat: list[_Flat] = []
    run: list[Step] = []
    deep = 0

    def close() -> None:
        if run:
            flat.append((run[0], deep, "", None, tuple(run) if len(run) > 1 else ()))
            run.clear()

    for item, depth in telling:
        if run and (not isinstance(item, Step) or item.type != "reminder" or depth != deep):
            close()
        if not isinstance(item, Step):
            thread, steps = item
            flat.append((steps[0], depth, f"thread {thread.id}", thread, steps))
        elif item.type == "reminder":
            run.append(item)
            deep = depth
        else:
            flat.append((item, depth, "", None, ()))
    close()
    return [
        Node(step, depth, place, _end(flat, place) if thread else place + 1, key, thread, group)
        for place, (step, depth, key, thread, group) in enumerate(flat)
    ]


def _end(flat: Sequence[_Flat], place: int) -> int:
    """Steps of a thread hang as deep as its heading; what hangs less deep, or another heading as deep, ends it."""
    depth = flat[place][1]
    for after in range(place + 1, len(flat)):
        if flat[after][1] < depth or (flat[after][3] is not None and flat[after][1] == depth):
            return after
    return len(flat)
