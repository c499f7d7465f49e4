"""The files of a session as they were at the current step; of the chosen one all versions, and what differs in each.

All of it is made by workers. One lists the files: what is wished for now, and when that is done what is wished for by
then; so a session that grows, or a step that is left at once, never has two of them at work. Another tells of the
chosen file, and is overtaken by the next.
"""

from __future__ import annotations

import time
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.worker import get_current_worker

from tapes.errors import TapesError
from tapes.session.view import View
from tapes.values import dataclass, field
from tapes_cli.deck.actions import bindings
from tapes_cli.deck.messages import FilesListed, VersionsCounted, VersionsRead
from tapes_cli.deck.model.document import Document
from tapes_cli.deck.model.file_list import FileList, Key, Look
from tapes_cli.deck.model.file_pages import FACES, Face, Versions, counted, page
from tapes_cli.deck.model.files import Files, Row, files_of
from tapes_cli.deck.model.styled import Line, joined, styled
from tapes_cli.deck.model.tape import Tape, Told
from tapes_cli.deck.model.trouble import trouble
from tapes_cli.deck.screens.base import TapeScreen
from tapes_cli.deck.widgets.box import Box
from tapes_cli.deck.widgets.reader import Reader
from tapes_cli.deck.widgets.rows import Lines, Rows
from tapes_cli.deck.widgets.said import Said
from tapes_cli.deck.widgets.tab_line import TabLine

SOON_S = 0.03
"""How long the cursor must rest on a file before it is read."""
COUNTED_S = 0.1
SCROLLED = 5


@dataclass
class Kept:
    """What the screen is opened with again."""

    look: Look = field(default_factory=Look)
    opened: set[Key] | None = None
    chosen: Key | None = None
    face: Face = "diff"
    files: Files | None = None
    of: View | None = None
    """The reading that `files` were made of."""


class FilesScreen(TapeScreen):
    BINDINGS: ClassVar = bindings("files")
    VIEW = "files"
    AUTO_FOCUS = "#files-list"

    def __init__(self, tape: Tape) -> None:
        super().__init__(tape)
        self.kept: Kept = tape.kept.setdefault("files", Kept())
        self.heads = Said(id="files-heads", classes="heads")
        self.rows = Rows(id="files-list")
        self.versions = Rows(id="files-versions")
        self.faces = TabLine(FACES, id="files-faces")
        self.page = Reader(id="files-page")
        self.filter = Box("words of a path", id="files-filter")
        self.listed: FileList | None = None
        self._listed_of: tuple[View, int, Look] | None = None
        self._busy = False

    def body(self) -> ComposeResult:
        with Horizontal(id="files-panes"):
            with Vertical(id="files-left"):
                yield self.heads
                yield self.filter
                yield self.rows
            with Vertical(id="files-right"):
                yield self.versions
                yield self.faces
                yield self.page

    def on_mount(self) -> None:
        self.heads.tell(styled("reading the files…", "dim"))

    # -- the files at a step

    def on_grown(self) -> None:
        self._list()

    def on_step(self, number: int) -> None:
        self._list()

    def _list(self) -> None:
        """List what is wished for, unless it is listed; while a worker is at it, that will be seen when it is done."""
        told, wish = self.tape.told, (self.tape.number, self.kept.look)
        before = self._listed_of
        if told is None or self._busy or (before and before[0] is told.view and before[1:] == wish):
            return
        known = self.listed if before and before[0] is told.view and before[1] == wish[0] else None
        self._busy = True
        self._read_files(told, *wish, known)

    @work(thread=True, group="files", exit_on_error=False, description="the files at a step")
    def _read_files(self, told: Told, number: int, look: Look, known: FileList | None) -> None:
        files = self.kept.files if self.kept.of is told.view else None
        try:
            files = files or files_of(self.tape.archive, told.view, told.steps)
            listing = known.listing if known is not None else files.at(min(number, len(told.steps)))
            listed = FileList(listing, look, self.kept.opened)
        except TapesError as error:
            self.post_message(FilesListed(told, number, look, files, None, trouble(error)))
        except BaseException:
            self._busy = False  # a fault of ours, which the title tells: the next step is tried all the same
            raise
        else:
            self.post_message(FilesListed(told, number, look, files, listed))

    def on_files_listed(self, message: FilesListed) -> None:
        self._busy = False  # here, not by the worker: what was wished for meanwhile is looked for below
        self._listed_of = (message.told.view, message.number, message.look)
        if message.files is not None:
            self.kept.files, self.kept.of = message.files, message.told.view
        self.listed = message.listed
        if message.listed is None:
            self.heads.tell(*message.trouble)
            self.rows.show(Lines([]))
            self._clear()
        else:
            self._show(message.listed)
        self._list()

    def _show(self, listed: FileList) -> None:
        first, *more = (styled(text, style) for text, style in listed.listing.heads)
        when = styled(f"when step {listed.listing.step} was over: ", "accent")
        self.heads.tell(joined(when, first, self._how(listed.look)), *more)
        if len(listed):
            self.rows.show(listed, self._place(listed))
            return
        self.rows.show(Lines([styled(self._nothing(listed), "dim")]), 0)
        self._clear()

    @staticmethod
    def _nothing(listed: FileList) -> str:
        """Why no file is listed. Where nobody looked at the directory, it is not known that nothing changed."""
        look, by_calls = listed.look, listed.listing.by_calls
        if look.words:
            return "no path has these words"
        if look.everything or (by_calls and not listed.listing.rows):
            return "no call had read, written or edited a file" if by_calls else "there was no file"
        return (
            "no call had changed a file: a lists those read"
            if by_calls
            else "nothing changed since the start: a lists all files"
        )

    def _place(self, listed: FileList) -> int:
        """The line of the file that was chosen; of the first file, where that is not listed."""
        found = listed.find(self.kept.chosen) if self.kept.chosen is not None else None
        first = next((n for n in range(len(listed)) if listed.row(n) is not None), 0)
        return first if found is None else found

    @staticmethod
    def _how(look: Look) -> Line:
        """What of it is listed."""
        words = f"with “{look.words}”, " if look.words else ""
        return styled(f" ({words}{'all; a: changed ones' if look.everything else 'a: all'})", "dim")

    def _clear(self) -> None:
        self.workers.cancel_group(self, "file")
        self.versions.show(Lines([]))
        self.page.show(Document(()))

    # -- the chosen file

    @on(Rows.Moved, "#files-list")
    def _moved(self, message: Rows.Moved) -> None:
        if self.listed is None or self.rows.source is not self.listed:
            return
        self.kept.chosen = self.listed.key(message.index)
        row = self.listed.row(message.index)
        if row is None:
            self._clear()
        else:
            self._read_versions(row, self.tape.number)

    @work(thread=True, exclusive=True, group="file", exit_on_error=False, description="the versions of a file")
    def _read_versions(self, row: Row, number: int) -> None:
        files = self.kept.files
        time.sleep(SOON_S)
        if files is None or get_current_worker().is_cancelled:
            return
        try:
            versions = Versions(files.history(row, number))
        except TapesError as error:
            self.post_message(VersionsRead((row.root, row.path), None, trouble(error)))
            return
        self.post_message(VersionsRead((row.root, row.path), versions))
        told = time.monotonic()
        for _ in counted(files, versions):
            if get_current_worker().is_cancelled:
                return
            if time.monotonic() - told > COUNTED_S:
                told = time.monotonic()
                self.post_message(VersionsCounted(versions))
        self.post_message(VersionsCounted(versions))

    def on_versions_read(self, message: VersionsRead) -> None:
        if message.key != self.kept.chosen:
            return
        if message.versions is None:
            self._clear()
            self.page.show(Document.of_lines(message.trouble))
            return
        self.versions.show(message.versions, max(message.versions.history.now, 0))
        if not len(message.versions):
            self.page.show(Document.of_text("no version of it is known", style="dim"))

    def on_versions_counted(self, message: VersionsCounted) -> None:
        if self.versions.source is message.versions:
            self.versions.redraw()

    # -- the page of a version

    @on(Rows.Moved, "#files-versions")
    def _turned(self, message: Rows.Moved) -> None:
        self._turn()

    def _turn(self) -> None:
        versions = self.versions.source
        files = self.kept.files
        if files is not None and isinstance(versions, Versions) and len(versions):
            at = self.versions.cursor
            self.page.show(Document(page(files, versions.history, at, self.kept.face, versions.marked)))

    # -- what is done

    @on(Rows.Chosen, "#files-list")
    def _opened(self, message: Rows.Chosen) -> None:
        if self.listed is not None and self.listed.folder(message.index) is not None:
            self._fold(message.index, self.listed.folder(message.index) in self.listed.opened)
        else:
            self.versions.focus()

    def _fold(self, index: int, folded: bool) -> None:
        listed = self.listed
        key = listed.folder(index) if listed is not None else None
        if listed is None or key is None:
            return
        (listed.opened.discard if folded else listed.opened.add)(key)
        self.kept.opened = listed.opened
        listed.arrange()
        self.rows.reload(index)

    def action_into(self) -> None:
        """Open the directory; in an open one, to what is first in it. From a file to its versions."""
        listed, at = self.listed, self.rows.cursor
        key = listed.folder(at) if listed is not None else None
        if listed is not None and key is not None and key in listed.opened:
            self.rows.cursor = at + 1
        elif key is not None:
            self._fold(at, False)
        else:
            self.versions.focus()

    def action_out(self) -> None:
        """From the versions back to the files; there to the directory that the row is in, and close it."""
        if not self.rows.has_focus:
            self.rows.focus()
            return
        listed, at = self.listed, self.rows.cursor
        if listed is None:
            return
        key = listed.folder(at)
        if key is not None and key in listed.opened:
            self._fold(at, True)
        else:
            self.rows.cursor = listed.above(at)

    @on(Rows.Chosen, "#files-versions")
    def _went(self, message: Rows.Chosen) -> None:
        """Make the step of a version the current one."""
        versions, told = self.versions.source, self.tape.told
        if not isinstance(versions, Versions) or told is None:
            return
        one = versions.history.versions[message.index]
        if one.what == "start":
            self.notify("it was so before the first step")
            return
        self.go_to(one.step if one.step is not None else told.at_time(one.wall_ns))

    def action_other_side(self) -> None:
        """The version at the cursor is the other side of the diff, until it is marked again."""
        versions, at = self.versions.source, self.versions.cursor
        if not isinstance(versions, Versions) or not len(versions):
            self.notify("there is no version to mark")
            return
        versions.marked = at if versions.marked != at else None
        self.versions.redraw()
        self._face("diff")

    def action_face(self, by: int) -> None:
        self._face(self.faces.beside(by))

    @on(TabLine.Picked, "#files-faces")
    def _picked(self, message: TabLine.Picked) -> None:
        self._face(message.name)

    def _face(self, name: str) -> None:
        self.faces.current = name
        self.kept.face = next(face for face in FACES if face == name)
        self._turn()

    def action_change(self, direction: int) -> None:
        files, here = self.kept.files, self.tape.number
        if files is None:
            self.notify("the files are still being read")
            return
        later = [step for step in files.changed_at if (step - here) * direction > 0]
        if not later:
            self.notify("no file changed " + ("after this step" if direction > 0 else "before this step"))
            return
        self.go_to(min(later) if direction > 0 else max(later))

    def action_tree(self) -> None:
        look = self.kept.look
        self._look_at(Look(not look.tree, look.everything, look.words))

    def action_everything(self) -> None:
        look = self.kept.look
        self._look_at(Look(look.tree, not look.everything, look.words))

    def _look_at(self, look: Look) -> None:
        self.kept.look = look
        self._list()

    def action_filter(self) -> None:
        self.filter.open()

    @on(Box.Changed)
    def _filtered(self, message: Box.Changed) -> None:
        look = self.kept.look
        if message.text != look.words:
            self._look_at(Look(look.tree, look.everything, message.text))

    @on(Box.Moved)
    def _moved_from_box(self, message: Box.Moved) -> None:
        self.rows.action_move(message.by)

    @on(Box.Entered)
    def _filter_stands(self) -> None:
        if not self.filter.text:
            self.filter.close()
        self.rows.focus()

    @on(Box.Left)
    def _filter_left(self) -> None:
        self.filter.close()
        self.rows.focus()

    def action_scroll(self, direction: int) -> None:
        self.page.action_move(direction * SCROLLED)
