"""A snapshot process as a capture process has it, and its snapshots put together again by what docs/format.md says:
by a reader of its own, so that a mistake of ours is not made twice."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from strategies import opening
from tapes.archive.base import Batch
from tapes.archive.lmdb_archive import LmdbArchive
from tapes.record import listing
from tapes.record.digest import Digest, blob_digest
from tapes.record.kinds import BodyRef, Record
from tapes_addons.worktree.task import Task, line, secret_line

WAIT_S = 20.0
Tree = dict[bytes, tuple[str, int, bytes]]
"""By path: kind, mode and content (of a link its target, of what is only listed `?why`)."""


class Taker:
    """A snapshot process, and our end of its line."""

    def __init__(self, home: Path, session: Digest, roots: list[Path], *, env: dict[str, str], **task: Any) -> None:
        ours, theirs = socket.socketpair()
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tapes_addons.worktree", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),),
            env=os.environ | env,
        )
        theirs.close()
        ours.settimeout(WAIT_S)
        self.line, self._lines = ours, ours.makefile("rb")
        run_dir = home / "run" / "1-test"
        run_dir.mkdir(parents=True, exist_ok=True)
        self.line.sendall(Task(str(home), str(run_dir), session.hex(), [str(root) for root in roots], **task).to_line())

    def heard(self, key: str) -> Any:
        """The next message that has this key."""
        for told in self._lines:
            message = json.loads(told)
            if key in message:
                return message[key]
        raise EOFError(key)

    def command(self, id_: bytes) -> None:
        """A command has ended: wait until its snapshot is in."""
        self.line.sendall(line(command=id_.hex()))
        self.heard("taken")

    def tell(self, **message: object) -> None:
        self.line.sendall(line(**message))

    def learn(self, label: str, value: bytes) -> None:
        self.line.sendall(secret_line(label, value))

    def end(self) -> dict[str, int]:
        self.tell(end=True)
        done: dict[str, int] = self.heard("done")
        self.process.wait(WAIT_S)
        self.close()
        return done

    def close(self) -> None:
        self._lines.close()
        self.line.close()
        self.process.kill()
        self.process.wait()


class Bench:
    """An archive with one open session."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.archive = LmdbArchive.open(home / "archive", create=True)
        draft = opening()
        self.archive.commit(Batch(drafts=[draft]))
        assert draft.hash is not None
        self.session = draft.hash

    @classmethod
    def of(cls, archive: Any, session: Digest) -> Bench:
        """To read a session of another archive with."""
        bench = cls.__new__(cls)
        bench.archive, bench.session = archive, session
        return bench

    @contextmanager
    def taking(self, *roots: Path, env: dict[str, str] | None = None, **task: Any) -> Iterator[Taker]:
        """A process whose first snapshot is in."""
        taker = Taker(self.home, self.session, list(roots), env=env or {}, **task)
        try:
            taker.heard("taken")
            yield taker
        finally:
            taker.close()

    def records(self, type_: str = "snapshot") -> list[Record]:
        return [record for _, record in self.archive.session_records(self.session) if record.type == type_]

    def rows(self, record: Record) -> list[listing.Entry]:
        ref = BodyRef.match(record.body["listing"])
        assert ref is not None
        return list(listing.read(self.archive.body(ref)))

    def trees(self, root: Path) -> list[Tree]:
        """The tree after each snapshot of a root."""
        trees: list[Tree] = []
        tree: Tree = {}
        for record in self.records():
            body = record.body
            if body["root"] != os.fsencode(os.path.realpath(root)):
                continue
            if body["part"] == 0 and body["full"]:
                tree = {}
            ref = BodyRef.match(body["content"])
            content, at = self.archive.body(ref) if ref else b"", 0
            for row in self.rows(record):
                if row.kind == "gone":
                    tree.pop(row.path, None)
                    continue
                held = b"?" + row.why.encode() if row.why else b""
                if row.hash is not None:
                    assert row.length is not None
                    held = content[at : at + row.length]
                    at += row.length
                    assert blob_digest(held) == row.hash
                tree[row.path] = (row.kind, row.mode, held)
            assert at == len(content)
            if body.get("last"):
                trees.append(dict(tree))
        return trees


def on_disk(root: Path) -> Tree:
    """What is there now, all of it but `.git`."""
    tree: Tree = {}
    top = os.fsencode(root)
    for folder, folders, files in os.walk(top):
        if b".git" in folders:
            folders.remove(b".git")
        for name in folders + files:
            full = os.path.join(folder, name)
            seen = os.lstat(full)
            path, mode = os.path.relpath(full, top), stat.S_IMODE(seen.st_mode)
            if stat.S_ISLNK(seen.st_mode):
                tree[path] = ("link", mode, os.readlink(full))
            elif stat.S_ISDIR(seen.st_mode):
                tree[path] = ("dir", mode, b"")
            else:
                tree[path] = ("file", mode, Path(os.fsdecode(full)).read_bytes())
    return tree
