"""How everything stood when a step was over, in full: what `tapes checkout` writes into state.json, for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tapes.archive.base import Archive
from tapes.checkout.state import state
from tapes.errors import Damaged, NotFound, Withheld
from tapes.session.transcript import Conversation, Moment, history, moment
from tapes.session.view import Step
from tapes_cli import output
from tapes_cli.deck.model.course import HANDLING
from tapes_cli.deck.model.document import Block
from tapes_cli.deck.model.styled import Line, joined, styled
from tapes_cli.deck.model.tape import Told

BOXES = {"completed": ("☑", "ok"), "in_progress": ("▸", "accent"), "cancelled": ("☒", "dim")}
NAME = 14
"""Columns for the names of things."""


def blocks(archive: Archive, told: Told, step: Step) -> Iterator[Block]:
    """For a worker: what had been said is read from the archive."""
    at = moment(told.view, told.steps, step.number)
    said: Conversation | None = None
    trouble = ""
    try:
        said = history(archive, told.view, at)
    except (Withheld, Damaged, NotFound) as error:
        trouble = f"what had been said can not be read: {error}"
    found = state(told.view, at, said)
    yield Block(f"when step {step.number} was over", lines=_facts(found, said, trouble))
    yield Block("to be done", lines=_todo(found["todo"]), empty="no list was kept")
    yield Block("files known", lines=_files(at), empty="no call had read, written or edited one")
    for name, title in (("failures_before", "failures before"), ("failures_after", "failures after")):
        yield Block(title, lines=_failures(found[name]), empty="none")
    yield Block("environment", lines=_variables(found["environment"]), empty="not recorded")


def _facts(found: Mapping[str, Any], said: Conversation | None, trouble: str) -> Iterator[Line]:
    git, usage = found["git"] or {}, found["usage"]
    told = {
        "cwd": found["cwd"],
        "thread": found["thread"],
        "model": found["model"],
        "messages": f"{len(said.messages)} in the conversation, {len(said.tools)} tools" if said else None,
        "open calls": ", ".join(found["open_calls"] or ()),
        "git": " ".join(str(git[name]) for name in ("branch", "head") if git.get(name)),
        "used": ", ".join(f"{kind} {output.count(count)}" for kind, count in usage.items()),
        "still to come": output.plural(found["steps_after"], "step"),
    }
    for name, value in told.items():
        if value:
            yield joined(styled(f"{name:<{NAME}}", "dim"), styled(str(value)))
    if trouble:
        yield styled(trouble, "error")


def _todo(entries: Sequence[Mapping[str, str]]) -> Iterator[Line]:
    for entry in entries:
        box, style = BOXES.get(entry["status"], ("☐", ""))
        yield styled(f"{box} {entry['text']}", style)


def _files(at: Moment) -> Iterator[Line]:
    """Each by the last step that handled it."""
    last: dict[str, tuple[int, str]] = {}
    for step in at.steps:
        for deed in step.facts.get("files") or ([step.facts] if step.facts.get("path") else ()):
            if deed.get("action") in HANDLING:
                last.pop(str(deed["path"]), None)
                last[str(deed["path"])] = step.number, str(deed["action"])
    for path, (number, action) in reversed(last.items()):
        yield joined(styled(f"{action:<7} step {number:<6}", "dim"), styled(path))


def _failures(failures: Sequence[Mapping[str, Any]]) -> Iterator[Line]:
    for failure in failures:
        yield joined(styled(f"{failure['step']:>5} ", "dim"), styled(f"{failure['type']}: {failure['text']}", "error"))


def _variables(environment: Mapping[str, Any]) -> Iterator[Line]:
    facts = {name: environment[name] for name in environment if name not in ("variables", "names_of_others", "as_of")}
    for name, value in facts.items():
        yield joined(styled(f"{name:<{NAME}}", "dim"), styled(value if isinstance(value, str) else json.dumps(value)))
    for name, value in environment["variables"].items():
        yield styled(f"{name}={value}")
    others = environment["names_of_others"]
    if others:
        yield styled(f"and {output.plural(len(others), 'other variable')}, whose values were not kept", "dim")
    yield styled(f"as of {environment['as_of']}", "dim")
