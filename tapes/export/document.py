"""A whole session as one document: for people (Markdown), as a script (its commands), for programs (JSON)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from tapes.archive.base import Archive
from tapes.errors import Damaged, NotFound
from tapes.export.markdown import ground, heading, story
from tapes.export.neutral import conversation
from tapes.export.quoting import code
from tapes.export.runbook import runbook
from tapes.export.shell import about
from tapes.record.kinds import Record
from tapes.session.moments import iso
from tapes.session.threads import Thread
from tapes.session.transcript import Conversation, Moment, history, moment
from tapes.session.view import Step, View


def facts(found: View, at: Moment, name: str) -> dict[str, Any]:
    """Of the session: what stands in each document's heading."""
    digest, opened = found.records[0]
    close = next((record.body for _, record in reversed(found.records) if record.type == "session.close"), {})
    return {
        "session": digest.hex(),
        "name": name,
        "agent": opened.body.get("agent", ""),
        "command": " ".join(_words(opened)),
        "cwd": _text(opened.body.get("cwd", b"")),
        "started": iso(opened.wall_ns),
        "up_to_step": at.number,
        "steps": len(at.steps) + len(at.later),
        "status": close.get("status"),
        "signal": close.get("signal"),
        "failed_steps": sum(step.failed for step in at.steps),
        "gaps": sum(record.type == "gap" for _, record in found.records),
    }


def markdown(archive: Archive, found: View, at: Moment, name: str, trouble: list[str]) -> Iterator[str]:
    """Lines: what was run, and how it ended; then all that was said and done, of each thread what it began with."""
    told = facts(found, at, name)
    yield from heading(f"Session {told['session'][:12]}", {k: v for k, v in told.items() if v not in ("", None)})
    numbers = {step.hash: step.number for step in reversed(at.steps)}
    ran = [command for command in found.commands if command.hash in numbers]
    if ran:
        yield from ("", f"## Commands ({len(ran)})", "")
        for command in ran:
            failed = "**failed** · " if command.failed else ""
            how = code(about(command, numbers[command.hash]))
            yield f"- {failed}{how} in {code(command.cwd)}: {code(command.line)}"
    for thread in found.threads.values():
        said = _said(archive, found, at, thread, trouble)
        if said is not None and (said.system or said.tools or said.doubts):
            yield from ("", f"# Thread {code(thread.path or thread.id)} ({thread.kind})")
            yield from ground(said)
    yield from ("", "# Steps")
    yield from story(at.steps, found.threads, of_one=False)


def shell(archive: Archive, found: View, at: Moment, name: str) -> Iterator[str]:
    """Lines of the runbook."""
    told = facts(found, at, name)
    title = f"The commands of session {told['session'][:12]} {name}".rstrip() + f", {told['agent']}, {told['started']}."
    yield from runbook(archive, title, found, at.steps)


def as_json(archive: Archive, found: View, at: Moment, name: str, trouble: list[str]) -> Iterator[str]:
    """Pieces of one JSON object: format, facts, threads with their conversations, steps."""
    yield json.dumps({"format": "tapes session 1"} | facts(found, at, name))[:-1]
    yield ',\n"threads": [\n'
    for n, thread in enumerate(found.threads.values()):
        said = _said(archive, found, at, thread, trouble)
        row = {
            "id": thread.id,
            "kind": thread.kind,
            "parent": thread.parent or None,
            "path": thread.path or None,
            "spawned_by": thread.spawned_by.hex() if thread.spawned_by else None,
            "conversation": conversation(said) if said else None,
        }
        yield (",\n" if n else "") + json.dumps(row)
    yield '\n],\n"steps": [\n'
    for n, step in enumerate(at.steps):
        yield (",\n" if n else "") + json.dumps(_step(step))
    yield "\n]}\n"


def _step(step: Step) -> Mapping[str, Any]:
    return {
        "step": step.number,
        "type": step.type,
        "hash": step.hash.hex(),
        "item": step.item,
        "exchange": step.exchange.hex() if step.exchange else None,
        "thread": step.thread,
        "time": iso(step.wall_ns),
        "failed": step.failed,
        **step.facts,
        "text": step.text,
    }


def _said(archive: Archive, found: View, at: Moment, thread: Thread, trouble: list[str]) -> Conversation | None:
    steps = (*at.steps, *at.later)
    here = moment(found, steps, at.number if at.later else None, thread.id)
    try:
        return history(archive, found, here)
    except (Damaged, NotFound) as error:
        trouble.append(f"thread {thread.id}: {error}")
        return None


def _words(opened: Record) -> Iterator[str]:
    yield from (_text(word) for word in opened.body.get("argv", ()))


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")
