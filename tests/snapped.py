"""Snapshots of a made-up working directory, put into a session by hand: a test says what the files are, and when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tapes.archive.base import Draft
from tapes.record import listing
from tapes.record.digest import blob_digest
from tapes.record.listing import Entry
from tapes.session.worktree import Worktree, worktrees
from witnessed import Session

type Files = Mapping[str, bytes | Entry | tuple[Entry, bytes]]
"""Contents by path; or a row as it is to be written, alone or with its content."""


def file(path: str | bytes, data: bytes, **how: Any) -> Entry:
    raw = path.encode() if isinstance(path, str) else path
    given = {"kind": "file", "mode": 0o644, "size": len(data), "mtime_ns": 1, "length": len(data)} | how
    return Entry(raw, hash=blob_digest(data), **given)


def gone(path: str | bytes) -> Entry:
    return Entry(path.encode() if isinstance(path, str) else path, "gone", 0, 0, 0, None, None)


def unstored(path: str, why: str, kind: str = "file", size: int = 9) -> Entry:
    return Entry(path.encode(), kind, 0o644, size, 1, None, None, {"why": why})


@dataclass
class Shot:
    """A directory that is looked at again and again. What differs is found out here, as capture would."""

    session: Session
    root: bytes = b"/home/alice/project"
    n: int = 0
    state: dict[bytes, tuple[Entry, bytes]] = field(default_factory=dict)
    last: Draft | None = None

    def take(self, files: Files, cause: str = "command", *, per_part: int = 256, **how: Any) -> list[Draft]:
        """All the files that there are now; what is not named is gone. Gives the records of the parts."""
        now = dict(_row(path, data) for path, data in files.items())
        full = how.pop("full", self.n == 0)
        rows = dict(now)
        if not full:
            rows = {path: row for path, row in now.items() if self.state.get(path) != row}
            rows |= {path: (gone(path), b"") for path in self.state if path not in now}
        self.state = now
        return self.write(sorted(rows.values(), key=lambda row: row[0].path), cause, per_part, full=full, **how)

    def write(self, rows: Sequence[tuple[Entry, bytes]], cause: str, per_part: int = 256, **how: Any) -> list[Draft]:
        """These rows, `per_part` of them in a record. `upto`: how many parts get written at all."""
        parts = [rows[i : i + per_part] for i in range(0, len(rows), per_part)] or [[]]
        written = []
        upto = how.pop("upto", len(parts))
        parents = (self.last,) if self.last is not None else ()
        for number, part in enumerate(parts[:upto]):
            data = b"".join(content for _, content in part)
            body: dict[str, Any] = {
                "n": self.n,
                "part": number,
                "root": self.root,
                "cause": cause,
                "took_us": 1000,
                "listing": self.session._stored(listing.write(row for row, _ in part)),
                "content": self.session._stored(data) if data else None,
            }
            body |= how | ({"last": True} if number == len(parts) - 1 else {})
            written.append(self.session.add("snapshot", body, *parents))
        self.last = written[0] if written else self.last
        self.n += 1
        return written


def _row(path: str, data: bytes | Entry | tuple[Entry, bytes]) -> tuple[bytes, tuple[Entry, bytes]]:
    if isinstance(data, bytes):
        data = file(path, data), data
    row = data if isinstance(data, tuple) else (data, b"")
    return row[0].path, row


def worktree(session: Session) -> Worktree:
    """Of a session with one root."""
    (found,) = worktrees(session.archive, list(session.archive.session_records(session.session)))
    return found
