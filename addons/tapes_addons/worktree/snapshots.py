"""Snapshots of a root into the chain of a session.

A snapshot is written in parts, each a commit of its own: small, so that the capture process, which writes the same
session, never waits long for the archive's lock. What a part says becomes known only when it is written; a part that
can not be (no room, an archive in trouble) is counted, found again by the next snapshot, and told of in a `gap` as soon
as there is room. A snapshot that is cut short lacks its last part.
"""

from __future__ import annotations

import logging
import stat
import time
from collections.abc import Callable, Generator, Iterator, Sequence

from tapes.archive.base import Batch, Draft
from tapes.errors import ArchiveError, TapesError
from tapes.record.digest import Digest, blob_digest
from tapes.record.kinds import BodyRef
from tapes.record.listing import Entry
from tapes.values import dataclass, field
from tapes.wire.redact import Redactor
from tapes_addons.worktree import content, parts
from tapes_addons.worktree.cache import Cache
from tapes_addons.worktree.stat import Stat
from tapes_addons.worktree.tree import Found, Known, Look, Tree

RETRY_S = (0.05, 0.2, 0.5)
"""Longer trouble of the archive is told by a gap; the next snapshot says what this one could not."""

PARTS = 64
"""In one commit, at most."""
SAVE_S = 5.0
_PASSING = ("changing", "unreadable", "budget")
"""Reasons that may not hold next time, though the file looks the same."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Counts:
    """What has been written, for the run's summary."""

    snapshots: int = 0
    files: int = 0
    listed: int = 0
    """Rows of files without content."""
    bytes: int = 0
    records: int = 0
    gaps: int = 0
    lost: int = 0
    """Rows that could not be written."""


@dataclass(slots=True)
class _Row:
    """A row in the making."""

    path: bytes
    stat: Stat | None
    raw: bytes | None = None
    why: str = ""
    torn: bool = False
    racy: bool = False
    origin: bytes = b""


@dataclass(slots=True)
class _Taking:
    """A snapshot under way."""

    cause: str
    commands: Sequence[bytes]
    full: bool
    n: int
    wall_ns: int = field(default_factory=time.time_ns)
    mono_ns: int = field(default_factory=time.monotonic_ns)
    part: int = 0
    head: tuple[str, str] = ("", "")
    first: Digest | None = None
    rows: int = 0


class Snapshots:
    """Of one root. `commit` MUST write a batch durably or raise; `known_part`
    gives the rows of a part that the archive has, None where it has it not any more."""

    def __init__(
        self,
        tree: Tree,
        session: Digest,
        redactor: Redactor,
        commit: Callable[[Batch], object],
        *,
        first: int = 0,
        cache: Cache | None = None,
        known_part: Callable[[BodyRef, BodyRef | None], list[Entry] | None] | None = None,
        counts: Counts | None = None,
    ) -> None:
        self.tree = tree
        self.counts = counts or Counts()
        self._session = session
        self._redactor = redactor
        self._commit_batch = commit
        self._n = first
        self._cache = cache
        self._known_part = known_part
        self._saved = time.monotonic()
        self._before: Digest | None = None
        self._full = True
        """Nothing of this process's is written yet, so the next one says everything."""
        self._gap: dict[str, object] | None = None

    def take(self, cause: str, commands: Sequence[bytes] = (), *, whole: bool = False) -> None:
        """Look, and write what differs from the snapshot before."""
        for _ in self.steps(cause, commands, whole=whole):
            pass

    def steps(self, cause: str, commands: Sequence[bytes] = (), *, whole: bool = False) -> Iterator[int]:
        """As `take`, with a rest after each part, for the caller to do something else, or to go on in another thread.
        Gives the number of rows so far."""
        taking = _Taking(cause, commands, self._full, self._n)
        self._n += 1
        look = self.tree.look(whole=whole)
        taking.head = self.tree.head()
        yield 0
        complete = yield from self._write(taking, look)
        if complete:
            self._full = False
            self._before = taking.first
            self.counts.snapshots += 1

    # -- one snapshot

    def _write(self, taking: _Taking, look: Look) -> Generator[int, None, bool]:
        gone = _Gone.of(self.tree, look)
        waiting: list[bytes] = []
        ready: list[_Part] = []
        complete = True
        for gathered in parts.gather(self._planned(look)):
            if waiting:
                ready.append(self._part(taking, look, waiting, gone, last=False))
                # Small parts go into one commit: what a commit costs is to have it on the disk.
                if sum(part.bytes for part in ready) + gathered.bytes > parts.PART_BYTES or len(ready) >= PARTS:
                    complete = self._commit(taking, ready) and complete
                    ready = []
                self.tree.drain()
                self._save(taking)
                yield taking.rows
            waiting = gathered.rows
        # Where a part is missing none is the last.
        ready.append(self._part(taking, look, waiting, gone, last=complete))
        complete = self._commit(taking, ready) and complete
        self._save(taking, complete=complete)
        return complete

    def _planned(self, look: Look) -> Iterator[tuple[bytes, int, bytes]]:
        """Paths, with about as much as their content will be."""
        for path in sorted(look.found):
            seen, size = look.found[path].stat, 0
            if seen is not None and seen.is_file and not look.found[path].why:
                size = seen.size if seen.size <= self.tree.limits.file_bytes else 0
            yield path, size, path

    def _read(self, look: Look, paths: Sequence[bytes], gone: _Gone) -> Iterator[_Row]:
        for path in paths:
            row = self._row(path, look.found[path])
            if row is not None:
                if row.stat is not None and row.stat.is_file and path not in self.tree.known:
                    row.origin = gone.moved(row.stat, row.raw)
                yield row

    def _row(self, path: bytes, found: Found) -> _Row | None:
        seen = found.stat
        if seen is None:
            return _Row(path, None, why=found.why) if path in self.tree.known else None
        if seen.is_dir or found.why:
            return _Row(path, seen, why=found.why)
        if self.tree.bytes > self.tree.most_bytes and seen.is_file:
            return _Row(path, seen, why="budget")
        try:
            got = content.read(self.tree.full(path), seen, self.tree.limits.file_bytes)
        except FileNotFoundError:
            return _Row(path, None) if path in self.tree.known else None
        except OSError:
            # Something else has taken its place since: the next snapshot says what.
            self.tree.again([path])
            return None
        if got.why == "changing":
            self.tree.again([path])
        racy = got.data is not None and got.stat.is_racy(got.read_ns)
        return _Row(path, got.stat, got.data, got.why, got.torn, racy)

    def _cut(self, taking: _Taking, look: Look, paths: Sequence[bytes], gone: _Gone) -> tuple[_Cut, str]:
        """A part's rows and bodies, as they were stored before or read now; and what they may be found by again."""
        key = self._key(look, paths) if taking.full and self._cache else ""
        if key and self._cache:
            found = self._cache.find(key)
            if found is not None and self._known_part is not None:
                entries = self._known_part(*found)
                if entries is not None and [entry.path for entry in entries] == list(paths):
                    rows = [_Row(path, look.found[path].stat) for path in paths]
                    shown = [_Shown(row, entry, b"") for row, entry in zip(rows, entries, strict=True)]
                    return _Cut(parts.Bodies(*found, {}), shown), key
        rows = list(self._read(look, paths, gone))
        shown = self._shown(rows, gone)
        steady = len(rows) == len(paths) and all(
            row.stat == look.found[row.path].stat and not (row.racy or row.torn or row.why in _PASSING) for row in rows
        )
        cut = parts.bodies([each.entry for each in shown], [each.stored for each in shown if each.stored])
        return _Cut(cut, shown), key if steady else ""

    @staticmethod
    def _key(look: Look, paths: Sequence[bytes]) -> str:
        rows = [(path, look.found[path].stat, look.found[path].why) for path in paths]
        return Cache.key([(path, seen, why) for path, seen, why in rows if seen is not None])

    def _save(self, taking: _Taking, *, complete: bool = False) -> None:
        if self._cache is not None and taking.full and (complete or time.monotonic() > self._saved + SAVE_S):
            self._cache.save(complete=complete)
            self._saved = time.monotonic()

    def _part(self, taking: _Taking, look: Look, paths: Sequence[bytes], gone: _Gone, *, last: bool) -> _Part:
        made, key = self._cut(taking, look, paths, gone)
        cut, shown = made.bodies, made.shown
        body: dict[str, object] = {
            "n": taking.n,
            "part": taking.part,
            "root": self._clean(self.tree.root),
            "cause": taking.cause,
            "full": taking.full,
            "started_ns": taking.wall_ns,
            "took_us": (time.monotonic_ns() - taking.mono_ns) // 1000,
            "listing": cut.listing.to_value(),
            "content": cut.content.to_value() if cut.content else None,
        }
        if last:
            body["last"] = True
        if taking.commands:
            body["commands"] = list(taking.commands)
        for name, value in zip(("head", "branch"), taking.head, strict=True):
            if value:
                body[name] = self._clean(value.encode("utf-8", "replace")).decode("utf-8", "replace")
        parents = (self._before,) if self._before else ()
        draft = Draft("snapshot", body, self._session, parents, taking.wall_ns, taking.mono_ns)
        taking.part += 1
        taking.rows += len(shown)
        return _Part(draft, cut, shown, key)

    # -- what may be said

    def _clean(self, data: bytes) -> bytes:
        return self._redactor.redact(data).data

    def _shown(self, rows: list[_Row], gone: _Gone) -> list[_Shown]:
        """The rows as they are written, in order, without secrets: sought in all at once, which is quicker, and in each
        only where there are some."""
        secrets = bool(self._redactor.redact(b"\n".join(row.raw or b"" for row in rows)).spans)
        names = b"\n".join(name for row in rows for name in (row.path, row.origin))
        named = bool(self._redactor.redact(names).spans)
        shown: dict[bytes, _Shown] = {}
        for row in rows:
            path = self._clean(row.path) if named else row.path
            each = _Shown(row, *self._entry(row, path, gone, secrets=secrets))
            shown[path] = each  # two names with a secret in them may come to one
        return [shown[path] for path in sorted(shown)]

    def _entry(self, row: _Row, path: bytes, gone: _Gone, *, secrets: bool) -> tuple[Entry, bytes]:
        """A row's entry, and its content; empty where it has none."""
        seen, facts = row.stat, dict[str, object]()
        why = row.why if path == row.path else "secret"
        if why:
            facts["why"] = why
        if seen is None:
            return Entry(path, "gone", 0, 0, 0, None, None, facts), b""
        if row.torn:
            facts["torn"] = True
        mode = stat.S_IMODE(seen.mode)
        if seen.is_dir:
            return Entry(path, "dir", mode, 0, 0, None, None, facts), b""
        if row.raw is None or why:
            if row.origin and row.why == "large" and self._clean(row.origin) == row.origin:
                facts["from"] = row.origin
            return Entry(path, seen.kind, mode, seen.size, seen.mtime_ns, None, None, facts), b""
        stored = row.raw
        if secrets:
            redacted = self._redactor.redact(row.raw)
            stored = redacted.data
            if redacted.spans:
                facts["redacted"] = len(redacted.spans)
        digest = blob_digest(stored)
        origin = row.origin
        if not origin and seen.is_file and row.path not in self.tree.known:
            origin = gone.by_hash.pop(digest, b"")  # one file can not become two
        if origin and self._clean(origin) == origin:
            facts["from"] = origin
        return Entry(path, seen.kind, mode, seen.size, seen.mtime_ns, digest, len(stored), facts), stored

    # -- what was written

    def _commit(self, taking: _Taking, ready: Sequence[_Part]) -> bool:
        """Write parts, and in the same commit what could not be written before them. False when they could not be."""
        batch = Batch(drafts=[part.draft for part in ready])
        for part in ready:
            batch.objects.update(part.cut.objects)
        if self._gap is not None:
            batch.drafts.append(Draft("gap", self._gap, self._session))
        pauses = () if self._gap is not None else RETRY_S
        for pause in (*pauses, None):
            try:
                self._commit_batch(batch)
            except TapesError as error:
                if pause is None or not isinstance(error, ArchiveError):
                    logger.warning("a part of a snapshot can not be written: %s", error)
                    self._lose([each.row for part in ready for each in part.shown], str(error))
                    return False
                time.sleep(pause)
            else:
                break
        self.counts.records += len(batch.drafts)
        self.counts.gaps += self._gap is not None
        self._gap = None
        taking.first = taking.first or ready[0].draft.hash
        for part in ready:
            self._know(part)
            if part.key and self._cache is not None:
                self._cache.keep(part.key, part.cut.listing, part.cut.content)
        return True

    def _know(self, part: _Part) -> None:
        counts, tree = self.counts, self.tree
        counts.bytes += part.bytes
        for each in part.shown:
            row, entry = each.row, each.entry
            if row.stat is None:
                tree.know_gone(row.path)
                continue
            counts.files += entry.hash is not None
            counts.listed += entry.hash is None and entry.kind != "dir"
            tree.know(row.path, row.stat, entry, racy=row.racy)

    def _lose(self, rows: Sequence[_Row], why: str) -> None:
        self.tree.again(row.path for row in rows)
        self.counts.lost += len(rows)
        gap = self._gap or {"reason": f"snapshots of the working directory: {why}", "since_ns": time.time_ns()}
        files = gap.get("files", 0)
        assert isinstance(files, int)
        self._gap = gap | {"files": files + len(rows)}

    def untold(self) -> dict[str, object]:
        """At the end: what could not be written, nor could that. For whoever has room for last words."""
        return self._gap or {}


@dataclass(frozen=True, slots=True)
class _Shown:
    """A row as it is written."""

    row: _Row
    entry: Entry
    stored: bytes


@dataclass(frozen=True, slots=True)
class _Cut:
    bodies: parts.Bodies
    shown: Sequence[_Shown]


@dataclass(frozen=True, slots=True)
class _Part:
    """A part, ready to be written."""

    draft: Draft
    cut: parts.Bodies
    shown: Sequence[_Shown]
    key: str
    """For the cache; empty where it has to be read again next time."""

    @property
    def bytes(self) -> int:
        """Of content."""
        return self.cut.content.length if self.cut.content else 0


@dataclass(frozen=True, slots=True)
class _Gone:
    """Where files that are gone were: one of them may only have got another name."""

    by_inode: dict[tuple[int, int], tuple[bytes, Known]]
    by_hash: dict[Digest, bytes]

    @staticmethod
    def of(tree: Tree, look: Look) -> _Gone:
        gone = [path for path, found in look.found.items() if found.stat is None and path in tree.known]
        files = [(path, tree.known[path]) for path in gone if tree.known[path].entry.kind == "file"]
        by_inode = {(known.stat.dev, known.stat.ino): (path, known) for path, known in files}
        moved = set()
        for path, found in look.found.items():
            if found.stat is not None and found.stat.is_file and path not in tree.known:
                origin, known = by_inode.get((found.stat.dev, found.stat.ino), (b"", None))
                if known is not None and (_unchanged(known, found.stat) or found.stat.size > known.stat.size):
                    moved.add(origin)
        return _Gone(
            by_inode,
            {
                known.entry.hash: path
                for path, known in files
                if known.entry.hash and known.entry.length and path not in moved
            },
        )

    def moved(self, seen: Stat, raw: bytes | None) -> bytes:
        """The old name of a file that has only moved, or that grew since. File systems give the inode of what was
        deleted to the next file that is made (`git checkout` does both at once), so that alone tells nothing."""
        origin, known = self.by_inode.get((seen.dev, seen.ino), (b"", None))
        if known is None or _unchanged(known, seen):
            return origin
        was, length = known.entry.hash, known.entry.length
        return origin if raw and length and was == blob_digest(raw[:length]) else b""


def _unchanged(known: Known, seen: Stat) -> bool:
    return (known.stat.size, known.stat.mtime_ns) == (seen.size, seen.mtime_ns)
