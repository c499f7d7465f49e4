"""What an agent says it did to files: its calls and answers that edit, each path as one in a recorded directory.

Only what the model was told to have worked counts: a call that failed, or was never answered, claims nothing.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tapes.errors import Damaged, NotFound
from tapes.pattern import pattern
from tapes.record.digest import Digest
from tapes.record.kinds import Record
from tapes.session.doings import EDITING, Doing, Doings
from tapes.session.view import Step
from tapes.session.worktree import Worktree
from tapes.values import dataclass
from tapes.wire.files import Action, Deed, blocks, deeds, told_to_fail

_DIRECTORY = ("workdir", "working_directory", "cwd", "dir_path", "directory")
_LINKS = 8
"""Links within links that are followed."""
_PARTS = pattern(rb"/+")


@dataclass(frozen=True, slots=True)
class Claim:
    """One file that an agent says it changed."""

    step: int
    hash: Digest
    """The record of its step."""
    action: Action
    said: str
    """The path as the agent gave it."""
    root: bytes | None
    """None: in none of the directories that were looked at."""
    path: bytes
    """In the root."""
    began: int
    ended: int | None
    new: tuple[str, ...] = ()
    """Of a write the whole text, of an edit what it puts in."""
    held: bool = True
    """Was the model told that it worked? Otherwise it is what was asked for, and claims nothing."""


def claims(doings: Doings, trees: Sequence[Worktree]) -> Iterator[Claim]:
    """In the order of their steps."""
    reading = _Reading(doings, trees)
    for step in doings.steps:
        if _edits(step):
            yield from reading.of(step)


def _edits(step: Step) -> bool:
    found = [step.facts.get("action"), *(file["action"] for file in step.facts.get("files", ()))]
    return step.type in ("tool.use", "answer") and any(action in EDITING for action in found)


class _Reading:
    def __init__(self, doings: Doings, trees: Sequence[Worktree]) -> None:
        self._doings, self._calls = doings, doings.view.calls
        records = doings.view.records
        self._at: dict[Digest, Record] = dict(records)
        self._by_hash = {doing.hash: doing for doing in doings.all}
        self._results = {
            record.parents[-1]: record
            for _, record in records
            if record.type == "tool.result" and len(record.parents) > 1
        }
        self._places = Places(trees, records[0][1].body)

    def of(self, step: Step) -> Iterator[Claim]:
        doing = self._by_hash.get(step.hash)
        if doing is None:
            return
        try:
            found, where, held = self._deeds(step)
        except (Damaged, NotFound):
            return  # what can not be read claims nothing; the step says so itself
        for deed in found:
            if deed.action in EDITING:
                if deed.to:  # away from here, and there
                    yield self._claim(doing, Deed("delete", deed.path), where, held)
                yield self._claim(doing, Deed(deed.action, deed.to or deed.path, new=deed.new), where, held)

    def _deeds(self, step: Step) -> tuple[tuple[Deed, ...], Sequence[str], bool]:
        """What it does to files, the directories that it names, and whether it is said to have worked."""
        if step.type == "answer":
            return blocks(step.text), (), True
        use, result = self._at[step.hash], self._results.get(step.hash)
        failed = result is None or result.body.get("is_error") or told_to_fail(self._calls.result(result))
        arguments = self._calls.arguments(use)
        table = arguments if isinstance(arguments, Mapping) else {}
        where = [value for name in _DIRECTORY if isinstance(value := table.get(name), str) and value]
        return deeds(str(use.body["name"]), arguments), where, not failed

    def _claim(self, doing: Doing, deed: Deed, where: Sequence[str], held: bool) -> Claim:
        root, path = self._places.find(deed.path, where)
        times = doing.began, doing.ended
        return Claim(doing.step, doing.hash, deed.action, deed.path, root, path, *times, deed.new, held)


class Places:
    """Paths as agents give them, as paths within a root."""

    def __init__(self, trees: Sequence[Worktree], opened: Mapping[str, Any]) -> None:
        self._trees = trees
        values = {_bytes(name): value for name, value in opened.get("environment", ()) if isinstance(value, bytes)}
        self._home = values.get(b"HOME", b"")
        self._cwd = bytes(opened.get("cwd", b""))
        # The directory has two names where one led to it through a link.
        self._other = values.get(b"PWD", b"")

    def find(self, said: str, where: Sequence[str] = ()) -> tuple[bytes | None, bytes]:
        """Root and path in it; None and what was said where it is in no root. Of several that a relative path may mean,
        one that there ever was."""
        found = [place for full in self._full(_bytes(said), where) if (place := self._placed(full)) is not None]
        known = [(tree.root, path) for tree, path in found if path in tree.base or tree.versions(path)]
        first = [(tree.root, path) for tree, path in found]
        return next(iter([*known, *first]), (None, _bytes(said)))

    def _full(self, path: bytes, where: Sequence[str]) -> Iterator[bytes]:
        if path.startswith(b"~/") and self._home:
            path = self._home + path[1:]
        if path.startswith(b"/"):
            yield path
            return
        for base in [*(posixpath.join(self._cwd, _bytes(one)) for one in where), self._cwd]:
            yield posixpath.join(base, path)
        for tree in self._trees:
            yield posixpath.join(tree.root, path)

    def _placed(self, path: bytes) -> tuple[Worktree, bytes] | None:
        path = posixpath.normpath(_PARTS.sub(b"/", path))
        for other in self._names(path):
            for tree in self._trees:
                if other.startswith(tree.root.rstrip(b"/") + b"/"):
                    inside = other[len(tree.root.rstrip(b"/")) + 1 :]
                    return self._through_links(tree, inside)
        return None

    def _names(self, path: bytes) -> Iterator[bytes]:
        """The path itself, and by the other name of where the session began: as deep as the two differ."""
        yield path
        if self._other and self._other != self._cwd:
            ours, theirs = self._cwd.split(b"/"), self._other.split(b"/")
            while len(ours) > 1 and len(theirs) > 1 and ours[-1] == theirs[-1]:
                ours.pop(), theirs.pop()
            alias = b"/".join(theirs)
            if path.startswith(alias + b"/"):
                yield b"/".join(ours) + path[len(alias) :]
        if path.startswith((b"/tmp/", b"/var/", b"/etc/")):
            yield b"/private" + path  # macOS

    def _through_links(self, tree: Worktree, path: bytes) -> tuple[Worktree, bytes] | None:
        for _ in range(_LINKS):
            parts = path.split(b"/")
            for count in range(1, len(parts)):
                target = self._target(tree, b"/".join(parts[:count]))
                if target is None:
                    continue
                full = posixpath.join(tree.root, b"/".join(parts[: count - 1]), target, b"/".join(parts[count:]))
                path = posixpath.normpath(full)
                if not path.startswith(tree.root.rstrip(b"/") + b"/"):
                    return None
                path = path[len(tree.root.rstrip(b"/")) + 1 :]
                break
            else:
                break
        return tree, path

    def _target(self, tree: Worktree, path: bytes) -> bytes | None:
        """Where a directory on the way leads, if it is a link."""
        seen = [tree.base.get(path), *(version.entry for version in tree.versions(path))]
        link = next((entry for entry in seen if entry is not None and entry.kind == "link" and entry.stored), None)
        if link is None or link.body is None or not link.length:
            return None
        try:
            return tree.archive.body_range(link.body, link.offset, link.length)
        except (Damaged, NotFound):
            return None


def is_there(text: str, data: bytes) -> bool:
    """Does a file hold what an edit put in? Ends of lines are the editor's business; so is a last line feed; in a
    notebook a text stands as JSON."""
    wanted, held = _plain(text.encode("utf-8", "surrogatepass")).rstrip(b"\n"), _plain(data)
    if wanted in held:
        return True
    lines = [json.dumps(line, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass") for line in text.split("\n")]
    return held.lstrip().startswith(b"{") and b'"cells"' in held and all(line in held for line in lines)


def is_all(text: str, data: bytes) -> bool:
    """Is a file what was written?"""
    return _plain(text.encode("utf-8", "surrogatepass")).rstrip(b"\n") == _plain(data).rstrip(b"\n")


def _plain(data: bytes) -> bytes:
    return data.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape" if _escaped(text) else "replace")


def _escaped(text: str) -> bool:
    return all(not "\ud800" <= char <= "\udfff" or "\udc80" <= char <= "\udcff" for char in text)
