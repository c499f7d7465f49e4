"""Who changed a file: the commands and calls that a change may come from, and whether the agent has said so.

Between two snapshots of a root lies a time; what was under way in it may have made the changes that the second one saw.
All of it is named, likeliest first: a call that says it, a command in whose time the file's own time lies, the last to
begin. What the agent claims is held against the disk as it was afterwards; where something else may have been at the
same file since, or a snapshot is missing, there is no verdict, and `why` says what is in the way.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Self

from tapes.archive.base import Archive
from tapes.errors import Damaged, NotFound
from tapes.record.digest import Digest
from tapes.session.claims import Claim, claims, is_all, is_there
from tapes.session.doings import Doing, Doings
from tapes.session.snapshots import Snapshot
from tapes.session.worktree import Held, Version, Worktree, content, worktrees
from tapes.values import dataclass, field

TRUE, FALSE, UNCLAIMED = "claimed and true", "claimed, not on disk", "changed, not claimed"
VERDICTS = (TRUE, FALSE, UNCLAIMED)
EARLY_NS = 200_000_000
"""Some agents begin a call while the answer that asks for it is still coming."""
LARGEST = 8 << 20
"""Bytes of a file that a claim is held against."""


@dataclass(frozen=True, slots=True)
class Change:
    """One version of a path, and where it comes from."""

    version: Version
    step: int | None
    """In which it changed; of several that may be, the likeliest. None: before the first."""
    causes: tuple[Doing, ...]
    """What was under way, likeliest first; empty where nothing was seen that could have done it."""
    verdict: str
    """TRUE or UNCLAIMED; "" where that can not be told."""
    why: str = ""
    """What else is to be said: several may have done it, nobody was seen to, why there is no verdict."""
    claim: int | None = None
    """The step that says it."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """What an agent says it did to a file, and whether that is so."""

    claim: Claim
    verdict: str
    """TRUE or FALSE; "" where that can not be told."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Attribution:
    """Of one session."""

    doings: Doings
    trees: Sequence[Worktree]
    changes: Sequence[Change]
    """Of all roots, in the order of their snapshots."""
    claims: Sequence[Claimed]

    @classmethod
    def of(cls, archive: Archive, doings: Doings) -> Self:
        """Of a session that has been read. Without snapshots there is nothing in it."""
        trees = worktrees(archive, doings.view.records, doings)
        said = list(claims(doings, trees)) if trees else []
        named: dict[Digest, set[tuple[bytes | None, bytes]]] = {}
        for claim in said:
            named.setdefault(claim.hash, set()).add((claim.root, claim.path))
        judged = [_Judging(archive, doings, tree, named) for tree in trees]
        told: list[Claimed] = []
        for claim in said:
            judge = next((one for one in judged if one.tree.root == claim.root), None)
            if claim.held:
                told.append(judge.judge(claim) if judge else Claimed(claim, "", "it is not in the working directory"))
        changes = [change for judge in judged for change in judge.changes()]
        changes.sort(key=lambda change: change.version.snapshot.began)
        return cls(doings, trees, changes, told)

    def by_step(self) -> dict[int, list[Change]]:
        """Changes by the step that they are put to."""
        found: dict[int, list[Change]] = {}
        for change in self.changes:
            if change.step is not None:
                found.setdefault(change.step, []).append(change)
        return found

    def log(self, tree: Worktree, path: bytes) -> list[Change]:
        return [c for c in self.changes if c.version.path == path and c.version.root == tree.root]


@dataclass
class _Judging:
    archive: Archive
    doings: Doings
    tree: Worktree
    named: Mapping[Digest, set[tuple[bytes | None, bytes]]]
    """The files that calls name, by the record of their step."""
    upheld: dict[tuple[int, bytes], Claim] = field(default_factory=dict)
    """Claims that are true, by the place of the snapshot that shows it, and the path."""
    open: dict[tuple[int, bytes], tuple[Claim, str]] = field(default_factory=dict)
    """Claims without a verdict, and why there is none."""

    # -- claims

    def judge(self, claim: Claim) -> Claimed:
        places = [s.place for s in self.tree.snapshots[1:] if self._in_window(claim.began, claim.ended, s)]
        last = self.tree.snapshots[-1]
        end = claim.ended if claim.ended is not None else claim.began
        if last.began < end:
            found = self._upheld(claim, places)
            return found or Claimed(claim, "", "no snapshot was taken after it")
        if not places:
            # Before the first look, or of a time when nobody looked.
            return Claimed(claim, "", "no snapshot was taken around it")
        return self._upheld(claim, places) or self._refuted(claim, places)

    def _upheld(self, claim: Claim, places: Iterable[int]) -> Claimed | None:
        """Does one of the snapshots show it?"""
        entry: Held | None = None
        for place in places:
            version = next((v for v in self.tree.versions(claim.path) if v.snapshot.place == place), None)
            entry = version.entry if version else self._entry(claim.path, place)
            if version is not None and self._fits(claim, version.entry):
                self.upheld[place, claim.path] = claim
                return Claimed(claim, TRUE, self._unread(version.entry))
        if claim.action == "write" and entry is not None and entry.stored and self._fits(claim, entry):
            return Claimed(claim, TRUE, "it was so already")
        return None

    def _refuted(self, claim: Claim, places: Sequence[int]) -> Claimed:
        version = next((v for v in reversed(self.tree.versions(claim.path)) if v.snapshot.place in places), None)
        entry = version.entry if version else self._entry(claim.path, places[-1])
        why = self._in_the_way(claim, places, entry)
        if why and version is not None:
            self.open[version.snapshot.place, claim.path] = claim, why
        if why:
            return Claimed(claim, "", why)
        if version is not None:
            return Claimed(claim, FALSE, "the file changed, but not to what was said")
        gone = entry is None or entry.kind == "gone"
        if claim.action == "delete":
            return Claimed(claim, FALSE, "there was no such file" if gone else "the file is still there")
        return Claimed(claim, FALSE, "there is no such file" if gone else "the file did not change")

    def _in_the_way(self, claim: Claim, places: Sequence[int], entry: Held | None) -> str:
        """Why what the snapshots show is no proof; "" where it is."""
        if entry is None and (hidden := self._hidden(claim.path, places[-1])):
            return f"{hidden.decode('utf-8', 'replace')} is ignored"
        if doubts := [doubt for place in places for doubt in self.tree.doubts[place]]:
            return doubts[0]
        if entry is not None and entry.kind == "file" and not entry.stored:
            return self._unread(entry)
        if entry is not None and entry.facts.get("redacted"):
            return "something in it was redacted"
        if entry is not None and (entry.length or 0) > LARGEST:
            return "it is too large to be looked through"
        others = [
            doing
            for place in places
            for doing in self._during(self.tree.snapshots[place])
            if doing.hash != claim.hash and (doing.ended is None or doing.ended > claim.began)
        ]
        others = [doing for doing in others if self._may_touch(doing, claim.path)]
        # Nobody was at a file that has not even another time, unless it came and went.
        touched = any(claim.path in self.tree.deltas[place] for place in places)
        if others and (touched or entry is None):
            return f"{_steps(others)} may have changed it again before it was looked at"
        return ""

    def _fits(self, claim: Claim, entry: Held) -> bool:
        if claim.action == "delete" or entry.kind == "gone":
            return claim.action == "delete" and entry.kind == "gone"
        if entry.kind == "link" and claim.action == "edit":
            return False
        if not entry.stored or (entry.length or 0) > LARGEST:
            return True  # that it changed is all that can be known
        try:
            data = content(self.archive, entry)
        except (Damaged, NotFound):
            return True
        if claim.action == "write":
            return is_all("".join(claim.new), data)
        return all(is_there(text, data) for text in claim.new)

    def _unread(self, entry: Held) -> str:
        if entry.kind == "file" and not entry.stored:
            return f"its content is not stored ({entry.why or 'unknown'})"
        return ""

    def _entry(self, path: bytes, place: int) -> Held | None:
        """As a snapshot found it; None: not there."""
        known = [v.entry for v in self.tree.versions(path) if v.snapshot.place <= place]
        last = known[-1] if known else self.tree.base.get(path)
        return None if last is None or last.kind == "gone" else last

    def _hidden(self, path: bytes, place: int) -> bytes | None:
        parts = path.split(b"/")
        for count in range(1, len(parts)):
            above = b"/".join(parts[:count])
            entry = self._entry(above, place)
            if entry is not None and entry.why == "ignored":
                return above
        return None

    # -- changes

    def changes(self) -> list[Change]:
        """Of all snapshots behind the first, in order. Claims MUST have been judged before."""
        found = []
        over = sorted((at, number) for number, at in self.doings.over.items())
        latest = list(accumulate((number for _, number in over), max))
        for snapshot in self.tree.snapshots[1:]:
            under_way = self._during(snapshot) if self.tree.changes[snapshot.place] else []
            known = bisect_right(over, (snapshot.ended, len(over) + 1))
            before = latest[known - 1] if known else None
            found += [self._change(version, under_way, before) for version in self.tree.changes[snapshot.place]]
        return found

    def _change(self, version: Version, under_way: Sequence[Doing], before: int | None) -> Change:
        key = version.snapshot.place, version.path
        claim = self.upheld.get(key)
        causes = [doing for doing in under_way if self._may_touch(doing, version.path)]
        causes.sort(key=lambda doing: self._likely(doing, version, claim), reverse=True)
        step = causes[0].step if causes else before
        if claim is not None and claim.action == "write" and causes:
            says, inside, *_ = self._likely(causes[0], version, claim)
            causes = causes[:1] if says and inside else causes  # all of the text is its, and the time too
        why = self._said_of(causes)
        if claim is not None:
            return Change(version, claim.step, tuple(causes), TRUE, why, claim.step)
        if key in self.open:
            said, reason = self.open[key]
            return Change(version, step, tuple(causes), "", f"step {said.step} says so, but {reason}", said.step)
        if version.is_directory:
            return Change(version, step, tuple(causes), "", why)  # nobody claims one
        return Change(version, step, tuple(causes), UNCLAIMED, why)

    @staticmethod
    def _said_of(causes: Sequence[Doing]) -> str:
        if not causes:
            return "nothing was seen that could have done it"
        if len(causes) > 1:
            return f"one of {_steps(causes)}: they ran between two snapshots"
        return "a job that it left in the background may have done it" if causes[0].background else ""

    def _likely(self, doing: Doing, version: Version, claim: Claim | None) -> tuple[bool, bool, int, bool]:
        """More is likelier."""
        snapshot = version.snapshot
        # The file's own time is on the wall clock; the snapshot has both.
        at = version.entry.mtime_ns - snapshot.wall_ns + snapshot.began
        began = doing.began - (EARLY_NS if doing.kind == "tool" else 0)
        inside = version.entry.kind != "gone" and began <= at <= (doing.ended or snapshot.ended)
        says = claim is not None and claim.hash == doing.hash
        return says, inside, doing.began, not doing.around

    # -- time

    def _in_window(self, began: int, ended: int | None, snapshot: Snapshot) -> bool:
        """Was something that took so long under way between the look before and this one?"""
        before = self.tree.snapshots[snapshot.place - 1]
        return began < snapshot.ended and (ended is None or ended > before.began)

    def _during(self, snapshot: Snapshot) -> list[Doing]:
        """What may have made the changes that a snapshot saw. Without anything else: what has left jobs behind."""
        found = self.doings.during(self.tree.snapshots[snapshot.place - 1].began, snapshot.ended)
        inner = [doing for doing in found if not doing.around]
        if not found:
            found = [d for d in self.doings.all if d.background and d.began < snapshot.ended][-1:]
        return inner or found

    def _may_touch(self, doing: Doing, path: bytes) -> bool:
        """A tool that names its files changes no others, but makes the directories above them."""
        named = self.named.get(doing.hash)
        if named is None or (self.tree.root, path) in named:
            return True
        return any(root == self.tree.root and other.startswith(path + b"/") for root, other in named)


def _steps(doings: Sequence[Doing]) -> str:
    numbers = sorted({doing.step for doing in doings})
    if len(numbers) == 1:
        return f"step {numbers[0]}"
    shown = [str(number) for number in numbers[:6]] + ([f"{len(numbers) - 6} more"] if len(numbers) > 6 else [])
    return f"steps {', '.join(shown[:-1])} and {shown[-1]}"
