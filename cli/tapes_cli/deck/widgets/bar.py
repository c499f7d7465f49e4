"""One line about what is shown: the session, and what is going on."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from textual.strip import Strip
from textual.widget import Widget

from tapes_cli import output
from tapes_cli.deck.model.styled import BLANK, Line, dotted, fitted, styled, width, words
from tapes_cli.deck.model.tape import Tape
from tapes_cli.deck.widgets.palette import strip_of
from tapes_cli.stats_screen import money


class Bar(Widget):
    DEFAULT_CSS = """
    Bar { height: 1; background: $panel; padding: 0 1; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._line: Line = BLANK
        self._shorter: Sequence[Line] = ()
        self.failed = False
        """It says what went wrong."""

    @property
    def words(self) -> str:
        """What it says."""
        return words(self._line)

    def say(self, text: str, style: str = "dim") -> None:
        self.tell(styled(text, style))

    def tell(self, line: Line, *shorter: Line) -> None:
        """`shorter`: what is told instead where there is no room for all of it; the first that has."""
        self._line, self._shorter = line, shorter
        self.failed = any("error" in style for _, style in line[:1])
        self.refresh()

    def render_line(self, y: int) -> Strip:
        room = self.size.width
        told = (self._line, *self._shorter)
        line = next((one for one in told if width(one) <= room), told[-1])
        return strip_of(self.app, fitted(line, room), self.rich_style, room)

    def title_of(self, tape: Tape, view: str, going: Line = BLANK) -> None:
        """Which session it is, whose, and how it stands. `going`: what is going on, which comes first."""
        told = tape.told
        if told is None:
            return
        s = told.summary
        short = tape.session.short()
        name = styled(tape.title, "bold")
        digest = [styled(short, "dim")] if tape.title != short else []
        shown = [*([going] if going else ()), styled(view, "dim")]
        agent = [styled(f"{s.agent} {s.agent_version}".strip() if s.agent != "generic" else s.agent)]
        parts: list[Line] = []
        parts.append(styled(f"{len(told.steps)} steps" + ("" if told.whole else ", reading on …")))
        parts.append(styled(output.duration(s.ended_ns - s.started_ns)))
        paid = [cost for cost in told.costs.values() if cost is not None]
        if paid:
            unpriced = len(told.costs) - len(paid)
            parts.append(styled(money(sum(paid, Decimal())) + (f" + {unpriced} unpriced" if unpriced else "")))
        elif told.costs:
            parts.append(styled("unpriced", "dim"))
        style = "accent" if s.outcome == "open" else "ok" if s.status == 0 else "error"
        parts.append(styled(s.outcome, style))
        if s.gaps:
            parts.append(styled(output.plural(s.gaps, "gap"), "error"))
        if tape.following:
            parts.append(styled("following", "accent"))
        forms = ([name, *digest, *shown, *agent], [name, *shown, *agent], [name, *shown], [name, *shown[:-1]])
        full, *shorter = (dotted([*first, *parts]) for first in forms)
        self.tell(full, *shorter)
