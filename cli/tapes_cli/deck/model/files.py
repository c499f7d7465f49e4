"""The files of a session over its steps: what stood in its directories at one, and every version of each.

Snapshots know it. Of a session that has none there is still what the agent's own tools read, wrote and edited: less,
and said to be less. Both tell it in the same words, so that what draws them need not ask which it is. All of it takes
time with the files there are: it is made in a worker.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Protocol

from tapes.archive.base import Archive
from tapes.checkout.replay import DOUBT, State, below, retold
from tapes.errors import NotFound, UsageError
from tapes.session.attribution import Attribution, Change, Claimed
from tapes.session.blame import Line, blame, lineage
from tapes.session.doings import Doings
from tapes.session.linediff import is_binary
from tapes.session.snapshots import has_snapshots
from tapes.session.treediff import FileDiff, Texts, texts
from tapes.session.view import Step, View
from tapes.session.worktree import Held, Worktree, content, why_not
from tapes.session.worktree import Version as Seen
from tapes.values import dataclass
from tapes_cli import output
from tapes_cli.standing import Standing, standing
from tapes_cli.worktrees import HINT, SIGNS, by, octal, shown, verdict

type Said = tuple[str, str]
"""A line of words as they are, and the name of its style."""


@dataclass(frozen=True, slots=True)
class Row:
    """A path as it stood at a step."""

    root: bytes
    path: bytes
    kind: str
    """As in a listing: `file`, `link`, `dir`, `other`; `gone` where it was deleted, or never there."""
    sign: str = ""
    """How it differs from the start: A, M, D, R, T; `!` where it was said to be changed and is not; "" where it does
    not."""
    size: int | None = None
    versions: int = 0
    """In the whole session, without what it was at the start."""
    step: int | None = None
    """In which it was changed last."""
    by: str = ""
    said: str = ""
    """A verdict of `tapes.session.attribution`."""
    note: str = ""
    """What else is to be said: what makes it doubtful, why there is no content."""
    old: bytes | None = None
    """What it was called at the start."""


@dataclass(frozen=True, slots=True)
class Listing:
    """All directories of a session at a step."""

    step: int
    rows: Sequence[Row]
    """Sorted, root by root."""
    heads: Sequence[Said]
    by_calls: bool = False
    """Nobody looked at the directory: these are the files that calls named."""


@dataclass(frozen=True, slots=True)
class Version:
    """A file as it was for a while."""

    root: bytes
    path: bytes
    what: str
    """`start`, `added`, `changed`, …; `read`, `written`, `edited` where only the calls are known."""
    held: Held | None
    """None: it was not there."""
    place: int
    """Of the snapshot that shows it; of a call its step."""
    wall_ns: int
    step: int | None = None
    by: str = ""
    said: str = ""
    note: str = ""
    text: bytes | None = None
    """Its content, where no snapshot has it and a call does."""

    @property
    def name(self) -> str:
        """Whose version it is, for people."""
        if self.what == "start":
            return "the start"
        return f"step {self.step}" if self.step is not None else f"snapshot {self.place}"


@dataclass(frozen=True, slots=True)
class History:
    """Of one file, oldest first, under the names that it had."""

    versions: Sequence[Version]
    now: int
    """Which of them stood at the step; -1: none of them was there yet."""
    renamed: bytes | None = None
    """What it was called after the last of them."""


class Files(Protocol):
    """Where files are known from."""

    changed_at: Sequence[int]
    """The steps in which any file changed, ascending."""

    def at(self, number: int) -> Listing:
        """When a step was over; 0 is the start. NotFound for a step that there is not."""
        ...

    def history(self, row: Row, number: int) -> History: ...

    def differ(self, old: Version | None, new: Version) -> tuple[FileDiff, Texts]:
        """Never raises for one file: what can not be read is said in its place."""
        ...

    def bytes_of(self, version: Version) -> bytes:
        """NotFound, Withheld or Damaged where they can not be had."""
        ...

    def blame(self, version: Version) -> Sequence[tuple[Line, Change | None]]:
        """Each line with the change that brought it; None: it was there at the start. As `blame` raises."""
        ...


def files_of(archive: Archive, view: View, steps: Sequence[Step]) -> Files:
    """Of a session that has been read."""
    if has_snapshots(view.records):
        return Snapped(archive, Attribution.of(archive, Doings.of(view, steps)))
    return Replayed(view, steps)


# -- by snapshots


class Snapped:
    """As snapshots found them."""

    def __init__(self, archive: Archive, found: Attribution) -> None:
        self._archive, self.found = archive, found
        self._trees = {tree.root: tree for tree in found.trees}
        self.changed_at: Sequence[int] = sorted({change.step for change in found.changes if change.step is not None})
        self._changes = {(c.version.root, c.version.snapshot.place, c.version.path): c for c in found.changes}

    def at(self, number: int) -> Listing:
        rows: list[Row] = []
        heads: list[Said] = []
        for tree in self.found.trees:
            seen = standing(self.found, tree, tree.at(number) if number else tree.tree(0))
            heads += self._heads(seen)
            rows += _rows(seen)
        return Listing(number, rows, heads)

    def _heads(self, seen: Standing) -> Iterator[Said]:
        tree, at, snapshot = seen.tree, seen.at, seen.at.snapshot
        count = output.plural(sum(entry.kind != "dir" for entry in at.entries.values()), "file")
        yield f"{count}, {len(seen.changed)} changed", "bold"
        branch = f"{snapshot.branch} {snapshot.head[:8]}".strip() if snapshot.branch else ""
        taken = f"snapshot {snapshot.n} ({snapshot.cause})"
        told = (shown(tree.root), branch, taken, output.wall(snapshot.wall_ns))
        yield " · ".join(part for part in told if part), "dim"
        if late := [doing.step for doing in self.found.doings.all if doing.began < tree.snapshots[0].began]:
            said = f"the first look was taken after step {late[-1]} had begun"
            yield f"{said}: what was done by then counts as the start", "warn"
        yield from ((f"not sure: {doubt}", "error") for doubt in at.doubts)

    def history(self, row: Row, number: int) -> History:
        tree = self._trees[row.root]
        at = tree.at(number) if number else tree.tree(0)
        place, held = at.snapshot.place, at.entries.get(row.path)
        found = list(lineage(tree, row.path, place))
        later = [v for v in tree.versions(row.path) if v.snapshot.place > place]
        found += [(v.entry, v) for v in later]
        versions = [self._version(tree, entry, seen) for entry, seen in found]
        # A file's own time may tell that what only the next snapshot saw was there by then.
        ahead = next((n for n, (entry, _) in enumerate(found) if entry is held), -1)
        return History(
            versions, max(ahead, len(found) - len(later) - 1), _renamed(tree, found[-1][1] if found else None)
        )

    def _version(self, tree: Worktree, held: Held, seen: Seen | None) -> Version:
        there = None if held.kind == "gone" else held
        note = why_not(held) if held.kind == "file" else ""
        if seen is None:
            return Version(tree.root, held.path, "start", there, 0, tree.snapshots[0].wall_ns, note=note)
        change = self._changes.get((tree.root, seen.snapshot.place, seen.path))
        what = seen.what if seen.moved is None else f"renamed from {shown(seen.moved)}"
        if what == "mode" and seen.before is not None:
            what = f"mode {octal(seen.before.mode)} → {octal(held.mode)}"
        told = (change.step, by(change), verdict(change)) if change else (None, "", "")
        notes = " · ".join(part for part in (note, change.why if change else "") if part)
        return Version(tree.root, held.path, what, there, seen.snapshot.place, seen.snapshot.wall_ns, *told, note=notes)

    def differ(self, old: Version | None, new: Version) -> tuple[FileDiff, Texts]:
        diff = FileDiff(new.path, old.held if old else None, new.held)
        return diff, texts(self._archive, diff)

    def bytes_of(self, version: Version) -> bytes:
        if version.held is None:
            raise NotFound(f"{shown(version.path)} was not there then")
        return content(self._archive, version.held)

    def blame(self, version: Version) -> Sequence[tuple[Line, Change | None]]:
        found = blame(self._archive, self._trees[version.root], version.path, version.place)
        return [(line, self._change(line.origin)) for line in found]

    def _change(self, seen: Seen | None) -> Change | None:
        return self._changes.get((seen.root, seen.snapshot.place, seen.path)) if seen is not None else None


def _rows(seen: Standing) -> Iterator[Row]:
    tree, root = seen.tree, seen.tree.root
    missing = {told.claim.path: told for told in seen.missing}
    for path in sorted({*seen.at.entries, *seen.changed, *missing}):
        held, change = seen.at.entries.get(path), seen.last.get(path)
        sign = SIGNS[seen.changed[path]] if path in seen.changed else ""
        step, who, said, note = _last(change) if sign and change else (None, "", "", "")
        told = missing.get(path)
        if told is not None and (step is None or told.claim.step >= step):
            step, who, said, note = _refuted(told)
            sign = sign or "!"
        why = why_not(held) if held is not None and (held.kind == "file" or held.why) else ""
        yield Row(
            root,
            path,
            held.kind if held is not None else "gone",
            sign,
            held.size if held is not None and held.kind in ("file", "link") else None,
            len(tree.versions(path)),
            step,
            who,
            said,
            " · ".join(part for part in (why, note) if part),
            seen.olds.get(path),
        )


def _last(change: Change) -> tuple[int | None, str, str, str]:
    return change.step, by(change), verdict(change), change.why


def _refuted(told: Claimed) -> tuple[int | None, str, str, str]:
    return told.claim.step, f"said to {told.claim.action} it", told.verdict, told.why


def _renamed(tree: Worktree, last: Seen | None) -> bytes | None:
    """What a path is called after a version that says it is gone."""
    if last is None or last.entry.kind != "gone":
        return None
    return next((v.path for v in tree.changes[last.snapshot.place] if v.moved == last.path), None)


# -- by calls


class Replayed:
    """As the agent's own tools read, wrote and edited them."""

    def __init__(self, view: View, steps: Sequence[Step]) -> None:
        cwd = view.records[0][1].body.get("cwd", b"")
        self._root = cwd if isinstance(cwd, bytes) else str(cwd).encode("utf-8", "surrogateescape")
        text = self._root.decode("utf-8", "surrogateescape")
        self._last = steps[-1].number if steps else 0
        self._ran = [step.number for step in steps if step.type == "command"]
        self._paths: dict[bytes, list[Version]] = {}
        for step, path, state in retold(steps, text):
            name = below(path, text)
            self._paths.setdefault(name, []).append(_told(self._root, name, step, state))
        told = (version for versions in self._paths.values() for version in versions if version.what != "read")
        self.changed_at: Sequence[int] = sorted({version.step for version in told if version.step is not None})

    def at(self, number: int) -> Listing:
        if number > self._last:
            raise NotFound(f"the session has no step {number}", hint=f"it has {self._last}: tapes show")
        rows = []
        for path, versions in sorted(self._paths.items()):
            known = [version for version in versions if version.step is not None and version.step <= number]
            if known:
                rows.append(self._row(path, known, len(versions), number))
        named = f"{output.plural(len(rows), 'file')} that calls named"
        return Listing(number, rows, [(named, "bold"), (DOUBT, "warn"), (HINT, "dim")], by_calls=True)

    def _row(self, path: bytes, known: Sequence[Version], count: int, number: int) -> Row:
        last = known[-1]
        since = bisect_right(self._ran, number) - bisect_right(self._ran, last.step or 0)
        ran = f"{output.plural(since, 'command')} ran since" if since else ""
        changed = next((v for v in reversed(known) if v.what != "read"), None)
        sign = {"deleted": "D"}.get(last.what, "M") if changed else ""
        note = " · ".join(part for part in (last.note, ran) if part)
        size = len(last.text) if last.text is not None and last.what != "deleted" else None
        kind = "gone" if last.what == "deleted" else "file"
        shown_by = changed or last
        return Row(self._root, path, kind, sign, size, count, shown_by.step, shown_by.by, "", note)

    def history(self, row: Row, number: int) -> History:
        versions = self._paths.get(row.path, [])
        return History(versions, sum((version.step or 0) <= number for version in versions) - 1)

    def differ(self, old: Version | None, new: Version) -> tuple[FileDiff, Texts]:
        was, now = old.text if old is not None else b"", new.text
        diff = FileDiff(new.path, old.held if old else None, new.held)
        if was is None or now is None:
            unknown = old if old is not None and was is None else new
            return diff, Texts(why=unknown.note or "its content is not known")
        return diff, Texts(was, now) if not (is_binary(was) or is_binary(now)) else Texts(why="binary")

    def bytes_of(self, version: Version) -> bytes:
        if version.text is None:
            raise NotFound(f"of {shown(version.path)} there is no content: {version.note}")
        return version.text

    def blame(self, version: Version) -> Sequence[tuple[Line, Change | None]]:
        raise UsageError("whose each line is can not be told without snapshots", hint=HINT)


def _told(root: bytes, path: bytes, step: Step, state: State | None) -> Version:
    what = {"read": "read", "write": "written"}.get(str(step.facts.get("action")), "edited")
    name = str(step.facts.get("name", ""))
    if state is None:
        return Version(root, path, "deleted", None, step.number, step.wall_ns, step.number, name, text=b"")
    data = None if state.text is None else state.text.encode("utf-8", "surrogatepass")
    held = Held(path, "file", 0o644, len(data or b""), step.wall_ns, None, None)
    return Version(root, path, what, held, step.number, step.wall_ns, step.number, name, note=state.why, text=data)
