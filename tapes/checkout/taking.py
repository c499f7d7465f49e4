"""A moment of a session, written into a directory: docs/cli.md, `tapes checkout`, lists what each file is.

Everything is read and checked against its hash while it is written. What can not be restored is said in the manifest
and in the report, and nothing stands in its place.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from blake3 import blake3

from tapes import __version__
from tapes.archive.base import Archive
from tapes.checkout.files import File, Files
from tapes.checkout.folder import Folder
from tapes.checkout.replay import replayed
from tapes.checkout.state import state
from tapes.checkout.stored import stored
from tapes.errors import Damaged, NotFound, UsageError
from tapes.export.markdown import ground, heading, story
from tapes.export.neutral import conversation, lined
from tapes.export.runbook import runbook
from tapes.record.digest import Digest
from tapes.session.doings import Doings
from tapes.session.moments import iso
from tapes.session.snapshots import has_snapshots
from tapes.session.threads import MAIN
from tapes.session.transcript import Conversation, Moment, NextRequest, history, next_request
from tapes.session.view import Step, View
from tapes.session.worktree import worktrees
from tapes.values import dataclass, field

UNREAD = (Damaged, NotFound)
SHOWN = 3
"""Paths that are named for one reason; the manifest has all."""


@dataclass(slots=True)
class Report:
    """What came of it."""

    session: Digest
    step: int
    thread: str
    request: str = ""
    """`sent`, `built`, or "" where there is none."""
    request_hash: str = ""
    request_bytes: int = 0
    exchange: str = ""
    """The record of the exchange that had this request; of one that is built, that it was built on."""
    files: dict[str, int] = field(default_factory=dict)
    """How many are known, partial, unknown."""
    source: str = ""
    """Of the files."""
    bytes: int = 0
    notes: list[str] = field(default_factory=list)
    """What is to be known, and is no loss."""
    lost: list[str] = field(default_factory=list)
    """What was recorded and could not be restored."""
    damaged: bool = False

    def lose(self, what: str, error: Exception) -> None:
        self.lost.append(f"{what}: {error}")
        self.damaged |= isinstance(error, Damaged)


def take(archive: Archive, found: View, at: Moment, folder: Folder, *, name: str = "", partial: bool = False) -> Report:
    """Write all of it. Where what was said can not be read: Damaged, Withheld or NotFound; with `partial` what is left
    is written, and the report says what was lost."""
    report = Report(found.records[0][0], at.number, at.thread)
    said = request = None
    try:
        said, request = history(archive, found, at), next_request(archive, found, at)
    except UNREAD as error:
        if not partial:
            error.hint = "\n  ".join([*filter(None, [error.hint]), "--partial takes out what is left"])
            raise
        report.lose("what was said: messages.json and request.json", error)
    out = _Out(folder, report)
    _conversation(archive, out, found, at, said, request, name)
    _files(out, files_at(archive, found, at))
    out.text("state.json", [json.dumps(state(found, at, said), indent=1)])
    out.text("REFS", _refs(found, at, request, name, report))
    for path, why in folder.finish():
        report.lost.append(f"{path.decode('utf-8', 'backslashreplace')}: {why}")
    return report


@dataclass(slots=True)
class _Out:
    folder: Folder
    report: Report

    def put(self, name: str, data: bytes) -> None:
        why = self.folder.put(name.encode(), data)
        if why:
            raise UsageError(f"cannot write {name}: {why}")
        self.report.bytes += len(data)

    def text(self, name: str, lines: Sequence[str] | Iterator[str]) -> None:
        self.put(name, ("\n".join(lines) + "\n").encode("utf-8", "replace"))


# -- what was said


def _conversation(
    archive: Archive,
    out: _Out,
    found: View,
    at: Moment,
    said: Conversation | None,
    request: NextRequest | None,
    name: str,
) -> None:
    report = out.report
    session = found.records[0][0]
    facts = {
        "session": f"{session.hex()} {name}".strip(),
        "up to step": at.number,
        "thread": at.thread,
        "agent": found.records[0][1].body.get("agent", ""),
        "come back": f"tapes show {session.short()}:{at.number}",
    }
    own = [step for step in at.steps if (step.thread or MAIN) == at.thread]
    lines = [*heading("What was said and done", facts), *(ground(said) if said else ())]
    out.text("transcript.md", [*lines, *story(own, found.threads, of_one=True)])
    if said is not None:
        about = {"format": "tapes messages 1", "session": session.hex(), "step": at.number, "thread": at.thread}
        out.text("messages.json", lined(about | conversation(said), 2))
        report.notes += said.doubts
    if request is not None:
        out.put("request.json", request.body)
        report.request = "sent" if request.sent else "built"
        report.request_hash = blake3(request.body).hexdigest()
        report.request_bytes = len(request.body)
        report.exchange = request.base.hash.hex()
        report.notes += request.doubts
        if request.answers:
            report.notes.append(
                f"request.json also answers calls that are open at this step: {', '.join(request.answers)}"
            )
    elif said is not None:
        report.notes.append("no call of this thread had been made by then: there is no request.json")
    heading_ = f"The commands of session {session.short()} {name}".rstrip() + f", up to its step {at.number}."
    out.text("commands.sh", runbook(archive, heading_, found, at.steps))


# -- the files


def files_at(archive: Archive, found: View, at: Moment) -> list[Files]:
    """The working directories of the session at a moment: from their snapshots, else replayed."""
    opened = found.records[0][1]
    cwd = opened.body.get("cwd", b"") if opened.type == "session.open" else b""
    if not has_snapshots(found.records):
        return [replayed(at.steps, cwd.decode("utf-8", "surrogateescape"))]
    doings = Doings.of(found, (*at.steps, *at.later))
    trees = worktrees(archive, found.records, doings)
    trees.sort(key=lambda tree: tree.root != cwd)  # the session's own is the first
    return [stored(archive, tree.at(at.number if at.later else None)) for tree in trees]


def _files(out: _Out, trees: Sequence[Files]) -> None:
    manifest = []
    counts = {"known": 0, "partial": 0, "unknown": 0}
    for n, tree in enumerate(trees):
        below = "files" if n == 0 else f"files-{n + 1}"
        why = out.folder.directory(below.encode())
        rows = [_written(out, below.encode(), file) for file in tree.files]
        for row in rows:
            counts[row["state"]] += 1
        lost = {line.partition(": ")[2] for line in out.report.lost}
        out.report.notes += _missing([row for row in rows if f"{row['path']}: {row['why']}" not in lost])
        told: dict[str, Any] = {
            "in": below,
            "root": tree.root.decode("utf-8", "backslashreplace"),
            "source": tree.source,
        }
        told |= {"git": {"head": tree.head, "branch": tree.branch}} if tree.head else {}
        manifest.append(told | {"exact": not tree.doubts and not why, "doubts": list(tree.doubts), "files": rows})
        for doubt in tree.doubts:
            gone = doubt.endswith(("is damaged", "is withheld"))
            (out.report.lost if gone else out.report.notes).append(doubt)
            out.report.damaged |= doubt.endswith("is damaged")
        out.report.source = out.report.source or tree.source
    out.report.files = counts
    out.text("MANIFEST.json", lined({"format": "tapes manifest 1", "trees": manifest}, 4))


def _missing(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What is not all there, by the reason, with the first of each."""
    by_reason: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row["state"] != "known":
            by_reason.setdefault((row["state"], row["why"]), []).append(row["path"])
    for (known, why), paths in by_reason.items():
        more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
        yield f"{known}: {', '.join(paths[:SHOWN])}{more}: {why}"


def _written(out: _Out, below: bytes, file: File) -> dict[str, Any]:
    """Write it, as far as it is known; its row in the manifest."""
    path = below + b"/" + file.path
    row, data = _read(out, file)
    if data is None:
        failed = out.folder.directory(path, file.mode) if row["state"] == "known" else ""
    elif file.kind == "link":
        failed = out.folder.link(path, data)
    else:
        failed = out.folder.put(path, data, file.mode, file.mtime_ns)
    if failed:
        out.report.lost.append(f"files: {row['path']}: {failed}")
        return {"path": row["path"], "kind": row["kind"], "state": "unknown", "why": failed}
    out.report.bytes += len(data or b"")
    return row


def _read(out: _Out, file: File) -> tuple[dict[str, Any], bytes | None]:
    """A file's row in the manifest, and what is to be written; None for a directory, and for what is not known."""
    row: dict[str, Any] = {"path": file.path.decode("utf-8", "backslashreplace"), "kind": file.kind}
    if file.kind == "other":
        return row | {"state": "unknown", "why": file.why or "a device or a pipe, which is not made"}, None
    if file.read is None or file.known == "unknown":
        return row | {"state": file.known, "why": file.why}, None
    try:
        data = file.read()
    except UNREAD as error:
        out.report.lose(f"files: {row['path']}", error)
        return row | {"state": "unknown", "why": str(error)}, None
    digest = file.hash or blake3(data).hexdigest()
    row |= {"bytes": len(data), "blake3": digest, "mode": f"{file.mode & 0o7777:o}"}
    return row | {"state": file.known, "why": file.why}, data


# -- the way back


def _refs(found: View, at: Moment, request: NextRequest | None, name: str, report: Report) -> Iterator[str]:
    session, last = found.records[0][0], found.records[-1]
    yield "# What this directory was taken out of. Each hash is one that tapes takes: tapes show, tapes cat."
    yield f"session {session.hex()}" + (f" {name}" if name else "")
    step: Step | None = at.steps[-1] if at.steps else None
    if step is not None:
        yield f"step {step.number} {step.type} {step.hash.hex()} {iso(step.wall_ns)}"
    yield f"thread {at.thread}"
    if request is not None:
        yield f"request {'sent' if request.sent else 'built'} {report.request_hash}"
        yield f"exchange {request.base.hash.hex()}"
    yield f"head {last[0].hex()} {last[1].seq}"
    yield f"tapes {__version__}"
    yield f"again tapes checkout {session.hex()}:{at.number} --thread {at.thread}"
