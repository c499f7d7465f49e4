"""What a root looked like when it was looked at last, and what differs now.

Looking is by `lstat` alone. With a watcher only the paths that it names are looked at, and the directories that are
new; without one, or when it can not vouch for everything, all. `look` only finds out: what it found becomes known
(`know`) when it stands in the archive, so what could not be written is found again.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping

from tapes.record.listing import Entry
from tapes.values import dataclass, field
from tapes_addons.worktree import stat
from tapes_addons.worktree.git import Git, git_dir
from tapes_addons.worktree.stat import Stat
from tapes_addons.worktree.watch import Watcher

PASSED_OVER = frozenset(
    (
        b"node_modules",
        b"__pycache__",
        b".venv",
        b"venv",
        b".tox",
        b".nox",
        b".mypy_cache",
        b".pytest_cache",
        b".ruff_cache",
        b".cache",
        b".gradle",
        b".hg",
        b".svn",
    )
)
"""Directories that are ignored where no git says what is."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a root may come to; where git rules, and where nobody does."""

    file_bytes: int = 5 * 1024 * 1024
    rows: int = 200_000
    bytes: int = 2 * 1024**3
    unruled_rows: int = 20_000
    unruled_bytes: int = 256 * 1024**2


@dataclass(slots=True)
class Known:
    """A path as it stands in the archive."""

    stat: Stat
    entry: Entry
    racy: bool = False
    """It may have changed since it was read without looking different."""


@dataclass(frozen=True, slots=True)
class Found:
    """A path that differs from what is known."""

    stat: Stat | None
    """None: gone."""
    why: str = ""
    """Why its content is not to be read, or the directory was not entered; of what is gone: why it is not looked at."""


@dataclass(slots=True)
class Look:
    """One look at a root."""

    found: dict[bytes, Found] = field(default_factory=dict)
    whole: bool = False
    """Was everything looked at?"""


class Tree:
    """One root. Only the snapshot thread touches it."""

    def __init__(self, root: bytes, avoid: Iterable[bytes] = (), limits: Limits | None = None) -> None:
        self.root = root
        self.limits = limits or Limits()
        self.known: dict[bytes, Known] = {}
        self.bytes = 0
        """Of content that is stored."""
        self.watching = ""
        """Why nobody watches; empty when somebody does."""
        self._avoid = frozenset(avoid)
        self._children: dict[bytes, set[bytes]] = {}
        self._entered: set[bytes] = set()
        self._again: set[bytes] = set()
        self._names: dict[int, tuple[bytes, ...]] = {}
        """Files by inode: a change through one of several names is told of that name alone."""
        self._unlisted: dict[bytes, str] = {}
        self._ignored: set[bytes] = set()
        """What git called ignored when it was asked for all of it."""
        self._ignored_ns = 0
        self._fresh = False
        """Has it just been asked?"""
        self._dev = -1
        self._watcher: Watcher | None = None
        self._gits: dict[bytes, Git] = {}
        """By directory relative to the root."""
        if git_dir(root) is not None:
            self._gits[b""] = Git(root)
        self._index: Stat | None = None
        try:
            self._watcher = Watcher()
        except OSError as error:
            self.watching = error.strerror or str(error)

    @property
    def fd(self) -> int:
        """To wait for news on; -1 where nobody watches."""
        return self._watcher.fd if self._watcher else -1

    @property
    def ruled(self) -> bool:
        """Does git say what is ignored?"""
        return b"" in self._gits and self._gits[b""].usable

    def drain(self) -> None:
        if self._watcher is not None:
            self._watcher.drain()

    def close(self) -> None:
        for git in self._gits.values():
            git.close()
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None

    def head(self) -> tuple[str, str]:
        return self._gits[b""].head() if b"" in self._gits else ("", "")

    def full(self, path: bytes) -> bytes:
        return self.root.rstrip(b"/") + b"/" + path if path else self.root

    def again(self, paths: Iterable[bytes]) -> None:
        """Look at these next time, whatever the watcher says."""
        self._again.update(paths)

    # -- looking

    def look(self, *, whole: bool = False) -> Look:
        """What differs from what is known. Everything is looked at the first time, when asked to, and unwatched."""
        paths, lost = self._watcher.take() if self._watcher else (set[bytes](), True)
        paths |= self._again
        self._again = set()
        look = Look(whole=whole or lost or not self._entered)
        self._fresh = self._rules_changed(paths) or not self._ignored_ns
        if self._fresh:
            self._list_ignored(look)
            look.whole = True
        paths |= self._newly_tracked(look)
        if look.whole:
            self._walk(look)
        else:
            self._visit(look, sorted(paths))
        return look

    def _rules_changed(self, paths: set[bytes]) -> bool:
        changed = any(path.rpartition(b"/")[2] == b".gitignore" for path in paths)
        for git in self._gits.values():
            changed = git.rules_changed() or changed
        if changed:
            for git in self._gits.values():
                git.close()  # it has read the old ones
        return changed and bool(self._gits)

    def _list_ignored(self, look: Look) -> None:
        """Ask git for all that is ignored; what was known and has changed sides is found."""
        self._ignored_ns = time.time_ns()
        ignored: set[bytes] = set()
        for place, git in self._gits.items():
            told = git.ignored_now()
            if told is None:
                self._fresh = False  # then it is asked for each path
            ignored |= {place + b"/" + path if place else path for path in told or ()}
        self._ignored = ignored
        for path in ignored:
            known = self.known.get(path)
            if known is not None and known.entry.why != "ignored":
                for below in [*self._below(path)]:
                    look.found[below] = Found(None, "ignored")
                self._leave(path)
                look.found[path] = Found(known.stat, "ignored")
        for path in [path for path, known in self.known.items() if known.entry.why == "ignored"]:
            if path not in ignored and path not in look.found:
                self._judge_anew(look, path)

    def _judge_anew(self, look: Look, path: bytes) -> None:
        """What was ignored is found as what it is now; were it forgotten while it is gone, nothing would say so."""
        if stat.look(self.full(path)) is None:
            self._gone(look, path)
        else:
            self._forget(path)

    def _newly_tracked(self, look: Look) -> set[bytes]:
        """Ignored paths of ours that git tracks now, because somebody added them by force."""
        git = self._gits.get(b"")
        state = git.index_state() if git else None
        before, self._index = self._index, state
        if git is None or before is None or state == before:
            return set()
        rows = [path for path, known in self.known.items() if known.entry.why == "ignored"]
        if not rows:
            return set()
        taken = git.tracked(rows)
        for path in taken:
            self._judge_anew(look, path)
        return taken

    def _walk(self, look: Look) -> None:
        seen = stat.look(self.root)
        alive: set[bytes] = set()
        if seen is not None and seen.is_dir:
            self._dev = seen.dev
            self._entered.add(b"")
            here = self._list(b"")
            while here:
                alive.update(here)
                here = self._take(look, here, whole=True)
        else:
            self._entered.discard(b"")  # nobody watches a root that is gone: all of it is looked at until it is back
        for path in self.known.keys() - alive:
            look.found.setdefault(path, Found(None))
            if path in self._entered:
                self._leave(path)

    def _visit(self, look: Look, paths: Iterable[bytes]) -> None:
        here: dict[bytes, Stat] = {}
        for path in paths:
            if not path or self._passed_over(path) or path.rpartition(b"/")[0] not in self._entered:
                continue
            seen = stat.look(self.full(path))
            if seen is None:
                self._gone(look, path)
            else:
                here[path] = seen
        for other in self._other_names(here):
            seen = stat.look(self.full(other))
            if seen is not None:
                here.setdefault(other, seen)
        while here:
            here = self._take(look, here, whole=False)

    def _other_names(self, here: Mapping[bytes, Stat]) -> set[bytes]:
        files = [seen for seen in here.values() if seen.links > 1 and seen.is_file]
        return {path for seen in files for path in self._names.get(seen.ino, ()) if path in self.known}

    def _take(self, look: Look, here: Mapping[bytes, Stat], *, whole: bool) -> dict[bytes, Stat]:
        """Compare these with what is known. What is in the directories among them that were to be listed."""
        new = [path for path, seen in here.items() if path not in self.known or self._replaced(path, seen)]
        ignored = self._judge(new, here)
        inside: dict[bytes, Stat] = {}
        for path, seen in here.items():
            if path in look.found and look.found[path].why == "ignored":
                continue
            known = self.known.get(path)
            if known is not None and self._replaced(path, seen):
                if known.stat.is_dir:
                    for below in [*self._below(path)]:
                        look.found[below] = Found(None)
                    self._leave(path)
                known = None
            why = "ignored" if path in ignored or (known and known.entry.why == "ignored") else ""
            if seen.is_dir and seen.dev != self._dev:
                why = "special"  # another file system begins here
            if seen.is_dir and not why:
                if whole or not self._is_watched(path):
                    if len(self.known) + len(look.found) + len(inside) > self._rows():
                        why = "budget"
                    else:
                        listed = self._list(path)
                        inside |= listed
                        for gone in self._children.get(path, set()) - listed.keys():
                            self._gone(look, gone)
                why = why or self._unlisted.get(path, "")
            if known is None or self._differs(known, seen, why):
                look.found[path] = Found(seen, why)
        return inside

    def _differs(self, known: Known, seen: Stat, why: str) -> bool:
        if seen.is_dir:
            return known.stat.mode != seen.mode or known.entry.why != why
        return known.racy or known.stat != seen

    def _is_watched(self, path: bytes) -> bool:
        """Would we hear of what changes in this directory?"""
        watched = self._watcher is not None and self._watcher.watches(path)
        return watched and path in self._entered and path not in self._unlisted

    def _replaced(self, path: bytes, seen: Stat) -> bool:
        """Is it another kind of thing than it was?"""
        known = self.known.get(path)
        return known is not None and known.stat.kind != seen.kind

    def _list(self, path: bytes) -> dict[bytes, Stat]:
        """What is in a directory, watched from before on."""
        self._unlisted.pop(path, None)
        if self._watcher is not None:
            try:
                self._watcher.add(path, self.full(path))
            except OSError as error:
                self.watching = error.strerror or str(error)
                self._watcher.close()
                self._watcher = None
        found: dict[bytes, Stat] = {}
        before = path + b"/" if path else b""
        try:
            with os.scandir(self.full(path)) as entries:
                for entry in entries:
                    name = entry.name
                    if name == b".git":
                        if path and path not in self._gits:
                            git = self._gits[path] = Git(self.full(path))
                            self._ignored |= {before + ignored for ignored in git.ignored_now() or ()}
                    elif self.full(before + name) not in self._avoid:
                        with contextlib.suppress(OSError):  # gone meanwhile
                            found[before + name] = stat.of(entry.stat(follow_symlinks=False))
        except FileNotFoundError:
            return {}
        except OSError:
            self._unlisted[path] = "unreadable"
        self._entered.add(path)
        return found

    def _rows(self) -> int:
        return self.limits.rows if self.ruled else self.limits.unruled_rows

    @property
    def most_bytes(self) -> int:
        return self.limits.bytes if self.ruled else self.limits.unruled_bytes

    def _passed_over(self, path: bytes) -> bool:
        return b".git" in path.split(b"/") or self.full(path) in self._avoid

    def _judge(self, new: list[bytes], here: Mapping[bytes, Stat]) -> set[bytes]:
        """Which of these paths are ignored."""
        ignored: set[bytes] = set()
        for place, paths in self._by_git(new).items():
            git = self._gits.get(place) if place is not None else None
            if git is None or not git.usable:
                ignored.update(path for path in paths if path.rpartition(b"/")[2] in PASSED_OVER and here[path].is_dir)
                continue
            if self._fresh:
                # What is older than the listing of all that is ignored has its answer there.
                ignored.update(path for path in paths if path in self._ignored)
                since = self._ignored_ns - stat.RACY_NS
                paths = [path for path in paths if path not in ignored and here[path].ctime_ns > since]
            before = place + b"/" if place else b""
            found = git.ignored([path.removeprefix(before) for path in paths])
            ignored.update(before + name for name in found - git.tracked(found))
        return ignored

    def _by_git(self, paths: Iterable[bytes]) -> dict[bytes | None, list[bytes]]:
        """The paths by the innermost repository each is in; None: in none."""
        if self._gits.keys() <= {b""}:
            return {b"" if self._gits else None: list(paths)}
        found: dict[bytes | None, list[bytes]] = {}
        for path in paths:
            place: bytes | None = path
            while place is not None:
                place = place.rpartition(b"/")[0] if place else None
                if place in self._gits:
                    break
            found.setdefault(place, []).append(path)
        return found

    # -- what is known

    def know(self, path: bytes, seen: Stat, entry: Entry, *, racy: bool) -> None:
        """It stands in the archive."""
        self._uncount(path)
        self.known[path] = Known(seen, entry, racy)
        self.bytes += entry.length or 0
        if seen.is_file:
            names = self._names.get(seen.ino, ())
            if path not in names:
                self._names[seen.ino] = (*names, path)
        self._children.setdefault(path.rpartition(b"/")[0], set()).add(path)

    def know_gone(self, path: bytes) -> None:
        self._uncount(path)
        if self.known.pop(path, None) is not None:
            self._children.get(path.rpartition(b"/")[0], set()).discard(path)
            self._children.pop(path, None)

    def _uncount(self, path: bytes) -> None:
        known = self.known.get(path)
        if known is not None:
            self.bytes -= known.entry.length or 0
            names = tuple(name for name in self._names.pop(known.stat.ino, ()) if name != path)
            if names:
                self._names[known.stat.ino] = names

    def _gone(self, look: Look, path: bytes) -> None:
        if path in self.known:
            for below in [*self._below(path)]:
                look.found[below] = Found(None)
            look.found[path] = Found(None)
        self._leave(path)

    def _below(self, path: bytes) -> Iterable[bytes]:
        """Everything known below a directory."""
        for child in self._children.get(path, ()):
            yield child
            yield from self._below(child)

    def _leave(self, path: bytes) -> None:
        """A directory is not looked into any more."""
        if path in self._entered:
            below = path + b"/"
            self._entered = {other for other in self._entered if other != path and not other.startswith(below)}
        if self._watcher is not None:
            self._watcher.forget(path)

    def _forget(self, path: bytes) -> None:
        """Know nothing of a path, so that it is found as new."""
        self.know_gone(path)
        self._leave(path)
