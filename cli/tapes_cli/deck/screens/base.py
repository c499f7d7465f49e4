"""What all screens of one session share: the session, its current step, how it is read, and what is done to a step."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.worker import Worker, WorkerState, get_current_worker

from tapes.errors import ArchiveError, Damaged, NotFound, UsageError, Withheld
from tapes_cli import output
from tapes_cli.deck.actions import bindings
from tapes_cli.deck.messages import BreaksRead, TapeRead, Trouble
from tapes_cli.deck.model.signs import breaks_stamp
from tapes_cli.deck.model.styled import BLANK, Line
from tapes_cli.deck.model.tape import Tape, Told
from tapes_cli.deck.screens.doing import Doing
from tapes_cli.deck.widgets.bar import Bar
from tapes_cli.deck.widgets.keys import Keys

LIVE_S = 0.5
"""How often it is looked whether another process has recorded more: one look at a table."""
FIRST = 400
"""Records that are read before all are: a screen or two of steps."""


class TapeScreen(Doing):
    """MUST say in its BINDINGS what it adds to those of `tape`."""

    BINDINGS: ClassVar = bindings("tape")
    VIEW = ""

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self.HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-wide")]
        self.tape = tape
        self._breaks = -1
        """The state of the breaks' file that they were read in."""
        self._unjudged = ""
        self._told_shown: Told | None = None
        """The reading that is shown."""
        self._priced_shown = False
        self.bar = Bar(id="title")

    def compose(self) -> ComposeResult:
        yield self.bar
        yield from self.body()
        yield Keys()

    def body(self) -> ComposeResult:
        """What stands between the title and the line of keys."""
        yield from ()

    def on_mount(self) -> None:
        if self.tape.told is None:
            self.bar.say("reading…")
        else:
            self.call_after_refresh(self._shown)
        if self.tape.told is None or not self.tape.told.whole or not self.tape.priced:
            self.read()
        self.set_interval(LIVE_S, self._look)

    @property
    def is_unsettled(self) -> bool:
        """Nothing of the session is shown yet, and it will be."""
        return self._told_shown is None and not self.bar.failed

    # -- for the screens to fill in

    def on_grown(self) -> None:
        """The session has been read (again): `self.tape.told` is another value."""

    def on_step(self, number: int) -> None:
        """The current step is another one."""

    def on_signs(self) -> None:
        """Other steps than before are marked, or stop playing."""

    def status(self) -> Line:
        """What is going on, for the title."""
        return BLANK

    # -- reading

    def _look(self) -> None:
        if self.is_current and (self.tape.told is not self._told_shown or self.tape.priced is not self._priced_shown):
            self._shown()  # read to its end, or priced, for a screen that was left meanwhile
        if self.is_current and self.tape.told is not None and breaks_stamp(self.deck.home) != self._breaks:
            self.judge()
        reads = any(w.group == "tape" and w.node is self and not w.is_finished for w in self.workers)
        if self.is_current and self.tape.told is not None and not reads and self.tape.has_grown():
            self.read()  # also what was recorded while it was read, or when a screen was left before all was

    @work(thread=True, exclusive=True, group="tape", exit_on_error=False)
    def read(self) -> None:
        """Read the session: its beginning first, where nothing of it was read yet."""
        worker = get_current_worker()
        try:
            told = self.tape.told
            if told is None:
                told = self._hand_over(self.tape.read(FIRST))
            if not worker.is_cancelled and (not told.whole or self.tape.has_grown()):
                self._hand_over(self.tape.read())
            if not worker.is_cancelled and self.tape.price():
                self.post_message(TapeRead(self.tape.session, True))
        except (Damaged, NotFound, Withheld) as error:
            self.post_message(Trouble(str(error), error.hint))

    def _hand_over(self, told: Told) -> Told:
        """Have a reading shown. Its breaks are known before it is: playing must not run past one."""
        unjudged = self._judged() if told.whole else None
        self.post_message(TapeRead(self.tape.session, told.whole))
        if unjudged is not None:
            self.post_message(BreaksRead(unjudged))
        return told

    @work(thread=True, exclusive=True, group="breaks", exit_on_error=False)
    def judge(self) -> None:
        """Find anew where playing stops."""
        self.post_message(BreaksRead(self._judged()))

    def _judged(self) -> str:
        """Why it can not be said where playing stops; empty where it can."""
        self._breaks = breaks_stamp(self.deck.home)
        try:
            self.tape.judge(self.deck.home)
        except (ArchiveError, UsageError) as error:
            return str(error)
        return ""

    def on_breaks_read(self, message: BreaksRead) -> None:
        if message.error and message.error != self._unjudged:
            self.notify(output.harmless(message.error), title="breaks", severity="error", markup=False)
        self._unjudged = message.error
        self.on_signs()

    def on_tape_read(self, message: TapeRead) -> None:
        self._shown()

    def on_trouble(self, message: Trouble) -> None:
        self.bar.say(f"can not be read: {message.what}", "error")

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """A fault of ours in reading costs what it was about to show, not the deck."""
        if event.state == WorkerState.ERROR:
            error = event.worker.error
            self.bar.say(f"a fault of tapes while reading: {type(error).__name__}: {error}", "error")

    def _shown(self) -> None:
        before, told = self._told_shown, self.tape.told
        self._told_shown, self._priced_shown = told, self.tape.priced
        if told is None:
            return
        # Who has gone to the end of a session of which only the beginning was there means its end.
        begun = before if before is not None and before.steps and len(before.view.records) == FIRST else None
        awaits_end = begun is not None and not begun.whole and 1 < self.tape.number == begun.order[-1]
        if (awaits_end or self.tape.following) and not self.tape.playing and told.steps:
            self.tape.number = told.order[-1]
        self.tape.number = max(1, min(self.tape.number, len(told.steps))) if told.whole else self.tape.number
        self.titled()
        self.on_grown()
        self.on_step(self.tape.number)

    def titled(self) -> None:
        self.bar.title_of(self.tape, self.VIEW, self.status())

    def go_to(self, number: int) -> None:
        """A person goes to a step: it is followed no more."""
        if self.tape.following and number != self.tape.number:
            self.tape.following = False
            self.titled()
        self.show_step(number)

    def show_step(self, number: int) -> None:
        """Make another step the current one."""
        told = self.tape.told
        if told is None or not told.steps:
            return
        number = max(1, min(number, len(told.steps)))
        if number != self.tape.number:
            self.tape.number = number
            self.on_step(number)

    # -- actions

    def action_view(self, view: str) -> None:
        if view == "compare" and self.tape.beside is None:
            self.action_compare()  # with which, first
        elif view != self.VIEW:
            self.deck.show_view(self.tape, view)

    def action_failure(self, direction: int) -> None:
        told = self.tape.told
        found = told.nearest(self.tape.number, direction, lambda step: step.failed) if told else None
        if found is None:
            where = "behind this step" if direction > 0 else "before this step"
            self.notify(f"no failure {where}{self.so_far}")
        else:
            self.go_to(found)

    @property
    def so_far(self) -> str:
        """For what is said not to be there, while the session is still being read."""
        return "" if self.tape.told is not None and self.tape.told.whole else ", as far as it has been read"

    def action_follow(self) -> None:
        """The last step; while playing, wait there for more."""
        self.tape.following = not self.tape.following
        self._shown()
