"""One file over the steps as it is read: its versions as lines, and the page below them: what differs between two, the
content of one, or whose each of its lines is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from tapes.errors import TapesError
from tapes.session.linediff import is_binary
from tapes.values import dataclass, field
from tapes_cli import output
from tapes_cli.changed import LARGEST
from tapes_cli.deck.model.file_list import MARKS, STYLES
from tapes_cli.deck.model.files import Files, History, Said, Version
from tapes_cli.deck.model.styled import Line, columns, fitted, joined, styled
from tapes_cli.tree_diff import file_lines
from tapes_cli.worktrees import by, shown

type Face = Literal["diff", "content", "blame"]
type Page = tuple[list[Said], list[Said]]
"""Its heading, and its lines."""

FACES: tuple[Face, ...] = ("diff", "content", "blame")
_SIDES = {"+": "ok", "-": "error", "@": "accent", "#": "warn", "\\": "dim", " ": ""}
_SAID, _HASH, _BY = 100, 76, 50
_WHO = 24
"""Columns for who it was, beside a line."""


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
            (styled(one.what, later), 9 if wide < _BY else 12, False),
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


def page(files: Files, history: History, index: int, face: Face, other: int | None = None) -> Page:
    """Of a version. `other`: what it is compared with, else what was before it. Where something can not be read, that
    is the page."""
    one = history.versions[index]
    try:
        match face:
            case "diff" if other is not None and other != index:
                first, last = sorted((index, other))
                return _diff(files, history.versions[first], history.versions[last])
            case "diff" if one.what != "start":
                return _diff(files, history.versions[index - 1] if index else None, one)
            case "blame":
                return _blame(files, one)
            case _:
                return _content(files, one)
    except TapesError as error:
        hint = [(error.hint, "dim")] if error.hint else []
        return [_head(one)], [(str(error), "error"), *hint]


def _head(one: Version) -> Said:
    hashed = one.held.hash.short(12) if one.held is not None and one.held.hash is not None else ""
    size = output.size(one.held.size) if one.held is not None else ""
    when = output.wall(one.wall_ns)
    parts = (shown(one.path), one.name, one.what if one.what != "start" else "", one.by, one.said, size, hashed, when)
    return " · ".join(part for part in parts if part), "bold"


def _notes(one: Version) -> list[Said]:
    return [(one.note, "warn")] if one.note else []


def _diff(files: Files, old: Version | None, new: Version) -> Page:
    diff, both = files.differ(old, new)
    before = f"from {old.name} to {new.name}" if old is not None else f"up to {new.name}"
    heads = [_head(new), (f"{before} · {_counted(both.counts()) if not both.why else both.why}", "dim"), *_notes(new)]
    lines: list[Said] = []
    style = "dim"
    for line in file_lines(diff, both):
        style = (
            _SIDES.get(chr(line[0]) if line else " ", "") if style != "dim" or line[:1] in (b"@", b"#", b"B") else "dim"
        )
        if not line.startswith((b"diff --git ", b"index ")):
            lines.append((line.decode("utf-8", "replace"), style))
    if both.why and not any(text.startswith(("Binary", "#")) for text, _ in lines):
        lines.append((both.why, "warn"))
    return heads, lines or [("nothing differs", "dim")]


def _counted(counts: tuple[int, int]) -> str:
    return f"+{counts[0]} −{counts[1]}"


def _content(files: Files, one: Version) -> Page:
    said = "as it was at the start" if one.what == "start" else f"as it was after {one.name}"
    heads = [_head(one), (said, "dim"), *_notes(one)]
    if one.held is not None and one.held.kind == "dir":
        return heads, [("it is a directory", "dim")]
    data = files.bytes_of(one)
    if is_binary(data):
        return heads, [(f"binary: {output.size(len(data))}; its bytes: tapes cat REF:STEP PATH", "warn")]
    if not data:
        return heads, [("it is empty", "dim")]
    text = data.decode("utf-8", "replace")
    return heads, [(line, "") for line in text.removesuffix("\n").split("\n")]


def _blame(files: Files, one: Version) -> Page:
    found = files.blame(one)
    told = {id(change): output.fit(output.harmless(by(change)), _WHO) for _, change in found if change is not None}
    wide = max(map(output.cell_width, told.values()), default=0)
    digits = len(str(len(found)))
    lines = []
    for line, change in found:
        step = str(change.step) if change is not None and change.step is not None else "·"
        who = output.pad(told[id(change)] if change is not None else "", wide)
        text = line.text.removesuffix(b"\n").decode("utf-8", "replace")
        lines.append((f"{step:>5} {who} {line.number:>{digits}} {text}", "" if change is not None else "dim"))
    start = sum(change is None for _, change in found)
    heads = [
        _head(one),
        (f"each line's step; · there at the start ({start} of {len(found)} lines)", "dim"),
        *_notes(one),
    ]
    return heads, lines or [("it is empty", "dim")]


def counted(
    files: Files, versions: Versions, told: Callable[[], None], is_over: Callable[[], bool]
) -> Mapping[int, str]:
    """Fills in what came and went, from the version that stands now outwards; `told` after each."""
    now = max(versions.history.now, 0)
    for index in _outwards(now, len(versions)):
        if is_over():
            break
        versions.delta[index] = delta(files, versions.history, index)
        told()
    return versions.delta


def _outwards(middle: int, count: int) -> Iterator[int]:
    return iter(sorted(range(count), key=lambda index: abs(index - middle)))
