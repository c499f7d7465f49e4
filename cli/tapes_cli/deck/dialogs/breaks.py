"""Where playing stops: at this step, on every failure, on a pattern; those that there are, each to be taken away.

It stays open while `tapes break` does what is asked, and then says how things are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.widgets import Input

from tapes.errors import TapesError
from tapes.record.digest import Digest
from tapes.session.breaks import Break, stops
from tapes.session.view import Step
from tapes.values import dataclass
from tapes_cli import output
from tapes_cli.breakpoints import Breaks
from tapes_cli.deck.actions import bindings
from tapes_cli.deck.dialogs.base import Dialog
from tapes_cli.deck.model.signs import BREAK
from tapes_cli.deck.model.spots import step_line
from tapes_cli.deck.model.styled import Line, joined, styled
from tapes_cli.deck.model.tape import Told
from tapes_cli.deck.running import Ran
from tapes_cli.deck.widgets.rows import Lines, Rows

type Do = Callable[[Sequence[str], Callable[[Ran], None]], None]


@dataclass(frozen=True, slots=True)
class Choice:
    """A row of the list. `words`: what enter does there; none: it goes to the line for a pattern."""

    line: Line
    words: tuple[str, ...]


class BreaksDialog(Dialog[None]):
    BINDINGS: ClassVar = bindings("breaks")
    KEYS = "⏎ set, or take away · x take away · / a pattern · esc close"

    def __init__(self, home: Path, ref: str, session: Digest, told: Told, step: Step, do: Do) -> None:
        """`do`: runs a verb, and calls back."""
        super().__init__("Playing stops")
        self._home, self._ref, self._session, self._do = home, ref, session, do
        self._told, self._step = told, step
        self._choices: Sequence[Choice] = ()

    def body(self) -> ComposeResult:
        yield Rows(id="breaks")
        yield Input(placeholder="a regular expression: stop at steps whose words it fits", id="pattern")

    def on_mount(self) -> None:
        self.query_one("#breaks").focus()
        self.look()

    @work(exclusive=True, group="breaks", exit_on_error=False)
    async def look(self) -> None:
        try:
            choices = await asyncio.to_thread(self._read)
        except TapesError as error:
            self.say(styled(str(error), "error"), styled(error.hint, "dim"))
            return
        self._choices = choices
        self.query_one("#breaks", Rows).show(Lines([choice.line for choice in choices]))

    def _read(self) -> list[Choice]:
        breaks = [each for each in Breaks.load(self._home).all if each.session in (None, self._session)]
        place = ("step", self._step.hash, self._step.item)
        here = next((b for b in breaks if (b.kind, b.record, b.item) == place), None)
        failing = next((b for b in breaks if b.kind == "error" and b.session == self._session), None)
        others = [b for b in breaks if b not in (here, failing)]
        at = step_line(self._told, self._step)
        failed = output.plural(sum(step.failed for step in self._told.steps), "step")
        return [
            self._choice(here, joined(styled("this step  "), at), (f"{self._ref}:{self._step.number}",)),
            self._choice(failing, styled(f"every failure  ({failed})"), (self._ref, "--error")),
            Choice(styled("  on a pattern …"), ()),
            *(self._choice(each, self._said(each), ()) for each in others),
        ]

    def _choice(self, one: Break | None, line: Line, adds: tuple[str, ...]) -> Choice:
        if one is None:
            return Choice(joined(styled("  "), line), ("break", "add", *adds))
        return Choice(joined(styled(f"{BREAK} ", "error"), line), ("break", "remove", str(one.id)))

    def _said(self, one: Break) -> Line:
        if one.kind == "step":
            number = next(iter(stops([one], self._session, self._told.steps)), 0)
            step = self._told.step(number)
            if step is not None:
                return joined(styled("at "), step_line(self._told, step))
        count = output.plural(len(stops([one], self._session, self._told.steps)), "step")
        return styled(f"{one.what}  ({count})" + ("  in every session" if one.session is None else ""))

    @on(Rows.Chosen, "#breaks")
    def _chosen(self, message: Rows.Chosen) -> None:
        words = self._choices[message.index].words
        if words:
            self._do(words, self._done)
        else:
            self.action_pattern()

    def action_remove(self) -> None:
        at = self.query_one("#breaks", Rows).cursor
        words = self._choices[at].words if at < len(self._choices) else ()
        if words[:2] == ("break", "remove"):
            self._do(words, self._done)

    def action_pattern(self) -> None:
        self.query_one("#pattern").focus()

    def _done(self, ran: Ran) -> None:
        if self.is_attached:
            self.look()

    # -- a pattern

    @on(Input.Changed, "#pattern")
    def _typed(self, message: Input.Changed) -> None:
        self._count(message.value)

    @work(exclusive=True, group="count", exit_on_error=False, description="steps that a pattern fits")
    async def _count(self, pattern: str) -> None:
        if not pattern:
            self.say()
            return
        wanted = Break(0, self._session, "pattern", pattern=pattern)
        try:
            found = await asyncio.to_thread(stops, [wanted], self._session, self._told.steps)
        except TapesError as error:
            self.say(styled(str(error), "error"))
            return
        first = self._told.step(next(iter(found), 0))
        self.say(
            styled(f"fits {output.plural(len(found), 'step')}", "accent" if found else "warn"),
            joined(styled("first: "), step_line(self._told, first)) if first else (),
        )

    @on(Input.Submitted, "#pattern")
    def _submitted(self, message: Input.Submitted) -> None:
        if message.value:
            self._do(("break", "add", self._ref, "--pattern", message.value), self._added)

    def _added(self, ran: Ran) -> None:
        if not self.is_attached:
            return
        if ran.status == 0:
            self.query_one("#pattern", Input).value = ""
            self.query_one("#breaks").focus()
        self.look()
