"""Two sessions side by side, as one list whose rows are both; below it the pair at the cursor in full.

The session of the tape is A until they are swapped. To read the other and to align both takes seconds where they are
long: a worker does it and says what it is at; to leave the screen is to stop it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.worker import get_current_worker

from tapes.errors import TapesError
from tapes.record.digest import Digest
from tapes.session.view import View
from tapes.values import dataclass, field
from tapes_cli.deck.actions import bindings
from tapes_cli.deck.messages import Compared, ComparingAt, FaceMade
from tapes_cli.deck.model.comparing import FACES, Comparing, Face, Pair, PairList, Stopped, compared, swapped
from tapes_cli.deck.model.document import Document
from tapes_cli.deck.model.styled import styled
from tapes_cli.deck.model.tape import Tape, Told
from tapes_cli.deck.model.trouble import trouble
from tapes_cli.deck.screens.base import TapeScreen
from tapes_cli.deck.screens.files import SCROLLED
from tapes_cli.deck.widgets.reader import Reader
from tapes_cli.deck.widgets.rows import Lines, Rows
from tapes_cli.deck.widgets.said import Said
from tapes_cli.deck.widgets.tab_line import TabLine
from tapes_cli.home import cache_folder


@dataclass
class Kept:
    """What the screen is opened with again."""

    comparing: Comparing | None = None
    of: View | None = None
    """The reading of the tape that it was made of."""
    face: Face = "steps"
    folded: bool = False
    places: dict[Face, int] = field(default_factory=dict)
    """Where the cursor is in each face, by pair."""


class CompareScreen(TapeScreen):
    BINDINGS: ClassVar = bindings("compare")
    VIEW = "compare"
    AUTO_FOCUS = "#compare-rows"

    def __init__(self, tape: Tape, other: Digest | None = None) -> None:
        """`other` None: the one that the tape was last compared with, of which there MUST be one."""
        super().__init__(tape)
        if other is not None and other != tape.beside:
            tape.beside = other
            tape.kept.pop("compare", None)
        self.kept: Kept = tape.kept.setdefault("compare", Kept())
        self.heads = Said(id="compare-heads", classes="heads")
        self.faces = TabLine(FACES, id="compare-faces")
        self.rows = Rows(id="compare-rows")
        self.page = Reader(id="compare-page")
        self.listed: PairList | None = None

    def body(self) -> ComposeResult:
        yield self.heads
        yield self.faces
        yield self.rows
        yield self.page

    def on_mount(self) -> None:
        self.heads.tell(styled("reading A …", "dim"))

    # -- reading

    def on_grown(self) -> None:
        told, kept = self.tape.told, self.kept
        if kept.comparing is not None:
            self._show()
        elif told is not None and told.whole and not self._is_reading():
            self._compare(told)

    def _is_reading(self) -> bool:
        own = (worker for worker in self.workers if worker.node is self and worker.group == "compare")
        return any(not worker.is_finished for worker in own)

    @work(thread=True, exclusive=True, group="compare", exit_on_error=False, description="two sessions compared")
    def _compare(self, told: Told) -> None:
        worker, other = get_current_worker(), self.tape.beside
        assert other is not None
        sessions = (self.tape.session, other)
        names = (self.deck.ref_of(sessions[0]), self.deck.ref_of(sessions[1]))
        try:
            found = compared(
                self.tape.archive,
                sessions,
                names,
                cache_folder(),
                (told.view, told.steps),
                self._tell_progress,
                lambda: worker.is_cancelled,
            )
        except Stopped:
            return
        except TapesError as error:
            self.post_message(Compared(told.view, None, trouble(error)))
        else:
            self.post_message(Compared(told.view, Comparing(found)))

    def _tell_progress(self, text: str) -> None:
        self.post_message(ComparingAt(text))

    def on_comparing_at(self, message: ComparingAt) -> None:
        self.heads.tell(styled(f"{message.text} … (escape: leave it)", "dim"))

    def on_compared(self, message: Compared) -> None:
        if message.found is None:
            self.heads.tell(*message.trouble)
            return
        self.kept.comparing, self.kept.of, self.kept.places = message.found, message.of, {}
        self._show()

    def _show(self) -> None:
        comparing, told = self.kept.comparing, self.tape.told
        if comparing is None:
            return
        grown = told is not None and self.kept.of is not told.view
        more = [styled("more has been recorded since: r compares anew", "warn")] if grown else []
        self.heads.tell(*comparing.heads(), *more)
        self.faces.current = self.kept.face
        if not comparing.is_made(self.kept.face):
            self.listed = None
            self.rows.show(Lines([styled("reading…", "dim")]), 0)
            self.page.show(Document(()))
        self._make(comparing, self.kept.face)

    @work(thread=True, exclusive=True, group="face", exit_on_error=False, description="a face of two sessions")
    def _make(self, comparing: Comparing, face: Face) -> None:
        try:
            pairs = comparing.face(face)
        except TapesError as error:
            self.post_message(FaceMade(comparing, face, (), trouble(error)))
        else:
            self.post_message(FaceMade(comparing, face, pairs))

    def on_face_made(self, message: FaceMade) -> None:
        if message.of is not self.kept.comparing or message.face != self.kept.face:
            return
        if message.trouble:
            self.listed = None
            self.rows.show(Lines(list(message.trouble)), 0)
            self.page.show(Document(()))
            return
        self._list(message.pairs)

    def _list(self, pairs: Sequence[Pair]) -> None:
        kept = self.kept
        self.listed = PairList(pairs, folded=kept.folded)
        wanted = kept.places.get(kept.face)
        if wanted is None:
            wanted = next((n for n, pair in enumerate(pairs) if self._begins(pair)), 0)
        self.rows.show(self.listed, self.listed.line_of(wanted))
        if not len(pairs):
            self.page.show(Document(()))

    def _begins(self, pair: Pair) -> bool:
        """Is it where they part? In other faces than the steps: the first that is not the same."""
        first = self.kept.comparing.found.made.first if self.kept.comparing is not None else None
        if self.kept.face != "steps" or first is None:
            return pair.differs
        row = self.kept.comparing.found.made.rows[first.row]  # type: ignore[union-attr]
        return pair.a is row.a and pair.b is row.b

    # -- where one goes

    @property
    def pair(self) -> Pair | None:
        return self.listed.pair(self.rows.cursor) if self.listed is not None else None

    def _mine(self, pair: Pair) -> int | None:
        """The step of the tape's own session, which is B once they were swapped."""
        found = self.kept.comparing.found if self.kept.comparing is not None else None
        step = pair.a if found is not None and found.a.session == self.tape.session else pair.b
        return step.number if step is not None else None

    def on_step(self, number: int) -> None:
        pair, listed = self.pair, self.listed
        if listed is None or self.kept.face not in ("steps", "commands") or (pair and self._mine(pair) == number):
            return
        line = listed.find(lambda one: self._mine(one) == number)
        if line is not None:
            self.rows.cursor = line

    @on(Rows.Moved, "#compare-rows")
    def _moved(self, message: Rows.Moved) -> None:
        pair, listed = self.pair, self.listed
        if listed is None or self.rows.source is not listed:
            return
        self.kept.places[self.kept.face] = listed.index(message.index)
        number = self._mine(pair) if pair is not None else None
        if number is not None:
            self.go_to(number)
        self.page.show(Document(pair.page() if pair is not None else ()))

    def _go(self, line: int | None, what: str, direction: int) -> None:
        if line is None:
            self.notify(f"no {what} " + ("further down" if direction > 0 else "further up"))
        else:
            self.rows.cursor = line

    # -- what is done

    def action_difference(self, direction: int) -> None:
        if self.listed is not None:
            self._go(self.listed.difference(self.rows.cursor, direction), "difference", direction)

    def action_failure(self, direction: int) -> None:
        if self.listed is not None:
            found = self.listed.find(lambda pair: pair.failed, self.rows.cursor, direction)
            self._go(found, "failure", direction)

    def action_face(self, by: int) -> None:
        self._face(self.faces.beside(by))

    @on(TabLine.Picked, "#compare-faces")
    def _picked(self, message: TabLine.Picked) -> None:
        self._face(message.name)

    def _face(self, name: str) -> None:
        self.kept.face = next(face for face in FACES if face == name)
        self._show()

    def action_fold(self) -> None:
        self.kept.folded = not self.kept.folded
        self._show()

    def action_again(self) -> None:
        self.kept.comparing = None
        self.on_grown()

    def action_swap(self) -> None:
        comparing = self.kept.comparing
        if comparing is not None and not self._is_reading():
            self._swap(comparing)

    @work(thread=True, exclusive=True, group="compare", exit_on_error=False, description="the other way round")
    def _swap(self, comparing: Comparing) -> None:
        self.post_message(Compared(self.kept.of, Comparing(swapped(comparing.found))))

    @on(Rows.Chosen, "#compare-rows")
    def _chosen(self) -> None:
        pair = self.pair
        if pair is not None and (pair.a is not None or pair.b is not None):
            self.action_open_side("a" if pair.a is not None else "b")

    def action_open_side(self, side: str) -> None:
        """The step in its session; escape comes back."""
        comparing, pair = self.kept.comparing, self.pair
        step = (pair.a if side == "a" else pair.b) if pair is not None else None
        if comparing is None or step is None:
            self.notify(f"there is no step of {side.upper()} in this row")
            return
        run = comparing.found.a if side == "a" else comparing.found.b
        self.deck.open_tape(run.session, step.number)

    def action_scroll(self, direction: int) -> None:
        self.page.action_move(direction * SCROLLED)
