"""What ran in a session: asked, ran and told side by side, with verdicts; the command of the cursor in full below."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.message import Message
from textual.timer import Timer
from textual.worker import get_current_worker

from tapes.errors import TapesError, UsageError
from tapes.session.commands import Command
from tapes_cli.audit_screen import doubts
from tapes_cli.deck.actions import bindings
from tapes_cli.deck.model.commands import MODES, Audit, Listed, document
from tapes_cli.deck.model.document import Document
from tapes_cli.deck.model.results import said
from tapes_cli.deck.model.styled import Line, dotted, styled
from tapes_cli.deck.model.tape import Tape, Told
from tapes_cli.deck.model.trouble import trouble
from tapes_cli.deck.screens.base import TapeScreen
from tapes_cli.deck.widgets.box import Box
from tapes_cli.deck.widgets.head import Head
from tapes_cli.deck.widgets.reader import Reader
from tapes_cli.deck.widgets.rows import Rows
from tapes_cli.deck.widgets.said import Said

SETTLE_S = 0.03
"""How long keys must be still before a command is shown in full."""
SCROLLED = 5
"""Rows that one key moves the text from afar."""


class Commands(TapeScreen):
    BINDINGS: ClassVar = bindings("commands")
    AUTO_FOCUS = "#commands"
    """Not the box, which is there before it is known that it is hidden."""
    VIEW = "commands"

    class Read(Message):
        """The commands were read (again)."""

        def __init__(self, told: Told, audit: Audit) -> None:
            self.told, self.audit = told, audit
            super().__init__()

    class Unread(Message):
        def __init__(self, error: TapesError) -> None:
            self.error = error
            super().__init__()

    def __init__(self, tape: Tape) -> None:
        super().__init__(tape)
        self.counts = Said(id="counts")
        self.box = Box("words, or options of tapes commands: exit:nonzero verdict:unmatched cwd:DIR", id="narrow")
        self.head = Head(id="commands-head")
        self.rows = Rows(id="commands")
        self.reader = Reader(id="command")
        self.listed: Listed | None = None
        self.told: Told | None = None
        self._is_judged = False
        """The commands were read once, or can not be."""
        self.mode = "all"
        self._in_full: Command | None = None
        self._waiting: Timer | None = None

    def body(self) -> ComposeResult:
        yield self.counts
        yield self.box
        yield self.head
        yield self.rows
        yield self.reader

    def on_mount(self) -> None:
        self.rows.focus()

    @property
    def is_unsettled(self) -> bool:
        told = self.tape.told
        return super().is_unsettled or (told is not None and told.whole and not self._is_judged)

    # -- reading

    def on_grown(self) -> None:
        """A beginning alone is not judged: what answers a call may come behind it."""
        told = self.tape.told
        if self.listed is None and told is not None and not told.whole:
            self.counts.tell(styled("reading…", "dim"))
        else:
            self._audit()

    @work(thread=True, exclusive=True, group="audit", exit_on_error=False)
    def _audit(self) -> None:
        worker, told = get_current_worker(), self.tape.told
        if told is None:
            return
        try:
            found: Commands.Read | Commands.Unread = self.Read(told, Audit.of(self.tape.archive, told))
        except TapesError as error:
            found = self.Unread(error)
        if not worker.is_cancelled:
            self.post_message(found)

    def on_commands_unread(self, message: Unread) -> None:
        self._is_judged = True
        self.counts.tell(*trouble(message.error))

    def on_commands_read(self, message: Read) -> None:
        self._is_judged = True
        self.told = message.told
        self._list(message.audit)

    def _list(self, audit: Audit) -> None:
        try:
            self.listed = Listed.of(audit, self.box.text, self.mode)
            self.box.say(self.listed.remarks[0] if self.listed.remarks else "", "warn")
        except UsageError as error:
            self.listed = Listed.of(audit, "", self.mode)
            self.box.say(said(error), "error")
        self.head.show(self.listed.head)
        self.rows.show(self.listed, self._row(self.tape.number))
        self._count()
        self._settle()

    def on_resize(self) -> None:
        self._count()

    def _count(self) -> None:
        listed = self.listed
        if listed is None:
            return
        audit = listed.audit
        parts: list[Line] = [audit.counts()]
        if self.mode != "all" or self.box.text:
            what = f" ({self.mode})" if self.mode != "all" else ""
            parts.insert(0, styled(f"{len(listed)} shown{what}", "accent"))
        if why := audit.unwitnessed():
            parts.append(styled(why, "warn"))
        if lifted := listed.lifted(max(1, self.rows.columns)):
            parts.append(styled(lifted, "dim"))
        self.counts.tell(dotted(parts))

    # -- where one is

    def _row(self, number: int) -> int:
        """The row of a step; the row of the cursor, where its command has the same step."""
        listed, told = self.listed, self.told
        if listed is None or told is None or not len(listed):
            return 0
        row, here = listed.row_of(listed.audit.place(told, number)), self.rows.cursor
        return here if here < len(listed) and listed.number(here) == listed.number(row) else row

    def on_step(self, number: int) -> None:
        if self.listed is not None:
            self.rows.cursor = self._row(number)

    @on(Rows.Moved, "#commands")
    def _moved(self) -> None:
        """A cursor that stands where the current step has put it has not moved: the step may be another than a
        command's."""
        row, listed = self.rows.cursor, self.listed
        if listed is not None and len(listed) and row != self._row(self.tape.number):
            self.go_to(listed.number(row))
        self._settle()

    def _settle(self) -> None:
        if self._waiting is not None:
            self._waiting.stop()
        self._waiting = self.set_timer(SETTLE_S, self._show)

    def _show(self) -> None:
        one, told = self.chosen(), self.told
        if one is None or told is None or self.listed is None:
            self._in_full = None
            self.reader.show(_none(self.listed))
            return
        if one is not self._in_full:
            same = self._in_full is not None and one.hash == self._in_full.hash and one.line == self._in_full.line
            self._in_full = one
            number = self.listed.number(self.rows.cursor)
            self.reader.show(document(self.tape.archive, told, one, number), keep=same)

    def chosen(self) -> Command | None:
        return self.listed.command(self.rows.cursor) if self.listed is not None else None

    # -- what is done

    @on(Rows.Chosen, "#commands")
    def _chosen(self) -> None:
        self.add_class("-reading")
        self.reader.focus()

    def action_failure(self, direction: int) -> None:
        self._go(direction, lambda one: one.failed, "failed command")

    def action_doubt(self, direction: int) -> None:
        self._go(direction, lambda one: bool(doubts(one)), "doubtful command")

    def _go(self, direction: int, wanted: Callable[[Command], bool], what: str) -> None:
        found = self.listed.next(self.rows.cursor, direction, wanted) if self.listed is not None else None
        if found is None:
            self.notify(f"no {what} " + ("behind this one" if direction > 0 else "before this one"))
        else:
            self.rows.cursor = found

    def action_only(self) -> None:
        """All, those that failed, those that are not as they were asked for."""
        names = list(MODES)
        self.mode = names[(names.index(self.mode) + 1) % len(names)]
        self._again()

    def action_copy_command(self) -> None:
        one = self.chosen()
        if one is not None:
            self.deck.copy(one.line, "the line that ran" if one.ran else "the line that was asked for")

    def action_scroll(self, direction: int) -> None:
        self.reader.move(direction * SCROLLED)

    # -- the filter

    def action_filter(self) -> None:
        self.box.open()

    @on(Box.Changed)
    def _again(self) -> None:
        if self.listed is not None:
            self._list(self.listed.audit)

    @on(Box.Entered)
    def _entered(self) -> None:
        self.rows.focus()

    @on(Box.Moved)
    def _pointed(self, message: Box.Moved) -> None:
        self.rows.action_move(message.by)

    @on(Box.Left)
    def _left(self) -> None:
        self.box.close()
        self.rows.focus()

    def action_leave(self) -> None:
        """The text of a command, for the list; else the filter."""
        if self.reader.has_focus:
            self.remove_class("-reading")
            self.rows.focus()
        else:
            self._left()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return action != "leave" or self.reader.has_focus or self.box.display


def _none(listed: Listed | None) -> Document:
    if listed is None or not listed.audit.all:
        return Document.of_text("")
    return Document.of_text("No command is like that. u: all of them; escape: without the filter.", style="dim")
