"""One file over the steps as it is read: its versions as lines, and the page below them: what differs between two, the
content of one, or whose each of its lines is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import dropwhile
from typing import Literal

from tapes.errors import UsageError
from tapes.session.attribution import Change
from tapes.session.blame import Line as Blamed
from tapes.session.linediff import is_binary
from tapes.session.treediff import FileDiff, Texts
from tapes.values import dataclass, field
from tapes_cli import output
from tapes_cli.changed import LARGEST
from tapes_cli.deck.model.document import Block
from tapes_cli.deck.model.file_list import MARKS, STYLES
from tapes_cli.deck.model.files import Files, History, Version
from tapes_cli.deck.model.styled import BLANK, Line, columns, fitted, joined, padded, styled, width
from tapes_cli.deck.model.unlike import tabbed
from tapes_cli.tree_diff import file_lines
from tapes_cli.worktrees import by, shown

type Face = Literal["diff", "content", "blame"]
FACES: tuple[Face, ...] = ("diff", "content", "blame")
_SIDES = {"+": "ok", "-": "error", "@": "accent", "\\": "dim"}
_SAID, _HASH, _BY = 100, 76, 50
_TOLD, _WHO = 60, 24
"""Columns for who it was: above a page, and beside a line."""


@dataclass
class Versions:
    """The versions of a file, a line each. What is counted from contents comes later, and is blank until then."""

    history: History
    delta: dict[int, str] = field(default_factory=dict)
    """Lines that came and went, by version."""
    marked: int | None = None
    """The other side of the diff, chosen by hand."""

    def __len__(self) -> int:
        return len(self.history.versions)

    def line(self, index: int, wide: int) -> Line:
        one = self.history.versions[index]
        here = "●" if index == self.history.now else " "
        mark = "x" if index == self.marked else " "
        later = "dim" if index > self.history.now else ""
        hashed = one.held.hash.short(8) if one.held is not None and one.held.hash is not None else ""
        cells: list[tuple[Line, int, bool]] = [
            (styled(str(one.step) if one.step is not None else "·", later or "accent"), 5, True),
            (styled(one.what.partition(" ")[0], later), 7, False),
            (_delta(self.delta.get(index, ""), later), 11, True),
            (styled(output.size(one.held.size) if one.held is not None else "", "dim"), 8 if wide >= _BY else 0, True),
            (styled(hashed, "dim"), 8 if wide >= _HASH else 0, False),
            (styled(MARKS.get(one.said, ""), STYLES.get(one.said, "")), 1 if wide < _SAID else 0, False),
            (styled(one.said, STYLES.get(one.said, "")), 20 if wide >= _SAID else 0, False),
        ]
        head = joined(styled(here, "accent"), styled(mark, "bold"), columns(cells, " "))
        return fitted(joined(head, styled(f" {one.by}", later)), wide)


def _delta(text: str, style: str) -> Line:
    plus, _, minus = text.partition(" ")
    return joined(styled(plus, style or "ok"), styled(minus and f" {minus}", style or "error"))


def delta(files: Files, history: History, index: int) -> str:
    """`+12 −3`; empty where that is not known, or nothing to compare with."""
    one = history.versions[index]
    if one.what in ("start", "read") or (one.held is not None and one.held.kind not in ("file", "link")):
        return ""
    if one.held is not None and one.held.size > LARGEST:
        return ""
    _, both = files.differ(history.versions[index - 1] if index else None, one)
    plus, minus = both.counts()
    return both.why if both.why == "binary" else "" if both.why else f"+{plus} −{minus}"


def page(files: Files, history: History, index: int, face: Face, other: int | None = None) -> Iterator[Block]:
    """Of a version. `other`: what it is compared with, else what was before it. What can not be read raises as it is
    read."""
    one = history.versions[index]
    match face:
        case "diff" if other is not None and other != index:
            first, last = sorted((index, other))
            yield from _diff(files, history.versions[first], history.versions[last])
        case "diff" if one.what != "start":
            yield from _diff(files, history.versions[index - 1] if index else None, one)
        case "blame":
            yield Block(lines=_heads(one))
            yield from _blame(files, one)
        case _:
            said = "as it was at the start" if one.what == "start" else f"as it was after {one.name}"
            yield Block(lines=[*_heads(one, said), BLANK])
            yield _content(files, one)


def _heads(one: Version, said: str = "") -> list[Line]:
    """Which version it is, and what is to be said of it."""
    hashed = one.held.hash.short(12) if one.held is not None and one.held.hash is not None else ""
    size = output.size(one.held.size) if one.held is not None else ""
    kind = one.held.kind if one.held is not None and one.held.kind != "file" else ""
    what = one.what if one.what != "start" else ""
    who = output.fit(one.by, _TOLD)
    parts = (kind, one.name, what, who, one.said, size, hashed, output.wall(one.wall_ns))
    about = styled(" · " + " · ".join(part for part in parts if part))
    lines = [joined(styled(shown(one.path), "bold"), about), styled(said, "dim"), styled(one.note, "warn")]
    return [line for line in lines if line]


def _diff(files: Files, old: Version | None, new: Version) -> Iterator[Block]:
    yield Block(lines=_heads(new))  # at once, as to compare may take a while
    diff, both = files.differ(old, new)
    counts = "+{} −{}".format(*both.counts()) if not both.why else both.why
    before = f"from {old.name} to {new.name}" if old is not None else f"up to {new.name}"
    yield Block(lines=[styled(f"{before} · {counts}", "dim"), BLANK])
    lines = git_lines(diff, both)
    if new.text is not None:  # of which a call tells no mode, nor that it was not there before
        lines = dropwhile(lambda line: not line[0][0].startswith("@@"), lines)
    yield Block(lines=lines, empty=f"not compared: {both.why}" if both.why else "nothing differs")


def git_lines(diff: FileDiff, both: Texts) -> Iterator[Line]:
    """As git writes it, but for what only a program needs."""
    inside = False
    for line in file_lines(diff, both):
        inside = inside or line.startswith(b"@@")
        sign = line[:1].decode("latin-1")
        if not line.startswith((b"diff --git ", b"index ")):
            style = _SIDES.get(sign, "") if inside else "warn" if sign in ("#", "B") else "dim"
            yield tabbed(line.decode("utf-8", "replace"), style)


def _content(files: Files, one: Version) -> Block:
    if one.held is not None and one.held.kind == "dir":
        return Block(empty="it is a directory")
    data = files.bytes_of(one)
    if is_binary(data):
        return Block(empty=f"binary, {output.size(len(data))}; its bytes: tapes cat REF:STEP PATH")
    return Block(text=(data.decode("utf-8", "replace"),), empty="it is empty", size=len(data))


def _blame(files: Files, one: Version) -> Iterator[Block]:
    if one.held is not None and one.held.size > LARGEST:
        size = output.size(one.held.size)
        raise UsageError(f"{size} are too much to be told line by line here", hint="tapes blame REF:STEP PATH")
    found = files.blame(one)
    start = sum(change is None for _, change in found)
    said = f"each line's step; · there at the start ({start} of {output.plural(len(found), 'line')})"
    yield Block(lines=[styled(said, "dim"), BLANK])
    yield Block(lines=_blamed(found), empty="it is empty")


def _blamed(found: Sequence[tuple[Blamed, Change | None]]) -> Iterator[Line]:
    told = {id(change): styled(by(change)) for _, change in found if change is not None}
    wide = min(max(map(width, told.values()), default=0), _WHO)
    digits = len(str(len(found)))
    for line, change in found:
        step = str(change.step) if change is not None and change.step is not None else "·"
        who = told.get(id(change), BLANK)
        text = line.text.removesuffix(b"\n").decode("utf-8", "replace")
        number = styled(f" {line.number:>{digits}} ", "dim")
        yield joined(styled(f"{step:>5} ", "accent"), padded(who, wide), number, tabbed(text, "" if change else "dim"))


def counted(files: Files, versions: Versions) -> Iterator[int]:
    """Fills in what came and went, from the version that stands now outwards: those that have been, as they are."""
    now = max(versions.history.now, 0)
    for index in sorted(range(len(versions)), key=lambda index: abs(index - now)):
        versions.delta[index] = delta(files, versions.history, index)
        yield index
