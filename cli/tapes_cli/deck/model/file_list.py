"""The files of a step as lines: a tree whose directories open, or a flat list in which what changed comes first.

Made once for a listing and a way to look at it; what a line says is made when it is drawn. A tree of fifty thousand
files is walked once, and to open a directory takes only what is seen then.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from tapes.session.attribution import FALSE, TRUE, UNCLAIMED
from tapes.values import dataclass, field
from tapes_cli import output
from tapes_cli.deck.model.files import Listing, Row
from tapes_cli.deck.model.styled import Line, columns, fitted, joined, styled, width
from tapes_cli.standing import parents
from tapes_cli.worktrees import shown

MARKS = {TRUE: "✓", FALSE: "!", UNCLAIMED: "?"}
"""Of verdicts, where there is no room for their words."""
STYLES = {TRUE: "ok", FALSE: "error", UNCLAIMED: "warn"}
SIGNS = {"A": "ok", "M": "warn", "D": "error", "R": "accent", "T": "accent", "!": "error"}
_SAID, _BY, _SIZE, _COUNT = 92, 76, 62, 44
"""Columns from which on a line has its verdict in words, whom it is put to, its size, how many versions there are."""

type Key = tuple[bytes, bytes]
"""A root, and a path in it."""


@dataclass(frozen=True, slots=True)
class Look:
    """How the files are looked at."""

    tree: bool = True
    everything: bool = False
    """Not only what differs from the start."""
    words: str = ""
    """All of them in a path, in whatever case."""


@dataclass(slots=True)
class _Folder:
    root: bytes
    path: bytes
    row: Row | None = None
    folders: dict[bytes, _Folder] = field(default_factory=dict)
    files: list[Row] = field(default_factory=list)
    count: int = 0
    changed: int = 0


@dataclass(frozen=True, slots=True)
class _Shown:
    depth: int
    row: Row | None = None
    folder: _Folder | None = None
    open: bool = False


class FileList:
    """Lines for a widget; `open` are the directories that are, and may be changed from outside before `arrange`."""

    def __init__(self, listing: Listing, look: Look, opened: Collection[Key] | None = None) -> None:
        self.listing, self.look = listing, look
        self._chosen = [row for row in listing.rows if _is_chosen(row, look)]
        self._top = _folders(self._chosen) if look.tree else {}
        self.opened: set[Key] = set(opened) if opened is not None else set(self._telling())
        self._shown: list[_Shown] = []
        self.arrange()

    def _telling(self) -> Iterator[Key]:
        """Directories that something changed in: open to begin with, and the roots are."""
        for row in self.listing.rows:
            if row.sign:
                yield from ((row.root, above) for above in parents(row.path))
        yield from ((root, b"") for root in self._top)

    def arrange(self) -> None:
        """Anew, as directories were opened or closed."""
        if not self.look.tree:
            rows = [row for row in self._chosen if row.kind != "dir" or row.sign or row.note]
            ordered = sorted(rows, key=lambda row: not row.sign)
            self._shown = [_Shown(0, row) for row in ordered]
            return
        several = len(self._top) > 1
        # A stack of our own, as paths may be deeper than calls can be.
        waiting: list[tuple[_Folder | Row, int]] = []
        for top in reversed(self._top.values()):
            waiting += [(top, 0)] if several else _inside(top, 0)
        self._shown = []
        while waiting:
            at, depth = waiting.pop()
            if isinstance(at, Row):
                self._shown.append(_Shown(depth, at))
                continue
            is_open = (at.root, at.path) in self.opened or bool(self.look.words)
            self._shown.append(_Shown(depth, at.row, at, is_open))
            waiting += _inside(at, depth + 1) if is_open else []

    def __len__(self) -> int:
        return len(self._shown)

    def row(self, index: int) -> Row | None:
        """The file of a line; None on a directory's."""
        if not 0 <= index < len(self._shown):
            return None
        found = self._shown[index]
        return found.row if found.folder is None else None

    def folder(self, index: int) -> Key | None:
        """The directory of a line."""
        found = self._shown[index].folder if 0 <= index < len(self._shown) else None
        return (found.root, found.path) if found is not None else None

    def above(self, index: int) -> int:
        """The line of the directory that a line stands in; the same where there is none."""
        if not 0 <= index < len(self._shown):
            return index
        depth = self._shown[index].depth
        return next((n for n in range(index - 1, -1, -1) if self._shown[n].depth < depth), index)

    def find(self, key: Key) -> int | None:
        """The line of a file or a directory."""
        for index, one in enumerate(self._shown):
            at = one.folder or one.row
            if at is not None and (at.root, at.path) == key:
                return index
        return None

    def key(self, index: int) -> Key | None:
        row = self.row(index)
        return (row.root, row.path) if row is not None else self.folder(index)

    # -- lines

    def line(self, index: int, wide: int) -> Line:
        one = self._shown[index]
        if one.folder is not None:
            return fitted(_folder_line(one, one.folder), wide)
        row = one.row
        assert row is not None
        many = str(row.versions) if row.versions else ""
        size = output.size(row.size) if row.size is not None else row.kind if row.kind not in ("file", "gone") else ""
        step = str(row.step) if row.step is not None else ""
        said = styled(row.said, STYLES.get(row.said, "")) if row.said else styled(row.note, "dim")
        mark = styled(MARKS.get(row.said, "" if not row.note else "·"), STYLES.get(row.said, "dim"))
        cells: list[tuple[Line, int, bool]] = [
            (styled(size, "dim"), 8 if wide >= _SIZE else 0, True),
            (styled(many and f"×{many}", "dim"), 4 if wide >= _COUNT else 0, True),
            (styled(step, "accent"), 5, True),
            (styled(row.by, ""), (wide - _BY) // 3 + 14 if wide >= _BY else 0, False),
            (said, 22, False) if wide >= _SAID else (mark, 1, False),
        ]
        used = sum(cell + 1 for _, cell, _ in cells if cell)
        head = joined(styled("  " * one.depth), styled(f"{row.sign or ' '} ", SIGNS.get(row.sign, "")))
        room = max(8, wide - used - width(head))
        name = _name(row, room, base=self.look.tree)
        return fitted(joined(head, columns([(name, room, False), *cells], " ")), wide)


def _name(row: Row, room: int, *, base: bool) -> Line:
    """In a tree its last part; else as much of its end as there is room for: what a path ends with tells it best."""
    text = shown(row.path.rpartition(b"/")[2] if base else row.path)
    style = "" if row.sign else "dim" if row.kind == "gone" or row.note else ""
    told = (
        joined(styled(shown(row.old) + " → ", "dim"), styled(text, style))
        if row.old is not None
        else styled(text, style)
    )
    return told if width(told) <= room else _ending(styled(text, style), room)


def _ending(line: Line, room: int) -> Line:
    text, style = line[0]
    while text and width(((text, style),)) > room - 1:
        text = text[max(1, width(((text, style),)) - room) // 2 or 1 :]
    return (("…" + text, style),)


def _inside(folder: _Folder, depth: int) -> list[tuple[_Folder | Row, int]]:
    """Last first."""
    inner: list[_Folder | Row] = [*folder.folders.values(), *folder.files]
    return [(one, depth) for one in reversed(inner)]


def _folder_line(one: _Shown, folder: _Folder) -> Line:
    name = shown(folder.path.rpartition(b"/")[2] if folder.path else folder.root)
    changed = f", {folder.changed} changed" if folder.changed else ""
    count = f"  {output.plural(folder.count, 'file')}{changed}" if folder.count else ""
    note = f"  {folder.row.note}" if folder.row is not None and folder.row.note else ""
    sign = folder.row.sign if folder.row is not None else ""
    return joined(
        styled("  " * one.depth),
        styled(f"{sign or ('▾' if one.open else '▸')} ", SIGNS.get(sign, "dim")),
        styled(f"{name}/", "bold"),
        styled(count + note, "dim"),
    )


def _is_chosen(row: Row, look: Look) -> bool:
    if not (look.everything or row.sign):
        return False
    path = shown(row.path).casefold()
    return all(word in path for word in look.words.casefold().split())


def _folders(rows: Sequence[Row]) -> dict[bytes, _Folder]:
    """By root."""
    found: dict[bytes, _Folder] = {}
    known: dict[Key, _Folder] = {}
    for row in rows:
        if row.root not in found:
            found[row.root] = known[row.root, b""] = _Folder(row.root, b"")
        holding = _folder(known, row.root, row.path.rpartition(b"/")[0])
        if row.kind == "dir":
            _folder(known, row.root, row.path).row = row
            continue
        holding.files.append(row)
        for above in (*parents(row.path), b""):
            known[row.root, above].count += 1
            known[row.root, above].changed += bool(row.sign)
    return found


def _folder(known: dict[Key, _Folder], root: bytes, path: bytes) -> _Folder:
    """With all that it stands in."""
    missing = []
    while (root, path) not in known:
        missing.append(path)
        path = path.rpartition(b"/")[0]
    for inner in reversed(missing):
        above = known[root, path]
        known[root, inner] = above.folders[inner] = _Folder(root, inner)
        path = inner
    return known[root, path]
