"""What is done to the current step, or to the session: on every screen of a session, each a key of the registry.

A dialog, and the core that it needs, is imported when it is first opened: the first picture does not wait for it.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click
from textual import work
from textual.app import SuspendNotSupported
from textual.screen import Screen

from tapes.errors import TapesError
from tapes.session.view import Step
from tapes_cli.deck.model.tape import Tape, Told
from tapes_cli.deck.running import Ran, Then

if TYPE_CHECKING:
    from tapes.archive.base import Archive
    from tapes.record.digest import Digest
    from tapes_cli.deck.app import Deck
    from tapes_cli.deck.dialogs.mark import Marked
    from tapes_cli.deck.model.spots import Spot

PAGERS = ("less -R", "more")
"""Where $PAGER says nothing."""


class Doing(Screen[None]):
    tape: Tape

    @property
    def deck(self) -> Deck:
        return cast("Deck", self.app)

    def go_to(self, number: int) -> None:
        """MUST make another step the current one."""
        raise NotImplementedError

    @property
    def ref(self) -> str:
        """What a person would type for the session: its name, else the beginning of its hash."""
        return self.deck.ref_of(self.tape.session)

    def _here(self) -> tuple[Told, Step] | None:
        """The current step; a notice where there is none yet."""
        told, step = self.tape.told, self.tape.step
        if told is None or step is None:
            self.notify("there is no step to do that with")
            return None
        return told, step

    # -- where to

    def go_to_spot(self, spot: Spot) -> None:
        """To a step of this session, or a time in it."""
        if spot.number is not None:
            self.go_to(spot.number)

    def action_jump(self) -> None:
        from tapes_cli.deck.dialogs.jump import Jump

        def go(spot: Spot | None) -> None:
            if spot is not None and spot.session != self.tape.session:
                self.deck.open_tape(spot.session, spot.number)
            elif spot is not None:
                self.go_to_spot(spot)

        self.deck.push_screen(Jump(self.deck.archive, self.tape), go)

    def action_compare(self) -> None:
        from tapes_cli.deck.app import Target
        from tapes_cli.deck.dialogs.pick import Pick

        def compare(other: Digest | None) -> None:
            if other is not None:
                self.deck.compare(Target(self.tape.session, self.tape.number), Target(other))

        self.deck.push_screen(Pick(f"Compare {self.tape.title} with", self.deck.shelf, self.tape.session), compare)

    # -- marks

    def action_mark(self) -> None:
        from tapes_cli.deck.dialogs.mark import Label

        if (here := self._here()) is None:
            return
        told, step = here

        def mark(label: str | None) -> None:
            if label is not None:
                self.deck.do("note", f"{self.ref}:{step.number}", "--mark", label)

        self.deck.push_screen(Label(told, step), mark)

    def action_unmark(self) -> None:
        if (here := self._here()) is not None:
            self._unmark(here[1])

    def _unmark(self, step: Step) -> None:
        if step.facts.get("marks"):
            self.deck.do("note", f"{self.ref}:{step.number}", "--unmark")
        else:
            self.notify(f"step {step.number} has no mark")

    def action_marks(self) -> None:
        from tapes_cli.deck.dialogs.mark import Marks

        told = self.tape.told
        marked = [step for step in told.steps if step.facts.get("marks")] if told else []
        if told is None or not marked:
            self.notify("no step of this session has a mark: m sets one")
            return

        def go(chosen: Marked | None) -> None:
            if chosen is not None and chosen.unmark:
                self._unmark(told.steps[chosen.number - 1])
            elif chosen is not None:
                self.go_to(chosen.number)

        self.deck.push_screen(Marks(told, marked), go)

    # -- breaks

    def action_breakpoint(self) -> None:
        from tapes_cli.deck.dialogs.breaks import BreaksDialog

        if (here := self._here()) is None:
            return

        def do(words: Sequence[str], then: Then) -> None:
            self.deck.do(*words, then=then)

        self.deck.push_screen(BreaksDialog(self.deck.home, self.ref, self.tape.session, *here, do))

    # -- out of the deck

    def action_copy_hash(self) -> None:
        if (here := self._here()) is not None:
            self.deck.copy(here[1].hash.hex(), f"the hash of step {here[1].number}")

    def action_copy_command(self) -> None:
        from tapes_cli.deck.model.line import command_line

        if (here := self._here()) is not None:
            told, step = here
            command = command_line(told, step)
            self.deck.copy(command or step.text, f"the {'command' if command else 'words'} of step {step.number}")

    def action_export(self) -> None:
        self.deck.export(self.tape.session, self.tape.number if self.tape.step else None)

    def action_checkout(self) -> None:
        from tapes_cli.deck.dialogs.checkout import Checkout

        if (here := self._here()) is None:
            return
        told, step = here
        short, summary = self.tape.session.short(), told.summary

        def take(words: tuple[str, ...] | None) -> None:
            if words is not None:
                self.deck.do(*words, then=self._taken if "--as" in words else None)

        self.deck.push_screen(Checkout(self.ref, short, step.number, summary.agent, summary.cwd), take)

    def _taken(self, done: Ran) -> None:
        """The command with which the agent goes on stands alone on its standard output."""
        if done.status == 0 and done.out.strip():
            self.deck.copy(done.out.strip(), "the command with which it goes on")

    @work(exclusive=True, group="pager", exit_on_error=False)
    async def action_open(self) -> None:
        if (here := self._here()) is None:
            return
        try:
            text = await asyncio.to_thread(page, self.deck.archive, *here)
            paged(self.deck, text)
        except (TapesError, OSError, ValueError, SuspendNotSupported) as error:
            self.notify(str(error), title="pager", severity="error", markup=False)


def page(archive: Archive, told: Told, step: Step) -> str:
    """A step in full, as `tapes show REF:12` has it: harmless, in colours where the terminal has some."""
    from tapes_cli.changed import Changed
    from tapes_cli.step_page import Page

    changed = Changed.of(archive, told.view, told.steps)
    return "\n".join(Page(archive, told.view, told.steps, step, changed).lines()) + "\n"


def paged(deck: Deck, text: str) -> None:
    """Leave the terminal to a pager until it ends. OSError where there is none, ValueError for a $PAGER that can not be
    read, SuspendNotSupported where the terminal is not ours to give."""
    words = next(
        (found for each in (os.environ.get("PAGER", ""), *PAGERS) if (found := shlex.split(each)) and _is_there(found)),
        None,
    )
    if words is None:
        raise FileNotFoundError("there is no pager: none in $PAGER, no less, no more")
    if Path(words[0]).name != "less":  # of others it is not known what they make of colours
        text = click.unstyle(text)
    with deck.suspend():
        environ = {"LESS": "-R", **os.environ}
        subprocess.run(words, input=text.encode("utf-8", "replace"), env=environ, check=False)


def _is_there(words: list[str]) -> bool:
    return shutil.which(words[0]) is not None
