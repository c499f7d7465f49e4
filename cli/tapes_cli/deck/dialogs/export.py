"""A session, or what of it was up to a step, to a file: which format, and where."""

from __future__ import annotations

import os
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.widgets import Input

from tapes_cli.commands.export import FORMATS, UPTO
from tapes_cli.deck.dialogs.base import Dialog, field
from tapes_cli.deck.dialogs.paths import Paths, expanded
from tapes_cli.deck.model.styled import styled
from tapes_cli.deck.running import typed
from tapes_cli.deck.widgets.choice import Choice

ENDINGS = {"asciicast": "cast", "asciicast-v2": "cast", "text": "txt"}
ORDER = ("md", *(form for form in FORMATS if form != "md"))


class Export(Dialog[tuple[str, ...]]):
    """Answers with the words of the command."""

    KEYS = "tab next · ←/→ choose · → take the path proposed · ⏎ export · esc close"

    def __init__(self, ref: str, number: int | None = None) -> None:
        """`number`: the step up to which it may be."""
        super().__init__(f"Export {ref}")
        self._ref, self._number = ref, number
        self._proposed = f"{ref}.md"
        self._replaces = ""
        """The path of which it was said that it is there already."""

    def body(self) -> ComposeResult:
        yield field("format")
        yield Choice(ORDER, id="form")
        if self._number is not None:
            yield field("how much of it")
            yield Choice(["whole", f"up to step {self._number}"], id="upto")
        yield field("to")
        yield Input(self._proposed, suggester=Paths(), id="path")

    def on_mount(self) -> None:
        self._changed()

    @property
    def words(self) -> tuple[str, ...]:
        form, path = self.query_one("#form", Choice).value, self._path
        part = self._number is not None and form in UPTO and self.query_one("#upto", Choice).at == 1
        ref = f"{self._ref}:{self._number}" if part else self._ref
        force = ("--force",) if path and path == self._replaces else ()
        return ("export", ref, "--format", form, "-o", path, *force)

    @property
    def _path(self) -> str:
        return expanded(self.query_one("#path", Input).value)

    @on(Choice.Changed)
    def _chosen(self) -> None:
        form, path = self.query_one("#form", Choice).value, self.query_one("#path", Input)
        if path.value == self._proposed:
            self._proposed = path.value = f"{self._ref}.{ENDINGS.get(form, form)}"
        self._changed()

    @on(Input.Changed, "#path")
    def _changed(self) -> None:
        form = self.query_one("#form", Choice).value
        if self._number is not None:
            self.query_one("#upto").disabled = form not in UPTO
        self.say(
            styled(typed(self.words), "command"),
            styled(f"{form} is of a whole session" if self._number is not None and form not in UPTO else "", "dim"),
        )

    def action_accept(self) -> None:
        """What is there already is replaced only by one more enter."""
        path = self._path
        if not path:
            self.say(styled("to which file?", "error"))
        elif Path(path).is_dir():
            self.say(styled(f"{path} is a folder: to which file in it?", "error"))
        elif os.path.lexists(path) and path != self._replaces:
            self._replaces = path
            self.say(
                styled(f"{path} is there already: ⏎ again replaces it", "warn"), styled(typed(self.words), "command")
            )
        else:
            self.dismiss(self.words)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_accept()
