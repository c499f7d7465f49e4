"""Searching in one session: what is found gets a sign in the outline, and is what `n` and `p` walk.

The search goes on while other screens of the session are looked at, and finds what is recorded meanwhile.
"""

from __future__ import annotations

from textual import on

from tapes_cli.deck.model.results import Seeker, fitting, numbers
from tapes_cli.deck.model.styled import Line, dotted, styled
from tapes_cli.deck.model.tape import Seeking, Tape
from tapes_cli.deck.screens.playing import Playing
from tapes_cli.deck.widgets.box import Ask
from tapes_cli.deck.widgets.rows import Rows
from tapes_cli.deck.widgets.step_pane import StepPane
from tapes_cli.home import index_path

HIT: Line = (("◆", "accent"),)


class Searching(Playing):
    """MUST yield `ask` in its body, and have a list `rows` and the step in full as `pane`."""

    rows: Rows
    pane: StepPane

    def __init__(self, tape: Tape) -> None:
        super().__init__(tape)
        seeker = Seeker(tape.archive, index_path(), within=tape.session)
        self.ask = Ask("in this session: words, or a query of tapes search", seeker, id="search")
        self._marked = ""
        """The query whose words are pointed out in the step."""
        self._entering = False
        """Enter was pressed before there was an answer."""

    def on_mount(self) -> None:
        if self.tape.seeking.text:
            self.ask.put(self.tape.seeking.text)

    def _shown(self) -> None:
        super()._shown()
        if self.tape.seeking.text and not self.ask.busy:
            self.ask.ask()

    def on_walked(self) -> None:
        """The current step is another one."""
        if self.tape.seeking.text:
            self.titled()

    def status(self) -> Line:
        going, seeking = super().status(), self.tape.seeking
        if not seeking.text or (self.ask.busy and not seeking.numbers):
            return going
        return dotted(filter(None, (going, styled(seeking.at(self.tape.number), "accent"))))

    # -- typing

    def action_search(self) -> None:
        self.ask.open()

    @on(Ask.Changed)
    def _typed(self, message: Ask.Changed) -> None:
        if message.text != self.tape.seeking.text:
            self._seek(Seeking(message.text))

    @on(Ask.Answered)
    def _answered(self, message: Ask.Answered) -> None:
        answer, told = message.answer, self.tape.told
        if answer.text and told is not None:
            self._seek(Seeking(answer.text, self.tape.seeking.brought, numbers(answer, told.rank)))
        if answer.trouble:
            self.ask.say(answer.trouble, "error")
        elif answer.remarks:
            self.ask.say(answer.remarks[0], "warn")
        if self._entering:
            self._entered()

    @on(Ask.Entered)
    def _entered(self) -> None:
        """To the first hit from here on; where there is none, to the first of all."""
        self._entering = self.ask.busy
        if self.ask.busy:
            self.ask.ask()
            return
        told, hits = self.tape.told, self.tape.seeking.numbers
        if told is not None and hits:
            here = told.rank.get(self.tape.number, 0)
            self.rows.focus()
            self.go_to(next((number for number in hits if told.rank[number] >= here), hits[0]))
        elif self.tape.seeking.text:
            self.ask.say("no hits in this session", "warn")

    @on(Ask.Moved)
    def _pointed(self, message: Ask.Moved) -> None:
        self.rows.action_move(message.by)

    @on(Ask.Left)
    def action_unsearch(self) -> None:
        self._entering = False
        self.ask.close()
        self._seek(Seeking())
        self.rows.focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A search that led here is kept until one goes back to where it was begun."""
        return action != "unsearch" or (self.ask.display and not self.tape.seeking.brought)

    def _seek(self, seeking: Seeking) -> None:
        if seeking.text != self._marked:
            self._marked = seeking.text
            self.pane.reader.point_out(fitting(seeking.text))
        self.tape.seeking = seeking
        self.on_signs()
        self.titled()
