"""The files of a working directory out of its snapshots: each as the disk held it, checked against its own hash."""

from __future__ import annotations

from functools import partial

from blake3 import blake3

from tapes.archive.base import Archive
from tapes.checkout.files import File, Files, Known
from tapes.errors import Damaged
from tapes.session.worktree import Held, Tree, content, why_not

WHOLE = 8 * 1024 * 1024
"""Contents of a part up to so many bytes are read at once: they are many small files side by side."""


def stored(archive: Archive, tree: Tree) -> Files:
    """The files of a tree."""
    reader = _Reader(archive)
    files = tuple(_file(held, reader) for held in tree.entries.values())
    snapshot = tree.snapshot
    return Files("snapshot", tree.root, files, tree.doubts, snapshot.head, snapshot.branch)


def _file(held: Held, reader: _Reader) -> File:
    known, why = _known(held)
    read = partial(reader.read, held) if held.hash is not None else None
    digest = held.hash.hex() if held.hash is not None else ""
    return File(held.path, known, held.kind, held.mode, held.mtime_ns, read, why, digest)


def _known(held: Held) -> tuple[Known, str]:
    if held.kind == "dir" and not held.why:
        return "known", ""
    if held.hash is None:
        return "unknown", why_not(held)
    redacted = held.facts.get("redacted")
    return ("partial", f"{redacted} secrets in it were redacted when it was recorded") if redacted else ("known", "")


class _Reader:
    """Reads contents. Files of one part come one after the other, so its body is held while they do."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._node: object = None
        self._data = b""

    def read(self, held: Held) -> bytes:
        if held.body is None or held.length is None or held.body.length > WHOLE:
            return content(self._archive, held)
        if self._node != held.body.node:
            try:
                self._data = self._archive.body(held.body)
            except Damaged:
                return content(self._archive, held)  # what is damaged may be another of them
            self._node = held.body.node
        data = self._data[held.offset : held.offset + held.length]
        if blake3(data).digest() != held.hash:
            name = held.path.decode("utf-8", "backslashreplace")
            raise Damaged(f"the content of {name} does not match its hash", where=held.record.hex())
        return data
