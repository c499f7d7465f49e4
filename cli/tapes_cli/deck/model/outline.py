"""The steps of a session as rows: a tree of threads, each under the call that started it, that can be folded.

A row is a step, the heading of a thread with all its steps below it, or reminders that follow one another as one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Self

from tapes.session.view import Step
from tapes_cli import output
from tapes_cli.deck.model.nodes import Node
from tapes_cli.deck.model.styled import BLANK, Line, columns, fitted, joined, styled
from tapes_cli.deck.model.tape import Told
from tapes_cli.stats_screen import money
from tapes_cli.story import ACTION_ICONS, ICONS, flow, folding, label

STYLES = {
    "prompt": "prompt",
    "answer": "answer",
    "thinking": "dim italic",
    "reminder": "dim",
    "tool.use": "tool",
    "tool.result": "",
    "command": "command",
    "error": "error",
    "gap": "error",
    "note": "note",
    "seam": "seam",
    "withheld": "dim",
}
TIME_FROM, TOOK_FROM, TOKENS_FROM, COST_FROM = 56, 66, 80, 92
"""Columns from which on a row has its time, how long it took, its tokens, and what they cost."""


@dataclass(slots=True)
class Outline:
    """The rows of one reading; a `Source` of the widget that lists them."""

    told: Told
    nodes: Sequence[Node]
    visible: list[int]
    """Places of the nodes that are listed."""
    marks: dict[int, Line] = field(default_factory=dict)
    """Signs before a step: marks, breaks, hits."""

    @classmethod
    def of(cls, told: Told, folded: Collection[str]) -> Self:
        found = cls(told, told.nodes, [])
        found.fold(folded)
        return found

    def fold(self, folded: Collection[str]) -> None:
        self.visible = []
        place = 0
        while place < len(self.nodes):
            self.visible.append(place)
            node = self.nodes[place]
            place = node.end if node.key and node.key in folded else place + 1

    def __len__(self) -> int:
        return len(self.visible)

    def node(self, row: int) -> Node | None:
        return self.nodes[self.visible[row]] if 0 <= row < len(self.visible) else None

    def row_of(self, number: int) -> int:
        """The row that a step is on; where it is folded away, that of what it is folded into."""
        return max(0, bisect_right(self.visible, self.told.places.get(number, 0)) - 1)

    def row_of_heading(self, node: Node) -> int:
        return bisect_right(self.visible, node.place) - 1

    def parent(self, row: int) -> int | None:
        """The row of the heading that a row hangs below."""
        place = self.visible[row]
        above = (r for r in range(row - 1, -1, -1) if self.nodes[self.visible[r]].key)
        return next((r for r in above if self.nodes[self.visible[r]].end > place), None)

    def line(self, index: int, width: int) -> Line:
        place = self.visible[index]
        node = self.nodes[place]
        listed = index + 1 < len(self.visible) and self.visible[index + 1] == place + 1
        if node.thread is not None:
            return self._heading(node, width, open_=listed and node.end > place + 1)
        step = folding(node.group) if node.group else node.step
        return self._step(step, node.depth, width)

    def _heading(self, node: Node, width: int, *, open_: bool) -> Line:
        assert node.thread is not None
        steps = node.group
        failed = sum(step.failed for step in steps)
        took = output.duration(steps[-1].wall_ns - steps[0].wall_ns)
        sign = "▾" if open_ else "▸"
        text = f"{'│ ' * (node.depth - 1)}{sign} {label(node.thread)} · {len(steps)} steps · {took}"
        line = styled(f"{'':>5}{text}", "bold")
        return fitted(joined(line, styled(f" · {failed} failed", "error") if failed else BLANK), width)

    def _step(self, step: Step, depth: int, width: int) -> Line:
        icon = icon_of(step)
        doubt = step.facts.get("verdict", "matched") != "matched"
        style = "error" if step.failed else "warn" if doubt else STYLES.get(step.type, "")
        sign = self.marks.get(step.number, BLANK)
        time = output.wall(step.wall_ns)[11:]
        usage = step.facts.get("usage") or {}
        given = sum(count for kind, count in usage.items() if kind not in ("output", "reasoning"))
        tokens = flow(given, usage.get("output", 0)).removesuffix(" tok") if usage else ""
        cost = self.told.cost(step)
        took = step.facts.get("duration_us")
        spent = output.duration(took * 1000) if took is not None else ""
        text = joined(
            (("│ " * depth, "dim"), (f"{icon} ", style)),
            styled(self.told.story.brief(step), style),
        )
        wide = [(styled(time, "dim"), 8 if width >= TIME_FROM else 0, False)]
        tail = [
            (styled(spent, "dim"), 7 if width >= TOOK_FROM else 0, True),
            (styled(tokens, "dim"), 12 if width >= TOKENS_FROM else 0, True),
            (styled("" if cost is None else money(cost), "dim"), 7 if width >= COST_FROM else 0, True),
        ]
        taken = 6 + sum(cells + 1 for _, cells, _ in (*wide, *tail) if cells)
        number = joined(styled(f"{step.number:>4}", "dim"), sign)
        return columns([(number, 5, False), *wide, (text, max(4, width - taken), False), *tail], gap=" ")


def icon_of(step: Step) -> str:
    """The sign of what it is; of what it did, where it is a call; of its failure before all."""
    if step.failed:
        return "✗"
    icon = ICONS[step.type]
    return ACTION_ICONS.get(step.facts.get("action", ""), icon) if step.type == "tool.use" else icon
