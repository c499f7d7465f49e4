"""What was said and done, in full, as Markdown: the system text, the tools, and every step.

All that was captured stands in code blocks: nothing of it can be a heading, a link or a picture of the document's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tapes.export.neutral import block as as_json
from tapes.export.quoting import code, fenced
from tapes.session.moments import iso
from tapes.session.threads import MAIN, Thread
from tapes.session.transcript import Conversation
from tapes.session.view import Step, as_told
from tapes.wire.turns import Text

TITLES = {"tool.use": "call", "tool.result": "result", "command": "command"}


def heading(title: str, facts: Mapping[str, object]) -> Iterator[str]:
    """The document's title, and a list of facts."""
    yield f"# {title}"
    yield ""
    for name, value in facts.items():
        if value not in ("", None):
            yield f"- {name}: {code(str(value))}"


def ground(said: Conversation) -> Iterator[str]:
    """System text and tools."""
    if said.system:
        yield from ("", "## System")
        for block in said.system:
            yield ""
            if isinstance(block, Text):
                yield from fenced(block.text)
            else:
                yield from fenced(json.dumps(as_json(block), indent=1), "json")
    if said.tools:
        yield from ("", f"## Tools ({len(said.tools)})")
        for tool in said.tools:
            yield from ("", f"### {code(tool.name)}", "")
            yield from fenced(json.dumps(tool.raw, indent=1, ensure_ascii=False), "json")
    if said.doubts:
        yield from ("", "## Doubts", "")
        yield from (f"- {code(doubt)}" for doubt in said.doubts)


def story(steps: Sequence[Step], threads: Mapping[str, Thread], *, of_one: bool) -> Iterator[str]:
    """The steps as they are told. `of_one`: all are of one thread, which need not be named again and again."""
    spawned = {thread.spawned_by: thread for thread in threads.values() if thread.spawned_by}
    for step in as_told(steps):
        yield ""
        yield _title(step, "" if of_one else step.thread)
        for name, value in _facts(step):
            yield from ("", f"- {name}: {code(value)}")
        if step.hash in spawned and step.type == "tool.use":
            yield from ("", f"- it started the thread {code(spawned[step.hash].id)}")
        if step.text:
            yield ""
            yield from fenced(step.text, _kind(step))


def _title(step: Step, thread: str) -> str:
    parts = [str(step.number), TITLES.get(step.type, step.type)]
    if step.facts.get("name"):
        parts.append(code(str(step.facts["name"])))
    if step.failed:
        parts.append("**failed**")
    if thread and thread != MAIN:
        parts.append(f"in {code(thread)}")
    return f"## {' · '.join([*parts, iso(step.wall_ns), step.hash.short(8)])}"


def _facts(step: Step) -> Iterator[tuple[str, str]]:
    facts: Mapping[str, Any] = step.facts
    for name in ("id", "model", "by", "cwd", "verdict", "why", "path"):
        if facts.get(name):
            yield name, str(facts[name])
    for label in facts.get("marks", ()):
        yield "mark", label
    if facts.get("about"):
        gone = ", taken back" if facts.get("taken_back") else ""
        yield "about", f"step {facts['about']['step'] or '-'}{gone}"
    if step.type == "command":
        ended = f"signal {facts['signal']}" if facts["signal"] else f"exit {facts['exit']}"
        yield "ended", "not seen" if facts["exit"] is None and not facts["signal"] else ended


def _kind(step: Step) -> str:
    if step.type == "command":
        return "sh"
    return "json" if step.type == "tool.use" and step.text.startswith("{") else "text"
