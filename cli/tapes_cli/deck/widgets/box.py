"""A line to type in, with what there is to say of it beside it; and one that asks the index as somebody types."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input, Static
from textual.worker import Worker, WorkerState, get_current_worker

from tapes_cli import output
from tapes_cli.deck.actions import bindings
from tapes_cli.deck.messages import Latest
from tapes_cli.deck.model.results import Answer, Overtaken, Seeker
from tapes_cli.deck.widgets.palette import style_of

PAUSE_S = 0.15
"""After the last key, until the index is asked."""


class Box(Horizontal):
    """Shown while what is typed in it holds: a filter, a search."""

    DEFAULT_CSS = """
    Box { height: 1; background: $boost; display: none; }
    Box > Input, Box > Input:focus { border: none; height: 1; padding: 0 1; width: 1fr; background: transparent; }
    Box > #sign { width: auto; padding: 0 0 0 1; color: $text-accent; }
    Box > #remark { width: auto; max-width: 60%; height: 1; padding: 0 1; }
    """
    BINDINGS: ClassVar = bindings("box")

    class Changed(Message):
        """Another text was typed."""

        def __init__(self, text: str) -> None:
            self.text = text
            super().__init__()

    class Entered(Message):
        """Enter, in the box."""

    class Left(Message):
        """Escape, in the box."""

    class Moved(Message):
        """Up or down, in the box: it is the list that is meant."""

        def __init__(self, by: int) -> None:
            self.by = by
            super().__init__()

    def __init__(self, placeholder: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.input = Input(placeholder=placeholder, select_on_focus=False)
        self.remark = Static("", id="remark", markup=False)

    def compose(self) -> ComposeResult:
        yield Static("/", id="sign", markup=False)
        yield self.input
        yield self.remark

    @property
    def text(self) -> str:
        return self.input.value.strip()

    def open(self) -> None:
        self.display = True
        self.screen.refresh_bindings()  # escape means another thing now
        self.screen.set_focus(self.input)  # now, not when its turn comes: the next key is for it

    def close(self) -> None:
        """Nothing is asked for any more."""
        self.input.value = ""
        self.display = False
        self.screen.refresh_bindings()
        self.say("")

    def put(self, text: str) -> None:
        """As if it had been typed."""
        self.display = True
        self.screen.refresh_bindings()
        self.input.value = text
        self.input.cursor_position = len(text)

    def say(self, text: str, style: str = "dim") -> None:
        said = Text(output.harmless(text), style_of(self.app, style), no_wrap=True, overflow="ellipsis")
        self.remark.update(said)

    @on(Input.Changed)
    def _changed(self, message: Input.Changed) -> None:
        message.stop()
        self.changed()
        self.post_message(self.Changed(self.text))

    @on(Input.Submitted)
    def _submitted(self, message: Input.Submitted) -> None:
        message.stop()
        self.post_message(self.Entered())

    def changed(self) -> None:
        """For a box that does something of its own about it."""

    def action_leave(self) -> None:
        self.post_message(self.Left())

    def action_list(self, by: int) -> None:
        self.post_message(self.Moved(by))


class Ask(Box):
    """Asks the index, once nobody has typed for a moment. A newer question overtakes an older one."""

    class Answered(Latest):
        def __init__(self, answer: Answer) -> None:
            self.answer = answer
            super().__init__()

    class Indexed(Latest):
        def __init__(self, done: int, total: int) -> None:
            self.done, self.total = done, total
            super().__init__()

    def __init__(self, placeholder: str, seeker: Seeker, *, limit: int | None = None, id: str | None = None) -> None:
        super().__init__(placeholder, id=id)
        self.seeker = seeker
        self.limit = limit
        self.busy = False
        """A question waits, or is being answered."""
        self._timer: Timer | None = None

    def changed(self) -> None:
        self.say("")
        self.ask(PAUSE_S)

    def ask(self, pause: float = 0.0, limit: int | None = None) -> None:
        """Ask what stands there; again, where it was asked before. `limit` None: as usual."""
        if self._timer is not None:
            self._timer.stop()
        self.busy = bool(self.text)
        work = partial(self._asked, self.text, limit or self.limit)
        if not self.text:
            self.workers.cancel_group(self, "ask")
            self.post_message(self.Answered(Answer()))
        elif pause:
            self._timer = self.set_timer(pause, partial(self._begin, work))
        else:
            self._begin(work)

    def _begin(self, work: partial[None]) -> None:
        self._timer = None
        self.run_worker(work, name="ask", group="ask", exclusive=True, thread=True, exit_on_error=False)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A fault of ours costs the answer, not the deck."""
        if event.state == WorkerState.ERROR:
            error = event.worker.error
            trouble = f"a fault of tapes while searching: {type(error).__name__}: {error}"
            self.post_message(self.Answered(Answer(self.text, trouble=trouble)))

    def _asked(self, text: str, limit: int | None) -> None:
        worker = get_current_worker()

        def progress(done: int, total: int) -> None:
            self.post_message(self.Indexed(done, total))

        try:
            answer = self.seeker.ask(text, limit, progress=progress, overtaken=lambda: worker.is_cancelled)
        except Overtaken:
            return
        if not worker.is_cancelled:
            self.post_message(self.Answered(answer))

    @on(Indexed)
    def _indexed(self, message: Indexed) -> None:
        message.stop()
        if self.busy and message.done < message.total:
            self.say(f"indexing: {message.done} of {message.total} records")

    @on(Answered)
    def _answered(self, message: Answered) -> None:
        if message.answer.text.rstrip("*") != self.text.rstrip("*"):
            message.stop()  # something else was typed meanwhile
            return
        self.busy = False
        self.say(message.answer.wrong, "error")
