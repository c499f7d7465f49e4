"""A session's time, drawn: a lane for each thread with its model calls, and lanes for commands, side by side where they
ran at the same time. As wide as the screen: a cell is a stretch of time, and shows the worst that was in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Self

from tapes.archive.summary import Summary
from tapes.session.exchanges import FAILED
from tapes.session.threads import MAIN
from tapes.session.view import Step, View
from tapes.wire.purposes import SIDE
from tapes_cli import output
from tapes_cli.deck.model.styled import Line, joined, padded, styled
from tapes_cli.story import label

LABEL = 12
"""Columns for the names of the lanes."""
COMMAND_LANES = 3
"""More commands at a time than this share the last lane."""
_SIGNS = {"call": "━", "command": "▪", "failed": "✗", "open": "┄"}
_STYLES = {"call": "answer", "command": "command", "failed": "error", "open": "accent"}
_LOUDNESS = ("", "call", "command", "open", "failed")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in which something was going on. `end_ns` is the last that is known of what is not over."""

    start_ns: int
    end_ns: int
    kind: str
    """`call`, `command`, `failed`, `open`."""


@dataclass(frozen=True, slots=True)
class Lane:
    name: str
    spans: Sequence[Span]
    commands: bool = False
    """Not of a thread."""


@dataclass(slots=True)
class Axis:
    """Of one reading."""

    start_ns: int
    end_ns: int
    lanes: Sequence[Lane]
    _kinds: dict[tuple[int, int], list[str]] = field(default_factory=dict)
    """By lane and width what each cell shows."""

    @classmethod
    def of(cls, found: View, steps: Sequence[Step], summary: Summary) -> Self:
        # What people note or mark later does not make the run longer; it stands at its end.
        times = [step.wall_ns for step in steps if step.type != "note"]
        start = min([summary.started_ns or 2**63, *times])
        end = max([summary.ended_ns, *times])
        return cls(start, max(end, start + 1), [*_threads(found, end), *_commands(found, end)])

    def shown(self, most: int) -> Sequence[int]:
        """Which lanes are drawn where there is room for so many: the first threads, then commands, at least a lane."""
        threads = [n for n, lane in enumerate(self.lanes) if not lane.commands]
        commands = [n for n, lane in enumerate(self.lanes) if lane.commands]
        first = threads[: max(1, most - min(1, len(commands)))]
        return [*first, *commands[: max(0, most - len(first))]]

    def column(self, wall_ns: int, width: int) -> int:
        """The cell of a time, among the `width` that there are behind the names."""
        share = (wall_ns - self.start_ns) / (self.end_ns - self.start_ns)
        return max(0, min(width - 1, int(share * width)))

    def time(self, column: int, width: int) -> int:
        """The end of a cell's time, in nanoseconds of the wall clock."""
        return self.start_ns + (self.end_ns - self.start_ns) * (column + 1) // max(1, width)

    def ruler(self, width: int, wall_ns: int) -> Line:
        """Times above the lanes, and where one is."""
        room = max(1, width - LABEL)
        text = list(" " * room)
        here = self.column(wall_ns, room)
        for tick in range(0, room - 8, 16):
            at = output.duration((self.end_ns - self.start_ns) * tick // room)
            if tick < here <= tick + len(at):
                at = ""  # half a time would be another one
            text[tick : tick + len(at) + 1] = f"╷{at}"
        clock = padded(styled(output.duration(wall_ns - self.start_ns), "bold"), LABEL)
        line = "".join(text)
        return joined(clock, ((line[:here], "dim"), ("▼", "accent"), (line[here + 1 : room], "dim")))

    def line(self, lane: int, width: int, wall_ns: int) -> Line:
        """A lane, with the cell of the current time marked."""
        room = max(1, width - LABEL)
        here = self.column(wall_ns, room)
        cells = [
            (_SIGNS.get(kind, "·"), _STYLES.get(kind, "dim") + (" reverse" if n == here else ""))
            for n, kind in enumerate(self._cells(lane, room))
        ]
        pieces = tuple(("".join(sign for sign, _ in run), style) for style, run in groupby(cells, itemgetter(1)))
        return joined(padded(styled(self.lanes[lane].name, "dim"), LABEL - 1), ((" ", ""),), pieces)

    def _cells(self, lane: int, room: int) -> list[str]:
        found = self._kinds.get((lane, room))
        if found is None:
            found = self._kinds[lane, room] = [""] * room
            for span in self.lanes[lane].spans:
                for cell in range(self.column(span.start_ns, room), self.column(span.end_ns, room) + 1):
                    found[cell] = max(found[cell], span.kind, key=_LOUDNESS.index)
        return found


def _threads(found: View, end_ns: int) -> Iterator[Lane]:
    spans: dict[str, list[Span]] = {}
    for exchange in found.calls.exchanges.values():
        if exchange.body["class"] != "model":
            continue
        name = exchange.thread or MAIN
        thread = found.threads.get(name)
        if name in SIDE or (thread is not None and thread.kind in SIDE):
            name = (thread.parent if thread is not None else "") or MAIN
        start = exchange.opened.wall_ns
        over = exchange.duration_us
        kind = "open" if exchange.end is None else "failed" if exchange.outcome in FAILED else "call"
        spans.setdefault(name, []).append(Span(start, end_ns if over is None else start + over * 1000, kind))
    for name, lane in spans.items():
        thread = found.threads.get(name)
        yield Lane(label(thread) if thread is not None else name, lane)


def _commands(found: View, end_ns: int) -> Iterator[Lane]:
    lanes: list[list[Span]] = []
    for command in sorted(found.commands, key=lambda one: one.wall_ns):
        if command.ran is None:
            continue
        took = command.duration_ns
        kind = "failed" if command.failed else "open" if command.ran.end is None else "command"
        span = Span(command.wall_ns, end_ns if took is None else command.wall_ns + took, kind)
        free = next((lane for lane in lanes if lane[-1].end_ns <= span.start_ns), None)
        if free is None and len(lanes) < COMMAND_LANES:
            lanes.append([])
            free = lanes[-1]
        (lanes[-1] if free is None else free).append(span)
    for n, lane in enumerate(lanes):
        yield Lane("commands" if n == 0 else "", lane, commands=True)
