"""A moment as files in a folder, or as a transcript from which the agent itself goes on."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.widgets import Input

from tapes.native.place import AGENTS
from tapes_cli.deck.dialogs.base import Dialog, field
from tapes_cli.deck.dialogs.paths import Paths, expanded
from tapes_cli.deck.model.styled import styled
from tapes_cli.deck.running import typed
from tapes_cli.deck.widgets.choice import Choice

FILES = "files"


class Checkout(Dialog[tuple[str, ...]]):
    """Answers with the words of the command."""

    KEYS = "tab next · ←/→ choose · → take the path proposed · ⏎ check out · esc close"

    def __init__(self, ref: str, short: str, number: int, agent: str, cwd: str) -> None:
        """`agent`: whose session it is; `cwd`: where it ran."""
        super().__init__(f"Check out {ref}:{number}")
        self._ref, self._agent = f"{ref}:{number}", agent
        self._proposed = {FILES: f"tapes-{short}-{number}"} | dict.fromkeys(AGENTS, cwd)

    def body(self) -> ComposeResult:
        own = [agent for agent in AGENTS if agent == self._agent]
        yield field("as")
        yield Choice([FILES, *own, *(agent for agent in AGENTS if agent not in own)], id="kind")
        yield field("where something of it is damaged or withheld")
        yield Choice(["stop", "take what is left"], id="partial")
        yield field("folder")
        yield Input(self._proposed[FILES], suggester=Paths(folders=True), id="path")

    def on_mount(self) -> None:
        self._changed()

    @property
    def words(self) -> tuple[str, ...]:
        kind = self.query_one("#kind", Choice).value
        path = expanded(self.query_one("#path", Input).value)
        if kind == FILES:
            partial = ("--partial",) if self.query_one("#partial", Choice).at else ()
            return ("checkout", self._ref, *(("-o", path) if path else ()), *partial)
        return ("checkout", self._ref, "--as", kind, *(("--cwd", path) if path else ()))

    @on(Choice.Changed)
    def _chosen(self) -> None:
        """A folder that was typed stays."""
        path = self.query_one("#path", Input)
        if path.value in self._proposed.values():
            path.value = self._proposed[self.query_one("#kind", Choice).value]
        self._changed()

    @on(Input.Changed)
    def _changed(self) -> None:
        kind = self.query_one("#kind", Choice).value
        self.query_one("#partial").disabled = kind != FILES
        does = (
            "what was said, the request, the commands and the files of that moment, in a folder that is new or empty"
            if kind == FILES
            else f"a transcript in {kind}'s own place, to go on in that folder; the command for it is copied"
        )
        self.say(styled(typed(self.words), "command"), styled(does, "dim"))

    def action_accept(self) -> None:
        self.dismiss(self.words)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_accept()
