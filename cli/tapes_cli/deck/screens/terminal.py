"""The recorded terminal as it was, beside the steps: moving in one moves in the other."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from tapes.errors import TapesError
from tapes_cli import output
from tapes_cli.commands.export import no_recording
from tapes_cli.deck.actions import bindings
from tapes_cli.deck.model.outline import Outline
from tapes_cli.deck.model.pacing import faster, slower
from tapes_cli.deck.model.screening import Seen
from tapes_cli.deck.model.signs import signs
from tapes_cli.deck.model.spots import Spot
from tapes_cli.deck.model.styled import BLANK, Line, dotted, joined, styled
from tapes_cli.deck.model.tape import IDLE_CAPS, Tape
from tapes_cli.deck.screens.base import TapeScreen
from tapes_cli.deck.screens.projector import END_NS, Projector
from tapes_cli.deck.widgets.bar import Bar
from tapes_cli.deck.widgets.picture import Picture
from tapes_cli.deck.widgets.rows import Rows
from tapes_cli.deck.widgets.timebar import TimeBar
from tapes_cli.home import cache_folder
from tapes_cli.player import SLACK_NS, clock

OUTLINE = 28
"""Columns that the outline needs, or else it gives way to the recorded screen."""
SECOND, MILLI = 1_000_000_000, 1_000_000


class Steps(Rows, can_focus=False, inherit_bindings=False):
    """The outline. All keys are the screen's, also where it is not shown."""

    BINDINGS: ClassVar = []


class Terminal(TapeScreen):
    BINDINGS: ClassVar = bindings("terminal")
    VIEW = "terminal"
    DEFAULT_CSS = """
    Terminal {
        #steps { width: 1fr; min-width: 28; border-right: solid $panel; }
        #screen { width: 1fr; }
        #picture { height: 1fr; }
        #none { padding: 1 2; height: 1fr; }
    }
    """

    def __init__(self, tape: Tape) -> None:
        super().__init__(tape)
        self.rows = Steps(id="steps")
        self.outline: Outline | None = None
        self.picture = Picture(id="picture")
        self.none = Static("", id="none", markup=False)
        self.clock = Bar(id="status")
        self.timebar = TimeBar(id="timebar")
        self.projector = Projector(tape, cache_folder(), start=self._start, show=self._see, fail=self._failed)
        self.said = ""
        """About the last key, until the next one."""
        self._beside: bool | None = None
        """Was the outline asked for, or to go away?"""
        self._led = False
        """Does the step follow the recording's time? Else the time has followed a step."""
        self._leading = False
        self._led_ns = -1
        """The time that it followed last."""
        self._number = 0
        """The step that was the current one last."""

    def body(self) -> ComposeResult:
        with Horizontal(id="panes"):
            yield self.rows
            with Vertical(id="screen"):
                yield self.picture
                yield self.none
        yield self.clock
        yield self.timebar

    def on_mount(self) -> None:
        self.none.display = False
        self._arrange()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        self.run_worker(work, group="projector", exit_on_error=False)

    def on_resize(self) -> None:
        self._arrange()
        self.call_after_refresh(self._tell)

    def on_unmount(self) -> None:
        self.projector.close()

    def on_screen_suspend(self) -> None:
        self.projector.play(False)
        self._tell()

    # -- what is told

    def on_grown(self) -> None:
        told = self.tape.told
        assert told is not None
        self.outline = Outline.of(told, self.tape.folded)
        self.rows.show(self.outline, self.outline.row_of(self.tape.number))
        self.on_signs()
        if self.tape.following:
            self._led = False  # steps come behind the recording's end, too
            self.projector.go_to(END_NS)

    def on_signs(self) -> None:
        told = self.tape.told
        if told is not None and self.outline is not None:
            self.outline.marks = signs(told, self.tape.stops)
            self.rows.reload()
            self.projector.tell(told, self.tape.stops)

    def on_step(self, number: int) -> None:
        if self.outline is not None and not self._is_at(self.rows.cursor):
            self.rows.cursor = self.outline.row_of(number)
        if not self._leading and number != self._number and not self.tape.following:
            self._led = False
            self.projector.go_to(step=number)
        self._number = number
        self._tell()

    @on(Rows.Moved, "#steps")
    def _moved(self, message: Rows.Moved) -> None:
        node = self.outline.node(message.index) if self.outline else None
        if node is not None and not self._is_at(message.index):  # else it followed the current step
            self.go_to(node.number)

    def _is_at(self, row: int) -> bool:
        """Is this a row of the current step? Its own, or the heading of the thread that begins with it."""
        node = self.outline.node(row) if self.outline else None
        if self.outline is None or node is None:
            return False
        return node.number == self.tape.number or row == self.outline.row_of(self.tape.number)

    def _see(self, seen: Seen | None) -> None:
        if seen is None:
            self._nothing(no_recording(self.tape.session))
            return
        if self.none.display:
            self.none.display, self.picture.display = False, True
        before = self.picture.shot
        self.picture.show(seen.shot)
        if before is None or before.columns != seen.shot.columns:
            self._arrange()
        number = seen.times.step_at(seen.at_ns)
        if seen.stopped is not None:
            number, why = seen.stopped
            self.said = f"● {why}"
            self._lead(number)
        elif (
            (seen.arrived and self._led and seen.at_ns != self._led_ns and number is not None)
            # Of steps of one moment each is as good.
            and seen.times.moment(number) != seen.times.moment(self.tape.number)
        ):
            self._lead(number)
        self._led_ns = seen.at_ns
        self._tell()

    def _lead(self, number: int) -> None:
        """The recording has come to a step."""
        self._leading = True
        try:
            self.show_step(number)
        finally:
            self._leading = False

    def _failed(self, error: TapesError) -> None:
        if self.projector.screening is None:
            self._nothing(error)
        else:
            self.said = f"can not be read: {error}"
            self._tell()

    def _nothing(self, error: TapesError) -> None:
        self.picture.display, self.none.display = False, True
        self.none.update(output.harmless(f"{error}\n\n{error.hint}" if error.hint else str(error), lines=True))
        self._tell()

    # -- what is said

    def _arrange(self) -> None:
        """The outline stands beside the recorded screen where there is room for both, or where it was asked for."""
        shot = self.picture.shot
        wide = shot.columns if shot else 80
        beside = self._beside if self._beside is not None else self.size.width - wide - 2 >= OUTLINE
        self.rows.display = beside
        screen = self.query_one("#screen")
        screen.styles.width = wide + 1 if beside and self.size.width - wide - 2 >= OUTLINE else "1fr"

    @on(Picture.Seen)
    def _seen(self) -> None:
        self._tell()

    def _tell(self) -> None:
        seen, projector = self.projector.seen, self.projector
        self.clock.tell(self._words(seen))
        if seen is None:
            self.timebar.show(None, 0, BLANK)
            return
        upto = clock(seen.times.upto_ns)
        at = seen.at_ns
        ended = seen.ended and not projector.playing
        sign = "▶" if projector.playing else "■" if ended and seen.times.ended else "❚❚"
        cap = self.tape.idle_cap_s
        idle = "" if cap is None else f"≤{cap:g}s"
        label = (
            f" {sign:<2} {clock(at):>{len(upto)}}.{at // (SECOND // 10) % 10}/{upto} {self.tape.speed:>2g}× {idle:<5} "
        )
        self.timebar.show(seen.times, at, styled(label, "bold"))

    def _words(self, seen: Seen | None) -> Line:
        parts = []
        if seen is not None:
            hole = seen.times.hole(seen.at_ns)
            if not seen.arrived:
                parts.append(styled(f"on the way to {clock(self.projector.at_ns)} …", "accent"))
            if hole is not None:
                parts.append(styled(f"incomplete from {clock(hole[0])} on: {hole[1]}", "error"))
            if not seen.times.ended:
                parts.append(styled("live", "accent"))
            parts.append(styled(self.picture.seen(), "warn"))
        told, step = self.tape.told, self.tape.step
        if self.said:
            parts.append(styled(self.said, "accent"))
        elif told is not None and step is not None:
            brief = styled(told.story.brief(step), "error" if step.failed else "")
            parts.append(joined(styled(f"step {step.number} of {len(told.steps)} ", "dim"), brief))
        return dotted(filter(None, parts))

    # -- what is done

    def _go(self, at_ns: int) -> None:
        self.said = ""
        self._led = True
        if self.tape.following and at_ns != END_NS:
            self.tape.following = False
            self.titled()
        self.projector.go_to(at_ns)
        self._tell()

    def go_to_spot(self, spot: Spot) -> None:
        """To the very time, where one was asked for: it is that of the recording's clock here."""
        if spot.since_ns is not None and self.projector.seen is not None:
            self._go(spot.since_ns // MILLI * MILLI)
        else:
            super().go_to_spot(spot)

    def action_play(self) -> None:
        self.said = ""
        self._led = True
        self.projector.play(not self.projector.playing)
        self._tell()

    def action_seek(self, seconds: int) -> None:
        self._go(self.projector.at_ns + seconds * SECOND)

    def action_event(self, direction: int) -> None:
        self.said = ""
        self._led = True
        self.projector.event(direction)

    def action_command(self, direction: int) -> None:
        times = self.projector.times
        mark = times and times.mark(self.projector.at_ns, direction, SLACK_NS if self.projector.playing else 0)
        if mark:
            self._go(mark.at_ns)
        self.said = f"$ {mark.text}" if mark else "no more commands this way"
        self._tell()

    def action_step(self, by: int) -> None:
        self.said = ""
        self.rows.action_move(by)

    def action_page(self, direction: int) -> None:
        self.said = ""
        self.rows.cursor += direction * max(1, self.picture.size.height - 1)

    def action_begin(self) -> None:
        self._go(0)

    def action_end(self) -> None:
        self._go(END_NS)

    def action_speed(self, by: int) -> None:
        self.tape.speed = (faster if by > 0 else slower)(self.tape.speed)
        self._tell()

    def action_idle(self) -> None:
        self.tape.idle_cap_s = cap = IDLE_CAPS[(IDLE_CAPS.index(self.tape.idle_cap_s) + 1) % len(IDLE_CAPS)]
        self.said = "waits as long as it took" if cap is None else f"waits {cap:g} s at most"
        self._tell()

    def action_outline(self) -> None:
        self._beside = not self.rows.display
        self._arrange()

    def action_scroll(self, columns: int, rows: int) -> None:
        self.picture.scroll_relative(columns, rows, animate=False, force=True)

    @on(TimeBar.Sought)
    def _sought(self, message: TimeBar.Sought) -> None:
        self._go(message.at_ns)
