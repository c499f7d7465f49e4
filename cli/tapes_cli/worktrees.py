"""Recorded working directories as the verbs need them: the roots of a session, a path, a file; how a change is told."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from blake3 import blake3

from tapes.archive.base import Archive
from tapes.archive.refs import Ref
from tapes.archive.stored_files import StoredFile
from tapes.errors import Damaged, NotFound, UsageError
from tapes.record.digest import Digest
from tapes.record.listing import Entry
from tapes.session.attribution import Change, Claimed
from tapes.session.doings import Doing
from tapes.session.snapshots import has_snapshots
from tapes.session.worktree import Held, Tree, Version, Worktree, content, why_not, worktrees
from tapes_cli import output

HINT = "`tapes run` takes snapshots unless it is told --no-worktree; sessions of `tapes serve` and older ones have none"
SIGNS = {"added": "A", "deleted": "D", "renamed": "R", "mode": "T", "changed": "M"}
COLOURS = {"A": "green", "D": "red", "R": "cyan", "T": "cyan", "M": "yellow"}


def of_session(archive: Archive, session: Digest) -> list[Worktree]:
    """NotFound, with what to do, where a session has no snapshots."""
    records = list(archive.session_records(session))
    if not has_snapshots(records):
        raise no_snapshots(session)
    return worktrees(archive, records)


def no_snapshots(session: Digest) -> NotFound:
    return NotFound(f"session {session.short()} has no snapshots of its working directory", hint=HINT)


def file_at(archive: Archive, ref: Ref, path: str) -> Held:
    """A file when the step of REF was over, or at the end. NotFound where it was not there."""
    tree, raw = find_path(of_session(archive, ref.session), path)
    at = at_ref(tree, ref)
    if raw not in at.entries:
        when = "at the end" if ref.step is None else f"when step {ref.step} was over" if ref.step else "at the start"
        raise NotFound(
            f"{name(raw)} was not there {when}",
            hint=f"its versions: tapes files {ref.session.short()} --log {name(raw)}",
        )
    warn(at.doubts)
    return at.entries[raw]


def at_ref(tree: Worktree, ref: Ref) -> Tree:
    """At the step of a REF, of which 0 is the start; as a snapshot found it, where REF is a record of one; else at the
    end."""
    if ref.step == 0:
        return tree.tree(0)
    if ref.step is not None:
        return tree.at(ref.step)
    for snapshot in tree.snapshots:
        if ref.record is not None and any(digest == ref.record for digest, _ in snapshot.parts):
            return tree.tree(snapshot.place)
    return tree.at()


def warn(doubts: Sequence[str]) -> None:
    for doubt in doubts:
        click.echo(f"tapes: not sure: {output.harmless(doubt)}", err=True)


def bytes_of(archive: Archive, entry: Held) -> bytes:
    if entry.kind == "dir":
        raise UsageError(f"{name(entry.path)} is a directory", hint="its files: tapes files REF --all")
    return content(archive, entry)


def stored_bytes(archive: Archive, stored: StoredFile) -> bytes:
    """By its hash. Damaged where the bytes do not give it."""
    entry = stored.entry
    data = archive.body_range(stored.body, stored.offset, entry.length or 0) if stored.body else b""
    if blake3(data).digest() != entry.hash:
        raise Damaged(f"the content of {name(entry.path)} does not match its hash", where=stored.record.hex())
    return data


def find_path(trees: Sequence[Worktree], text: str) -> tuple[Worktree, bytes]:
    """A path that somebody typed: in a root, absolute, from where they are, or as it is shown. NotFound names some that
    are alike."""
    raw = os.fsencode(text)
    for tree in trees:
        for path in _meant(tree, raw):
            if path in tree.base or tree.versions(path):
                return tree, path
    known = {path: tree for tree in trees for path in (*tree.base, *(v.path for c in tree.changes for v in c))}
    for tree in trees:
        for path in _meant(tree, raw):
            if any(other.startswith(path + b"/") for other in known):
                return tree, path
    for path, tree in known.items():
        if text in (name(path), shown(path)):
            return tree, path
    last = raw.rpartition(b"/")[2]
    alike = [name(path) for path in sorted(known) if path.rpartition(b"/")[2] == last][:3]
    raise NotFound(
        f"{output.harmless(text)} was never in the working directory",
        hint=f"there is {', '.join(alike)}" if alike else "",
    )


def _meant(tree: Worktree, raw: bytes) -> Iterator[bytes]:
    yield os.path.normpath(raw)
    prefix = tree.root.rstrip(b"/") + b"/"
    here = os.path.normpath(os.fsencode(Path.cwd()) + b"/" + raw if not raw.startswith(b"/") else raw)
    for path in (here, os.path.realpath(here)):
        if path.startswith(prefix):
            yield path[len(prefix) :]


def below(path: bytes, chosen: Sequence[bytes]) -> bool:
    """Is it one of these, or in one of them? Of none chosen: yes."""
    return not chosen or any(path == one or path.startswith(one.rstrip(b"/") + b"/") for one in chosen)


def name(path: bytes) -> str:
    """For people: nothing in it drives a terminal."""
    return output.harmless(shown(path))


def shown(path: bytes) -> str:
    """For programs; what is no UTF-8 is escaped."""
    return path.decode("utf-8", "backslashreplace")


def octal(mode: int) -> str:
    return f"{mode:04o}"


def size_of(entry: Entry) -> str:
    return output.size(entry.size) if entry.kind in ("file", "link") else entry.kind


def hash_of(entry: Entry) -> str:
    """Its first digits; why there is none."""
    return entry.hash.short() if entry.hash is not None else f"({entry.why})" if entry.why else ""


# -- what is told of a change


def who(doing: Doing) -> str:
    return f"$ {' '.join(doing.text.split())}" if doing.kind == "command" else doing.text


def by(change: Change) -> str:
    """Whom it is put to, in a few words."""
    if not change.causes:
        return "(not seen)"
    more = f" (or {len(change.causes) - 1} more)" if len(change.causes) > 1 else ""
    return who(change.causes[0]) + more


def verdict(change: Change) -> str:
    return change.verdict or ("" if change.version.is_directory else "cannot tell")


def entry_object(entry: Held) -> dict[str, Any]:
    path = {"path": shown(entry.path)}
    try:
        entry.path.decode()
    except UnicodeDecodeError:
        path["path_hex"] = entry.path.hex()
    return {
        **path,
        "kind": entry.kind,
        "mode": octal(entry.mode) if entry.kind != "gone" else None,
        "size": entry.size if entry.kind != "gone" else None,
        "length": entry.length,
        "hash": entry.hash.hex() if entry.hash else None,
        "mtime": output.iso(entry.mtime_ns),
        "stored": entry.stored,
        "why": why_not(entry) if not entry.stored and entry.kind == "file" else entry.why or None,
        "redacted": entry.facts.get("redacted", 0),
        "torn": bool(entry.facts.get("torn")),
    }


def version_object(version: Version) -> dict[str, Any]:
    return {
        "root": shown(version.root),
        **entry_object(version.entry),
        "change": version.what,
        "from": shown(version.moved) if version.moved is not None else None,
        "snapshot": version.n,
        "record": version.record.hex(),
        "cause": version.cause,
        "time": output.iso(version.snapshot.wall_ns),
    }


def change_object(change: Change) -> dict[str, Any]:
    return {
        "step": change.step,
        "verdict": change.verdict or None,
        "verdict_why": change.why or None,
        "claimed_by": change.claim,
        "causes": [doing_object(doing) for doing in change.causes],
    }


def doing_object(doing: Doing) -> dict[str, Any]:
    return {
        "step": doing.step,
        "type": {"tool": "tool.use"}.get(doing.kind, doing.kind),
        "hash": doing.hash.hex(),
        "text": doing.text,
        "thread": doing.thread,
        "call": doing.call.hex() if doing.call else None,
    }


def claim_object(told: Claimed) -> dict[str, object]:
    claim = told.claim
    return {
        "path": shown(claim.path),
        "change": None,
        "step": claim.step,
        "verdict": told.verdict or None,
        "verdict_why": told.why or None,
        "claimed": claim.action,
        "claimed_by": claim.step,
        "said": claim.said,
        "hash": None,
    }
