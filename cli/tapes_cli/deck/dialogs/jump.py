"""To a step, a time, a hash or another session: says while one types where it would go."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from textual import on, work
from textual.app import ComposeResult
from textual.widgets import Input

from tapes.archive.base import Archive
from tapes.errors import TapesError
from tapes_cli.deck.dialogs.base import Dialog
from tapes_cli.deck.model.spots import FORMS, Spot, opened, spots
from tapes_cli.deck.model.styled import styled
from tapes_cli.deck.model.tape import Tape
from tapes_cli.deck.widgets.rows import Lines, Rows


class Jump(Dialog[Spot]):
    KEYS = "⏎ go · ↓ choose among several · esc close"

    def __init__(self, archive: Archive, tape: Tape) -> None:
        super().__init__("Jump to")
        self._archive, self._tape = archive, tape
        self._found: Sequence[Spot] = ()

    def body(self) -> ComposeResult:
        yield Input(placeholder="12", id="where")
        yield Rows(id="spots")

    def on_mount(self) -> None:
        self.query_one("#spots").display = False
        self.say(styled(FORMS, "dim"))

    @on(Input.Changed, "#where")
    def _typed(self, message: Input.Changed) -> None:
        self._look(message.value, go=False)

    @on(Input.Submitted, "#where")
    def _submitted(self, message: Input.Submitted) -> None:
        self.is_unsettled = True
        self._look(message.value, go=True)

    @work(exclusive=True, group="spots", exit_on_error=False, description="where a jump leads")
    async def _look(self, text: str, *, go: bool) -> None:
        """An older one that is still under way is given up: it says nothing any more."""
        told = self._tape.told
        if told is None or not text.strip():
            self._show((), text)
            return
        try:
            found: Sequence[Spot] = await asyncio.to_thread(spots, self._archive, self._tape.session, told, text)
        except TapesError as error:
            self._show(())
            self.say(styled(str(error), "error"), styled(error.hint, "dim"))
            return
        self._show(found, text, going=go and len(found) == 1)
        if go and len(found) == 1:
            self._open(found[0])
        elif go:
            self.query_one("#spots").focus()

    def _show(self, found: Sequence[Spot], text: str = "", *, going: bool = False) -> None:
        self._found = found
        self.is_unsettled = going
        rows = self.query_one("#spots", Rows)
        rows.display = len(found) > 1
        rows.show(Lines([spot.line for spot in found]), 0)
        if len(found) > 1:
            self.say(styled(f"{len(found)} records begin so: which?", "warn"))
        elif found:
            self.say(styled("→ ", "accent") + found[0].line)
        elif not text.strip():
            self.say(styled(FORMS, "dim"))

    @on(Rows.Chosen, "#spots")
    def _chosen(self, message: Rows.Chosen) -> None:
        self._open(self._found[message.index])

    @work(exclusive=True, group="open", exit_on_error=False, description="a session to jump to")
    async def _open(self, spot: Spot) -> None:
        try:
            self.dismiss(await asyncio.to_thread(opened, self._archive, spot))
        except TapesError as error:
            self.is_unsettled = False
            self.say(styled(str(error), "error"), styled(error.hint, "dim"))

    def key_down(self) -> None:
        if self.query_one("#spots").display and not self.query_one("#spots").has_focus:
            self.query_one("#spots").focus()
