"""A working directory through a session: its files at the start, what changed with each snapshot, any file as it was.

Snapshots are folded once, in order: the first one's rows are the base, of each later one only what differs is kept. So
it takes time with what was written, and memory with the files there are and the changes there were. Contents are read
when they are asked for, out of the part that brought them, and checked against the row's own hash.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from blake3 import blake3

from tapes.archive.base import Archive
from tapes.errors import Damaged, NotFound, Withheld
from tapes.record import listing
from tapes.record.digest import Digest
from tapes.record.kinds import BodyRef, Record
from tapes.record.listing import Entry
from tapes.session.snapshots import Records, Snapshot, snapshots
from tapes.values import dataclass, field

if TYPE_CHECKING:
    from tapes.session.doings import Doings
    from tapes.session.view import Step

FALLEN = (Damaged, NotFound)
"""What a part that can not be read raises; Withheld is a NotFound."""
_NOWHERE = Digest(bytes(32))
WHY = {
    "ignored": "it is ignored",
    "large": "it is too large",
    "secret": "it is of a kind that holds secrets",
    "changing": "it was being written, twice in a row",
    "unreadable": "it could not be read",
    "budget": "there was no time for it",
    "special": "it is no file",
}


@dataclass(frozen=True, slots=True)
class Held(Entry):
    """A row, and where its content is kept."""

    record: Digest = _NOWHERE
    """The part that brought it."""
    body: BodyRef | None = None
    offset: int = 0

    @property
    def stored(self) -> bool:
        return self.hash is not None

    def same(self, other: Entry | None) -> bool:
        """Nothing but times differs."""
        return other is self or (other is not None and _identity(self) == _identity(other))


@dataclass(frozen=True, slots=True)
class Version:
    """A path as one snapshot found it changed."""

    path: bytes
    entry: Held
    """Of kind `gone` where it was deleted."""
    before: Held | None
    """What was there, of a rename under the other name; None: nothing, as far as is known."""
    session: Digest
    snapshot: Snapshot
    moved: bytes | None = None
    """The path that it was renamed from."""

    @property
    def root(self) -> bytes:
        return self.snapshot.root

    @property
    def n(self) -> int:
        return self.snapshot.n

    @property
    def record(self) -> Digest:
        return self.entry.record

    @property
    def cause(self) -> str:
        return self.snapshot.cause

    @property
    def is_directory(self) -> bool:
        """It is one now; or was one that is gone."""
        last = self.before if self.entry.kind == "gone" else self.entry
        return last is not None and last.kind == "dir"

    @property
    def what(self) -> str:
        """`added`, `renamed`, `deleted`, `changed` (its content or kind), `mode`."""
        if self.entry.kind == "gone":
            return "deleted"
        if self.moved is not None:
            return "renamed"
        if self.before is None:
            return "added"
        was, now = self.before, self.entry
        same = (was.kind, was.hash, was.size if was.hash is None else 0) == (
            now.kind,
            now.hash,
            now.size if now.hash is None else 0,
        )
        return "mode" if same and was.mode != now.mode else "changed"


@dataclass(frozen=True, slots=True)
class Tree:
    """A working directory at one moment."""

    root: bytes
    entries: Mapping[bytes, Held]
    """By path, sorted. What was listed and not stored is in it too."""
    snapshot: Snapshot
    doubts: tuple[str, ...] = ()

    @property
    def exact(self) -> bool:
        """Is it just what the disk held then, as far as it is stored?"""
        return not self.doubts


@dataclass
class Worktree:
    """One root of a session."""

    root: bytes
    session: Digest
    snapshots: list[Snapshot]
    base: dict[bytes, Held]
    """As the first snapshot found it."""
    deltas: list[dict[bytes, Held]]
    """Of each snapshot what differs from the one before, times alone included; of the first nothing."""
    changes: list[list[Version]]
    """The same without what was only touched."""
    doubts: list[tuple[str, ...]]
    """That stand at each snapshot."""
    archive: Archive = field(repr=False)
    records: Records = field(repr=False)
    doings: Doings | None = field(default=None, repr=False)

    def at(self, step: int | Step | None = None) -> Tree:
        """When a step (by its number) was over; None: the last that is known. NotFound for a step that there is not."""
        if step is None:
            return self.tree(len(self.snapshots) - 1, self._at_end())
        from tapes.session.doings import Doings, choose

        if self.doings is None:
            self.doings = Doings.read(self.archive, self.session)
        choice = choose(self.snapshots, self.doings, step if isinstance(step, int) else step.number)
        tree = self.tree(choice.place, choice.doubts)
        return tree if choice.ahead is None else replace(tree, entries=self._ahead(tree, choice.ahead, choice.over))

    def _ahead(self, tree: Tree, place: int, over: int) -> dict[bytes, Held]:
        """With what the next snapshot has of files that were written since this one and no later than `over`, going by
        their own times, and the directories they stand in."""
        snapshot, delta = self.snapshots[place], self.deltas[place]
        latest = over - snapshot.began + snapshot.wall_ns
        found = dict(tree.entries)
        for path, entry in delta.items():
            if entry.kind in ("file", "link") and tree.snapshot.wall_ns < entry.mtime_ns <= latest:
                parts = path.split(b"/")
                above = [b"/".join(parts[:count]) for count in range(1, len(parts))]
                found |= {one: delta[one] for one in above if one not in found and one in delta}
                found[path] = entry
        return dict(sorted(found.items()))

    def tree(self, place: int, doubts: tuple[str, ...] = ()) -> Tree:
        """As one of its snapshots found it."""
        entries = dict(self.base)
        for delta in self.deltas[1 : place + 1]:
            for path, entry in delta.items():
                if entry.kind == "gone":
                    entries.pop(path, None)
                else:
                    entries[path] = entry
        standing = self.doubts[place]
        return Tree(self.root, dict(sorted(entries.items())), self.snapshots[place], (*doubts, *standing))

    def versions(self, path: bytes) -> list[Version]:
        """All that a path was since the start, in order; without what it was at the start."""
        return self._by_path.get(path, [])

    @cached_property
    def _by_path(self) -> dict[bytes, list[Version]]:
        found: dict[bytes, list[Version]] = {}
        for changed in self.changes:
            for version in changed:
                found.setdefault(version.path, []).append(version)
        return found

    def _at_end(self) -> tuple[str, ...]:
        if any(record.type == "session.close" for _, record in self.records) and self.snapshots[-1].cause != "end":
            return ("the session ended without a last snapshot",)
        return ()


def worktrees(archive: Archive, records: Records, doings: Doings | None = None) -> list[Worktree]:
    """Each root of a session that has snapshots, in the order in which they were first looked at. A part that can not
    be read is a doubt in its place. `doings`: what is known of its steps, where that has been read already."""
    session = records[0][0]
    found = snapshots(records).items()
    return [_Fold(archive, session, root, of_root).worktree(records, doings) for root, of_root in found]


def content(archive: Archive, held: Held | Version) -> bytes:
    """The stored bytes of a file (after redaction), or of a link its target. NotFound where they were not stored, with
    the reason; Withheld and Damaged as the archive says, and where the bytes are not what the row says."""
    entry = held.entry if isinstance(held, Version) else held
    name = entry.path.decode("utf-8", "backslashreplace")
    if entry.hash is None or entry.length is None:
        raise NotFound(f"of {name} there is no content: {why_not(entry)}")
    data = archive.body_range(entry.body, entry.offset, entry.length) if entry.body else b""
    if blake3(data).digest() != entry.hash:
        raise Damaged(f"the content of {name} does not match its hash", where=entry.record.hex())
    return data


def why_not(entry: Entry) -> str:
    """Why there is no content, in words; "" where there is."""
    if entry.hash is not None:
        return ""
    if entry.kind == "gone":
        return "it is gone"
    if entry.why:
        return WHY.get(entry.why, entry.why)
    return {"dir": "it is a directory", "other": "it is no file"}.get(entry.kind, "it was not stored")


def _identity(entry: Entry) -> tuple[object, ...]:
    # Of what is not stored, size and time are all that tells whether it changed.
    unseen = (entry.size, entry.mtime_ns) if entry.hash is None and entry.kind == "file" else ()
    return (entry.kind, entry.mode, entry.hash, entry.facts.get("why"), *unseen)


class _Fold:
    def __init__(self, archive: Archive, session: Digest, root: bytes, of_root: list[Snapshot]) -> None:
        self._archive, self._session, self._root = archive, session, root
        self._state: dict[bytes, Held] = {}
        self._snapshots = of_root
        self._deltas: list[dict[bytes, Held]] = []
        self._changes: list[list[Version]] = []
        self._standing: list[tuple[str, ...]] = []
        self._doubts: tuple[str, ...] = ()

    def worktree(self, records: Records, doings: Doings | None) -> Worktree:
        base: dict[bytes, Held] = {}
        for snapshot in self._snapshots:
            self._take(snapshot)
            if snapshot.place == 0:
                base = dict(self._state)
        return Worktree(
            self._root,
            self._session,
            self._snapshots,
            base,
            self._deltas,
            self._changes,
            self._standing,
            self._archive,
            records,
            doings,
        )

    def _take(self, snapshot: Snapshot) -> None:
        rows: dict[bytes, Held] = {}
        unread: list[str] = []
        for digest, part in snapshot.parts:
            try:
                for row in self._rows(digest, part):
                    rows[row.path] = row
            except FALLEN as error:
                gone = "withheld" if isinstance(error, Withheld) else "damaged"
                unread.append(f"part {part.body['part']} of snapshot {snapshot.n} is {gone}")
        lasting = (*snapshot.lasting, *unread)
        sure = not self._standing or not self._standing[-1]
        if snapshot.full and not lasting and not snapshot.doubts:
            self._doubts = ()
            rows |= {path: _gone(row, snapshot) for path, row in self._state.items() if path not in rows}
        self._doubts += lasting
        self._standing.append((*self._doubts, *snapshot.doubts))
        if snapshot.place:
            self._differ(rows, snapshot, sure=sure)
        else:
            self._state = {path: row for path, row in rows.items() if row.kind != "gone"}
            self._deltas.append({})
            self._changes.append([])

    def _differ(self, rows: dict[bytes, Held], snapshot: Snapshot, *, sure: bool) -> None:
        """What really differs from the state, which is brought up to it. Unless the state was `sure`, what is seen for
        the first time may have been there all along, and is no change."""
        fallen, hidden = self._below(rows)
        rows |= {path: _gone(self._state[path], snapshot) for path in (*fallen, *hidden)}
        hidden |= {path for path, row in rows.items() if row.kind == "gone" and row.why}
        delta, changed = {}, []
        for path, row in sorted(rows.items()):
            before = self._state.get(path)
            if (row.kind == "gone" and before is None) or (before is not None and _row(before) == _row(row)):
                continue  # a full snapshot says everything again
            delta[path] = row
            if not row.same(before) and path not in hidden and (sure or before is not None):
                moved = row.facts.get("from")
                known = moved if isinstance(moved, bytes) and moved in self._state else None
                was = before if known is None else self._state[known]
                changed.append(Version(path, row, was, self._session, snapshot, known))
        for path, row in delta.items():
            if row.kind == "gone":
                del self._state[path]
            else:
                self._state[path] = row
        self._deltas.append(delta)
        self._changes.append(changed)

    def _below(self, rows: Mapping[bytes, Held]) -> tuple[set[bytes], set[bytes]]:
        """What lay below directories that are none any more, should the snapshot not say so itself; and below those
        that are ignored from now on, where nothing is looked at."""
        ends = {path: row for path, row in rows.items() if row.kind != "dir" or row.why}
        was = {path for path in ends if path in self._state and self._state[path].kind == "dir"}
        if not was:
            return set(), set()
        fallen, hidden = (
            tuple(path + b"/" for path in was if bool(ends[path].kind == "dir") is ignored) for ignored in (False, True)
        )
        left = [path for path in self._state if path not in rows]
        return {p for p in left if p.startswith(fallen)}, {p for p in left if p.startswith(hidden)}

    def _rows(self, digest: Digest, part: Record) -> Iterator[Held]:
        body = BodyRef.match(part.body.get("content"))
        offset = 0
        for row in listing.read(self._archive.body(BodyRef.of(part.body["listing"]))):
            yield Held(
                row.path,
                row.kind,
                row.mode,
                row.size,
                row.mtime_ns,
                row.hash,
                row.length,
                row.facts,
                digest,
                body,
                offset,
            )
            offset += row.length or 0


def _gone(row: Held, snapshot: Snapshot) -> Held:
    return replace(
        row, kind="gone", mode=0, size=0, mtime_ns=0, hash=None, length=None, facts={}, record=snapshot.hash, body=None
    )


def _row(entry: Entry) -> tuple[object, ...]:
    facts = {name: value for name, value in entry.facts.items() if name not in ("from", "torn")}
    return (entry.kind, entry.mode, entry.size, entry.mtime_ns, entry.hash, facts)
